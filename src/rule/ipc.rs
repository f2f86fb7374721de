//! Incremental predictive coding (iPC).

use super::chain::Chain;
use super::{LearningRule, Steps};
use crate::engine::{Engine, Learned, Watch};
use crate::theory::analysis::{self, Analysis};
use crate::theory::cost::{self, NetCost, RuleCost};
use crate::Result;

/// States and weights descend the same energy at the same time (Salvatori et al., arXiv 2212.00720).
///
/// From the forward pass, T times, every gradient at the same point, then everything at once:
///
/// v_l ← v_l + g_t (J_{l+1}(v_l)ᵀ ε_{l+1} − ε_l),  θ_l ← θ_l + α (∂μ_l/∂θ_l)ᵀ ε_l.
///
/// T weight updates per batch and no new forward pass between them, at T(3L − 1) products and 2 per update on
/// the critical path, whatever the depth. The rule moves the parameters itself by plain descent: it leaves
/// [`Learned::params`] behind and no directions, and no optimiser comes after it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ipc {
    /// T and g.
    pub steps: Steps,
    /// α, per sample: it multiplies gradients summed over the batch, as SGD's learning rate does.
    pub weight_step: f64,
    /// Skip layers that no error has reached yet: zero errors leave states and weights as they are, so the
    /// cone of sPC holds here too, to the bit.
    pub light_cone: bool,
    /// Evaluate errors and output once more after the last update, which costs another L products. The new
    /// parameters do not need it. Off, the watcher is not called after the last update, and what is left
    /// behind besides states and parameters is that of the point before it.
    pub evaluate: bool,
}

impl LearningRule for Ipc {
    const NAME: &'static str = "ipc";

    fn learn<E: Engine>(&self, engine: &E, watch: &mut Watch<'_, E::Value>) -> Result<Learned<E>> {
        let depth = engine.depth();
        let mut chain = Chain::start(engine, self.light_cone)?;
        watch(0, &chain.errors, &chain.output)?;
        for t in 0..self.steps.count {
            let new_params = (1..=depth)
                .map(|l| match &chain.errors[l - 1] {
                    None => Ok(None),
                    Some(eps) => {
                        let direction = engine.param_grad(l, &chain.locals[l - 1], eps)?;
                        let old = chain.params[l - 1].as_ref().unwrap_or(engine.params(l));
                        engine.moved(l, old, self.weight_step, &direction).map(Some)
                    }
                })
                .collect::<Result<Vec<_>>>()?;
            let lowest = chain.move_states(engine, self.steps.size(t))?;
            chain.params = new_params;
            if t + 1 < self.steps.count || self.evaluate {
                chain.refresh(engine, lowest)?;
                watch(t + 1, &chain.errors, &chain.output)?;
            }
        }
        Ok(Learned {
            states: chain.states.split_off(1),
            output: chain.output,
            errors: chain.errors,
            directions: (0..depth).map(|_| None).collect(),
            params: chain.params,
        })
    }

    fn cost(&self, net: &NetCost) -> RuleCost {
        cost::ipc(net, self.steps.count as u64, self.light_cone, self.evaluate)
    }

    fn analysis(&self, net: &NetCost) -> Analysis {
        analysis::ipc(net, self.steps.count as u64, self.light_cone, self.evaluate)
    }
}
