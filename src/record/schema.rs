//! The wire types of a record: what each file of a run directory holds, column by column.
//!
//! A record is a folder `results/<machine>/<date>-<rev>-<suite>/`:
//!
//! | file | content | type |
//! | --- | --- | --- |
//! | `run.json` | what was run, by which code, with which definition | [`Run`] |
//! | `machine.json` | where it ran | [`Machine`] |
//! | `samples.csv` | every raw sample | [`Sample`] |
//! | `summary.csv` | one row per point and contender; timing columns are a pure function of `samples` | [`SummaryRow`] |
//! | `ratios.csv` | cost ratios to the baseline; a pure function of `samples` | [`RatioRow`] |
//! | `signals.csv` | energy of each layer after each inference step | [`SignalRow`] |
//! | `alignments.csv` | direction of each layer beside that of backpropagation | [`AlignmentRow`] |
//! | `regimes.csv` | how far inference gets and how near the directions come to backpropagation's; only if there are rows | [`RegimeRow`] |
//! | `training.csv` | curves of training runs; only if there are rows | [`TrainingRow`] |
//! | `quantities.csv` | what studies of inference found; only if there are rows | [`QuantityRow`] |
//! | `files.sha256` | hashes of these files | |
//!
//! A point is *finished* when `summary.csv` lists it; rows of other files that belong to an
//! unfinished point are ignored on reading. Units are part of every name. FORMAT.md at the root of the project says
//! all of this for readers of records.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::regime::RegimeRow;
use super::training::TrainingRow;
use crate::stats::FEWEST_FOR_INTERVAL;
use crate::Error;

pub use super::header::{Ceiling, Machine, Run, ShardRun};

/// Version of the record format that is written and read; a reader refuses every other.
pub const SCHEMA: u32 = 5;

/// Whether a row has a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It has.
    Ok,
    /// The contender computes something else than the oracle, on the reduced problem of its point.
    Wrong,
    /// A number is not finite.
    Diverged,
    /// Anything else, of which `err` is the sentence.
    Failed,
}

impl Status {
    /// Of a contender that ended with this error.
    pub fn of(error: &Error) -> Self {
        match error {
            Error::Wrong(_) => Self::Wrong,
            Error::Diverged { .. } => Self::Diverged,
            _ => Self::Failed,
        }
    }

    /// The word in the column.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Wrong => "wrong",
            Self::Diverged => "diverged",
            Self::Failed => "failed",
        }
    }
}

/// One row of `samples.csv`: one timed execution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Point id, e.g. `depth@batch=64,depth=8,…`.
    pub point: String,
    /// Contender id `rule/engine`; the A/A control has `~aa` appended.
    pub contender: String,
    /// Which time the contenders of the point were built, from 0: samples of one instance share addresses and order.
    pub instance: u32,
    /// Interleaved round; samples of one round are paired.
    pub round: u32,
    /// Executions that were timed together, over which the times are means.
    pub executions: u32,
    /// Wall clock, synchronised with the device at both ends.
    pub wall_ns: u64,
    /// Device clock (CUDA events); absent on the CPU.
    pub device_ns: Option<u64>,
    /// Sum of all parameters after the sample: equal seeds and equal numbers of updates give equal checksums.
    pub checksum: f64,
    /// Time for which threads of this process could have run during the sample but waited for a processor, summed over
    /// threads; absent where the system does not tell. The time of workers that fused
    /// calls did without, because other processes had just kept them from running, counts too.
    pub delay_ns: Option<u64>,
    /// Clock of the GPU's multiprocessors right after the sample; absent on the CPU.
    pub sm_clock_mhz: Option<u32>,
}

