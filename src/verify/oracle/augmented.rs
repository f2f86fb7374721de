//! Oracle of PC-ALM: its Lagrangian, differentiated automatically.

use candle_core::Tensor;

use super::{descents, gradient, plain, sum, tracked, variables, Problem, States};
use crate::rule::PcAlm;
use crate::Result;

impl Problem<'_> {
    /// F = Σ over latent i of (ρπ_i/2)‖ε_i + λ_i/(ρπ_i)‖² + Σ losses.
    fn lagrangian(
        &self,
        params: &[Tensor],
        states: &States,
        multipliers: &States,
        rho: f64,
    ) -> Result<Tensor> {
        let point = self.at_states(params, states)?;
        let topology = self.graph.topology();
        let hidden = topology.latent().map(|i| {
            let weight = rho * topology.precision(i).unwrap_or(1.0);
            let mut shifted = (&point.values[i] - &point.predictions[i])?;
            if let Some(multiplier) = &multipliers[i] {
                shifted = (shifted + multiplier.affine(1.0 / weight, 0.0)?)?;
            }
            Ok(shifted.sqr()?.sum_all()?.affine(0.5 * weight, 0.0)?)
        });
        sum(hidden.chain([self.losses(&point.values, 1.0)]))
    }

    /// Descent over the states at fixed multipliers, then λ_i ← λ_i + α ε_i; directions at the end.
    pub(super) fn augmented_descent(&self, rule: &PcAlm) -> Result<Vec<Tensor>> {
        let mut states = self.forward_states()?;
        let mut multipliers: States = vec![None; states.len()];
        for t in 0..rule.steps.count {
            for _ in 0..rule.inner {
                let (vars, free) = tracked(&states, |_| true)?;
                let grads = self.lagrangian(self.params, &free, &multipliers, rule.rho)?.backward()?;
                let moved = vars.iter().map(|var| match var {
                    Some(var) => {
                        let step = gradient(&grads, var)?.affine(rule.steps.size(t), 0.0)?;
                        Ok(Some((var.as_detached_tensor() - step)?))
                    }
                    None => Ok(None),
                });
                states = moved.collect::<Result<_>>()?;
            }
            if rule.post || t + 1 < rule.steps.count {
                let point = self.at_states(self.params, &states)?;
                for i in self.graph.topology().latent() {
                    let added = (&point.values[i] - &point.predictions[i])?.affine(rule.alpha, 0.0)?;
                    multipliers[i] = Some(match &multipliers[i] {
                        Some(old) => (old + added)?,
                        None => added,
                    });
                }
            }
        }
        let vars = variables(self.params)?;
        let grads = self.lagrangian(&plain(&vars), &states, &multipliers, rule.rho)?.backward()?;
        descents(self.graph, &vars, &grads)
    }
}
