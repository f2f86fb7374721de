//! The fused engine: one call into `pcnbench-kernels` for a whole rule on a stack of dense and residual layers.
//!
//! It runs the schedules of the rules, not their code: what ties the two together are the conformance cases, the
//! differential tests and the property tests that compare them on random networks.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor, WithDType};
use pcnbench_kernels as kernels;
use pcnbench_kernels::persistent::{spc_step, DeviceModel};

use crate::contender::spec::ContenderSpec;
use crate::engine::rounded::Rounded;
use crate::engine::{unwatched, EngineKind, Learned};
use crate::net::architecture::mlp::chain;
use crate::net::{Dense, Loss, Params};
use crate::optim::{self, OptimiserKind};
use crate::rule::{Ar, Feedback, Fpa, Ipc, Method, Momentum, Nodes, Rule, SeqIl, Spc, Sweep, Zil};
use crate::{Error, Result};

/// A fused engine for one network.
#[derive(Debug)]
pub struct Fused {
    engine: kernels::Fused,
    deviation: bool,
}

impl Fused {
    /// An engine for a chain of `layers` on `threads` CPU threads (default: [`kernels::tune::threads`]); `kind` says
    /// how states are stored and operands rounded.
    ///
    /// # Errors
    /// If neighbouring layers do not fit each other, an activation is not built into the kernels, or the threads cannot
    /// be started.
    pub fn new(layers: Vec<Dense>, kind: EngineKind, threads: Option<usize>) -> Result<Self> {
        let stack = kernels::Stack::new(layers)?;
        let engine = kernels::Fused::new(stack, threads.unwrap_or_else(kernels::tune::threads))?;
        let engine = engine.with_math(kind.operands());
        Ok(Self { engine, deviation: kind == EngineKind::FusedDeviation })
    }

    /// The same on the launch strategies of a table; see [`kernels::Fused::with_strategies`].
    #[must_use]
    pub fn with_strategies(self, strategies: Option<Arc<kernels::tune::StrategyTable>>) -> Self {
        Self { engine: self.engine.with_strategies(strategies), ..self }
    }

    /// The table that its launch strategies are chosen by, if it has one.
    pub fn strategies(&self) -> Option<&kernels::tune::StrategyTable> {
        self.engine.strategies()
    }

    /// Elements of the flat parameter tensor.
    pub fn parameters(&self) -> usize {
        self.engine.stack().parameters()
    }

    /// Parameters as one flat tensor, with `state` zeros behind them; on the CPU it starts on a cache line.
    pub fn pack(&self, params: &[Tensor], state: usize) -> Result<Tensor> {
        let mut parts = params.iter().map(Tensor::flatten_all).collect::<Result<Vec<_>, _>>()?;
        if state > 0 {
            let first = parts.first().ok_or_else(|| Error::Invalid("a network without parameters".into()))?;
            parts.push(Tensor::zeros(state, first.dtype(), first.device())?);
        }
        let flat = Tensor::cat(&parts, 0)?;
        Ok(match flat.dtype() {
            DType::F32 if flat.device().is_cpu() => aligned::<f32>(&flat)?,
            DType::F64 if flat.device().is_cpu() => aligned::<f64>(&flat)?,
            _ => flat,
        })
    }

    /// The parameters in a flat tensor, layer by layer; views that share its memory.
    pub fn unpack(&self, theta: &Tensor) -> Result<Params> {
        let stack = self.engine.stack();
        let mut params = Params::new();
        for l in 1..=stack.depth() {
            let (w, b) = (stack.weights(l), stack.biases(l));
            params.push(theta.narrow(0, w.start, w.len())?.reshape((stack.units(l), stack.units(l - 1)))?);
            if stack.layer(l).bias {
                params.push(theta.narrow(0, b.start, b.len())?);
            }
        }
        Ok(params)
    }

    /// Waits for calls on a GPU whose blocks wait for one another.
    ///
    /// # Errors
    /// If one has done so in vain: layer, step and for how long.
    pub fn settled(&self) -> Result<()> {
        Ok(self.engine.settled()?)
    }

