//! The curve of a training run: a row of `training.csv`.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::header::Run;
use super::table;
use crate::{Error, Result};

/// One row of `training.csv`: where a contender is after some weight updates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingRow {
    /// Point id.
    pub point: String,
    /// Contender id.
    pub contender: String,
    /// Weight updates so far.
    pub update: u64,
    /// In passes over the training rows.
    pub epoch: f64,
    /// Time of these updates, batches drawn on the host included, evaluation not.
    pub seconds: f64,
    /// α of the last update; of the first one at the start.
    pub learning_rate: f64,
    /// The step size of inference in the last update.
    pub step_size: Option<f64>,
    /// F per sample on the next batch, after inference; absent of a rule whose inference has no energy.
    pub energy: Option<f64>,
    /// Loss per sample of a forward pass over the validation rows; absent without any.
    pub validation_loss: Option<f64>,
    /// Share of validation rows of which the largest output is that of their class.
    pub validation_accuracy: Option<f64>,
    /// Loss per sample of a forward pass over the test rows; absent where it is not finite.
    pub test_loss: Option<f64>,
    /// Share of test rows of which the largest output is that of their class.
    pub test_accuracy: Option<f64>,
    /// ηλ_max on the next batch, as in `regimes.csv`.
    pub step_times_curvature: Option<f64>,
    /// Cosine between the direction of all parameters and that of backpropagation, on the next batch.
    pub cosine: Option<f64>,
    /// Mean of the cosines of the lowest quarter of the layers.
    pub lowest_quarter_cosine: Option<f64>,
    /// Groups of parameters; layers, of a chain.
    pub layers: Option<usize>,
    /// Layers whose direction is exactly zero or below rounding.
    pub silent_layers: Option<usize>,
}

impl TrainingRow {
    /// The words that stand beside its numbers; none where no regime is known.
    pub fn regime(&self) -> Option<String> {
        Some(super::regime::regime_label(self.layers?, self.silent_layers?, self.cosine?))
    }
}

/// A curve as the bytes of a file.
pub(crate) fn curve_bytes(rows: &[TrainingRow]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    table::append(&mut bytes, rows)?;
    Ok(bytes)
}

/// The curve in a file that holds no record.
pub(crate) fn read_curve(path: &Path) -> Result<Vec<TrainingRow>> {
    let bytes = fs::read(path).map_err(|e| Error::io("read the curve", path, e))?;
    table::parse(path, &bytes)
}

/// What a training run is, as the bytes of a file.
pub(crate) fn header_bytes(run: &Run) -> Result<Vec<u8>> {
    let text = serde_json::to_string_pretty(run).map_err(|e| Error::Invalid(e.to_string()))?;
    Ok((text + "\n").into_bytes())
}

/// What a training run is, from such a file.
pub(crate) fn read_header(path: &Path) -> Result<Run> {
    let bytes = fs::read(path).map_err(|e| Error::io("read the training run", path, e))?;
    serde_json::from_slice(&bytes)
        .map_err(|e| Error::content(path, format!("is not that of a training run: {e}")))
}
