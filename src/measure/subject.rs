//! What a sampler measures: subjects that take turns.

use crate::Result;

/// One timed execution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timed {
    /// Wall clock of one execution, synchronised at both ends of all that were timed together.
    pub wall_ns: u64,
    /// Device clock of one execution, where there is one.
    pub device_ns: Option<u64>,
    /// Checksum of the result.
    pub checksum: f64,
    /// Time for which threads of this process waited for a processor per execution, where the system tells.
    pub delay_ns: Option<u64>,
    /// Clock of the GPU after the sample, where there is one.
    pub sm_clock_mhz: Option<u32>,
    /// Executions that were timed together.
    pub executions: u32,
}

/// Something that can be executed again and again.
pub trait Subject {
    /// Executes as often as the turn says; times are means over the timed executions.
    fn take(&mut self, turn: Turn) -> Result<Timed>;
}

/// What a subject does when its turn comes: back-to-back executions, the last of which are timed together.
///
/// Calls of a few milliseconds find caches full of their predecessor's data and workers asleep on any core, while in use
/// they follow their own kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Executions before the clock starts.
    pub untimed: u32,
    /// Executions under the clock, at least one.
    pub timed: u32,
}

impl Turn {
    /// One execution, timed.
    pub const SINGLE: Self = Self { untimed: 0, timed: 1 };

    /// The turn of a subject whose executions take `execution_ns`: as many as fill `seconds`, half of them timed; a
    /// single one if two take longer than that.
    pub fn filling(seconds: f64, execution_ns: f64) -> Self {
        // if more executions than this filled a turn, each would take no time at all
        const MOST: f64 = 1e6;
        let half = (0.5e9 * seconds / execution_ns.max(1.0)).min(MOST) as u32;
        Self { untimed: half, timed: half.max(1) }
    }

    /// Twice as many timed executions, if as many of `execution_ns` take no more than half of `seconds`.
    pub(super) fn doubled(self, seconds: f64, execution_ns: f64) -> Self {
        Self { untimed: 0, timed: (2 * self.timed).min(Self::filling(seconds, execution_ns).timed) }
    }
}
