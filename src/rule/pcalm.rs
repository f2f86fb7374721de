//! Augmented-Lagrangian predictive coding (PC-ALM).

use super::info::{has, Inference, Info};
use super::relaxation::Relaxation;
use super::{LearningRule, StepUnit, Steps};
use crate::engine::curvature::Coordinates;
use crate::engine::{Engine, LearnedOn, Watch};
use crate::net::{Graph, LatentEnergy, VertexId};
use crate::theory::analysis::{self, Analysis};
use crate::theory::cost::{self, Augmented, NetCost, RuleCost};
use crate::{Error, Result};

/// sPC with a multiplier λ_i per latent vertex that drives its error to zero (Seely & Gould, arXiv 2605.31022).
///
/// F = Σ over latent i of (ρπ_i/2)‖ε_i + λ_i/(ρπ_i)‖² + Σ losses. From the forward pass and λ = 0, T times: `inner` simultaneous
/// steps of all states at fixed multipliers,
///
/// v_i ← v_i − g (c_i − what reaches vertex i),  c_i = ρπ_i ε_i + λ_i,
///
/// then λ_i ← λ_i + α ε_i. Directions are (∂f_i/∂θ)ᵀ c_i at the last states and multipliers.
///
/// Where it comes to rest no error is left, so the states are the forward pass and c_i = λ_i obeys backpropagation's recursion: λ_i is
/// its negative adjoint, and the directions are its own. With α = 0 and ρ = 1 it is sPC. One more tensor per latent vertex than sPC,
/// the same products: 2L + 2T(L − 1) without the light cone at one inner step. Like [`Spc`](super::Spc) it leaves alone what no error
/// has reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PcAlm {
    /// T outer updates, and g.
    pub steps: Steps,
    /// Steps of the states per update of the multipliers, at least 1.
    pub inner: usize,
    /// ρ, the penalty.
    pub rho: f64,
    /// α, the rate of the multipliers.
    pub alpha: f64,
    /// Whether directions are taken after the last update of the multipliers. As published they are taken before it, and it is not
    /// made.
    pub post: bool,
}

impl LearningRule for PcAlm {
    const VARIANTS: &'static [Info] = &[
        Info::new("pcalm", "pcalm", Inference::Chosen, true, false),
        Info::new("pcalm-auto", "pcalm", Inference::Chosen, true, false),
        Info::new("pcalm-post", "pcalm", Inference::Chosen, true, false),
    ];

    fn variant(name: &str, steps: Steps) -> Self {
        let steps = if has(name, "auto") { steps.stable() } else { steps };
        Self { steps, inner: 1, rho: 1.0, alpha: 1.0, post: has(name, "post") }
    }

    fn name(&self) -> &'static str {
        match (self.steps.unit, self.post) {
            (StepUnit::Stable, _) => "pcalm-auto",
            (_, true) => "pcalm-post",
            (_, false) => "pcalm",
        }
    }

    fn steps(&self) -> Option<Steps> {
        Some(self.steps)
    }

    fn with_steps(self, steps: Steps) -> Self {
        Self { steps, ..self }
    }

    fn coordinates(&self) -> Option<Coordinates> {
        Some(Coordinates::States)
    }

    fn prepare(&self, graph: &Graph) -> Result<(Graph, Vec<VertexId>)> {
        let topology = graph.topology();
        if let Some(i) = topology.latent().find(|&i| topology.energy(i) != LatentEnergy::Gaussian) {
            return Err(Error::Invalid(format!(
                "vertex `{}` has the energy {}, with which PC-ALM is not defined; use gaussian or another rule",
                graph.name(i),
                topology.energy(i)
            )));
        }
        Ok((graph.clone(), (0..graph.len()).collect()))
    }

    fn learn<E: Engine>(&self, engine: &E, watch: &mut Watch<'_, E::Value>) -> Result<LearnedOn<E>> {
        let topology = engine.topology();
        let mut net = Relaxation::start(engine, true, None)?;
        if self.rho != 1.0 {
            let own = |i| self.rho * topology.precision(i).unwrap_or(1.0);
            net.precisions = Some((0..topology.len()).map(own).collect());
        }
        net.show(0, watch)?;
        for t in 0..self.steps.count {
            for _ in 0..self.inner {
                net.move_states(&self.steps.stride(t))?;
                net.refresh()?;
            }
            // shown is what directions would be taken from if this were the last step
            if !self.post {
                net.show(t + 1, watch)?;
            }
            if self.post || t + 1 < self.steps.count {
                net.move_multipliers(self.alpha)?;
            }
            if self.post {
                net.show(t + 1, watch)?;
            }
        }
        net.learned()
    }

    fn cost(&self, net: &NetCost) -> RuleCost {
        cost::pcalm(net, self.schedule())
    }

    fn analysis(&self, net: &NetCost) -> Analysis {
        analysis::pcalm(net, self.schedule())
    }
}

impl PcAlm {
    fn schedule(&self) -> Augmented {
        Augmented {
            steps: self.steps.count as u64,
            inner: self.inner as u64,
            post: self.post,
            penalised: self.rho != 1.0,
            rated: self.alpha != 1.0,
        }
    }
}
