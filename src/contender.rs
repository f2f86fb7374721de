//! Contenders: a rule, a network, an engine and an optimiser, ready to update weights.

pub mod backend;
pub mod id;
pub mod spec;
pub mod stable_step;

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use pcnbench_kernels::tune::StrategyTable;

use crate::engine::threads::{self, Limit};
use crate::engine::{EngineKind, Watch};
use crate::net::{Graph, Params};
use crate::optim::{Directions, Memory};
use crate::rule::{Method, Rule, StepUnit, Steps};
use crate::{Error, Result};

pub use backend::{Backend, LearnedTensors, State};
pub use id::ContenderId;
pub use spec::ContenderSpec;
use stable_step::{Found, StableStep};

/// Everything that decides the updates that follow, besides the batches; tensors may share memory with the contender's.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// What it has learned.
    pub state: State,
    /// What the optimisers of parameters and of backward weights keep.
    pub memory: [Memory; 2],
    /// Where the next search for the largest stable step begins, of a rule that has one and has updated.
    pub search: Option<[Vec<f64>; 2]>,
}

/// A contender with parameters and optimiser state.
///
/// A rule that moves the parameters itself (iPC) does so by plain descent with α as its weight step; no
/// optimiser comes after it, so any but SGD is refused rather than ignored. Learned backward weights (AR) are
/// part of the contender: an optimiser of the same kind moves them along the directions of the forward ones.
///
/// A batch is the data tensors of its network, in their order: of a chain input and target.
#[derive(Debug)]
pub struct Contender {
    spec: ContenderSpec,
    rule: Rule,
    graph: Arc<Graph>,
    backend: Box<dyn Backend>,
    /// Of a rule whose step follows the curvature.
    stable_step: Option<StableStep>,
    /// The rule of the last update.
    last: Rule,
    learning_rate: f64,
}

impl Contender {
    /// Parameters drawn under `seed`: equal specs and seeds start from the same bits on every device.
    ///
    /// # Errors
    /// As for [`with_params`](Self::with_params).
    pub fn new(spec: &ContenderSpec, seed: u64, device: &Device) -> Result<Self> {
        let params = spec.network.start(seed, spec.dtype, device)?;
        let feedback =
            spec.rule.learns_feedback().then(|| spec.network.start_feedback(seed, spec.dtype, device));
        Self::from_state(spec, State { params, feedback: feedback.transpose()? })
    }

    /// Starts from given parameters; learned backward weights start as the transposed forward ones.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an optimiser other than SGD under a rule that moves the parameters itself, for rounded
    /// operands in another dtype than f32, and for more threads than the process has been given.
    pub fn with_params(spec: &ContenderSpec, params: Params) -> Result<Self> {
        let matrix = |p: &Tensor| (p.rank() > 1).then(|| p.clone());
        let feedback = spec.rule.learns_feedback().then(|| params.iter().map(matrix).collect());
        Self::from_state(spec, State { params, feedback })
    }

    fn from_state(spec: &ContenderSpec, start: State) -> Result<Self> {
        spec.id.engine.check(spec.dtype, false)?;
        ends_where_asked(spec)?;
        let given = pcnbench_kernels::tune::threads();
        if let Some(asked) = spec.id.threads.filter(|&n| n > given) {
            return Err(Error::Invalid(format!(
                "{} asks for {asked} threads, and this run has {given}: workers that wait for a processor hold up all \
                 others",
                spec.id
            )));
        }
        if spec.rule.moves_parameters() && spec.asks_an_optimiser() && spec.id.engine.is_fused() {
            return Err(Error::Invalid(format!(
                "{} moves the parameters itself, in every step of inference and by plain descent; for {}, weight decay or clipping use \
                 {}/reference",
                spec.id, spec.optimiser, spec.id.rule
            )));
        }
        let rule = spec.rule.with_weight_step(spec.learning_rate);
        let graph = Arc::new(spec.graph()?);
        let backend = build(spec, rule, &graph, start)?;
        let infers = graph.topology().latent().next().is_some();
        let follows = rule.steps().filter(|steps| infers && steps.unit == StepUnit::Stable);
        let search = |steps: Steps| Some(StableStep::new(rule.descends()?, steps.method));
        let stable_step = follows.and_then(search);
        let learning_rate = spec.learning_rate;
        Ok(Self { spec: spec.clone(), rule, graph, backend, stable_step, last: rule, learning_rate })
    }

    /// What defines it.
    pub fn spec(&self) -> &ContenderSpec {
        &self.spec
    }

    /// The table that its engine chooses launch strategies by, if it has one.
    pub fn strategies(&self) -> Option<&StrategyTable> {
        self.backend.strategies()
    }

    /// Its network.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Its rule, with the learning rate as the weight step where the rule has one.
    pub fn rule(&self) -> Rule {
        self.rule
    }

