//! Activation relaxation (AR).

use super::{LearningRule, Steps};
use crate::engine::{directions, forward_pass, Engine, Learned, MaybeZero, Watch};
use crate::theory::analysis::{self, Analysis};
use crate::theory::cost::{self, NetCost, RuleCost};
use crate::Result;

/// A second phase in which the activations themselves relax to the adjoints
/// (Millidge, Tschantz, Seth & Buckley, arXiv 2009.05359).
///
/// a_L = ∂loss/∂o is fixed, a_l starts at the forward activation vh_l, and T times
///
/// a_l ← a_l − g_t (a_l − J_{l+1}(vh_l)ᵀ a_{l+1}).
///
/// Directions −(∂μ_l/∂θ_l at vh_{l−1})ᵀ a_l. The schedule carries ε_l = −a_l, predictive coding's sign, so it
/// starts at −vh_l. 2L + T(L − 1) products.
///
/// With simultaneous sweeps of a constant step g, G_l the adjoint and J the Jacobians at the forward pass,
///
/// a_l(T) = P\[Binomial(T, g) ≥ L − l\] G_l + Σ_{k<L−l} C(T,k) g^k (1−g)^(T−k) J_{l+1}ᵀ⋯J_{l+k}ᵀ vh_{l+k}:
///
/// the law of FPA, and what is left of the activations it started from.
///
/// There is no light cone: a_l starts at vh_l, not at zero, and moves from the first sweep on. What travels
/// down one layer per simultaneous sweep is *correctness*: with step 1, a_l is the adjoint from sweep L − l
/// on, but only up to rounding, so skipping it would not give the same bits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ar {
    /// T and g.
    pub steps: Steps,
    /// Which a_{l+1} a layer reads.
    pub sweep: Sweep,
    /// Which weights carry a_{l+1} down.
    pub feedback: Feedback,
    /// Whether φ' multiplies what is carried down. Off, J_{l+1}ᵀ keeps its product and skip only; the weight
    /// update keeps φ' either way, as in the authors' program.
    pub derivatives: bool,
}

/// Which a_{l+1} a layer reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sweep {
    /// All layers at once, from the old ones.
    Simultaneous,
    /// l = L − 1 down to 1 in place, from the new ones (the authors' program).
    TopDown,
}

/// Which weights carry a_{l+1} down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feedback {
    /// W_{l+1}ᵀ.
    Transposed,
    /// Ψ_{l+1}, started on its own and learned by the same local rule, ΔΨ_{l+1} = (ΔW_{l+1})ᵀ, so it costs no
    /// further product and grows towards W_{l+1}ᵀ as learning forgets the start. Who keeps parameters keeps
    /// Ψ; an engine without it falls back on W_{l+1}ᵀ.
    Learned,
}

impl Ar {
    /// J_{l+1}ᵀ ε_{l+1} under this variant's weights and derivatives.
    fn carried<E: Engine>(&self, engine: &E, l: usize, at: &E::Local, above: &E::Value) -> Result<E::Value> {
        let weights = match self.feedback {
            Feedback::Transposed => engine.params(l + 1),
            Feedback::Learned => engine.feedback(l + 1),
        };
        if self.derivatives {
            engine.vjp_with(l + 1, weights, at, above)
        } else {
            engine.vjp_linear_with(l + 1, weights, at, above)
        }
    }
}

impl LearningRule for Ar {
    const NAME: &'static str = "ar";

    fn learn<E: Engine>(&self, engine: &E, watch: &mut Watch<'_, E::Value>) -> Result<Learned<E>> {
        let depth = engine.depth();
        let forward = forward_pass(engine)?;
        let mut eps = forward.states[1..]
            .iter()
            .map(|vh| engine.scale(-1.0, vh))
            .chain([engine.output_error(&forward.output)])
            .collect::<Result<Vec<_>>>()?;
        let mut errors: Vec<MaybeZero<E::Value>> = eps.iter().cloned().map(Some).collect();
        watch(0, &errors, &forward.output)?;

        for t in 0..self.steps.count {
            let g = self.steps.size(t);
            // upwards every a_{l+1} read is still the old one, downwards it is the new one
            let order: Vec<usize> = match self.sweep {
                Sweep::Simultaneous => (1..depth).collect(),
                Sweep::TopDown => (1..depth).rev().collect(),
            };
            for l in order {
                let carried = self.carried(engine, l, &forward.locals[l], &eps[l])?;
                eps[l - 1] = engine.add_scaled(&eps[l - 1], g, &engine.sub(&carried, &eps[l - 1])?)?;
            }
            errors = eps.iter().cloned().map(Some).collect();
            watch(t + 1, &errors, &forward.output)?;
        }

        let directions = directions(engine, &forward.locals, &errors)?;
        let states = forward.states[1..].to_vec();
        Ok(Learned::from_directions(states, forward.output, errors, directions))
    }

    fn cost(&self, net: &NetCost) -> RuleCost {
        let top_down = self.sweep == Sweep::TopDown;
        cost::ar(net, self.steps.count as u64, top_down, self.derivatives)
    }

    fn analysis(&self, net: &NetCost) -> Analysis {
        let top_down = self.sweep == Sweep::TopDown;
        let analysis = analysis::ar(net, self.steps.count as u64, top_down, self.derivatives);
        if self.derivatives && self.feedback == Feedback::Transposed {
            return analysis;
        }
        Analysis {
            equals_bp: "not in general: what carries errors down is not the transposed Jacobian",
            ..analysis
        }
    }
}
