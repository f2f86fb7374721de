//! Every rule with its switches, by name.

use std::fmt;

use super::info::{self, Info};
use super::{Ar, Bp, Decay, Epc, Feedback, Fpa, Ipc, LearningRule, Nodes, SeqIl, Spc, Steps, Sweep, Zil};
use crate::engine::{Engine, LearnedOn, Watch};
use crate::net::{Graph, VertexId};
use crate::theory::analysis::Analysis;
use crate::theory::cost::{NetCost, RuleCost};
use crate::{Error, Result};

/// Every rule with its switches: the registry.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// Backpropagation.
    Bp(Bp),
    /// State-based predictive coding.
    Spc(Spc),
    /// Error-based predictive coding.
    Epc(Epc),
    /// Fixed prediction.
    Fpa(Fpa),
    /// Zero-divergence inference learning.
    Zil(Zil),
    /// Sequential inference learning.
    SeqIl(SeqIl),
    /// Incremental predictive coding.
    Ipc(Ipc),
    /// Activation relaxation.
    Ar(Ar),
}

/// The same expression for whichever rule it is.
macro_rules! each {
    ($rule:expr, $r:ident => $e:expr) => {
        match $rule {
            Rule::Bp($r) => $e,
            Rule::Spc($r) => $e,
            Rule::Epc($r) => $e,
            Rule::Fpa($r) => $e,
            Rule::Zil($r) => $e,
            Rule::SeqIl($r) => $e,
            Rule::Ipc($r) => $e,
            Rule::Ar($r) => $e,
        }
    };
}

/// β of the published SeqIL runs (Alonso et al., arXiv 2305.13562, and their program).
const PUBLISHED_MIXING: f64 = 100.0;

