//! Who hears of a training run.

use crate::record::TrainingRow;

/// Hears of a training run.
pub trait Progress {
    /// A run of `updates` weight updates begins, at number `update`.
    fn begins(&mut self, contender: &str, update: u64, updates: u64);
    /// `update` updates are done, and took `seconds`.
    fn at(&mut self, update: u64, seconds: f64);
    /// Another row of the curve is on disk.
    fn row(&mut self, row: &TrainingRow);
    /// Something that does not end the run.
    fn warning(&mut self, sentence: &str);
}
