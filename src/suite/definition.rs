//! A validated suite, and what a command line changes in one.

use std::ops::Deref;
use std::sync::Arc;

use super::axis::{Axes, Axis, Value};
use super::steps::StepCount;
use super::study::{Quantity, Study, STEPS_TAKEN};
use super::training::{self, Training};
use super::wire::TimingWire as Timing;
use crate::contender::ContenderId;
use crate::data;
use crate::net::architecture::{Kind, Settings};
use crate::net::{ActivationOrder, Architecture, LatentEnergy, Loss, Weighted};
use crate::optim::OptimiserKind;
use crate::rule::{Rule, Steps};
use crate::Result;

/// A validated suite.
#[derive(Debug, Clone)]
pub struct Suite {
    /// Name.
    pub name: String,
    /// What it is meant to show.
    pub about: String,
    /// Seed of every random stream.
    pub seed: u64,
    /// The definition it was made from, overrides included, as TOML.
    pub definition: String,
    /// Its groups of points.
    pub benchmarks: Vec<Benchmark>,
}

/// What is done at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Model {
    /// Time one whole weight update: forward, inference, gradients, optimiser.
    WeightUpdate,
    /// Trace the energy of each layer over inference steps, without timing.
    SignalDecay,
    /// Compare parameter directions with backpropagation's, without timing.
    Alignment,
    /// Train and evaluate.
    Training,
    /// Study inference itself, in f64.
    Study(Study),
}

/// A group of points that share everything but their axes.
#[derive(Debug, Clone)]
pub struct Benchmark {
    /// Name.
    pub name: String,
    /// What is done.
    pub model: Model,
    /// What it is meant to show.
    pub about: String,
    /// Data.
    pub data: &'static data::Kind,
    /// The contenders, with their own settings.
    pub contenders: Vec<ContenderConfig>,
    /// The contender to whose time ratios are stated.
    pub baseline: ContenderId,
    /// Points, in order.
    pub points: Vec<Point>,
    /// The kind of its networks.
    pub architecture: &'static Kind,
    /// Biases?
    pub bias: bool,
    /// Factor on the start of standard parameterisations.
    pub gain: f64,
    /// Output energy.
    pub loss: Loss,
    /// π of every latent vertex.
    pub precision: f64,
    /// φ of every latent vertex.
    pub latent_energy: LatentEnergy,
    /// Where activations stand.
    pub activation_order: ActivationOrder,
    /// Optimiser.
    pub optimiser: OptimiserKind,
    /// α.
    pub learning_rate: f64,
    /// Updates before test accuracy is read (0: not read).
    pub accuracy_updates: u64,
    /// Depth beyond which it is not read.
    pub accuracy_max_depth: usize,
    /// Of the model training.
    pub training: Option<Training>,
    /// Sampling.
    pub timing: Timing,
}

impl Benchmark {
    /// The network of a point, with the benchmark's energies of latent vertices.
    pub fn network(&self, settings: &Settings) -> Arc<dyn Architecture> {
        let of = (self.architecture.build)(settings);
        let (precision, energy) = (self.precision, self.latent_energy);
        match (precision, energy) {
            (1.0, LatentEnergy::Gaussian) => of,
            _ => Arc::new(Weighted { of, precision, energy }),
        }
    }
}

/// A contender in a benchmark, with its own settings.
#[derive(Debug, Clone, PartialEq)]
pub struct ContenderConfig {
    /// Its id.
    pub id: ContenderId,
    /// Steps instead of the axis.
    pub steps: Option<StepCount>,
    /// Step size instead of the axis.
    pub step_size: Option<f64>,
    /// Learning rate instead of the axis and the benchmark's.
    pub learning_rate: Option<f64>,
}

impl ContenderConfig {
    /// The contender's learning rate at a point of `benchmark`.
    pub fn learning_rate(&self, benchmark: &Benchmark, point: &Axes) -> f64 {
        let axis = Some(point.learning_rate).filter(|&rate| rate > 0.0);
        self.learning_rate.or(axis).unwrap_or(benchmark.learning_rate)
    }

    /// What the contender runs with at a point: its rule, and the axes with the contender's own settings in place of the
    /// point's, steps counted, and neither steps nor a step size for a rule without inference.
    ///
    /// # Errors
    /// If there is no such rule.
    pub fn at(&self, point: &Axes) -> Result<(Rule, Axes)> {
        let steps = self.steps.unwrap_or(point.steps).at(point.depth);
        let steps = Steps::constant(steps, self.step_size.unwrap_or(point.step_size));
        let rule = Rule::from_name(&self.id.rule, Steps { residual: point.residual, ..steps })?;
        let own = rule.steps();
        let axes = Axes {
            parameterisation: self.id.parameterisation.unwrap_or(point.parameterisation),
            steps: StepCount::Fixed(own.map_or(0, |steps| steps.count)),
            step_size: own.map_or(0.0, |steps| steps.size),
            ..*point
        };
        Ok((rule, axes))
    }
}

/// A point of a benchmark: one value of every axis, which it is read like.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// `benchmark@axis=value,…`, axes sorted by name: a tracking key, stable between versions.
    pub id: String,
    /// Its values.
    pub axes: Axes,
}

impl Deref for Point {
    type Target = Axes;
    fn deref(&self) -> &Axes {
        &self.axes
    }
}

impl Model {
    /// The name used in suites and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::WeightUpdate => "weight-update",
            Self::SignalDecay => "signal-decay",
            Self::Alignment => "alignment",
            Self::Training => "training",
            Self::Study(study) => study.name(),
        }
    }

    /// Whether its contenders learn, so that what they learn has a regime.
    pub fn learns(self) -> bool {
        matches!(self, Self::WeightUpdate | Self::Alignment)
    }

    /// What `quantities.csv` may have of its contenders.
    pub fn quantities(self) -> &'static [Quantity] {
        match self {
            Self::Study(study) => study.quantities(),
            Self::SignalDecay => &[],
            Self::Training => training::QUANTITIES,
            Self::WeightUpdate | Self::Alignment => &[STEPS_TAKEN],
        }
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::WeightUpdate, Self::SignalDecay, Self::Alignment, Self::Training]
            .into_iter()
            .chain(Study::ALL.map(Self::Study))
    }
}

/// Changes a command line makes to a suite before it is expanded.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Axes that have one value at every point. Contenders' own steps and step sizes give way to values of
    /// [`STEPS`](super::axis::STEPS) and [`STEP_SIZE`](super::axis::STEP_SIZE).
    pub axes: Vec<(&'static Axis, Value)>,
    /// Replaces the seed.
    pub seed: Option<u64>,
    /// Replaces every `max_seconds`.
    pub max_seconds: Option<f64>,
    /// Keeps only depths up to this.
    pub max_depth: Option<usize>,
    /// Replaces all contenders, and the baseline.
    pub contender: Option<String>,
    /// Replaces every learning rate, those of contenders too.
    pub learning_rate: Option<f64>,
    /// Replaces every optimiser.
    pub optimiser: Option<String>,
    /// Replaces the length of training runs.
    pub epochs: Option<u64>,
    /// Likewise.
    pub updates: Option<u64>,
}

impl Overrides {
    /// With `value` in place of all that benchmarks list for `axis`, if there is one.
    pub fn with(mut self, axis: &'static Axis, value: Option<impl Into<Value>>) -> Self {
        self.axes.extend(value.map(|value| (axis, value.into())));
        self
    }
}
