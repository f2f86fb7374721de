//! What runs a contender: one trait, and an implementation for each way to execute a rule.

pub mod autograd;
pub mod candle;
pub mod chunk;
pub mod fused;
mod optimised;

use std::fmt;

use candle_core::Tensor;
use pcnbench_kernels::tune::StrategyTable;

use crate::engine::reference::Reference;
use crate::engine::{Learned, Watch};
use crate::net::{Graph, Params};
use crate::optim::{Directions, Memory};
use crate::rule::Rule;
use crate::Result;

/// What a rule leaves on a batch, in tensors.
pub type LearnedTensors = Learned<Tensor, Tensor, Tensor>;

/// Everything that a contender has learned; tensors of another backend's parameters give a contender with the same.
#[derive(Debug, Clone)]
pub struct State {
    /// θ, by parameter.
    pub params: Params,
    /// Backward weights in the table of parameters, `None` where a parameter carries nothing down; only of rules that
    /// learn them.
    pub feedback: Option<Vec<Option<Tensor>>>,
}

impl State {
    /// The reference engine on these parameters and a batch.
    pub fn bind<'a>(&'a self, graph: &'a Graph, data: &'a [Tensor]) -> Reference<'a> {
        Reference { graph, params: &self.params, data, feedback: self.feedback.as_deref() }
    }
}

/// Holds the parameters of a contender, moves them, and shows what it computes.
///
/// Everything goes in and out as plain data: a batch is the data tensors of the network in the order of
/// [`Graph::data`], so a backend may as well be another process.
pub trait Backend: fmt::Debug {
    /// One weight update: directions on the batch, then the optimiser. Under a rule that moves the parameters itself,
    /// its T updates instead.
    fn update(&mut self, data: &[Tensor]) -> Result<()>;

    /// Replaces its rule by the same one with other steps.
    ///
    /// # Errors
    /// If the engine does not run it.
    fn set_rule(&mut self, rule: Rule) -> Result<()>;

    /// −∂F/∂θ (−∂loss/∂θ under backpropagation), summed over the batch, without moving anything.
    ///
    /// For a rule that moves the parameters itself this is the way it would move them over α: the sum of its T
    /// directions, each taken at its own point.
    fn directions(&self, data: &[Tensor]) -> Result<Directions>;

    /// The present parameters, once every update has ended.
    ///
    /// # Errors
    /// If an update did not end.
    fn state(&self) -> Result<State>;

    /// What `rule` leaves on a batch at the present parameters, states and errors included. `rule` is the contender's
    /// own, which may have another number of steps.
    fn learned(&self, rule: &Rule, data: &[Tensor]) -> Result<LearnedTensors>;

    /// Shows errors and outputs of `rule` to `watch` at the start and after each inference step.
    fn watch(&self, rule: &Rule, data: &[Tensor], watch: &mut Watch<'_, Tensor>) -> Result<()>;

    /// Sets the learning rate α of the updates that follow; of a rule that moves the parameters itself, [`set_rule`](Self::set_rule) does.
    fn set_learning_rate(&mut self, rate: f64);

    /// What its optimisers keep from update to update, of the parameters and of the backward weights.
    ///
    /// # Errors
    /// If an update did not end.
    fn memory(&self) -> Result<[Memory; 2]>;

    /// Goes on from the parameters and from what optimisers of its kind kept.
    ///
    /// # Errors
    /// If a tensor or a quantity is missing or does not fit.
    fn restore(&mut self, state: State, memory: [Memory; 2]) -> Result<()>;

    /// The table that it chooses launch strategies by, if it has one.
    fn strategies(&self) -> Option<&StrategyTable> {
        None
    }
}

/// The directions of what a rule has learned at `params`; moved parameters as their way over `rate`.
pub(super) fn directions_of(
    rule: &Rule,
    learned: LearnedTensors,
    params: &[Tensor],
    rate: f64,
) -> Result<Directions> {
    if !rule.moves_parameters() {
        return Ok(learned.directions);
    }
    let moved = |(new, old): (Option<Tensor>, &Tensor)| {
        new.map(|new| Ok((new - old)?.affine(1.0 / rate, 0.0)?)).transpose()
    };
    learned.params.into_iter().zip(params).map(moved).collect()
}
