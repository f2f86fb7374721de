//! Error-based predictive coding (ePC).

use super::{LearningRule, Steps};
use crate::engine::{directions, forward_pass, Engine, Forward, Learned, MaybeZero, Watch};
use crate::theory::analysis::{self, Analysis};
use crate::theory::cost::{self, NetCost, RuleCost};
use crate::Result;

/// Gradient descent of the same energy over the errors instead of the states
/// (Goemaere et al., arXiv 2505.20137).
///
/// Errors e_l, l < L, start at 0; states are rebuilt upwards, v_l = f_l(v_{l−1}) + e_l. With
/// b_L = −∂loss/∂o and b_l = J_{l+1}(v_l)ᵀ b_{l+1} (the negative adjoints at the rebuilt states), all at once
///
/// e_l ← e_l − g_t (e_l − b_l).
///
/// Then local weight gradients from ε_l = e_l and v_{l−1}, as in sPC. The signal reaches every layer in one
/// step, at the price of a backward and a forward sweep per step: 2L + 2T(L − 1) products, 2(L − 1) per step
/// on the critical path. The first step reuses the initial forward pass, and f_1(x) never changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Epc {
    /// T and g.
    pub steps: Steps,
}

impl LearningRule for Epc {
    const NAME: &'static str = "epc";

    fn learn<E: Engine>(&self, engine: &E, watch: &mut Watch<'_, E::Value>) -> Result<Learned<E>> {
        let depth = engine.depth();
        let Forward { mut states, mut locals, mut output } = forward_pass(engine)?;
        let first_prediction = states.get(1).cloned();
        let mut errors: Vec<MaybeZero<E::Value>> = vec![None; depth];
        let mut output_error = engine.output_error(&output)?;
        errors[depth - 1] = Some(output_error.clone());
        watch(0, &errors, &output)?;

        for t in 0..self.steps.count {
            let g = self.steps.size(t);
            // backward sweep: b_l, and the step of every error
            let mut b = output_error.clone();
            for l in (1..depth).rev() {
                b = engine.vjp(l + 1, &locals[l], &b)?;
                errors[l - 1] = Some(match &errors[l - 1] {
                    Some(e) => engine.add_scaled(e, g, &engine.sub(&b, e)?)?,
                    None => engine.scale(g, &b)?,
                });
            }
            // forward sweep: rebuild the states under the new errors
            for l in 1..depth {
                let mu = match (l, &first_prediction) {
                    (1, Some(mu)) => mu.clone(),
                    _ => {
                        let (mu, local) = engine.forward(l, &states[l - 1])?;
                        locals[l - 1] = local;
                        mu
                    }
                };
                states[l] = match &errors[l - 1] {
                    Some(e) => engine.add(&mu, e)?,
                    None => mu,
                };
            }
            if depth > 1 {
                let (o, local) = engine.forward(depth, &states[depth - 1])?;
                (output, locals[depth - 1]) = (o, local);
                output_error = engine.output_error(&output)?;
                errors[depth - 1] = Some(output_error.clone());
            }
            watch(t + 1, &errors, &output)?;
        }

        let directions = directions(engine, &locals, &errors)?;
        Ok(Learned::from_directions(states.split_off(1), output, errors, directions))
    }

    fn cost(&self, net: &NetCost) -> RuleCost {
        cost::epc(net, self.steps.count as u64)
    }

    fn analysis(&self, net: &NetCost) -> Analysis {
        analysis::epc(net, self.steps.count as u64)
    }
}
