//! State-based predictive coding (sPC).

use super::info::{has, Inference, Info};
use super::relaxation::Relaxation;
use super::{Decay, LearningRule, Steps};
use crate::engine::{Engine, LearnedOn, Watch};
use crate::theory::analysis::{self, Analysis};
use crate::theory::cost::{self, NetCost, RuleCost};
use crate::Result;

/// Simultaneous gradient descent of the energy over the states, then a local weight update
/// (Rao & Ballard 1999; Whittington & Bogacz 2017; the `sPC` of Goemaere et al., arXiv 2505.20137).
///
/// From the forward pass, T times, all hidden layers at once from the same old states:
///
/// v_l ← v_l − g_t (ε_l − J_{l+1}(v_l)ᵀ ε_{l+1}),  ε_l = v_l − f_l(v_{l−1}),  ε_L = −∂loss/∂o.
///
/// Then −∂F/∂θ_l = (∂μ_l/∂θ_l)ᵀ ε_l at the last states. 2L + 2T(L − 1) products without the light cone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spc {
    /// T and g.
    pub steps: Steps,
    /// Skip layers that no error has reached yet. Error l is exactly zero before step L − l, so the result
    /// is the same to the bit; off only to measure what it saves.
    pub light_cone: bool,
}

impl LearningRule for Spc {
    const VARIANTS: &'static [Info] = &[
        Info::new("spc", "spc", Inference::Chosen, true, true),
        Info::new("spc-decay", "spc", Inference::Chosen, true, true),
        Info::new("spc-full", "spc", Inference::Chosen, true, true),
    ];

    fn variant(name: &str, steps: Steps) -> Self {
        let steps = if has(name, "decay") { steps.decaying() } else { steps };
        Self { steps, light_cone: !has(name, "full") }
    }

    fn name(&self) -> &'static str {
        match (self.light_cone, self.steps.decay) {
            (false, _) => "spc-full",
            (true, Decay::Inverse) => "spc-decay",
            (true, Decay::None) => "spc",
        }
    }

    fn steps(&self) -> Option<Steps> {
        Some(self.steps)
    }

    fn with_steps(self, steps: Steps) -> Self {
        Self { steps, ..self }
    }

    fn learn<E: Engine>(&self, engine: &E, watch: &mut Watch<'_, E::Value>) -> Result<LearnedOn<E>> {
        let mut net = Relaxation::start(engine, self.light_cone, None)?;
        net.show(0, watch)?;
        for t in 0..self.steps.count {
            net.move_states(self.steps.size(t))?;
            net.refresh()?;
            net.show(t + 1, watch)?;
        }
        net.learned()
    }

    fn cost(&self, net: &NetCost) -> RuleCost {
        cost::spc(net, self.steps.count as u64, self.light_cone)
    }

    fn analysis(&self, net: &NetCost) -> Analysis {
        analysis::spc(net, self.steps.count as u64, self.light_cone)
    }
}
