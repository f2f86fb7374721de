//! Backpropagation, hand-written from the three verbs.

use super::LearningRule;
use crate::engine::{directions, forward_pass, Engine, Learned, Watch};
use crate::theory::analysis::{self, Analysis};
use crate::theory::cost::{self, NetCost, RuleCost};
use crate::Result;

/// Backpropagation (Rumelhart, Hinton, Williams 1986).
///
/// With vh the forward pass, a_L = ∂loss/∂o and a_l = J_{l+1}(vh_l)ᵀ a_{l+1}; gradients (∂μ_l/∂θ_l)ᵀ a_l.
/// The schedule carries ε_l = −a_l, predictive coding's sign, so that every rule leaves directions of
/// descent behind. 3L − 1 products: L forward, L − 1 back, L parameter gradients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bp;

impl LearningRule for Bp {
    const NAME: &'static str = "bp";

    fn learn<E: Engine>(&self, engine: &E, watch: &mut Watch<'_, E::Value>) -> Result<Learned<E>> {
        let depth = engine.depth();
        let forward = forward_pass(engine)?;
        let mut errors = vec![None; depth];
        let mut eps = engine.output_error(&forward.output)?;
        for l in (1..depth).rev() {
            let below = engine.vjp(l + 1, &forward.locals[l], &eps)?;
            errors[l] = Some(std::mem::replace(&mut eps, below));
        }
        errors[0] = Some(eps);
        watch(0, &errors, &forward.output)?;
        let directions = directions(engine, &forward.locals, &errors)?;
        Ok(Learned::from_directions(forward.states[1..].to_vec(), forward.output, errors, directions))
    }

    fn cost(&self, net: &NetCost) -> RuleCost {
        cost::bp(net)
    }

    fn analysis(&self, net: &NetCost) -> Analysis {
        analysis::bp(net)
    }
}
