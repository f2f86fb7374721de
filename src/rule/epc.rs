//! Error-based predictive coding (ePC).

use super::conjugate::{Along, Conjugate, Here};
use super::info::{Inference, Info};
use super::method::Memory;
use super::residual::Residual;
use super::walk::{
    descent, forward_pass, loss_error, loss_errors, outputs, predict, shown, Downward, Forward,
};
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
        Info::new("epc-cg", "epc", Inference::Chosen, true, false),
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
            (Method::ConjugateGradient, _) => "epc-cg",
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
        let (mut conjugate, mut residual) = (Conjugate::new(), Residual::of(&self.steps));
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
            let by_conjugates = self.steps.method == Method::ConjugateGradient;
            // no memory of its own where each error can move at once
            let gathers = by_conjugates || residual.is_some();
            let mut descents = if gathers { vec![None; topology.len()] } else { Vec::new() };
            for i in (0..topology.len()).rev() {
                if !(topology.is_latent(i) || topology.follows_state(i)) {
                    continue;
                }
                b[i] = down.pulled(i, &b)?;
                if let (true, Some(pulled)) = (topology.is_latent(i), &b[i]) {
                    let own = descent(engine, Some(pulled.clone()), &down.weighted(i, &errors[i])?)?;
                    if gathers {
                        descents[i] = own;
                        continue;
                    }
                    let along = stride.along(engine, own, &mut memories[i])?;
                    move_error(engine, &mut errors[i], stride.size, along)?;
                }
            }
            if let Some(residual) = &mut residual
                && residual.reached(engine, &descents)?
            {
                break;
            }
            if by_conjugates {
                let coordinates = Coordinates::Errors;
                let here = Here { coordinates, down: &down, values: &states, errors: &errors };
                let along = conjugate.step(&here, descents)?;
                errors = stepped(engine, &along, errors)?;
            } else {
                for (i, own) in descents.into_iter().enumerate() {
                    let along = stride.along(engine, own, &mut memories[i])?;
                    move_error(engine, &mut errors[i], stride.size, along)?;
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
        let mut cost = match self.steps.method {
            Method::Plain => cost::epc(net, self.steps.count as u64),
            Method::ConjugateGradient => cost::epc_conjugate(net, self.steps.count as u64),
            method => cost::epc_by(net, self.steps.count as u64, method.carried()),
        };
        if self.steps.residual > 0.0 {
            cost.work += cost::residuals_of_errors(net, self.steps.count as u64);
        }
        cost
    }

    fn analysis(&self, net: &NetCost) -> Analysis {
        let steps = self.steps.count as u64;
        let analysis = match self.steps.method {
            Method::ConjugateGradient => analysis::epc_conjugate(net, steps),
            _ => analysis::epc(net, steps),
        };
        Analysis { moved: self.cost(net).work.moved, ..analysis }
    }
}

/// e + g a, an e that is not there being 0.
fn move_error<E: Engine>(
    engine: &E,
    error: &mut MaybeZero<E::Value>,
    g: f64,
    along: MaybeZero<E::Value>,
) -> Result<()> {
    if let Some(along) = along {
        *error = Some(match &error {
            None => engine.scale(g, &along)?,
            Some(e) => engine.add_scaled(e, g, &along)?,
        });
    }
    Ok(())
}

/// Errors moved by a step of conjugate gradients.
fn stepped<E: Engine>(
    engine: &E,
    along: &Along<'_, E::Value>,
    errors: Vec<MaybeZero<E::Value>>,
) -> Result<Vec<MaybeZero<E::Value>>> {
    let each = errors.into_iter().enumerate().map(|(i, error)| {
        let moved = along.moved(engine, i, error.as_ref())?;
        Ok(moved.or(error))
    });
    each.collect()
}
