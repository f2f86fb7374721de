//! Equilibrium propagation on the energy of predictive coding (EP).

use super::colours::odd_then_even;
use super::info::{Inference, Info};
use super::relaxation::Relaxation;
use super::walk::outputs;
use super::{LearningRule, StepUnit, Steps};
use crate::engine::curvature::{Coordinates, Descended};
use crate::engine::{Engine, Learned, LearnedOn, Watch};
use crate::theory::analysis::{self, Analysis};
use crate::theory::cost::{self, NetCost, RuleCost};
use crate::Result;

/// β of the nudged phases: small enough for rest to exist on networks of some tens of layers of length one, where λ_max(S) is about their
/// number, and large enough for f32, whose rounding the estimate multiplies by 1/(2β).
const NUDGE: f64 = 0.01;

/// Equilibrium propagation (Scellier & Bengio, arXiv 1602.05179) with the centred estimate (Laborieux et al., arXiv 2006.03824), on
/// E = Σ over latent i of π_i Σ φ_i(v_i − f_i), the energy of predictive coding without the losses.
///
/// Left alone, E is least at the forward pass, where every error is zero: the free phase is a forward pass. From there two nudged
/// phases of T steps each move the states down E − β losses and down E + β losses, in two colours as `spc-evenodd` moves them:
///
/// v_i ← v_i − g (c_i − what reaches vertex i),  c_i = π_i ψ_i(ε_i),
///
/// where losses of weight s = −β, and then β, have the errors −s ∂loss/∂(value).
///
/// With c⁺ and c⁻ where the phases end, directions are 1/(2β) [(∂f_i/∂θ)ᵀ c_i⁺ − (∂f_i/∂θ)ᵀ c_i⁻], each at its own states. Where both
/// phases are at rest the directions are backpropagation's but for O(β²), which the centred estimate leaves of the O(β) of one phase; with
/// −β for β they are the same.
///
/// Rest exists at −β only while E − β losses has a minimum: β λ_max(S) < 1 with S = Σ_{l≥2} P_l P_lᵀ on a linear network under half the
/// squared error, P_l = J_L … J_l; 1 + β λ_max(S) is the largest curvature in errors under losses of weight β.
///
/// **Steps of size 1**, with which it is published (arXiv 2606.03584, on other energies), do not invert the blocks I + J_{l+1}ᵀ J_{l+1} of
/// this one. They are stable all the same, by another reason: a colour that moves by 1 is set to what reaches it, ε_l = J_{l+1}ᵀ ε_{l+1}.
/// On a linear network without losses L − 1 such sweeps are the zero matrix, whatever the length of the layers: errors have gone down
/// and states up. So T = L − 1 steps of size 1, and no fewer, end in backpropagation's directions but for O(β²). Other steps are stable
/// below 2/max_l λ_max(I + J_{l+1}ᵀ J_{l+1}); beyond that they may diverge on either side of 1 where layers lengthen.
/// `tests/numerics/propagation.rs` holds all of this.
///
/// `ep-auto` reads λ_max of E + β losses in the states, at the forward pass. E − β losses is curved less in every direction, and a colour
/// less than all states together, so in both phases every share below 1 is a stable one, as long as rest exists. Steps of size 1 lie above
/// that bound.
///
/// Products: twice those of `spc-evenodd` but for the forward pass, which is shared, and for directions of layers that no state
/// precedes, where both cotangents meet one linearisation and make one product.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ep {
    /// T of each phase, and g.
    pub steps: Steps,
    /// β.
    pub nudge: f64,
}

impl LearningRule for Ep {
    const VARIANTS: &'static [Info] = &[
        Info::new("ep", "ep", Inference::Twice, false, false),
        Info::new("ep-auto", "ep", Inference::Twice, false, false),
    ];

    fn variant(name: &str, steps: Steps) -> Self {
        Self { steps: steps.switched(name), nudge: NUDGE }
    }

    fn name(&self) -> &'static str {
        match self.steps.unit {
            StepUnit::One => "ep",
            StepUnit::Stable => "ep-auto",
        }
    }

    fn steps(&self) -> Option<Steps> {
        Some(self.steps)
    }

    fn with_steps(self, steps: Steps) -> Self {
        Self { steps, ..self }
    }

    /// E + |β| losses, the more curved of the two energies.
    fn descends(&self) -> Option<Descended> {
        Some(Descended { coordinates: Coordinates::States, loss_weight: self.nudge.abs() })
    }

    /// Shows the errors of the phase that is under way, first those of −β. What it leaves are states and errors of +β.
    fn learn<E: Engine>(&self, engine: &E, watch: &mut Watch<'_, E::Value>) -> Result<LearnedOn<E>> {
        let topology = engine.topology();
        let free = Relaxation::start(engine, true, None)?;
        free.show(0, watch)?;
        let mut phases = [free.nudged(-self.nudge)?, free.nudged(self.nudge)?];
        drop(free);
        let colours = odd_then_even(topology);
        for (k, phase) in phases.iter_mut().enumerate() {
            for t in 0..self.steps.count {
                for colour in &colours {
                    phase.move_colour(self.steps.size(t), colour)?;
                    phase.refresh()?;
                }
                phase.show(k * self.steps.count + t + 1, watch)?;
            }
        }

        let [less, more] = &phases;
        let reaches = |i: usize| topology.reaches_params(i);
        let below = less.downward().cotangents(&less.errors, reaches)?;
        let above = more.downward().cotangents(&more.errors, reaches)?;
        let share = 1.0 / (2.0 * self.nudge);
        let mut directions = vec![None; topology.params()];
        for i in (0..topology.len()).filter(|&i| topology.has_params(i)) {
            let scaled = |s: f64, c: &Option<E::Value>| c.as_ref().map(|c| engine.scale(s, c)).transpose();
            let plus = scaled(share, &above[i])?;
            if topology.follows_state(i) {
                more.downward().collect(i, plus.as_ref(), &mut directions)?;
                less.downward().collect(i, scaled(-share, &below[i])?.as_ref(), &mut directions)?;
                continue;
            }
            // what it reads is the same in both phases, and so is its linearisation
            let both = match (plus, &below[i]) {
                (Some(plus), Some(below)) => Some(engine.add_scaled(&plus, -share, below)?),
                (plus, below) => plus.or(scaled(-share, below)?),
            };
            more.downward().collect(i, both.as_ref(), &mut directions)?;
        }
        let [_, more] = phases;
        let params = vec![None; directions.len()];
        let (errors, outputs) = (more.shown(), outputs(engine, &more.values));
        Ok(Learned { states: more.values, outputs, errors, multipliers: Vec::new(), directions, params })
    }

    fn cost(&self, net: &NetCost) -> RuleCost {
        cost::ep(net, self.steps.count as u64)
    }

    fn analysis(&self, net: &NetCost) -> Analysis {
        analysis::ep(net, self.steps.count as u64)
    }
}
