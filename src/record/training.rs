//! The curve of a training run: a row of `training.csv`.

use serde::{Deserialize, Serialize};

use super::layered::Layered;
use super::regime::regime_label;

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
    /// Norm of the direction of all parameters in units of that of backpropagation's; absent in records from before this column.
    #[serde(default)]
    pub norm_ratio: Option<f64>,
    /// As in `regimes.csv`, of the first row and the last update of a run: a cell for every row would be most of the file.
    #[serde(default)]
    pub layer_cosines: Layered,
    /// Likewise.
    #[serde(default)]
    pub layer_norm_ratios: Layered,
}

impl TrainingRow {
    /// The words that stand beside its numbers; none where no regime is known.
    pub fn regime(&self) -> Option<String> {
        Some(regime_label(self.layers?, self.silent_layers?, self.cosine?))
    }
}
