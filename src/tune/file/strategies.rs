//! Times of launch strategies with where they come from.

use std::sync::Arc;

use pcnbench_kernels::tune::StrategyTable;

/// Version of the format.
pub const SCHEMA: u32 = 1;

/// A table of times with where they come from.
#[derive(Debug, Clone, PartialEq)]
pub struct Strategies {
    /// Driver of the device.
    pub driver: String,
    /// Commit of the program that measured.
    pub rev: String,
    /// Whether the built tree differed from that commit.
    pub dirty: bool,
    /// Start of the measurement, RFC 3339 UTC.
    pub started: String,
    /// Seconds that each call was timed for.
    pub seconds: f64,
    /// The device and its times.
    pub table: Arc<StrategyTable>,
}