/// One row of `summary.csv`: one contender at one point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SummaryRow {
    /// Point id.
    pub point: String,
    /// Benchmark of the suite this point belongs to.
    pub benchmark: String,
    /// What was timed, traced or compared: `weight-update`, `signal-decay`, `alignment`, or the name of a study.
    pub model: String,
    /// Contender id.
    pub contender: String,
    /// Contender that its cost ratio is relative to: backpropagation on the same network; empty for none.
    pub baseline: String,
    /// Learning rule: `bp`, `spc`, `epc`, …
    pub rule: String,
    /// Engine: `autograd`, `reference`, …
    pub engine: String,
    /// Kind of network, e.g. `mlp`.
    pub architecture: String,
    /// Parameterisation, e.g. `sp-uniform`, `mupc-residual`.
    pub parameterisation: String,
    /// Activation.
    pub activation: String,
    /// Weight layers L.
    pub depth: usize,
    /// Hidden width N.
    pub width: usize,
    /// Samples per batch B.
    pub batch: usize,
    /// Inference steps T (0 for `bp`).
    pub steps: usize,
    /// State or error step size, per sample.
    pub step_size: f64,
    /// `f32` or `f64`.
    pub dtype: String,
    /// `cpu` or `cuda`.
    pub device: String,
    /// Weight updates in one sample: 1, or T under a rule that moves the weights in every inference step.
    pub updates: u64,
    /// Whether there is a result, and if not, what kind of failure `err` tells of.
    pub status: Status,
    /// Why there is no result; empty on success.
    pub err: String,
    /// Number of samples.
    pub n: usize,
    /// Smallest wall time.
    pub min_ns: u64,
    /// First quartile of wall time.
    pub q1_ns: u64,
    /// Median wall time.
    pub median_ns: u64,
    /// Third quartile of wall time.
    pub q3_ns: u64,
    /// Median absolute deviation of wall time.
    pub mad_ns: u64,
    /// Lower end of the 95 % confidence interval of the median; 0, as the upper end, where there are too few samples
    /// for one.
    pub median_low_ns: u64,
    /// Upper end of the 95 % confidence interval of the median.
    pub median_high_ns: u64,
    /// Matrix products per weight update (counted).
    pub gemms: u64,
    /// FLOPs of those products, 2·B·n_in·n_out each (counted).
    pub gemm_flops: u64,
    /// Element-wise operations (counted).
    pub elementwise_flops: u64,
    /// Bytes that must move if nothing stays in cache between operations (counted).
    pub bytes: u64,
    /// Sequential matrix products with unlimited parallelism across layers (counted).
    pub critical_path: u64,
    /// FLOPs of inference per weight update over those of BP on the same network, parameter gradients left out on both
    /// sides (counted): the unit of arXiv 2304.02658. Absent where the network is no chain of dense layers.
    pub inference_over_bp: Option<f64>,
    /// Predicted time of the same on a machine with one processor per layer, over that of BP on it; absent as the column
    /// before.
    pub parallel_over_bp: Option<f64>,
    /// Matrix products that no program can do without for this rule's result (see [`crate::theory::analysis::least`]);
    /// `gemms` or fewer. Absent, as the two columns after it, where no closed form says.
    pub least_gemms: Option<u64>,
    /// FLOPs of those products.
    pub least_gemm_flops: Option<u64>,
    /// Bytes of what must be read once (parameters, inputs, targets) and written once (parameters that are moved).
    pub least_bytes: Option<u64>,
    /// Layers whose parameters an update can move at all: fewer than L where too few inference steps leave the lower
    /// layers without an error. Absent for models that train nothing, and where the network is no chain of dense layers.
    pub trained_layers: Option<usize>,
    /// Largest error against the f64 oracle on the reduced problem, in units of its allowance; below 1 passes.
    pub verify: Option<f64>,
    /// Share of test samples classified correctly after `train_updates` weight updates.
    pub test_accuracy: Option<f64>,
    /// Weight updates before `test_accuracy` was read.
    pub train_updates: Option<u64>,
    /// Why sampling stopped: `target`, `time-limit`.
    pub stop: String,
    /// Samples during which other work kept this process from running (see [`crate::record::summarise::contended`]);
    /// absent where the system does not tell.
    pub contended: Option<u64>,
    /// Median share of the wall clock for which the device was not at work, (wall − device)/wall; absent without
    /// device times.
    pub host_bound: Option<f64>,
    /// Growth of the process's resident memory to its peak during the contender's first weight update, a lower bound of
    /// what an update holds; absent where the system does not tell or nothing grew.
    pub peak_bytes: Option<u64>,
    /// Growth of what is in use of the GPU's memory pool, to its peak during the contender's first weight update; absent
    /// on the CPU, and where the driver does not tell.
    pub device_peak_bytes: Option<u64>,
    /// Energy of one sample in microjoules, idle power included; absent where no counter can be read.
    pub energy_uj: Option<f64>,
    /// Heap allocations of one weight update after the first ones; absent where they are not counted.
    pub allocations: Option<u64>,
    /// Bytes that these allocations asked for.
    pub allocated_bytes: Option<u64>,
    /// Instructions that one weight update retires in user mode; absent where the system's counter cannot be read, or for
    /// updates on several threads.
    pub instructions: Option<u64>,
}

/// One row of `ratios.csv`: the cost of a contender in units of its baseline, from paired rounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RatioRow {
    /// Point id.
    pub point: String,
    /// Contender id.
    pub contender: String,
    /// Baseline contender id.
    pub baseline: String,
    /// exp(median over rounds of ln(t_contender / t_baseline)), of several instances the mean of their medians; above 1
    /// means slower than the baseline.
    pub ratio: f64,
    /// Lower end of the 95 % confidence interval (see [`crate::stats::ratio_over_instances`]); absent where there are too
    /// few rounds for one.
    pub low: Option<f64>,
    /// Upper end of that interval.
    pub high: Option<f64>,
    /// Rounds in which both were measured.
    pub pairs: usize,
    /// Instances that these rounds are from.
    pub instances: usize,
    /// Degrees of freedom of the interval, `instances − 1`, where the difference between instances decides its length;
    /// absent where that of the rounds does.
    pub freedom: Option<usize>,
}

