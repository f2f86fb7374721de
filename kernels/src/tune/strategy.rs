//! Launch strategies of a GPU, and the calls that each takes.

use crate::launch::{relaxation, Precision};
use crate::math_mode::MathMode;
use crate::persistent::CooperativeLimits;
use crate::schedule::Schedule;
use crate::stack::Stack;

/// The limits of a GPU that choices depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceLimits {
    /// Multiprocessors.
    pub processors: usize,
    /// The limits of a cooperative launch; `None` if the GPU has no such launches.
    pub cooperative: Option<CooperativeLimits>,
}

/// How a call runs on a GPU. All strategies compute the same rule; they differ in their launches and waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// One launch per phase, whatever the depth; queued by the host one after another.
    Grouped,
    /// The same launches, recorded once and replayed.
    Graph,
    /// One launch for all steps, weights kept on the multiprocessors.
    Persistent,
    /// Products by a library, the epilogues of the grouped launches after them.
    Cublas,
}

impl Strategy {
    /// Every strategy, in the order in which equal times are decided.
    pub const ALL: [Self; 4] = [Self::Grouped, Self::Graph, Self::Persistent, Self::Cublas];

    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Grouped => "grouped",
            Self::Graph => "graph",
            Self::Persistent => "persistent",
            Self::Cublas => "cublas",
        }
    }

    /// The strategy of this name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|strategy| strategy.name() == name)
    }

    /// Whether it can run a call.
    ///
    /// # Errors
    /// The reason why it cannot, in words that go on after "because".
    pub fn takes(
        self,
        stack: &Stack,
        schedule: &Schedule,
        batch: usize,
        kind: (Precision, MathMode),
        device: &DeviceLimits,
    ) -> Result<(), String> {
        match (self, &device.cooperative) {
            (Self::Grouped | Self::Graph | Self::Cublas, _) => Ok(()),
            (Self::Persistent, None) => Err("this GPU has no cooperative launches".to_owned()),
            (Self::Persistent, Some(limits)) => {
                relaxation(stack, &schedule.rule, batch, kind, limits).map(|_| ())
            }
        }
    }
}
