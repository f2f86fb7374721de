//! Candle's own reverse mode with an optimiser.

use std::sync::Arc;

use candle_core::Tensor;

use super::{Backend, LearnedTensors, State};
use crate::contender::spec::ContenderSpec;
use crate::engine::{autograd, unwatched, Watch};
use crate::net::{Graph, Params};
use crate::optim::{Directions, Memory, Optimiser};
use crate::rule::Rule;
use crate::Result;

/// Backpropagation as a user of Candle would write it.
#[derive(Debug)]
pub struct Autograd {
    graph: Arc<Graph>,
    engine: autograd::Autograd,
    params: Params,
    optimiser: Box<dyn Optimiser>,
}

impl Autograd {
    /// From `params`.
    pub(in crate::contender) fn new(spec: &ContenderSpec, graph: Arc<Graph>, params: Params) -> Result<Self> {
        let optimiser = spec.build_optimiser(&graph);
        Ok(Self { engine: autograd::Autograd::new(&params)?, graph, params, optimiser })
    }
}

impl Backend for Autograd {
    fn update(&mut self, data: &[Tensor]) -> Result<()> {
        let directions = self.directions(data)?;
        self.optimiser.step(&mut self.params, &directions, data[0].dim(0)?)?;
        self.engine.set(&self.params)
    }

    /// Backpropagation has no steps.
    fn set_rule(&mut self, _: Rule) -> Result<()> {
        Ok(())
    }

    fn directions(&self, data: &[Tensor]) -> Result<Directions> {
        let (directions, _) = self.engine.directions(&self.graph, data)?;
        Ok(directions.into_iter().map(Some).collect())
    }

    fn state(&self) -> Result<State> {
        Ok(State { params: self.params.clone(), feedback: None })
    }

    fn set_learning_rate(&mut self, rate: f64) {
        self.optimiser.set_rate(rate);
    }

    fn memory(&self) -> Result<[Memory; 2]> {
        Ok([self.optimiser.memory(), Memory::default()])
    }

    fn restore(&mut self, state: State, [memory, _]: [Memory; 2]) -> Result<()> {
        self.params = state.params;
        self.engine.set(&self.params)?;
        self.optimiser.restore(memory)
    }

    /// What backpropagation leaves on the reference engine, for want of anything between loss and parameters.
    fn learned(&self, rule: &Rule, data: &[Tensor]) -> Result<LearnedTensors> {
        rule.learn(&self.state()?.bind(&self.graph, data), &mut unwatched)
    }

    fn watch(&self, rule: &Rule, data: &[Tensor], watch: &mut Watch<'_, Tensor>) -> Result<()> {
        rule.learn(&self.state()?.bind(&self.graph, data), watch).map(drop)
    }
}