    /// The learning rate of the next update.
    pub fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    /// Sets the learning rate α of the updates that follow: the weight step of a rule that moves the parameters itself.
    ///
    /// # Errors
    /// If the engine does not run the rule.
    pub fn set_learning_rate(&mut self, rate: f64) -> Result<()> {
        self.rule = self.rule.with_weight_step(rate);
        if self.rule.moves_parameters() {
            self.last = self.last.with_weight_step(rate);
            self.backend.set_rule(self.last)?;
        }
        self.backend.set_learning_rate(rate);
        self.learning_rate = rate;
        Ok(())
    }

    /// Everything that decides the updates that follow, besides the batches.
    ///
    /// # Errors
    /// If a call on a GPU did not end.
    pub fn snapshot(&self) -> Result<Snapshot> {
        Ok(Snapshot {
            state: self.backend.state()?,
            memory: self.backend.memory()?,
            search: self.stable_step.as_ref().and_then(StableStep::found),
        })
    }

    /// Goes on from the snapshot of a contender of the same spec.
    ///
    /// # Errors
    /// If a tensor or a quantity is missing or does not fit.
    pub fn restore(&mut self, snapshot: Snapshot) -> Result<()> {
        self.backend.restore(snapshot.state, snapshot.memory)?;
        self.stable_step.iter_mut().for_each(|search| search.go_on_from(snapshot.search.clone()));
        Ok(())
    }

    /// Bytes of what its optimisers keep from update to update, and of the parameters that these move.
    ///
    /// # Errors
    /// If a call on a GPU did not end.
    pub fn bytes(&self) -> Result<(usize, usize)> {
        let State { params, feedback, .. } = self.backend.state()?;
        let moved = params.iter().chain(feedback.iter().flatten().flatten());
        let parameters = moved.map(|p| p.elem_count() * p.dtype().size_in_bytes()).sum();
        Ok((self.backend.memory()?.iter().map(Memory::bytes).sum(), parameters))
    }

    /// What it has learned so far.
    ///
    /// # Errors
    /// If a call on a GPU did not end.
    pub fn state(&self) -> Result<State> {
        self.backend.state()
    }

    /// Holds Candle to the threads that the contender asks for; see [`threads::limit`]. A fused engine has workers of its
    /// own, and nothing changes unless the contender searches for its step, which Candle does.
    pub fn limit_threads(&self) -> Limit {
        let by_candle = !self.spec.id.engine.is_fused() || self.stable_step.is_some();
        let own = self.spec.id.threads.filter(|_| by_candle);
        threads::limit(own)
    }

    /// One weight update; see [`Backend::update`].
    ///
    /// # Errors
    /// If a tensor does not fit.
    pub fn update(&mut self, data: &[Tensor]) -> Result<()> {
        if let Some(search) = &mut self.stable_step {
            let found = search.find(&self.backend.state()?, &self.graph, data)?;
            self.last = in_steps(self.rule, found);
            self.backend.set_rule(self.last)?;
        }
        self.backend.update(data)
    }

    /// The rule of the last update, with the step that it took.
    pub fn last_rule(&self) -> Rule {
        self.last
    }

    /// The rule as it runs on a batch: with the step that it finds there, if it finds one.
    ///
    /// # Errors
    /// As for [`StableStep::find`].
    pub fn rule_on(&self, data: &[Tensor]) -> Result<Rule> {
        let Some(search) = &self.stable_step else { return Ok(self.rule) };
        // from the fixed vector, so that it does not depend on the updates before
        let mut search = search.clone_anew();
        Ok(in_steps(self.rule, search.find(&self.backend.state()?, &self.graph, data)?))
    }

    /// The direction in which the parameters would move; see [`Backend::directions`].
    ///
    /// # Errors
    /// If a tensor does not fit.
    pub fn directions(&self, data: &[Tensor]) -> Result<Directions> {
        match &self.stable_step {
            None => self.backend.directions(data),
            Some(_) => {
                let rule = self.rule_on(data)?;
                let learned = self.backend.learned(&rule, data)?;
                backend::directions_of(&rule, learned, &self.backend.state()?.params, self.learning_rate)
            }
        }
    }

    /// Everything the rule leaves on a batch, evaluated after the last step.
    ///
    /// # Errors
    /// If a tensor does not fit.
    pub fn evaluate(&self, data: &[Tensor]) -> Result<LearnedTensors> {
        self.backend.learned(&self.rule_on(data)?.evaluated(), data)
    }

    /// Shows errors and outputs to `watch` at the start and after each inference step.
    ///
    /// # Errors
    /// As for [`evaluate`](Self::evaluate), and what `watch` refuses.
    pub fn watch(&self, data: &[Tensor], watch: &mut Watch<'_, Tensor>) -> Result<()> {
        self.backend.watch(&self.rule_on(data)?.evaluated(), data, watch)
    }

