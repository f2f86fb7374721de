//! Incremental predictive coding (iPC).

use super::info::{has, Inference, Info};
use super::relaxation::Relaxation;
use super::walk::outputs;
use super::{LearningRule, StepUnit, Steps};
use crate::engine::curvature::Coordinates;
use crate::engine::{Engine, Learned, LearnedOn, Watch};
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
/// the critical path, whatever the depth. The rule moves the parameters itself: it leaves
/// [`Learned::params`] behind and no directions, and no optimiser comes after it. On an engine with an optimiser each of the T weight
/// updates is a step of that, with α as its learning rate.
///
/// `ipc-auto` reads λ_max of the curvature in the states once per batch, at the forward pass under the parameters that the batch finds;
/// its T steps all take that share of 2/λ_max, while the parameters move on. With α = 0 it is `spc-auto`, and any share below 1 is stable;
/// a share leaves room for what α adds to λ_max on the way.
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
    const VARIANTS: &'static [Info] = &[
        Info::new("ipc", "ipc", Inference::Chosen, true, true),
        Info::new("ipc-auto", "ipc", Inference::Chosen, true, true),
        Info::new("ipc-full", "ipc", Inference::Chosen, true, true),
    ];

    fn variant(name: &str, steps: Steps) -> Self {
        Self {
            steps: steps.switched(name),
            weight_step: 0.0,
            light_cone: !has(name, "full"),
            evaluate: false,
        }
    }

    fn name(&self) -> &'static str {
        match (self.light_cone, self.steps.unit) {
            (true, StepUnit::Stable) => "ipc-auto",
            (true, StepUnit::One) => "ipc",
            (false, _) => "ipc-full",
        }
    }

    fn steps(&self) -> Option<Steps> {
        Some(self.steps)
    }

    fn with_steps(self, steps: Steps) -> Self {
        Self { steps, ..self }
    }

    fn moves_parameters(&self) -> bool {
        true
    }

    fn with_weight_step(self, rate: f64) -> Self {
        Self { weight_step: rate, ..self }
    }

    fn evaluated(self) -> Self {
        Self { evaluate: true, ..self }
    }

    fn coordinates(&self) -> Option<Coordinates> {
        Some(Coordinates::States)
    }

    fn learn<E: Engine>(&self, engine: &E, watch: &mut Watch<'_, E::Value>) -> Result<LearnedOn<E>> {
        let topology = engine.topology();
        let mut net = Relaxation::start(engine, self.light_cone, None)?;
        net.show(0, watch)?;
        for t in 0..self.steps.count {
            let down = net.downward();
            let c =
                down.cotangents(&net.errors, |i| topology.follows_state(i) || topology.reaches_params(i))?;
            let directions = down.directions(&c)?;
            let params = engine.apply_updates(&net.params, self.weight_step, &directions)?;
            net.move_by(&self.steps.stride(t), &c)?;
            net.set_params(params);
            if t + 1 < self.steps.count || self.evaluate {
                net.refresh()?;
                net.show(t + 1, watch)?;
            }
        }
        let (errors, outputs) = (net.shown(), outputs(engine, &net.values));
        let directions = vec![None; net.params.len()];
        Ok(Learned {
            states: net.values,
            outputs,
            errors,
            multipliers: Vec::new(),
            directions,
            params: net.params,
        })
    }

    fn cost(&self, net: &NetCost) -> RuleCost {
        cost::ipc(net, self.steps.count as u64, self.light_cone, self.evaluate)
    }

    fn analysis(&self, net: &NetCost) -> Analysis {
        analysis::ipc(net, self.steps.count as u64, self.light_cone, self.evaluate)
    }
}
