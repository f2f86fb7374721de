//! Who hears of a training run.

use crate::record::TrainingRow;

/// Hears of a training run.
pub trait Progress {
    /// A run of so many updates begins, at this one.
    fn begins(&mut self, contender: &str, update: u64, updates: u64);
    /// So many updates are done, and the time that they took.
    fn at(&mut self, update: u64, seconds: f64);
    /// Another row of the curve is on disk.
    fn row(&mut self, row: &TrainingRow);
    /// Something that does not end the run.
    fn warning(&mut self, sentence: &str);
}
