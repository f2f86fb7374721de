//! The fused engine with its optimiser: one call per weight update, in place.

pub mod engine;

use candle_core::Tensor;
use pcnbench_kernels::tune::StrategyTable;
use pcnbench_kernels::Schedule;

use self::engine as fused;
use super::{directions_of, Backend, LearnedTensors, State};
use crate::contender::spec::ContenderSpec;
use crate::engine::{Shown, Watch};
use crate::net::{Graph, Loss, Params};
use crate::optim::{Directions, OptimiserKind};
use crate::rule::{Rule, Steps};
use crate::Result;

/// A contender on the fused engine.
#[derive(Debug)]
pub struct Fused {
    engine: fused::Fused,
    rule: Rule,
    /// The rule's, laid out once: nothing of it is made anew in an update.
    schedule: Schedule,
    loss: Loss,
    optimiser: OptimiserKind,
    learning_rate: f64,
    /// Parameters, then the optimiser's state.
    theta: Tensor,
    /// Views of `theta`.
    params: Params,
    updates: u64,
}

impl Fused {
    /// From `params`.
    ///
    /// # Errors
    /// If the network is no stack of layers, or the engine does not run the rule.
    pub(in crate::contender) fn new(
        spec: &ContenderSpec,
        rule: Rule,
        graph: &Graph,
        params: &[Tensor],
    ) -> Result<Self> {
        let layers = graph.as_stack()?;
        let depth = layers.len();
        let engine = fused::Fused::new(layers, spec.id.engine, spec.id.threads)?
            .with_strategies(spec.strategies.clone());
        let optimiser = fused::optimiser(spec.optimiser, spec.learning_rate, 1);
        let state = optimiser.state_elements(engine.parameters(), depth);
        let theta = engine.pack(params, state)?;
        if spec.optimiser == OptimiserKind::Mq {
            let start = Tensor::full(spec.learning_rate, state, theta.device())?.to_dtype(theta.dtype())?;
            theta.slice_set(&start, 0, engine.parameters())?;
        }
        Ok(Self {
            schedule: engine.schedule(&rule)?,
            params: engine.unpack(&theta)?,
            engine,
            rule,
            loss: graph.losses()[0].loss,
            optimiser: spec.optimiser,
            learning_rate: spec.learning_rate,
            theta,
            updates: 0,
        })
    }

    fn learn(&self, rule: &Rule, data: &[Tensor], traces: bool) -> Result<LearnedTensors> {
        let theta = self.theta.narrow(0, 0, self.engine.parameters())?;
        self.engine.learn(rule, &self.loss, &theta, (&data[0], &data[1]), traces)
    }
}

impl Backend for Fused {
    fn update(&mut self, data: &[Tensor]) -> Result<()> {
        self.updates = self.updates.saturating_add(1);
        let optimiser = fused::optimiser(self.optimiser, self.learning_rate, self.updates);
        self.engine.train(&self.schedule, &self.loss, optimiser, &self.theta, (&data[0], &data[1]))
    }

    fn set_rule(&mut self, rule: Rule) -> Result<()> {
        self.schedule = self.engine.schedule(&rule)?;
        self.rule = rule;
        Ok(())
    }

    fn directions(&self, data: &[Tensor]) -> Result<Directions> {
        let learned = self.learn(&self.rule, data, false)?;
        directions_of(&self.rule, learned, &self.params, self.learning_rate)
    }

    fn state(&self) -> Result<State> {
        self.engine.settled()?;
        Ok(State { params: self.params.clone(), feedback: None })
    }

    fn learned(&self, rule: &Rule, data: &[Tensor]) -> Result<LearnedTensors> {
        self.learn(rule, data, true)
    }

    /// The engine has nothing to show on the way; it runs once for each number of steps, which ends, to rounding, where
    /// a longer run passes through.
    fn watch(&self, rule: &Rule, data: &[Tensor], watch: &mut Watch<'_, Tensor>) -> Result<()> {
        let Some(steps) = rule.steps() else {
            let left = self.learned(rule, data)?;
            return watch(Shown {
                step: 0,
                errors: &left.errors,
                outputs: &left.outputs,
                multipliers: &left.multipliers,
            });
        };
        for step in 0..=steps.count {
            let left = self.learned(&rule.with_steps(Steps { count: step, ..steps }), data)?;
            watch(Shown {
                step,
                errors: &left.errors,
                outputs: &left.outputs,
                multipliers: &left.multipliers,
            })?;
        }
        Ok(())
    }

    fn strategies(&self) -> Option<&StrategyTable> {
        self.engine.strategies()
    }
}
