//! Learning rules: one file each, a schedule of a layer's three verbs that reads like its equations.

mod bp;
mod epc;
mod spc;

pub use bp::Bp;
pub use epc::Epc;
pub use spc::Spc;

use std::fmt;

use crate::engine::{Engine, Learned, Watch};
use crate::theory::cost::{self, NetCost, RuleCost};
use crate::{Error, Result};

/// A schedule of forward, vjp and param_grad that ends in a direction for every parameter.
pub trait LearningRule {
    /// The name used in contender ids and case files.
    const NAME: &'static str;

    /// Executes the rule on a network bound to a batch. `watch` is called at the start (0 steps done) and
    /// after each inference step.
    fn learn<E: Engine>(&self, engine: &E, watch: &mut Watch<'_, E::Value>) -> Result<Learned<E>>;
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
}

impl Steps {
    /// T steps of constant size.
    pub fn constant(count: usize, size: f64) -> Self {
        Self { count, size, decay: Decay::None }
    }

    /// g_t.
    pub fn size(&self, t: usize) -> f64 {
        match self.decay {
            Decay::None => self.size,
            Decay::Inverse => self.size / (1 + t) as f64,
        }
    }
}

/// Every rule with its switches: the registry.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// Backpropagation.
    Bp(Bp),
    /// State-based predictive coding.
    Spc(Spc),
    /// Error-based predictive coding.
    Epc(Epc),
}

impl Rule {
    /// Names of all rules, as contender ids spell them.
    pub const NAMES: [&'static str; 3] = [Bp::NAME, Spc::NAME, Epc::NAME];

    /// The rule of this name with the given inference steps (ignored by rules without inference).
    pub fn from_name(name: &str, steps: Steps) -> Result<Self> {
        match name {
            Bp::NAME => Ok(Self::Bp(Bp)),
            Spc::NAME => Ok(Self::Spc(Spc { steps, light_cone: true })),
            Epc::NAME => Ok(Self::Epc(Epc { steps })),
            _ => Err(Error::unknown("rule", name, Self::NAMES)),
        }
    }

    /// The rule's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Bp(_) => Bp::NAME,
            Self::Spc(_) => Spc::NAME,
            Self::Epc(_) => Epc::NAME,
        }
    }

    /// The inference steps, if the rule has any.
    pub fn steps(&self) -> Option<Steps> {
        match self {
            Self::Bp(_) => None,
            Self::Spc(r) => Some(r.steps),
            Self::Epc(r) => Some(r.steps),
        }
    }

    /// The closed formula for the work of one weight update.
    pub fn cost(&self, net: &NetCost) -> RuleCost {
        match self {
            Self::Bp(_) => cost::bp(net),
            Self::Spc(r) => cost::spc(net, r.steps.count as u64, r.light_cone),
            Self::Epc(r) => cost::epc(net, r.steps.count as u64),
        }
    }

    /// Executes the rule; see [`LearningRule::learn`].
    pub fn learn<E: Engine>(&self, engine: &E, watch: &mut Watch<'_, E::Value>) -> Result<Learned<E>> {
        match self {
            Self::Bp(r) => r.learn(engine, watch),
            Self::Spc(r) => r.learn(engine, watch),
            Self::Epc(r) => r.learn(engine, watch),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
