//! What is watched beside the time of samples, over a whole run.

use crate::measure::clocks::Clocks;
use crate::measure::gpu_state::GpuState;
use crate::measure::pauses::Pauses;
use crate::record::{summarise, Record};

use super::resources::Resources;

/// The GPU, the clocks at which its samples were taken, and the pauses of this process.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) gpu: GpuState,
    pub(super) clocks: Clocks,
    pub(super) pauses: Pauses,
}

impl Watch {
    pub(super) fn new(resources: &Resources<'_>) -> Self {
        Self { gpu: resources.gpu_state(), clocks: Clocks::default(), pauses: Pauses::of_this_thread() }
    }

    /// What the reader of a finished record should know.
    pub(super) fn warnings(&self, record: &Record) -> Vec<String> {
        let known = [summarise::contention(record), self.clocks.warning(), self.pauses.warning()];
        known.into_iter().flatten().chain(record.beaten_bounds()).collect()
    }
}
