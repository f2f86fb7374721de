//! Error-based predictive coding (ePC).

use super::info::{Inference, Info};
use super::method::Memory;
use super::relaxation::shown;
use super::walk::{descent, forward_pass, loss_error, loss_errors, outputs, predict, Downward, Forward};
use super::{LearningRule, Method, StepUnit, Steps};
use crate::engine::curvature::Coordinates;
use crate::engine::{Engine, Learned, LearnedOn, MaybeZero, Shown, Watch};
use crate::net::VertexId;
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
/// The step is that of plain descent; with another [`Method`] it is that of the method.
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
    const VARIANTS: &'static [Info] = &[
        Info::new("epc", "epc", Inference::Chosen, true, true),
        Info::new("epc-momentum", "epc", Inference::Chosen, true, true).on_cpu(),
        Info::new("epc-nesterov", "epc", Inference::Chosen, true, true).on_cpu(),
        Info::new("epc-chebyshev", "epc", Inference::Chosen, true, true).on_cpu(),
        Info::new("epc-adam", "epc", Inference::Chosen, true, false),
        Info::new("epc-auto", "epc", Inference::Chosen, true, true),
    ];

    fn variant(name: &str, steps: Steps) -> Self {
        Self { steps: steps.switched(name) }
    }

    fn name(&self) -> &'static str {
        match (self.steps.method, self.steps.unit) {
            (Method::HeavyBall { .. }, _) => "epc-momentum",
            (Method::Nesterov, _) => "epc-nesterov",
            (Method::Chebyshev { .. }, _) => "epc-chebyshev",
            (Method::Adam, _) => "epc-adam",
            (Method::Plain, StepUnit::Stable) => "epc-auto",
            (Method::Plain, StepUnit::One) => "epc",
        }
    }

    fn coordinates(&self) -> Option<Coordinates> {
        Some(Coordinates::Errors)
    }

    fn steps(&self) -> Option<Steps> {
        Some(self.steps)
    }

    fn with_steps(self, steps: Steps) -> Self {
        Self { steps }
    }

    fn learn<E: Engine>(&self, engine: &E, watch: &mut Watch<'_, E::Value>) -> Result<LearnedOn<E>> {
        let topology = engine.topology();
        let Forward { values: mut states, mut at } = forward_pass(engine)?;
        let mut predictions = states.clone();
        let mut errors: Vec<MaybeZero<E::Value>> = vec![None; topology.len()];
        let mut memories: Vec<Memory<E::Value>> = vec![Memory::default(); topology.len()];
        let mut losses = loss_errors(engine, &states)?;
        let moves = |i: &VertexId| topology.is_latent(*i) || topology.follows_state(*i);
        let judged: Vec<VertexId> =
            (0..topology.len()).filter(|i| losses[*i].is_some() && moves(i)).collect();
        let down = Downward::new(engine, &at, &losses);
        watch(Shown {
            step: 0,
            errors: &shown(&down, &errors),
            outputs: &outputs(engine, &states),
            multipliers: &[],
        })?;

        for t in 0..self.steps.count {
            let stride = self.steps.stride(t);
            // backward sweep: b_i, and the step of every error
            let down = Downward::new(engine, &at, &losses);
            let mut b = vec![None; topology.len()];
            for i in (0..topology.len()).rev() {
                if !(topology.is_latent(i) || topology.follows_state(i)) {
                    continue;
                }
                b[i] = down.pulled(i, &b)?;
                if let (true, Some(pulled)) = (topology.is_latent(i), &b[i]) {
                    let own = descent(engine, Some(pulled.clone()), &down.weighted(i, &errors[i])?)?;
                    let along = stride.along(engine, own, &mut memories[i])?;
                    errors[i] = match (&errors[i], &along) {
                        (None, Some(along)) => Some(engine.scale(stride.size, along)?),
                        (Some(e), Some(along)) => Some(engine.add_scaled(e, stride.size, along)?),
                        (e, None) => e.clone(),
                    };
                }
            }
            // forward sweep: rebuild the states under the new errors; what no state precedes never changes
            for i in 0..topology.len() {
                if topology.follows_state(i) {
                    let (prediction, linearization) = predict(engine, &[], i, &states)?;
                    at[i] = linearization;
                    predictions[i] = prediction;
                }
                states[i] = match &errors[i] {
                    Some(e) => engine.add(&predictions[i], e)?,
                    None => predictions[i].clone(),
                };
            }
            for &i in &judged {
                losses[i] = loss_error(engine, i, &states[i])?;
            }
            let down = Downward::new(engine, &at, &losses);
            let outputs = outputs(engine, &states);
            watch(Shown {
                step: t + 1,
                errors: &shown(&down, &errors),
                outputs: &outputs,
                multipliers: &[],
            })?;
        }

        let down = Downward::new(engine, &at, &losses);
        let directions = down.directions(&down.cotangents(&errors, |i| topology.reaches_params(i))?)?;
        let (errors, params) = (shown(&down, &errors), vec![None; directions.len()]);
        let outputs = outputs(engine, &states);
        Ok(Learned { states, outputs, errors, multipliers: Vec::new(), directions, params })
    }

    fn cost(&self, net: &NetCost) -> RuleCost {
        match self.steps.method {
            Method::Plain => cost::epc(net, self.steps.count as u64),
            method => cost::epc_by(net, self.steps.count as u64, method.carried()),
        }
    }

    fn analysis(&self, net: &NetCost) -> Analysis {
        Analysis { moved: self.cost(net).work.moved, ..analysis::epc(net, self.steps.count as u64) }
    }
}
