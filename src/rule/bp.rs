//! Backpropagation, hand-written from the three verbs.

use super::info::{Inference, Info};
use super::walk::{forward_pass, loss_errors, outputs, Downward, Forward};
use super::{LearningRule, Steps};
use crate::engine::{Engine, Learned, LearnedOn, Shown, Watch};
use crate::theory::analysis::{self, Analysis};
use crate::theory::cost::{self, NetCost, RuleCost};
use crate::Result;

/// Backpropagation (Rumelhart, Hinton, Williams 1986).
///
/// With every vertex at the forward pass, a_i = Σ over children of J_childᵀ a_child + ∂losses/∂(value of i); gradients
/// (∂f_i/∂θ)ᵀ a_i, summed over the vertices that use θ. The schedule carries ε_i = −a_i, predictive coding's sign, so
/// that every rule ends in directions of descent. On a chain 3L − 1 products: L forward, L − 1 back, L parameter
/// gradients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bp {
    /// Compute the adjoint of every vertex. Off, vertices on which no parameter has an influence are left out: no
    /// direction needs their adjoint.
    pub all: bool,
}

impl LearningRule for Bp {
    const VARIANTS: &'static [Info] = &[Info::new("bp", "bp", Inference::Without, false, true)];

    const WITHOUT_AUTO: Option<&'static str> = Some("it has no inference steps; use bp");

    fn variant(_: &str, _: Steps) -> Self {
        Self::default()
    }

    fn name(&self) -> &'static str {
        "bp"
    }

    fn evaluated(self) -> Self {
        Self { all: true }
    }

    fn learn<E: Engine>(&self, engine: &E, watch: &mut Watch<'_, E::Value>) -> Result<LearnedOn<E>> {
        let topology = engine.topology();
        let Forward { values, at } = forward_pass(engine)?;
        let losses = loss_errors(engine, &values)?;
        let down = Downward::new(engine, &at, &losses);
        let mut errors = vec![None; topology.len()];
        for i in (0..topology.len()).rev() {
            if topology.learns(i) || self.all {
                errors[i] = down.pulled(i, &errors)?;
            }
        }
        let outputs = outputs(engine, &values);
        watch(Shown { step: 0, errors: &errors, outputs: &outputs, multipliers: &[] })?;
        let directions = down.directions(&errors)?;
        let params = vec![None; directions.len()];
        Ok(Learned { states: values, outputs, errors, multipliers: Vec::new(), directions, params })
    }

    fn cost(&self, net: &NetCost) -> RuleCost {
        cost::bp(net)
    }

    fn analysis(&self, net: &NetCost) -> Analysis {
        analysis::bp(net)
    }
}
