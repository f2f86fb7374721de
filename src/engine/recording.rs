//! The recording engine: executes a schedule without numbers and keeps its task graph.
//!
//! A matrix product is a task that lasts its FLOPs. Element-wise work takes no time; where it waits for
//! several results it becomes a join.

use std::cell::{Cell, RefCell};

use super::{Engine, MaybeZero};
use crate::net::{LayerCost, VerbCost};
use crate::theory::makespan::{Graph, Task, Verb};
use crate::Result;

/// A tensor that exists in name only: the task it comes from, if any.
pub type Token = Option<usize>;

/// A network's costs, executed by writing down who waits for whom.
#[derive(Debug)]
pub struct Recording {
    layers: Vec<LayerCost>,
    graph: RefCell<Graph>,
    /// The last barrier, and the number of tasks up to it.
    barrier: Cell<(Token, usize)>,
}

impl Recording {
    /// An engine over layers with these costs.
    pub fn new(layers: Vec<LayerCost>) -> Self {
        Self { layers, graph: RefCell::default(), barrier: Cell::default() }
    }

    /// The tasks recorded.
    pub fn into_graph(self) -> Graph {
        self.graph.into_inner()
    }

    /// Everything recorded later waits for everything recorded so far.
    pub fn barrier(&self) -> Result<()> {
        let (_, from) = self.barrier.get();
        let mut graph = self.graph.borrow_mut();
        let after = (from..graph.tasks().len()).collect();
        let index = graph.push(Task { verb: Verb::Barrier, layer: 0, duration: 0, after })?;
        self.barrier.set((Some(index), index));
        Ok(())
    }

    /// A watcher that puts a barrier after every inference step.
    pub fn stepwise(&self) -> impl FnMut(usize, &[MaybeZero<Token>], &Token) -> Result<()> + '_ {
        |_, _, _| self.barrier()
    }

    fn task(&self, verb: Verb, layer: usize, cost: VerbCost, parents: &[Token]) -> Result<Token> {
        let mut after: Vec<usize> = parents.iter().copied().chain([self.barrier.get().0]).flatten().collect();
        after.sort_unstable();
        after.dedup();
        let task = Task { verb, layer, duration: cost.gemm_flops, after };
        self.graph.borrow_mut().push(task).map(Some)
    }

    fn join(&self, parents: &[&Token]) -> Result<Token> {
        let mut after: Vec<usize> = parents.iter().copied().copied().flatten().collect();
        after.sort_unstable();
        after.dedup();
        match after.as_slice() {
            [] => Ok(None),
            [only] => Ok(Some(*only)),
            _ => self
                .graph
                .borrow_mut()
                .push(Task { verb: Verb::Join, layer: 0, duration: 0, after })
                .map(Some),
        }
    }
}

impl Engine for Recording {
    type Value = Token;
    type Local = Token;
    type Params = Token;
    type Direction = Token;

    fn depth(&self) -> usize {
        self.layers.len()
    }

    fn input(&self) -> Token {
        None
    }

    fn params(&self, _: usize) -> &Token {
        &None
    }

    fn forward_with(&self, l: usize, params: &Token, below: &Token) -> Result<(Token, Token)> {
        let mu = self.task(Verb::Forward, l, self.layers[l - 1].forward, &[*params, *below])?;
        Ok((mu, mu))
    }

    fn vjp_with(&self, l: usize, params: &Token, at: &Token, e: &Token) -> Result<Token> {
        self.task(Verb::Vjp, l, self.layers[l - 1].vjp, &[*params, *at, *e])
    }

    fn vjp_linear_with(&self, l: usize, params: &Token, at: &Token, e: &Token) -> Result<Token> {
        self.task(Verb::Vjp, l, self.layers[l - 1].vjp_linear, &[*params, *at, *e])
    }

    fn moved(&self, _: usize, params: &Token, _: f64, direction: &Token) -> Result<Token> {
        self.join(&[params, direction])
    }

    fn param_grad(&self, l: usize, at: &Token, e: &Token) -> Result<Token> {
        self.task(Verb::ParamGrad, l, self.layers[l - 1].param_grad, &[*at, *e])
    }

    fn output_error(&self, o: &Token) -> Result<Token> {
        Ok(*o)
    }

    fn add(&self, a: &Token, b: &Token) -> Result<Token> {
        self.join(&[a, b])
    }

    fn sub(&self, a: &Token, b: &Token) -> Result<Token> {
        self.join(&[a, b])
    }

    fn scale(&self, _: f64, a: &Token) -> Result<Token> {
        Ok(*a)
    }

    fn add_scaled(&self, a: &Token, _: f64, b: &Token) -> Result<Token> {
        self.join(&[a, b])
    }
}