    /// Sum of all parameters in f64, one after another: the checksum of a sample.
    ///
    /// # Errors
    /// [`Error::Diverged`] if it is not finite, and if a call on a GPU did not end.
    pub fn checksum(&self) -> Result<f64> {
        let mut sum = 0.0;
        for t in self.state()?.params {
            sum += t.to_dtype(DType::F64)?.sum_all()?.to_scalar::<f64>()?;
        }
        if sum.is_finite() {
            return Ok(sum);
        }
        let steps = self.last.steps();
        Err(Error::Diverged {
            rule: self.spec.rule.name().to_owned(),
            quantity: "the sum of the parameters".into(),
            steps: steps.map_or(0, |s| s.count),
            step_size: steps.map_or(0.0, |s| s.size),
        })
    }

    /// Share of rows of `x` whose largest output has the index in `labels`.
    ///
    /// # Errors
    /// If a tensor does not fit.
    pub fn accuracy(&self, x: &Tensor, labels: &[u32]) -> Result<f64> {
        let values = self.graph.forward(&self.state()?.params, std::slice::from_ref(x))?;
        let output = &values[self.graph.losses()[0].vertex];
        let predicted = output.argmax(1)?.to_vec1::<u32>()?;
        let correct = predicted.iter().zip(labels).filter(|(p, l)| p == l).count();
        Ok(correct as f64 / labels.len().max(1) as f64)
    }
}

/// A rule whose step is a share of the largest stable one, with the step that this makes.
fn in_steps(rule: Rule, found: Found) -> Rule {
    match rule.steps() {
        Some(steps) => rule.with_steps(steps.found(found.stable, found.smallest)),
        None => rule,
    }
}

/// Refuses a contender whose engine does not run its network, loss or rule on the device, and a network that cannot be built.
///
/// # Errors
/// [`Error::Invalid`] naming the vertex, the loss or the rule.
pub fn check(spec: &ContenderSpec, on_gpu: bool) -> Result<()> {
    let graph = spec.graph()?;
    ends_where_asked(spec)?;
    let carries = spec.rule.steps().is_some_and(|steps| steps.method != Method::Plain);
    if on_gpu && spec.id.engine.is_fused() && carries {
        return Err(Error::Invalid(format!(
            "{} carries momentum from step to step, which engine {} does not have on a GPU; use engine reference or --device cpu",
            spec.rule, spec.id.engine
        )));
    }
    let searches = spec.rule.steps().is_some_and(|steps| steps.unit == StepUnit::Stable);
    if on_gpu && spec.id.engine.is_fused() && searches {
        return Err(Error::Invalid(format!(
            "{} gets another step before every update, for which engine {} would plan its launches anew on a GPU; use engine \
             reference or --device cpu",
            spec.rule, spec.id.engine
        )));
    }
    match spec.id.engine {
        EngineKind::Reference | EngineKind::Autograd => Ok(()),
        EngineKind::Fused if graph.as_stack().is_err() && graph.is_dense() => graph.as_stack().map(drop),
        EngineKind::Fused if graph.as_stack().is_err() => backend::chunk::check(spec, on_gpu),
        _ => backend::fused::engine::check(spec),
    }
}

/// Refuses a bound on the residual where inference would take all steps all the same.
fn ends_where_asked(spec: &ContenderSpec) -> Result<()> {
    let ends = spec.rule.steps().is_some_and(|steps| steps.residual > 0.0);
    if ends && !(spec.rule.ends_at_residual() && spec.id.engine == EngineKind::Reference) {
        return Err(Error::Invalid(format!(
            "{} takes all steps; only sPC and ePC on engine reference end at a residual, without -spike and -evenodd; use residual = [0]",
            spec.id
        )));
    }
    Ok(())
}

/// The backend of a contender, from `start`.
///
/// # Errors
/// If the engine does not take the network, the rule or the dtype.
fn build(spec: &ContenderSpec, rule: Rule, graph: &Arc<Graph>, start: State) -> Result<Box<dyn Backend>> {
    let graph = Arc::clone(graph);
    Ok(match spec.id.engine {
        EngineKind::Reference => Box::new(backend::candle::Candle::new(spec, rule, graph, start)),
        EngineKind::Fused if graph.as_stack().is_err() => {
            Box::new(backend::chunk::Chunks::new(spec, rule, graph, start.params)?)
        }
        EngineKind::Autograd => Box::new(backend::autograd::Autograd::new(spec, graph, start.params)?),
        EngineKind::Fused
        | EngineKind::FusedDeviation
        | EngineKind::FusedTf32x3
        | EngineKind::FusedTf32
        | EngineKind::FusedBf16 => Box::new(backend::fused::Fused::new(spec, rule, &graph, &start.params)?),
    })
}
