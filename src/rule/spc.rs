//! State-based predictive coding (sPC).

use super::{LearningRule, Steps};
use crate::engine::{directions, forward_pass, Engine, Forward, Learned, MaybeZero, Watch};
use crate::Result;

/// Simultaneous gradient descent of the energy over the states, then a local weight update
/// (Rao & Ballard 1999; Whittington & Bogacz 2017; the `sPC` of Goemaere et al., arXiv 2505.20137).
///
/// From the forward pass, T times, all hidden layers at once from the same old states:
///
/// v_l ← v_l − g_t (ε_l − J_{l+1}(v_l)ᵀ ε_{l+1}),  ε_l = v_l − f_l(v_{l−1}),  ε_L = −∂loss/∂o.
///
/// Then −∂F/∂θ_l = (∂μ_l/∂θ_l)ᵀ ε_l at the last states. 2L + 2T(L − 1) products without the light cone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spc {
    /// T and g.
    pub steps: Steps,
    /// Skip layers that no error has reached yet. Error l is exactly zero before step L − l, so the result
    /// is the same to the bit; off only to measure what it saves.
    pub light_cone: bool,
}

impl LearningRule for Spc {
    const NAME: &'static str = "spc";

    fn learn<E: Engine>(&self, engine: &E, watch: &mut Watch<'_, E::Value>) -> Result<Learned<E>> {
        let depth = engine.depth();
        let Forward { mut states, mut locals, mut output } = forward_pass(engine)?;
        // errors[l − 1] is ε_l; predictions[l − 1] is μ_l for l < L
        let mut predictions = states[1..].to_vec();
        let mut errors: Vec<MaybeZero<E::Value>> = vec![None; depth];
        if !self.light_cone {
            for l in 1..depth {
                errors[l - 1] = Some(engine.sub(&states[l], &predictions[l - 1])?);
            }
        }
        errors[depth - 1] = Some(engine.output_error(&output)?);
        watch(0, &errors, &output)?;

        for t in 0..self.steps.count {
            let g = self.steps.size(t);
            let lowest = if self.light_cone { depth.saturating_sub(t + 1).max(1) } else { 1 };
            // all layers from the same old states and errors …
            let mut moved = Vec::with_capacity(depth - lowest.min(depth));
            for l in lowest..depth {
                let mut descent = match &errors[l] {
                    Some(above) => engine.vjp(l + 1, &locals[l], above)?,
                    None => continue,
                };
                if let Some(own) = &errors[l - 1] {
                    descent = engine.sub(&descent, own)?;
                }
                moved.push((l, engine.add_scaled(&states[l], g, &descent)?));
            }
            for (l, state) in moved {
                states[l] = state;
            }
            // … then predictions and errors at the new ones; μ_l is unchanged for l ≤ lowest
            for l in lowest + 1..=depth {
                let (mu, local) = engine.forward(l, &states[l - 1])?;
                locals[l - 1] = local;
                if l < depth {
                    predictions[l - 1] = mu;
                } else {
                    output = mu;
                }
            }
            for l in lowest..depth {
                errors[l - 1] = Some(engine.sub(&states[l], &predictions[l - 1])?);
            }
            if depth > 1 {
                errors[depth - 1] = Some(engine.output_error(&output)?);
            }
            watch(t + 1, &errors, &output)?;
        }

        let directions = directions(engine, &locals, &errors)?;
        Ok(Learned { states: states.split_off(1), output, errors, directions })
    }
}
