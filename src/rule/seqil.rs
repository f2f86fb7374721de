//! Sequential inference learning (SeqIL).

use super::info::{has, Inference, Info};
use super::relaxation::Relaxation;
use super::{Decay, LearningRule, StepUnit, Steps};
use crate::engine::curvature::Coordinates;
use crate::engine::{Engine, LearnedOn, Watch};
use crate::net::{Topology, VertexId};
use crate::theory::analysis::{self, Analysis};
use crate::theory::cost::{self, NetCost, RuleCost};
use crate::Result;

/// β of the published runs (Alonso et al., arXiv 2305.13562, and their program).
const PUBLISHED_MIXING: f64 = 100.0;

/// sPC swept from the output down, in place (Alonso, Krichmar & Neftci, arXiv 2305.13562).
///
/// T times, for l = L − 1 down to 1:
///
/// v_l ← v_l − g_t (ε_l − J_{l+1}(v_l)ᵀ ε_{l+1}),  ε_{l+1} = v_{l+1} − f_{l+1}(v_l)
///
/// with the already moved v_{l+1} and the not yet moved v_l and v_{l−1}; f_{l+1}(v_l) is therefore the
/// prediction of the sweep before. The error reaches every layer in the first sweep. 2L + 2T(L − 1) products:
/// per sweep L − 1 pulled back one after another, and L − 1 predictions.
///
/// Each move is descent over one state, whose curvature is H_ll = π_l + J_{l+1}ᵀ π_{l+1} J_{l+1} (the loss's in place of π_L). Of a
/// quadratic it lowers F while g < 2/max_l λ_max(H_ll), which is never less than the 2/λ_max(H) of all states together: so every share
/// below 1 of `seqil-auto`, which reads λ_max(H), lowers F in every sweep, and shares somewhat above 1 may too.
///
/// The paper's step is g/(1 + t), [`Decay::Inverse`](super::Decay::Inverse); its output target
/// (β y + o)/(1 + β) is [`mixing`](Self::mixing).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeqIl {
    /// T and g.
    pub steps: Steps,
    /// β of the output target (β y + o)/(1 + β), which makes ε_L = β/(1 + β) times −∂loss/∂o: the same as an
    /// output precision of β/(1 + β). `None` for the target y. Energies still report the loss itself.
    pub mixing: Option<f64>,
}

/// What the step of one state alone looks at, in topological order.
struct Neighbourhood {
    /// [`Topology::cone`].
    cone: Vec<VertexId>,
    /// [`Topology::needed_by`].
    needed: Vec<VertexId>,
}

impl Neighbourhood {
    fn of(topology: &Topology, i: VertexId) -> Self {
        let listed = |mask: Vec<bool>| (0..mask.len()).filter(|&v| mask[v]).collect();
        Self { cone: listed(topology.cone(i)), needed: listed(topology.needed_by(i)) }
    }
}

impl LearningRule for SeqIl {
    const VARIANTS: &'static [Info] = &[
        Info::new("seqil", "seqil", Inference::Chosen, true, true),
        Info::new("seqil-auto", "seqil", Inference::Chosen, true, true),
        Info::new("seqil-decay", "seqil", Inference::Chosen, true, true),
        Info::new("seqil-mixed", "seqil", Inference::Chosen, true, true),
    ];

    fn variant(name: &str, steps: Steps) -> Self {
        let mixing = has(name, "mixed").then_some(PUBLISHED_MIXING);
        let steps = steps.switched(name);
        Self { steps: if mixing.is_some() { steps.decaying() } else { steps }, mixing }
    }

    fn name(&self) -> &'static str {
        match (self.mixing, self.steps.decay) {
            (Some(_), _) => "seqil-mixed",
            (None, Decay::Inverse) => "seqil-decay",
            (None, Decay::None) if self.steps.unit == StepUnit::Stable => "seqil-auto",
            (None, Decay::None) => "seqil",
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

    fn learn<E: Engine>(&self, engine: &E, watch: &mut Watch<'_, E::Value>) -> Result<LearnedOn<E>> {
        let topology = engine.topology();
        let mut net = Relaxation::start(engine, true, self.mixing.map(|beta| beta / (1.0 + beta)))?;
        let latent: Vec<_> = topology.latent().map(|i| (i, Neighbourhood::of(topology, i))).collect();
        let mut c = vec![None; topology.len()];
        net.show(0, watch)?;
        for t in 0..self.steps.count {
            let g = self.steps.size(t);
            for (i, near) in latent.iter().rev() {
                let i = *i;
                net.refresh_some(near.needed.iter().copied())?;
                for &v in near.cone.iter().rev() {
                    c[v] = match topology.is_latent(v) {
                        true => net.downward().weighted(v, &net.errors[v])?,
                        false => net.downward().pulled(v, &c)?,
                    };
                }
                let own = net.downward().weighted(i, &net.errors[i])?;
                if let Some(descent) = net.descent(i, &c, &own)? {
                    let state = engine.add_scaled(&net.values[i], g, &descent)?;
                    net.set(i, state);
                }
            }
            net.refresh()?;
            net.show(t + 1, watch)?;
        }
        net.learned()
    }

    fn cost(&self, net: &NetCost) -> RuleCost {
        cost::seqil(net, self.steps.count as u64, self.mixing.is_some())
    }

    fn analysis(&self, net: &NetCost) -> Analysis {
        analysis::seqil(net, self.steps.count as u64, self.mixing.is_some())
    }
}
