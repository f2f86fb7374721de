//! The fused engine with its optimiser: one call per weight update, in place.

pub mod engine;
mod memory;

use candle_core::Tensor;
use pcnbench_kernels::tune::StrategyTable;
use pcnbench_kernels::Schedule;

use self::engine as fused;
use super::{directions_of, Backend, LearnedTensors, State};
use crate::contender::spec::ContenderSpec;
use crate::engine::{Shown, Watch};
use crate::net::{Graph, Loss, Params};
use crate::optim::{Directions, Memory, Optimiser, OptimiserKind};
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
    /// λ of weight decay.
    weight_decay: f64,
    /// Moves the parameters where directions are clipped: all of them have to be there before any parameter moves, which one call for
    /// both does not allow. It is then the optimiser, and `theta` has no state.
    clipping: Option<Box<dyn Optimiser>>,
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
        let clips = spec.regularisation.clip_norm.is_some();
        let state = if clips { 0 } else { optimiser.state_elements(engine.parameters(), depth) };
        let theta = engine.pack(params, state)?;
        if spec.optimiser == OptimiserKind::Mq && !clips {
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
            weight_decay: spec.regularisation.weight_decay,
            clipping: clips.then(|| spec.build_optimiser(graph)),
        })
    }

    /// The parameters, flat.
    fn own(&self) -> Result<Tensor> {
        Ok(self.theta.narrow(0, 0, self.engine.parameters())?)
    }

    fn learn(&self, rule: &Rule, data: &[Tensor], traces: bool) -> Result<LearnedTensors> {
        self.engine.learn(rule, &self.loss, &self.own()?, (&data[0], &data[1]), traces)
    }

    /// Directions in one call, then the optimiser.
    fn update_clipped(&mut self, data: &[Tensor]) -> Result<()> {
        let directions = self.learn(&self.rule, data, false)?.directions;
        let mut moved = self.params.clone();
        if let Some(optimiser) = &mut self.clipping {
            optimiser.step(&mut moved, &directions, data[0].dim(0)?)?;
        }
        self.put(&moved)
    }
}

impl Backend for Fused {
    fn update(&mut self, data: &[Tensor]) -> Result<()> {
        if self.clipping.is_some() {
            return self.update_clipped(data);
        }
        self.updates = self.updates.saturating_add(1);
        let optimiser = fused::optimiser(self.optimiser, self.learning_rate, self.updates);
        let decays = self.weight_decay > 0.0;
        let before = decays.then(|| Ok::<_, crate::Error>(self.own()?.force_contiguous()?)).transpose()?;
        self.engine.train(&self.schedule, &self.loss, optimiser, &self.theta, (&data[0], &data[1]))?;
        if let Some(before) = before {
            let decay = before.affine(self.learning_rate * self.weight_decay, 0.0)?;
            self.theta.slice_set(&(self.own()? - decay)?, 0, 0)?;
        }
        Ok(())
    }

    fn set_learning_rate(&mut self, rate: f64) {
        self.learning_rate = rate;
        self.clipping.iter_mut().for_each(|optimiser| optimiser.set_rate(rate));
    }

    fn memory(&self) -> Result<[Memory; 2]> {
        self.engine.settled()?;
        let own = match &self.clipping {
            Some(optimiser) => optimiser.memory(),
            None => self.kept()?,
        };
        Ok([own, Memory::default()])
    }

    fn restore(&mut self, state: State, [memory, _]: [Memory; 2]) -> Result<()> {
        self.put(&state.params)?;
        match &mut self.clipping {
            Some(optimiser) => optimiser.restore(memory),
            None => self.keep(memory),
        }
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
