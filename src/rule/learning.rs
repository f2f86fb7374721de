//! What a learning rule is, and the steps of its inference.

use super::info::{has, Info};
use super::method::{Method, Momentum, Stride};
use crate::engine::curvature::{Coordinates, Descended};
use crate::engine::{Engine, LearnedOn, Watch};
use crate::net::{Graph, VertexId};
use crate::theory::analysis::Analysis;
use crate::theory::cost::{NetCost, RuleCost};
use crate::Result;

/// A schedule of forward, vjp and param_grad that ends in a direction for every parameter, and what the program has to
/// know of it.
pub trait LearningRule: Copy {
    /// The rule and its variants, one row each; the first name is the rule's own, as case files spell it.
    const VARIANTS: &'static [Info];

    /// Why the rule has no variant `-auto`, as the end of a sentence; `None` of a rule that has one.
    const WITHOUT_AUTO: Option<&'static str> = None;

    /// The variant of a name in [`VARIANTS`](Self::VARIANTS), with these inference steps (ignored by rules without).
    fn variant(name: &str, steps: Steps) -> Self;

    /// The name of this variant; of the nearest one that has a name where switches were set by hand.
    fn name(&self) -> &'static str;

    /// The inference steps, if the rule has any to choose.
    fn steps(&self) -> Option<Steps> {
        None
    }

    /// The same rule with T and g replaced; unchanged if it has none to choose.
    fn with_steps(self, _: Steps) -> Self {
        self
    }

    /// What its inference moves by descent of the energy, if it does.
    fn coordinates(&self) -> Option<Coordinates> {
        None
    }

    /// The energy whose curvature bounds its step, if its inference descends one: that of predictive coding in its
    /// [`coordinates`](Self::coordinates), unless the rule says otherwise.
    fn descends(&self) -> Option<Descended> {
        self.coordinates().map(|coordinates| Descended { coordinates, loss_weight: 1.0 })
    }

    /// Whether the rule moves the parameters itself, so that no optimiser comes after it.
    fn moves_parameters(&self) -> bool {
        false
    }

    /// The same rule with the step α of the parameters it moves itself; unchanged if it moves none.
    fn with_weight_step(self, _: f64) -> Self {
        self
    }

    /// Whether the rule carries errors down weights of their own.
    fn learns_feedback(&self) -> bool {
        false
    }

    /// The same rule, evaluating errors and outputs of every vertex after the last step; unchanged if it does so anyway.
    fn evaluated(self) -> Self {
        self
    }

    /// The graph that the rule runs on, and the number of each vertex in it.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if the rule is not defined on the graph.
    fn prepare(&self, graph: &Graph) -> Result<(Graph, Vec<VertexId>)> {
        Ok((graph.clone(), (0..graph.len()).collect()))
    }

    /// Executes the rule on a network bound to a batch. `watch` is called at the start (0 steps done) and
    /// after each inference step.
    fn learn<E: Engine>(&self, engine: &E, watch: &mut Watch<'_, E::Value>) -> Result<LearnedOn<E>>;

    /// The closed formula for the work of [`learn`](Self::learn); equal to what the counting engine counts.
    fn cost(&self, net: &NetCost) -> RuleCost;

    /// Counts, bounds and predictions on a network.
    fn analysis(&self, net: &NetCost) -> Analysis;
}

/// How the step size changes over inference steps t = 0..T−1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Decay {
    /// g_t = g.
    #[default]
    None,
    /// g_t = g/(1 + t).
    Inverse,
}

/// T inference steps and their sizes, per sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Steps {
    /// T; 0 leaves the states at the forward pass.
    pub count: usize,
    /// g, per sample (not divided by B).
    pub size: f64,
    /// How g_t follows from g.
    pub decay: Decay,
    /// What g is.
    pub unit: StepUnit,
    /// What a step makes of the descent.
    pub method: Method,
    /// Inference ends before step t where ‖d_t‖ is at most this times the largest ‖d_s‖ up to there, d = −∂F/∂z over all that it moves and
    /// the whole batch; 0 for all T steps. sPC and ePC read it ([`Rule::ends_at_residual`](super::Rule::ends_at_residual)). How many steps
    /// are taken depends on numbers, so counts, bounds and closed formulas are those of T steps, all of them checked: upper bounds.
    pub residual: f64,
}

