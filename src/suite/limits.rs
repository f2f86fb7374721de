//! How much a suite may ask for: far beyond any sensible measurement, far below what would exhaust memory
//! or never end. Whether a point fits *this* machine is checked when it is run.

use std::ops::RangeInclusive;

/// Points of one suite, all its benchmarks together.
pub const POINTS: usize = 10_000;
/// Contenders of one benchmark.
pub const CONTENDERS: usize = 256;
/// Rows of one suite: a contender at a point each.
pub const ROWS: usize = 100_000;
/// L.
pub const DEPTH: RangeInclusive<usize> = 1..=4096;
/// N.
pub const WIDTH: RangeInclusive<usize> = 1..=65_536;
/// Networks of one kind.
pub const DRAW: RangeInclusive<usize> = 0..=9999;
/// B; the data set the bound that matters.
pub const BATCH: RangeInclusive<usize> = 1..=1_048_576;
/// T, in suites and in conformance cases.
pub const STEPS: RangeInclusive<usize> = 0..=65_536;
/// g: wide enough to make any inference diverge, narrow enough to print.
pub const STEP_SIZE: RangeInclusive<f64> = 1e-9..=1e9;
/// Share of the largest residual at which inference ends; 0 for never.
pub const RESIDUAL: RangeInclusive<f64> = 0.0..=1.0;
/// α and the gain.
pub const RATE: RangeInclusive<f64> = 1e-12..=1e12;
/// α as an axis; 0 for that of the benchmark.
pub const RATE_OR_NONE: RangeInclusive<f64> = 0.0..=1e12;
/// Energies traced for one contender: layers times (steps + 1).
pub const TRACED: usize = 1_000_000;
/// Rounds of samples.
pub const ROUNDS: RangeInclusive<usize> = 1..=1_000_000;
/// Instances of a point.
pub const INSTANCES: RangeInclusive<usize> = 1..=1000;
/// Warm-up of one contender in seconds.
pub const WARMUP: RangeInclusive<f64> = 0.0..=600.0;
/// Turn of one contender in a round, in seconds.
pub const TURN: RangeInclusive<f64> = 0.0..=60.0;
/// Sampling time of one point in seconds: a day.
pub const SECONDS: RangeInclusive<f64> = 1e-3..=86_400.0;
/// Relative half-width of a median's interval.
pub const HALF_WIDTH: RangeInclusive<f64> = 1e-6..=1.0;
/// Weight updates before accuracy is read.
pub const UPDATES: RangeInclusive<u64> = 0..=1_000_000;
/// Updates or epochs of a training run.
pub const TRAINED: RangeInclusive<u64> = 1..=1_000_000_000;
/// Rows of a training run's curve.
pub const EVALUATIONS: RangeInclusive<u64> = 1..=10_000;
/// Validation rows, or their share.
pub const VALIDATION: RangeInclusive<f64> = 0.0..=1e12;
/// Test accuracy to reach.
pub const TARGET: RangeInclusive<f64> = 0.0..=1.0;
/// Trials of a search.
pub const TRIALS: RangeInclusive<u64> = 1..=1000;
/// λ of weight decay.
pub const DECAY: RangeInclusive<f64> = 0.0..=1e6;
/// TOML has no larger integers.
pub const SEED: RangeInclusive<u64> = 0..=i64::MAX as u64;
/// Bytes of a suite file.
pub const FILE: u64 = 1 << 20;