    /// What a rule leaves behind where there are no tensor cores to read its operands.
    fn imitated(
        &self,
        rule: &Rule,
        loss: &Loss,
        theta: &Tensor,
        (x, y): (&Tensor, &Tensor),
    ) -> Result<Learned<Tensor, Tensor, Tensor>> {
        let params = self.unpack(theta)?;
        let (layers, operands) = (self.engine.stack().layers(), self.engine.math());
        let graph = chain(layers.to_vec(), &x.dims()[1..], *loss)?;
        let data = [x.clone(), y.clone()];
        rule.learn(&Rounded { graph: &graph, layers, params: &params, data: &data, operands }, &mut unwatched)
    }

    /// What a rule leaves behind on a batch; states and errors only if `traces`, else none.
    ///
    /// On the CPU an engine whose products round their operands imitates a GPU ([`Rounded`]).
    ///
    /// # Errors
    /// If the engine does not run the rule, or a tensor does not fit.
    pub fn learn(
        &self,
        rule: &Rule,
        loss: &Loss,
        theta: &Tensor,
        batch: (&Tensor, &Tensor),
        traces: bool,
    ) -> Result<Learned<Tensor, Tensor, Tensor>> {
        let schedule = self.schedule(rule)?;
        let (x, y) = (rows(batch.0)?, rows(batch.1)?);
        if theta.device().is_cpu() && self.engine.math() != kernels::MathMode::F32 {
            return self.imitated(rule, loss, theta, (&x, &y));
        }
        let learned = self.engine.learn(&schedule, *loss, theta, (&x, &y), traces)?;
        self.settled()?;
        let (mut states, errors) = learned.traces.unwrap_or_default();
        if traces {
            states.push(learned.output.clone());
        }
        let errors = errors.into_iter().map(Some).collect();
        let theta: Vec<Option<Tensor>> = self.unpack(&learned.theta)?.into_iter().map(Some).collect();
        let none = vec![None; theta.len()];
        let (directions, params) = if rule.moves_parameters() { (none, theta) } else { (theta, none) };
        Ok(Learned {
            states,
            outputs: vec![learned.output],
            errors,
            multipliers: Vec::new(),
            directions,
            params,
        })
    }

    /// One weight update of `theta` (with the optimiser's state behind it) in place, on a
    /// [`schedule`](Self::schedule) of this engine.
    ///
    /// # Errors
    /// If a tensor does not fit.
    pub fn train(
        &self,
        schedule: &kernels::Schedule,
        loss: &Loss,
        optimiser: kernels::Optimiser,
        theta: &Tensor,
        batch: (&Tensor, &Tensor),
    ) -> Result<()> {
        let (x, y) = (rows(batch.0)?, rows(batch.1)?);
        Ok(self.engine.train(schedule, *loss, optimiser, theta, (&x, &y))?)
    }

    /// A rule's schedule, with the size of every step.
    ///
    /// # Errors
    /// If the engine does not run the rule.
    pub fn schedule(&self, rule: &Rule) -> Result<kernels::Schedule> {
        schedule(rule, self.deviation)
    }
}

/// Refuses a network that the kernels do not have: one that is no stack of layers, another activation or loss.
///
/// # Errors
/// [`Error::Invalid`] naming the vertex, the activation or the loss.
pub fn check(spec: &ContenderSpec) -> Result<()> {
    stack(spec)?;
    // refused for its kind, whatever the batch
    spec.loss.on(1, 1)?;
    Ok(())
}

fn stack(contender: &ContenderSpec) -> Result<kernels::Stack> {
    Ok(kernels::Stack::new(contender.network.graph(contender.loss)?.as_stack()?)?)
}

/// Seconds that a model of a GPU, not a measurement, gives a step of sPC in one launch for all steps; `None` for other
/// rules, other engines, f64, and networks that do not fit.
///
/// # Errors
/// If neighbouring layers do not fit each other.
pub fn predicted_step(spec: &ContenderSpec, batch: usize, device: &DeviceModel) -> Result<Option<f64>> {
    let resident =
        matches!(spec.id.engine, EngineKind::Fused | EngineKind::FusedTf32x3 | EngineKind::FusedTf32);
    let is_descent = matches!(spec.rule, Rule::Spc(spc) if spc.steps.method == Method::Plain);
    let stacked = spec.network.graph(spec.loss)?.as_stack().is_ok();
    if !resident || !stacked || !is_descent || spec.dtype != DType::F32 {
        return Ok(None);
    }
    Ok(spc_step(&stack(spec)?, batch, spec.id.engine.operands(), device))
}

