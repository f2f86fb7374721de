//! The TOML form of a suite, as serde reads it. Unknown keys are refused everywhere.

use serde::{Deserialize, Serialize};

pub use super::axis::AxesWire;
use crate::net::LatentEnergy;
use crate::optim::Schedule;

/// A suite file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuiteWire {
    /// Version of this format.
    pub schema: u32,
    /// Name, `[a-z0-9-]+`.
    pub name: String,
    /// What the suite is meant to show, in a sentence or two.
    pub about: String,
    /// Seed of every random stream.
    pub seed: u64,
    /// Groups of points.
    #[serde(default)]
    pub benchmark: Vec<BenchmarkWire>,
}

/// A group of points that share everything but their axes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BenchmarkWire {
    /// Name, `[a-z0-9-]+`, unique in the suite.
    pub name: String,
    /// `weight-update`, `signal-decay`, `alignment`, or the name of a study.
    pub model: String,
    /// What this group is meant to show.
    pub about: String,
    /// Name of a data set; `pcnbench list --data` shows them.
    #[serde(default = "default_data")]
    pub data: String,
    /// Contender ids `rule/engine`, or tables that override steps, step size or learning rate.
    pub contenders: Vec<ContenderWire>,
    /// Contender that ratios are stated against.
    #[serde(default = "default_baseline")]
    pub baseline: String,
    /// Axes; the points are their product.
    #[serde(default)]
    pub axes: AxesWire,
    /// The kind of networks; not written where it is the default, so that definitions keep their hashes.
    #[serde(default, skip_serializing_if = "ArchitectureWire::is_default")]
    pub architecture: ArchitectureWire,
    /// What is the same at every point.
    #[serde(default)]
    pub network: NetworkWire,
    /// Optimiser, learning rate and the accuracy check.
    #[serde(default)]
    pub training: TrainingWire,
    /// Sampling.
    #[serde(default)]
    pub timing: TimingWire,
}

/// A contender: an id, or an id with its own settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a contender id such as \"spc/reference\" or a table { id = …, steps = …, step_size = …, learning_rate = … }"
)]
pub enum ContenderWire {
    /// `rule/engine`.
    Id(String),
    /// With overrides.
    Table(ContenderTable),
}

/// A contender with its own settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContenderTable {
    /// `rule/engine`.
    pub id: String,
    /// Inference steps instead of the axis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<StepsWire>,
    /// Step size instead of the axis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_size: Option<f64>,
    /// Learning rate instead of the benchmark's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
}

/// A number of inference steps: fixed, or in units of the depth (`"L"`, `"2L"`, `"L/2"`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a number of steps or a multiple of the depth such as \"L\", \"2L\" or \"L/2\""
)]
pub enum StepsWire {
    /// T.
    Fixed(usize),
    /// T as a multiple of L.
    Depths(String),
}

/// `architecture = { kind = "mlp" }`: which function makes a network of the sizes of a point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchitectureWire {
    /// Name of an architecture; `pcnbench list --architectures` shows them.
    pub kind: String,
}

impl ArchitectureWire {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for ArchitectureWire {
    fn default() -> Self {
        Self { kind: "mlp".into() }
    }
}

/// What all points of a benchmark share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkWire {
    /// Whether layers have biases.
    pub bias: bool,
    /// Factor on the start of the standard parameterisations.
    pub gain: f64,
    /// Output energy.
    pub loss: String,
    /// What the loss is divided by.
    pub reduction: String,
    /// `input` (states are pre-activations) or `output` (states are activations).
    pub placement: String,
    /// π of every latent vertex.
    #[serde(skip_serializing_if = "is_one")]
    pub precision: f64,
    /// Energy of every latent vertex.
    #[serde(skip_serializing_if = "is_gaussian")]
    pub latent_energy: String,
}

// left out where they are what they were before there were others: records keep a hash of the definition
fn is_one(precision: &f64) -> bool {
    *precision == 1.0
}

fn is_gaussian(energy: &str) -> bool {
    energy == LatentEnergy::Gaussian.name()
}

impl Default for NetworkWire {
    fn default() -> Self {
        Self {
            bias: false,
            gain: 1.0,
            loss: "half_squared_error".into(),
            reduction: "sum".into(),
            placement: "input".into(),
            precision: 1.0,
            latent_energy: LatentEnergy::Gaussian.name().into(),
        }
    }
}

