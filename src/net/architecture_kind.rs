//! What an architecture is: a network in words.

use std::fmt;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use super::layers::Activation;
use super::parameterisation::Parameterisation;
use super::{Graph, Loss, Params};
use crate::Result;

/// A network in words: everything needed to build it, and to start it from a seed.
pub trait Architecture: fmt::Debug + Send + Sync {
    /// Which kind it is: the name that suites and records use.
    fn kind(&self) -> &'static str;

    /// The network under a loss.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for sizes that no such network has.
    fn graph(&self, loss: Loss) -> Result<Graph>;

    /// Parameters that the products of a forward pass read, each as often as it is used: a closed formula, without building
    /// the network.
    fn weights_read(&self) -> f64;

    /// Parameters at the start, drawn on the host under `seed`, rounded to `dtype`, on `device`.
    ///
    /// # Errors
    /// If the device does not take them.
    fn start(&self, seed: u64, dtype: DType, device: &Device) -> Result<Params>;

    /// Backward weights at the start, for rules that learn their own: in the form of a matrix of weights at its place in
    /// the table of parameters, `None` at the place of everything else.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    fn start_feedback(&self, seed: u64, dtype: DType, device: &Device) -> Result<Vec<Option<Tensor>>>;

    /// The same kind of network, so small that every rule can be verified on it in f64 within a moment.
    fn reduced(&self) -> Arc<dyn Architecture>;
}

/// What a suite says of a network at a point, whatever its kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Shape of one sample.
    pub input: Vec<usize>,
    /// Units of the output.
    pub outputs: usize,
    /// Units of each hidden layer.
    pub width: usize,
    /// L, weight layers.
    pub depth: usize,
    /// φ of the hidden layers.
    pub activation: Activation,
    /// Where φ stands.
    pub activation_order: ActivationOrder,
    /// Scalings and start.
    pub parameterisation: Parameterisation,
    /// Factor on the start of the standard parameterisations.
    pub gain: f64,
    /// Whether layers have biases.
    pub bias: bool,
}

/// Whether a hidden layer applies its activation before or after its weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ActivationOrder {
    /// μ_l = a W φ(v) + …: states are pre-activations (φ_1 is the identity).
    Pre,
    /// μ_l = φ(a W v) + …: states are activations; the readout stays linear.
    Post,
}

/// An architecture that suites can name.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    /// The network of these settings.
    pub build: fn(&Settings) -> Arc<dyn Architecture>,
    /// Inputs and outputs of invented data for a network of this width and depth.
    pub invented: fn(width: usize, depth: usize) -> (usize, usize),
    /// What its depth counts, in words.
    pub depth_is: &'static str,
}

/// As many inputs and outputs as hidden units.
pub const AS_WIDE: fn(usize, usize) -> (usize, usize) = |width, _| (width, width);
/// A sequence of symbols, each one of [`SYMBOLS`] numbers, and the symbol after it.
pub const SEQUENCE: fn(usize, usize) -> (usize, usize) = |_, depth| (SYMBOLS * depth, SYMBOLS);
/// The same with a symbol to predict at every step.
pub const SEQUENCES: fn(usize, usize) -> (usize, usize) = |_, depth| (SYMBOLS * depth, SYMBOLS * depth);

/// Symbols of the alphabet of sequences.
pub const SYMBOLS: usize = 32;