/// On which launch strategy a contender runs on a GPU, and by what it was chosen; none on the CPU.
///
/// # Errors
/// If the engine does not run the rule, or the device does not answer.
pub fn strategy(
    spec: &ContenderSpec,
    batch: usize,
    device: &Device,
) -> Result<Option<kernels::tune::Choice>> {
    let (stack, schedule) = (stack(spec)?, schedule(&spec.rule, false)?);
    let (kind, table) = ((spec.dtype, spec.id.engine.operands()), spec.strategies.as_deref());
    Ok(kernels::device::strategy(device, &stack, &schedule, batch, kind, table)?)
}

fn schedule(rule: &Rule, deviation: bool) -> Result<kernels::Schedule> {
    use kernels::Rule as To;
    let to = match *rule {
        Rule::Bp(_) => To::Bp,
        Rule::Zil(Zil { nodes: Nodes::Frontier }) => To::Zil,
        Rule::Spc(Spc { light_cone, spike: false, even_odd: false, steps }) if steps.method.is_linear() => {
            To::Spc { light_cone, deviation }
        }
        Rule::Epc(epc) if epc.steps.method.is_linear() => To::Epc,
        Rule::Fpa(Fpa { light_cone, nested: false, .. }) => To::Fpa { light_cone },
        Rule::SeqIl(SeqIl { mixing, .. }) => To::SeqIl { mixing: mixing.map_or(1.0, |b| b / (1.0 + b)) },
        Rule::Ipc(Ipc { weight_step, light_cone, evaluate, .. }) => {
            To::Ipc { light_cone, weight_step, evaluate }
        }
        Rule::Ar(Ar { sweep, feedback: Feedback::Transposed, derivatives: true, .. }) => {
            To::Ar { top_down: sweep == Sweep::TopDown }
        }
        _ => return Err(Error::Invalid(format!("the fused engine does not run rule {rule}"))),
    };
    let Some(own) = rule.steps() else { return Ok(kernels::Schedule::new(to, vec![])) };
    let steps = (0..own.count).map(|t| own.size(t)).collect();
    let by_step = |t| {
        let Momentum { beta, direct, carried } = own.momentum(t)?;
        Some(kernels::Momentum { beta, direct, carried })
    };
    // methods are of these two; other rules descend plainly
    let momentum = match to {
        To::Spc { .. } | To::Epc => (0..own.count).filter_map(by_step).collect(),
        _ => vec![],
    };
    Ok(kernels::Schedule { momentum, ..kernels::Schedule::new(to, steps) })
}

/// The optimiser of update number `update` (from 1).
pub fn optimiser(kind: OptimiserKind, rate: f64, update: u64) -> kernels::Optimiser {
    use kernels::Optimiser as To;
    match kind {
        OptimiserKind::Sgd => To::Sgd { rate },
        OptimiserKind::Momentum => To::Momentum { rate, mu: optim::momentum::MU },
        OptimiserKind::Adam => To::Adam {
            rate,
            betas: (optim::adam::BETA1, optim::adam::BETA2),
            epsilon: optim::adam::EPSILON,
            update: i32::try_from(update).unwrap_or(i32::MAX),
        },
        OptimiserKind::Mq => To::Mq {
            rate,
            min_rate: optim::mq::MIN_RATE,
            r: optim::mq::R,
            decay: (update as f64 / (update as f64 + 1.0)).min(optim::mq::MAX_DECAY_DENSE),
        },
    }
}

/// `[B, n]`, contiguous: each sample as one row, whatever its shape.
fn rows(t: &Tensor) -> Result<Tensor> {
    let batch = t.dim(0)?;
    let flat = if t.rank() == 2 { t.clone() } else { t.reshape((batch, t.elem_count() / batch.max(1)))? };
    Ok(flat.contiguous()?)
}

/// A copy of a flat tensor on the CPU that starts on a cache line. An allocator promises 16 bytes, and parameters that
/// lie across lines make calls on several threads slower, by as much in every round of a run and by another in the next
/// run.
fn aligned<T: WithDType>(flat: &Tensor) -> Result<Tensor> {
    const LINE: usize = 64;
    let values = flat.to_vec1::<T>()?;
    let room = LINE / std::mem::size_of::<T>();
    let mut memory = vec![T::zero(); values.len() + room];
    let start = memory.as_ptr().align_offset(LINE).min(room);
    memory[start..start + values.len()].copy_from_slice(&values);
    let total = memory.len();
    Ok(Tensor::from_vec(memory, total, flat.device())?.narrow(0, start, values.len())?)
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