impl Rule {
    /// Names of all rules and variants, as contender ids spell them.
    pub const NAMES: [&'static str; info::TABLE.len()] = info::names();

    /// The rule or variant of this name with the given inference steps (ignored by rules without inference).
    ///
    /// iPC's weight step is 0 until [`with_weight_step`](Self::with_weight_step) sets it, and it does not
    /// evaluate the last point until [`evaluated`](Self::evaluated) asks for it.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a name that is not in [`NAMES`](Self::NAMES).
    pub fn from_name(name: &str, steps: Steps) -> Result<Self> {
        if !Self::NAMES.contains(&name) {
            return Err(Error::unknown("rule", name, Self::NAMES));
        }
        let has = |switch: &str| name.split('-').skip(1).any(|word| word == switch);
        let light_cone = !has("full");
        let steps =
            if has("decay") || has("mixed") { Steps { decay: Decay::Inverse, ..steps } } else { steps };
        let ar = Ar {
            steps,
            sweep: if has("topdown") { Sweep::TopDown } else { Sweep::Simultaneous },
            feedback: if has("feedback") { Feedback::Learned } else { Feedback::Transposed },
            derivatives: !has("linear"),
        };
        Ok(match name.split('-').next().unwrap_or_default() {
            Bp::NAME => Self::Bp(Bp::default()),
            Spc::NAME => Self::Spc(Spc { steps, light_cone }),
            Epc::NAME => Self::Epc(Epc { steps }),
            Fpa::NAME => Self::Fpa(Fpa { steps, light_cone }),
            Zil::NAME if has("all") => Self::Zil(Zil { nodes: Nodes::All { light_cone } }),
            Zil::NAME => Self::Zil(Zil { nodes: Nodes::Frontier }),
            SeqIl::NAME => Self::SeqIl(SeqIl { steps, mixing: has("mixed").then_some(PUBLISHED_MIXING) }),
            Ipc::NAME => Self::Ipc(Ipc { steps, weight_step: 0.0, light_cone, evaluate: false }),
            Ar::NAME => Self::Ar(ar),
            _ => return Err(Error::unknown("rule", name, Self::NAMES)),
        })
    }

    /// The name of this variant; of the nearest one that has a name where switches were set by hand.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Bp(_) => "bp",
            Self::Spc(Spc { light_cone: false, .. }) => "spc-full",
            Self::Spc(Spc { steps: Steps { decay: Decay::Inverse, .. }, .. }) => "spc-decay",
            Self::Spc(_) => "spc",
            Self::Epc(_) => "epc",
            Self::Fpa(Fpa { light_cone: false, .. }) => "fpa-full",
            Self::Fpa(_) => "fpa",
            Self::Zil(Zil { nodes: Nodes::Frontier }) => "zil",
            Self::Zil(Zil { nodes: Nodes::All { light_cone: true } }) => "zil-all",
            Self::Zil(Zil { nodes: Nodes::All { light_cone: false } }) => "zil-all-full",
            Self::SeqIl(SeqIl { mixing: Some(_), .. }) => "seqil-mixed",
            Self::SeqIl(SeqIl { steps: Steps { decay: Decay::Inverse, .. }, .. }) => "seqil-decay",
            Self::SeqIl(_) => "seqil",
            Self::Ipc(Ipc { light_cone: false, .. }) => "ipc-full",
            Self::Ipc(_) => "ipc",
            Self::Ar(ar) => match (ar.sweep, ar.feedback, ar.derivatives) {
                (Sweep::Simultaneous, Feedback::Transposed, true) => "ar",
                (Sweep::Simultaneous, Feedback::Transposed, false) => "ar-linear",
                (Sweep::Simultaneous, Feedback::Learned, true) => "ar-feedback",
                (Sweep::Simultaneous, Feedback::Learned, false) => "ar-feedback-linear",
                (Sweep::TopDown, Feedback::Transposed, true) => "ar-topdown",
                (Sweep::TopDown, Feedback::Transposed, false) => "ar-topdown-linear",
                (Sweep::TopDown, Feedback::Learned, true) => "ar-topdown-feedback",
                (Sweep::TopDown, Feedback::Learned, false) => "ar-topdown-feedback-linear",
            },
        }
    }

    /// The rule's name without switches, as case files spell it.
    pub fn family(&self) -> &'static str {
        fn name<R: LearningRule>(_: &R) -> &'static str {
            R::NAME
        }
        each!(self, r => name(r))
    }

    /// The inference steps, if the rule has any to choose.
    pub fn steps(&self) -> Option<Steps> {
        match self {
            Self::Bp(_) | Self::Zil(_) => None,
            Self::Spc(r) => Some(r.steps),
            Self::Epc(r) => Some(r.steps),
            Self::Fpa(r) => Some(r.steps),
            Self::SeqIl(r) => Some(r.steps),
            Self::Ipc(r) => Some(r.steps),
            Self::Ar(r) => Some(r.steps),
        }
    }

    /// The same rule with T and g replaced; unchanged if it has none to choose.
    pub fn with_steps(mut self, steps: Steps) -> Self {
        match &mut self {
            Self::Bp(_) | Self::Zil(_) => {}
            Self::Spc(r) => r.steps = steps,
            Self::Epc(r) => r.steps = steps,
            Self::Fpa(r) => r.steps = steps,
            Self::SeqIl(r) => r.steps = steps,
            Self::Ipc(r) => r.steps = steps,
            Self::Ar(r) => r.steps = steps,
        }
        self
    }

    /// Whether the rule moves the parameters itself, so that no optimiser comes after it (iPC).
    pub fn moves_parameters(&self) -> bool {
        matches!(self, Self::Ipc(_))
    }

    /// Whether the end of inference is a point of the energy.
    pub fn has_energy(&self) -> bool {
        Info::of(self.name()).is_some_and(|info| info.energy)
    }

    /// Weight updates per batch: T under a rule that moves the parameters in every inference step, else 1.
    pub fn updates(&self) -> u64 {
        self.steps().filter(|_| self.moves_parameters()).map_or(1, |s| s.count as u64)
    }

    /// Whether the rule carries errors down weights of their own.
    pub fn learns_feedback(&self) -> bool {
        matches!(self, Self::Ar(Ar { feedback: Feedback::Learned, .. }))
    }

    /// The same rule with the step α of the parameters it moves itself; unchanged if it moves none.
    pub fn with_weight_step(mut self, rate: f64) -> Self {
        if let Self::Ipc(r) = &mut self {
            r.weight_step = rate;
        }
        self
    }

    /// The same rule, evaluating errors and outputs after the last step for a report. Every rule but iPC does so
    /// anyway, because its directions are taken there; backpropagation then has the adjoint of every vertex.
    pub fn evaluated(mut self) -> Self {
        match &mut self {
            Self::Ipc(r) => r.evaluate = true,
            Self::Bp(r) => r.all = true,
            _ => {}
        }
        self
    }

    /// The graph that the rule runs on, and the number of each vertex in it: for Z-IL the levelled graph.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the rule is not defined on the graph: Z-IL needs precision 1 everywhere.
    pub fn prepare(&self, graph: &Graph) -> Result<(Graph, Vec<VertexId>)> {
        let Self::Zil(_) = self else { return Ok((graph.clone(), (0..graph.len()).collect())) };
        let topology = graph.topology();
        if let Some(i) = topology.latent().find(|&i| topology.precision(i) != Some(1.0)) {
            return Err(Error::Invalid(format!(
                "vertex `{}` has another precision than 1, under which Z-IL is not defined; use precision 1 or another rule",
                graph.name(i)
            )));
        }
        graph.levelled()
    }

    /// The closed formula for the work of one weight update (of T of them under iPC).
    pub fn cost(&self, net: &NetCost) -> RuleCost {
        each!(self, r => r.cost(net))
    }

    /// Counts, bounds and predictions on a network.
    pub fn analysis(&self, net: &NetCost) -> Analysis {
        Analysis { rule: self.name(), ..each!(self, r => r.analysis(net)) }
    }

    /// Executes the rule; see [`LearningRule::learn`].
    pub fn learn<E: Engine>(&self, engine: &E, watch: &mut Watch<'_, E::Value>) -> Result<LearnedOn<E>> {
        each!(self, r => r.learn(engine, watch))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
