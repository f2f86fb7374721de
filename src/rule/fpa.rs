//! Predictive coding under the fixed-prediction assumption (FPA).

use super::{LearningRule, Steps};
use crate::engine::{directions, forward_pass, Engine, Learned, MaybeZero, Watch};
use crate::theory::analysis::{self, Analysis};
use crate::theory::cost::{self, NetCost, RuleCost};
use crate::Result;

/// sPC with predictions, Jacobians and layer inputs frozen at the forward pass vh
/// (Millidge, Tschantz & Buckley, arXiv 2006.04182; fixed prediction in Rosenbaum, arXiv 2106.13082).
///
/// ε_L = −∂loss/∂o is fixed. T times, all hidden layers at once from the same old states:
///
/// v_l ← v_l − g_t (ε_l − J_{l+1}(vh_l)ᵀ ε_{l+1}),  ε_l = v_l − vh_l.
///
/// Then directions (∂μ_l/∂θ_l at vh_{l−1})ᵀ ε_l. With a constant g in [0, 1] every error is the negative
/// backpropagation adjoint times P\[Binomial(T, g) ≥ L − l\]: see [`crate::theory::decay`]. 2L + T(L − 1)
/// products without the light cone.
///
/// J_Lᵀ ε_L is the same product in every step. Published programs repeat it, so this schedule repeats it;
/// keeping it would save T − 1 products, and by the law above so would not iterating at all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fpa {
    /// T and g.
    pub steps: Steps,
    /// Skip layers that no error has reached yet; the same bits, off only to measure what it saves.
    pub light_cone: bool,
}

impl LearningRule for Fpa {
    const NAME: &'static str = "fpa";

    fn learn<E: Engine>(&self, engine: &E, watch: &mut Watch<'_, E::Value>) -> Result<Learned<E>> {
        let depth = engine.depth();
        let forward = forward_pass(engine)?;
        let mut states = forward.states.clone();
        let mut errors: Vec<MaybeZero<E::Value>> = vec![None; depth];
        if !self.light_cone {
            for l in 1..depth {
                errors[l - 1] = Some(engine.sub(&states[l], &forward.states[l])?);
            }
        }
        errors[depth - 1] = Some(engine.output_error(&forward.output)?);
        watch(0, &errors, &forward.output)?;

        for t in 0..self.steps.count {
            let g = self.steps.size(t);
            // upwards, so that ε_{l+1} is still the old one when layer l reads it
            for l in 1..depth {
                let Some(above) = &errors[l] else { continue };
                let mut descent = engine.vjp(l + 1, &forward.locals[l], above)?;
                if let Some(own) = &errors[l - 1] {
                    descent = engine.sub(&descent, own)?;
                }
                states[l] = engine.add_scaled(&states[l], g, &descent)?;
                errors[l - 1] = Some(engine.sub(&states[l], &forward.states[l])?);
            }
            watch(t + 1, &errors, &forward.output)?;
        }

        let directions = directions(engine, &forward.locals, &errors)?;
        Ok(Learned::from_directions(states.split_off(1), forward.output, errors, directions))
    }

    fn cost(&self, net: &NetCost) -> RuleCost {
        cost::fpa(net, self.steps.count as u64, self.light_cone)
    }

    fn analysis(&self, net: &NetCost) -> Analysis {
        analysis::fpa(net, self.steps.count as u64, self.light_cone)
    }
}