/// How parameters move.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingWire {
    /// `sgd`, `momentum` or `adam`.
    pub optimiser: String,
    /// α, applied to gradients summed over the batch.
    pub learning_rate: f64,
    /// Untimed weight updates from the start before test accuracy is read; 0 reads none.
    pub accuracy_updates: u64,
    /// Points deeper than this skip the accuracy check.
    pub accuracy_max_depth: usize,
    /// λ of decoupled weight decay.
    #[serde(skip_serializing_if = "is_default")]
    pub weight_decay: f64,
    /// The largest norm of all directions together; longer ones are scaled down to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// `constant` or `warmup-cosine`, of the model `training`.
    #[serde(skip_serializing_if = "is_default")]
    pub schedule: ScheduleWire,
    /// Weight updates of a training run, or...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updates: Option<u64>,
    /// ... epochs of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<u64>,
    /// Rows of a training run's curve after the start, evenly spaced, the last one at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluations: Option<u64>,
    /// Training rows that are kept apart for validation, or below 1 their share.
    #[serde(skip_serializing_if = "is_default")]
    pub validation: f64,
    /// Pixels around images before a crop of the old size.
    #[serde(skip_serializing_if = "is_default")]
    pub padding: usize,
    /// Whether half of the images are mirrored.
    #[serde(skip_serializing_if = "is_default")]
    pub flip: bool,
    /// What the brightness of images becomes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brightness: Option<BrightnessWire>,
    /// Test accuracy whose first row in the curve is compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<f64>,
    /// Trials of every contender before its runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<SearchWire>,
}

/// `brightness = { mean = [0.1307], deviation = [0.3081] }`: one number for each channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrightnessWire {
    /// Brightness, from 0 to 1, that becomes 0.
    pub mean: Vec<f64>,
    /// Difference in brightness that becomes 1.
    pub deviation: Vec<f64>,
}

/// A search for learning rate and step size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchWire {
    /// Trials of every contender.
    pub trials: u64,
    /// Updates of a trial.
    pub updates: u64,
    /// Least and greatest learning rate.
    pub learning_rate: (f64, f64),
    /// Least and greatest step size; without it step sizes are those of the axis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_size: Option<(f64, f64)>,
}

/// `schedule = "constant"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScheduleWire(pub String);

impl Default for ScheduleWire {
    fn default() -> Self {
        Self(Schedule::default().name().into())
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for TrainingWire {
    fn default() -> Self {
        Self {
            optimiser: "sgd".into(),
            learning_rate: 1e-3,
            accuracy_updates: 0,
            accuracy_max_depth: usize::MAX >> 1,
            weight_decay: 0.0,
            clip_norm: None,
            schedule: ScheduleWire::default(),
            updates: None,
            epochs: None,
            evaluations: None,
            validation: 0.0,
            padding: 0,
            flip: false,
            brightness: None,
            target: None,
            search: None,
        }
    }
}

/// How a point is sampled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimingWire {
    /// Stop when every contender's median is known to this relative half-width (95 %).
    pub target_half_width: f64,
    /// Stop sampling a point after this long all the same.
    pub max_seconds: f64,
    /// Warm every contender up for at least this long (and at least 5 updates).
    pub warmup_seconds: f64,
    /// A contender's turn in a round: executions that fill this time, the second half of them timed together; one that is
    /// longer than half of it is timed alone.
    pub turn_seconds: f64,
    /// Rounds at least.
    pub min_rounds: usize,
    /// Rounds at most.
    pub max_rounds: usize,
    /// Measure the baseline against an identical copy of itself.
    pub control: bool,
    /// Build all contenders of a point this many times, each time at other addresses and in another order, and share
    /// rounds and time between them.
    pub instances: usize,
}

impl Default for TimingWire {
    fn default() -> Self {
        Self {
            target_half_width: 0.02,
            max_seconds: 10.0,
            warmup_seconds: 0.5,
            turn_seconds: 0.02,
            min_rounds: 10,
            max_rounds: 200,
            control: true,
            instances: 5,
        }
    }
}

fn default_data() -> String {
    "digits".into()
}

fn default_baseline() -> String {
    "bp/reference".into()
}
