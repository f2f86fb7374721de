//! Parameter optimisers: what is done with a direction of descent.
//!
//! Rules leave −∂F/∂θ (or −∂loss/∂θ) behind, summed over the batch; optimisers add to the parameters. A
//! direction of `None` is exactly zero: SGD then leaves the tensor alone, the others still decay their
//! moments.
//!
//! iPC needs none of these: it moves the parameters itself, in every inference step.

pub(crate) mod adam;
pub(crate) mod momentum;
pub(crate) mod mq;
mod optimiser;
mod regularised;
mod schedule;
mod sgd;

pub use adam::Adam;
pub use momentum::Momentum;
pub use mq::Mq;
pub use optimiser::{Directions, Memory, Optimiser};
pub use regularised::{Regularisation, Regularised};
pub use schedule::Schedule;
pub use sgd::Sgd;

use std::fmt;
use std::str::FromStr;

use crate::net::ParamId;
use crate::{Error, Result};

/// Which optimiser, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OptimiserKind {
    /// θ += α d.
    Sgd,
    /// Heavy-ball momentum 0.9.
    Momentum,
    /// Adam with β = (0.9, 0.999), ε = 1e-8.
    Adam,
    /// MQ with the published constants of fully connected networks.
    Mq,
}

impl OptimiserKind {
    /// Every optimiser.
    pub const ALL: [Self; 4] = [Self::Sgd, Self::Momentum, Self::Adam, Self::Mq];

    /// The name used in suites.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sgd => "sgd",
            Self::Momentum => "momentum",
            Self::Adam => "adam",
            Self::Mq => "mq",
        }
    }

    /// A fresh optimiser with learning rate α; `groups` are parameters that belong together
    /// ([`Topology::groups`](crate::net::Topology::groups)).
    pub fn build(self, rate: f64, groups: Vec<Vec<ParamId>>) -> Box<dyn Optimiser> {
        match self {
            Self::Sgd => Box::new(Sgd { rate }),
            Self::Momentum => Box::new(Momentum::new(rate, momentum::MU)),
            Self::Adam => Box::new(Adam::new(rate)),
            Self::Mq => Box::new(Mq::new(rate, mq::MAX_DECAY_DENSE, groups)),
        }
    }
}

impl fmt::Display for OptimiserKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for OptimiserKind {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|k| k.name() == s)
            .ok_or_else(|| Error::unknown("optimiser", s, Self::ALL.map(Self::name)))
    }
}