/// Why a rule whose predictions are fixed while it relaxes has no `-auto`. With N the map that carries what is above every state down to
/// it, a step of size γ is x ← ((1 − γ)I + γN)x plus a constant. Networks have no cycles, so N is nilpotent, in states that move all at
/// once as in states that move in turn, and 1 − γ is the only eigenvalue.
pub(super) const FIXED_PREDICTION: &str = "its predictions are fixed while it relaxes, so a step of size g multiplies errors by (1 - g)I + gN \
     with a nilpotent N, and below the largest stable step, which is 2 whatever the weights, there is no curvature to follow; use the rule \
     without -auto and give step_size itself";

/// What a step size is given in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StepUnit {
    /// The step itself.
    #[default]
    One,
    /// The largest stable step 2/λ_max, λ_max being the largest eigenvalue of the Gauss–Newton matrix of the energy that the rule
    /// [descends](LearningRule::descends) at the forward pass of the batch at hand. A contender finds it before every update, and of a
    /// rule that moves the parameters too once for all the steps of a batch; a schedule that is executed by itself takes g as it stands.
    Stable,
}

impl Steps {
    /// The same with g_t = g/(1 + t).
    pub fn decaying(self) -> Self {
        Self { decay: Decay::Inverse, ..self }
    }

    /// The same with g in units of the largest stable step.
    pub fn stable(self) -> Self {
        Self { unit: StepUnit::Stable, ..self }
    }

    /// The same by a method, in the unit in which variants of it read their steps.
    pub fn by(self, method: Method) -> Self {
        let unit = if method.follows_curvature() { StepUnit::Stable } else { self.unit };
        Self { method, unit, ..self }
    }

    /// The same with what the switches of a variant's name say of steps.
    pub(super) fn switched(self, name: &str) -> Self {
        let steps = if has(name, "decay") { self.decaying() } else { self };
        let steps = if has(name, "auto") { steps.stable() } else { steps };
        let method = name.split('-').skip(1).find_map(Method::of);
        method.map_or(steps, |method| steps.by(method))
    }

    /// The same where a step is a share of the largest stable one: in its own unit, now that this is known to be `stable` = 2/λ_max,
    /// and with λ_min where the method asks for it.
    pub fn found(self, stable: f64, smallest: f64) -> Self {
        let method = match self.method {
            Method::Chebyshev { .. } => Method::Chebyshev { smallest },
            other => other,
        };
        Self { size: self.size * stable, unit: StepUnit::One, method, ..self }
    }

    /// T steps of constant size.
    pub fn constant(count: usize, size: f64) -> Self {
        Self { count, size, decay: Decay::None, unit: StepUnit::One, method: Method::Plain, residual: 0.0 }
    }

    /// g_t.
    pub fn size(&self, t: usize) -> f64 {
        self.stride(t).size
    }

    /// The momentum of step t, whose size is [`size`](Self::size); none of plain descent, Adam and conjugate gradients.
    pub fn momentum(&self, t: usize) -> Option<Momentum> {
        self.stride(t).momentum()
    }

    /// Whether inference is plain descent in steps of one size, all of them taken.
    pub fn plain(&self) -> bool {
        self.decay == Decay::None && self.method == Method::Plain && self.residual == 0.0
    }

    /// Step t.
    pub(super) fn stride(&self, t: usize) -> Stride {
        let decayed = match self.decay {
            Decay::None => self.size,
            Decay::Inverse => self.size / (1 + t) as f64,
        };
        self.method.stride(self.size, decayed, t)
    }
}
