//! Activation relaxation (AR).

use super::info::{has, Inference, Info};
use super::learning::FIXED_PREDICTION;
use super::walk::{forward_pass, loss_errors, outputs, shown, Downward, Forward};
use super::{LearningRule, Steps};
use crate::engine::{Engine, Learned, LearnedOn, MaybeZero, Shown, Watch};
use crate::net::VertexId;
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
    /// Jᵀ c under this variant's weights and derivatives.
    fn carried<E: Engine>(
        &self,
        engine: &E,
        at: &[E::Linearization],
        (child, slot): (VertexId, usize),
        c: &E::Value,
    ) -> Result<E::Value> {
        let own = engine.topology().node(child).params.iter();
        let weights: Vec<&E::Param> = match self.feedback {
            Feedback::Transposed => own.map(|&p| engine.param(p)).collect(),
            Feedback::Learned => own.map(|&p| engine.feedback(p)).collect(),
        };
        if self.derivatives {
            engine.vjp(child, slot, &weights, &at[child], c)
        } else {
            engine.vjp_linear(child, slot, &weights, &at[child], c)
        }
    }
}

impl LearningRule for Ar {
    const VARIANTS: &'static [Info] = &[
        Info::new("ar", "ar", Inference::Chosen, false, true),
        Info::new("ar-linear", "ar", Inference::Chosen, false, false),
        Info::new("ar-feedback", "ar", Inference::Chosen, false, false),
        Info::new("ar-feedback-linear", "ar", Inference::Chosen, false, false),
        Info::new("ar-topdown", "ar", Inference::Chosen, false, true),
        Info::new("ar-topdown-linear", "ar", Inference::Chosen, false, false),
        Info::new("ar-topdown-feedback", "ar", Inference::Chosen, false, false),
        Info::new("ar-topdown-feedback-linear", "ar", Inference::Chosen, false, false),
    ];

    const WITHOUT_AUTO: Option<&'static str> = Some(FIXED_PREDICTION);

    fn variant(name: &str, steps: Steps) -> Self {
        Self {
            steps,
            sweep: if has(name, "topdown") { Sweep::TopDown } else { Sweep::Simultaneous },
            feedback: if has(name, "feedback") { Feedback::Learned } else { Feedback::Transposed },
            derivatives: !has(name, "linear"),
        }
    }

    fn name(&self) -> &'static str {
        match (self.sweep, self.feedback, self.derivatives) {
            (Sweep::Simultaneous, Feedback::Transposed, true) => "ar",
            (Sweep::Simultaneous, Feedback::Transposed, false) => "ar-linear",
            (Sweep::Simultaneous, Feedback::Learned, true) => "ar-feedback",
            (Sweep::Simultaneous, Feedback::Learned, false) => "ar-feedback-linear",
            (Sweep::TopDown, Feedback::Transposed, true) => "ar-topdown",
            (Sweep::TopDown, Feedback::Transposed, false) => "ar-topdown-linear",
            (Sweep::TopDown, Feedback::Learned, true) => "ar-topdown-feedback",
            (Sweep::TopDown, Feedback::Learned, false) => "ar-topdown-feedback-linear",
        }
    }

    fn steps(&self) -> Option<Steps> {
        Some(self.steps)
    }

    fn with_steps(self, steps: Steps) -> Self {
        Self { steps, ..self }
    }

    fn learns_feedback(&self) -> bool {
        self.feedback == Feedback::Learned
    }

    fn learn<E: Engine>(&self, engine: &E, watch: &mut Watch<'_, E::Value>) -> Result<LearnedOn<E>> {
        let topology = engine.topology();
        let Forward { values, at } = forward_pass(engine)?;
        let losses = loss_errors(engine, &values)?;
        let down = Downward::new(engine, &at, &losses);
        let outputs = outputs(engine, &values);
        let carry = |child, slot, c: &E::Value| self.carried(engine, &at, (child, slot), c);
        let mut errors: Vec<MaybeZero<E::Value>> = vec![None; topology.len()];
        for i in topology.latent() {
            errors[i] = Some(engine.scale(-1.0, &values[i])?);
        }
        watch(Shown { step: 0, errors: &shown(&down, &errors), outputs: &outputs, multipliers: &[] })?;

        for t in 0..self.steps.count {
            let g = self.steps.size(t);
            // the cotangent of a vertex: the old ε_i in simultaneous sweeps, the new one in place
            let mut c = vec![None; topology.len()];
            let mut moved = errors.clone();
            for i in (0..topology.len()).rev() {
                if !topology.is_latent(i) {
                    if topology.follows_state(i) {
                        c[i] = down.pulled_by(i, &c, carry)?;
                    }
                    continue;
                }
                c[i] = errors[i].clone();
                if let (Some(own), Some(pulled)) = (&errors[i], down.pulled_by(i, &c, carry)?) {
                    moved[i] = Some(engine.add_scaled(own, g, &engine.sub(&pulled, own)?)?);
                }
                if self.sweep == Sweep::TopDown {
                    c[i] = moved[i].clone();
                }
            }
            errors = moved;
            watch(Shown {
                step: t + 1,
                errors: &shown(&down, &errors),
                outputs: &outputs,
                multipliers: &[],
            })?;
        }

        // weight gradients keep φ' and W_i
        let mut c = errors.clone();
        for i in (0..topology.len()).rev() {
            if !topology.is_latent(i) && topology.reaches_params(i) {
                c[i] = down.pulled(i, &c)?;
            }
        }
        let (directions, errors) = (down.directions(&c)?, shown(&down, &errors));
        let params = vec![None; directions.len()];
        Ok(Learned { states: values, outputs, errors, multipliers: Vec::new(), directions, params })
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