impl RatioRow {
    /// The 95 % confidence interval, where there are rounds enough for one.
    pub fn interval(&self) -> Option<(f64, f64)> {
        self.low.zip(self.high).filter(|_| self.pairs >= FEWEST_FOR_INTERVAL)
    }
}

/// One row of `signals.csv`: one layer after one inference step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignalRow {
    /// Point id.
    pub point: String,
    /// Contender id.
    pub contender: String,
    /// Inference steps done, 0 = the starting point.
    pub step: usize,
    /// Layer l = 1..L; the row of layer L holds the loss.
    pub layer: usize,
    /// ½‖ε_l‖² summed over the batch (the loss for l = L); 0 where the error is exactly zero.
    pub energy: f64,
}

/// One row of `alignments.csv`: the direction in which a rule moves the parameters of one layer, beside that of
/// backpropagation on the same batch and parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlignmentRow {
    /// Point id.
    pub point: String,
    /// Contender id.
    pub contender: String,
    /// Layer l = 1..L; 0 for the parameters of all layers together.
    pub layer: usize,
    /// Cosine of the angle between the two descent directions; 0 if one of them is zero.
    pub cosine: f64,
    /// Norm of the rule's direction in units of that of backpropagation.
    pub norm_ratio: f64,
    /// Norm of backpropagation's direction.
    pub bp_norm: f64,
    /// Energy of the layer at the end of inference (layer 0: the whole energy F); absent for rules without inference.
    pub energy: Option<f64>,
}

/// One row of `quantities.csv`: a number that a study found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuantityRow {
    /// Point id.
    pub point: String,
    /// Contender id.
    pub contender: String,
    /// What it is: a name that the study of the point's benchmark has (see [`crate::suite::Study::quantities`]).
    pub quantity: String,
    /// Where along a curve: the step, update, threshold or damping that it is for, as the quantity says; 0 where there is one number.
    pub at: f64,
    /// The number.
    pub value: f64,
}

impl SummaryRow {
    /// The same row of a contender that has failed.
    #[must_use]
    pub fn failed(self, status: Status, err: String) -> Self {
        Self { status, err, ..self }
    }

    /// The 95 % confidence interval of the median time in nanoseconds, where there are samples enough for one.
    pub fn median_interval(&self) -> Option<(u64, u64)> {
        (self.n >= FEWEST_FOR_INTERVAL).then_some((self.median_low_ns, self.median_high_ns))
    }
}

/// All rows of one finished point.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PointResult {
    /// Raw samples of all contenders and A/A controls.
    pub samples: Vec<Sample>,
    /// One row per contender, at least one; see [`summarise::fill`](super::summarise::fill).
    pub summary: Vec<SummaryRow>,
    /// Cost ratios to the baseline.
    pub ratios: Vec<RatioRow>,
    /// Energies by layer and step.
    pub signals: Vec<SignalRow>,
    /// Directions by layer beside those of backpropagation.
    pub alignments: Vec<AlignmentRow>,
    /// Regimes, at most one per contender, in the order of the rows of the summary.
    pub regimes: Vec<RegimeRow>,
    /// Curves of training runs, contender after contender.
    pub training: Vec<TrainingRow>,
    /// Numbers that a study or a training run found.
    pub quantities: Vec<QuantityRow>,
}

/// A record read into memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The run directory.
    pub dir: PathBuf,
    /// `run.json`.
    pub run: Run,
    /// `machine.json`.
    pub machine: Machine,
    /// `samples.csv`, finished points only.
    pub samples: Vec<Sample>,
    /// `summary.csv`.
    pub summary: Vec<SummaryRow>,
    /// `ratios.csv`.
    pub ratios: Vec<RatioRow>,
    /// `signals.csv`, finished points only.
    pub signals: Vec<SignalRow>,
    /// `alignments.csv`, finished points only.
    pub alignments: Vec<AlignmentRow>,
    /// `regimes.csv`, finished points only; empty for a record without the file.
    pub regimes: Vec<RegimeRow>,
    /// `training.csv`, likewise.
    pub training: Vec<TrainingRow>,
    /// `quantities.csv`, likewise.
    pub quantities: Vec<QuantityRow>,
}

impl Record {
    pub(super) fn finished_points(&self) -> Vec<String> {
        let mut points: Vec<String> = self.summary.iter().map(|row| row.point.clone()).collect();
        // The rows of a point were written at once, so they are neighbours.
        points.dedup();
        points
    }
}
