//! The reference engine with an optimiser: one Candle operation after another.

use std::sync::Arc;

use candle_core::Tensor;

use super::optimised::Optimised;
use super::{directions_of, Backend, LearnedTensors, State};
use crate::contender::spec::ContenderSpec;
use crate::engine::{unwatched, Watch};
use crate::net::{Graph, ParamId, Params};
use crate::optim::{Directions, Memory, Optimiser};
use crate::rule::Rule;
use crate::Result;

/// A contender on the reference engine.
#[derive(Debug)]
pub struct Candle {
    rule: Rule,
    learning_rate: f64,
    graph: Arc<Graph>,
    state: State,
    optimiser: Box<dyn Optimiser>,
    /// Whether a rule that moves the parameters itself asks the optimiser for each of its steps; else they are of plain descent.
    optimised: bool,
    /// Of the backward weights, if there are any.
    feedback_optimiser: Option<Box<dyn Optimiser>>,
}

impl Candle {
    /// From `start`.
    pub(in crate::contender) fn new(
        spec: &ContenderSpec,
        rule: Rule,
        graph: Arc<Graph>,
        start: State,
    ) -> Self {
        let backward = |table: &Vec<Option<Tensor>>| spec.build_optimiser_of(table.iter().flatten().count());
        let feedback_optimiser = start.feedback.as_ref().map(backward);
        let optimiser = spec.build_optimiser(&graph);
        let (learning_rate, optimised) = (spec.learning_rate, spec.asks_an_optimiser());
        Self { rule, learning_rate, graph, state: start, optimiser, optimised, feedback_optimiser }
    }

    /// Moves the backward weights along the directions of the forward ones.
    fn step_feedback(&mut self, directions: &Directions, batch: usize) -> Result<()> {
        let (Some(optimiser), Some(table)) = (&mut self.feedback_optimiser, &mut self.state.feedback) else {
            return Ok(());
        };
        let ids: Vec<ParamId> = (0..table.len()).filter(|&p| table[p].is_some()).collect();
        let mut own: Params = table.iter().flatten().cloned().collect();
        let along: Directions = ids.iter().map(|&p| directions[p].clone()).collect();
        optimiser.step(&mut own, &along, batch)?;
        ids.into_iter().zip(own).for_each(|(p, moved)| table[p] = Some(moved));
        Ok(())
    }
}

impl Backend for Candle {
    fn update(&mut self, data: &[Tensor]) -> Result<()> {
        if self.rule.moves_parameters() {
            let learned = if self.optimised {
                let engine = Optimised::new(self.state.bind(&self.graph, data), self.optimiser.as_mut());
                self.rule.learn(&engine, &mut unwatched)?
            } else {
                self.learned(&self.rule, data)?
            };
            for (own, new) in self.state.params.iter_mut().zip(learned.params) {
                if let Some(new) = new {
                    *own = new;
                }
            }
            return Ok(());
        }
        let learned = self.learned(&self.rule, data)?;
        let batch = data[0].dim(0)?;
        self.optimiser.step(&mut self.state.params, &learned.directions, batch)?;
        self.step_feedback(&learned.directions, batch)
    }

    fn set_rule(&mut self, rule: Rule) -> Result<()> {
        self.rule = rule;
        Ok(())
    }

    fn set_learning_rate(&mut self, rate: f64) {
        self.learning_rate = rate;
        self.optimiser.set_rate(rate);
        self.feedback_optimiser.iter_mut().for_each(|optimiser| optimiser.set_rate(rate));
    }

    fn memory(&self) -> Result<[Memory; 2]> {
        let feedback = self.feedback_optimiser.as_ref().map(|optimiser| optimiser.memory());
        Ok([self.optimiser.memory(), feedback.unwrap_or_default()])
    }

    fn restore(&mut self, state: State, [own, feedback]: [Memory; 2]) -> Result<()> {
        self.state = state;
        self.optimiser.restore(own)?;
        self.feedback_optimiser.as_mut().map_or(Ok(()), |optimiser| optimiser.restore(feedback))
    }

    fn directions(&self, data: &[Tensor]) -> Result<Directions> {
        let learned = self.learned(&self.rule, data)?;
        directions_of(&self.rule, learned, &self.state.params, self.learning_rate)
    }

    fn state(&self) -> Result<State> {
        Ok(self.state.clone())
    }

    fn learned(&self, rule: &Rule, data: &[Tensor]) -> Result<LearnedTensors> {
        rule.learn(&self.state.bind(&self.graph, data), &mut unwatched)
    }

    fn watch(&self, rule: &Rule, data: &[Tensor], watch: &mut Watch<'_, Tensor>) -> Result<()> {
        rule.learn(&self.state.bind(&self.graph, data), watch).map(drop)
    }
}
