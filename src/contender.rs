//! Contenders: a rule, a parameterisation, an engine and an optimiser, ready to update weights.

pub mod fused;
mod packed;
mod spec;

use candle_core::{DType, Device, Tensor};
use pcnbench_kernels::tune::StrategyTable;

use crate::engine::autograd::Autograd;
use crate::engine::reference::Reference;
use crate::engine::{threads, unwatched, EngineKind, Learned, Shown, Watch};
use crate::net::{Graph, ParamId, Params};
use crate::optim::{Directions, Optimiser, OptimiserKind};
use crate::rule::{Rule, Steps};
use crate::{Error, Result};

use packed::Packed;
pub use spec::ContenderSpec;

/// A contender with parameters and optimiser state.
///
/// A rule that moves the parameters itself (iPC) does so by plain descent with α as its weight step; no
/// optimiser comes after it, so any but SGD is refused rather than ignored. Learned backward weights (AR) are
/// part of the contender: an optimiser of the same kind moves them along the directions of the forward ones.
#[derive(Debug)]
pub struct Contender {
    spec: ContenderSpec,
    rule: Rule,
    graph: Graph,
    params: Params,
    optimiser: Box<dyn Optimiser>,
    feedback: Option<Feedback>,
    autograd: Option<Autograd>,
    packed: Option<Packed>,
}

/// Backward weights with their own optimiser state.
#[derive(Debug)]
struct Feedback {
    /// In the table of parameters, `None` where a parameter carries nothing down.
    weights: Vec<Option<Tensor>>,
    optimiser: Box<dyn Optimiser>,
}

impl Feedback {
    /// Moves the backward weights along the directions of the forward ones.
    fn step(&mut self, directions: &Directions, batch: usize) -> Result<()> {
        let ids: Vec<ParamId> = (0..self.weights.len()).filter(|&p| self.weights[p].is_some()).collect();
        let mut own: Params = self.weights.iter().flatten().cloned().collect();
        let along: Directions = ids.iter().map(|&p| directions[p].clone()).collect();
        self.optimiser.step(&mut own, &along, batch)?;
        ids.into_iter().zip(own).for_each(|(p, moved)| self.weights[p] = Some(moved));
        Ok(())
    }
}

impl Contender {
    /// Parameters drawn under `seed`: equal specs and seeds start from the same bits on every device.
    ///
    /// # Errors
    /// As for [`with_params`](Self::with_params).
    pub fn new(spec: &ContenderSpec, seed: u64, device: &Device) -> Result<Self> {
        let params = spec.network.start(seed, spec.dtype, device)?;
        let mut contender = Self::with_params(spec, params)?;
        if let Some(feedback) = &mut contender.feedback {
            feedback.weights = spec.network.start_feedback(seed, spec.dtype, device)?;
        }
        Ok(contender)
    }

    /// Starts from given parameters; learned backward weights start as the transposed forward ones.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an optimiser other than SGD under a rule that moves the parameters itself, for rounded
    /// operands in another dtype than f32, and for more threads than the process has been given.
    pub fn with_params(spec: &ContenderSpec, mut params: Params) -> Result<Self> {
        spec.engine.check(spec.dtype, false)?;
        let given = pcnbench_kernels::tune::threads();
        if let Some(asked) = spec.threads.filter(|&n| n > given) {
            return Err(Error::Invalid(format!(
                "{} asks for {asked} threads, and this run has {given}: workers that wait for a processor hold up all \
                 others",
                spec.id
            )));
        }
        if spec.rule.moves_parameters() && spec.optimiser != OptimiserKind::Sgd {
            return Err(Error::Invalid(format!(
                "{} moves the parameters itself, by plain descent; its optimiser must be sgd, got {}",
                spec.id, spec.optimiser
            )));
        }
        let autograd = match spec.engine {
            EngineKind::Autograd => Some(Autograd::new(&params)?),
            _ => None,
        };
        let graph = spec.graph()?;
        let packed = spec.engine.is_fused().then(|| Packed::new(spec, &graph, &params)).transpose()?;
        if let Some(packed) = &packed {
            params = packed.engine.unpack(&packed.theta)?;
        }
        let optimiser = |groups| spec.optimiser.build(spec.learning_rate, groups);
        let matrix = |p: &Tensor| (p.rank() > 1).then(|| p.clone());
        let feedback = spec.rule.learns_feedback().then(|| {
            let weights: Vec<Option<Tensor>> = params.iter().map(matrix).collect();
            let alone = (0..weights.iter().flatten().count()).map(|k| vec![k]).collect();
            Feedback { weights, optimiser: optimiser(alone) }
        });
        Ok(Self {
            rule: spec.rule.with_weight_step(spec.learning_rate),
            optimiser: optimiser(graph.topology().groups()),
            graph,
            params,
            feedback,
            autograd,
            packed,
            spec: spec.clone(),
        })
    }

    /// What defines it.
    pub fn spec(&self) -> &ContenderSpec {
        &self.spec
    }

    /// The table that its engine chooses launch strategies by, if it has one.
    pub fn strategies(&self) -> Option<&StrategyTable> {
        self.packed.as_ref().and_then(|packed| packed.engine.strategies())
    }

    /// Its network.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Its current parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Its rule, with the learning rate as the weight step where the rule has one.
    pub fn rule(&self) -> Rule {
        self.rule
    }

    /// Its backward weights in the table of parameters, where the rule learns them.
    pub fn feedback(&self) -> Option<&[Option<Tensor>]> {
        self.feedback.as_ref().map(|f| &f.weights[..])
    }

    /// −∂F/∂θ (−∂loss/∂θ under backpropagation) on a batch, without moving anything.
    ///
    /// For a rule that moves the parameters itself this is the way it would move them over α: the sum of its T
    /// directions, each taken at its own point.
    pub fn directions(&self, x: &Tensor, y: &Tensor) -> Result<Directions> {
        if let Some(autograd) = &self.autograd {
            let (directions, _) = autograd.directions(&self.graph, &[x.clone(), y.clone()])?;
            return Ok(directions.into_iter().map(Some).collect());
        }
        let learned = self.learned(self.rule, x, y, false)?;
        if !self.rule.moves_parameters() {
            return Ok(learned.directions);
        }
        let per_step = 1.0 / self.spec.learning_rate;
        let moved = |(new, old): (Option<Tensor>, &Tensor)| {
            new.map(|new| Ok((new - old)?.affine(per_step, 0.0)?)).transpose()
        };
        learned.params.into_iter().zip(&self.params).map(moved).collect()
    }

    /// One weight update: directions on the batch, then the optimiser. Under a rule that moves the parameters
    /// itself, its T updates instead.
    pub fn update(&mut self, x: &Tensor, y: &Tensor) -> Result<()> {
        threads::limited(self.spec.threads, || self.step(x, y))
    }

    fn step(&mut self, x: &Tensor, y: &Tensor) -> Result<()> {
        if let Some(packed) = &mut self.packed {
            packed.updates = packed.updates.saturating_add(1);
            let optimiser = fused::optimiser(self.spec.optimiser, self.spec.learning_rate, packed.updates);
            return packed.engine.train(&self.rule, &self.spec.loss, optimiser, &packed.theta, (x, y));
        }
        if self.rule.moves_parameters() {
            let moved = self.learned(self.rule, x, y, false)?.params;
            for (own, new) in self.params.iter_mut().zip(moved) {
                if let Some(new) = new {
                    *own = new;
                }
            }
            return Ok(());
        }
        let directions = self.directions(x, y)?;
        let batch = x.dim(0)?;
        self.optimiser.step(&mut self.params, &directions, batch)?;
        if let Some(feedback) = &mut self.feedback {
            feedback.step(&directions, batch)?;
        }
        if let Some(autograd) = &self.autograd {
            autograd.set(&self.params)?;
        }
        Ok(())
    }

    /// What a rule leaves behind on a batch at the present parameters; states and errors only if `traces` on an
    /// engine that can do without.
    fn learned(
        &self,
        rule: Rule,
        x: &Tensor,
        y: &Tensor,
        traces: bool,
    ) -> Result<Learned<Tensor, Tensor, Tensor>> {
        match &self.packed {
            None => rule.learn(&self.bind(&[x.clone(), y.clone()]), &mut unwatched),
            Some(packed) => {
                let theta = packed.theta.narrow(0, 0, packed.engine.parameters())?;
                packed.engine.learn(&rule, &self.spec.loss, &theta, (x, y), traces)
            }
        }
    }

    /// Everything the rule leaves behind on a batch, evaluated after the last step.
    ///
    /// # Errors
    /// If a tensor does not fit. Under autograd, which keeps nothing between loss and parameters, what backpropagation
    /// leaves on the reference engine.
    pub fn evaluate(&self, x: &Tensor, y: &Tensor) -> Result<Learned<Tensor, Tensor, Tensor>> {
        self.learned(self.rule.evaluated(), x, y, true)
    }

    /// Shows errors and output to `watch` at the start and after each inference step.
    ///
    /// A fused engine has nothing to show on the way; it runs once for each number of steps, which ends, to rounding,
    /// where a longer run passes through.
    ///
    /// # Errors
    /// As for [`evaluate`](Self::evaluate), and what `watch` refuses.
    pub fn watch(&self, x: &Tensor, y: &Tensor, watch: &mut Watch<'_, Tensor>) -> Result<()> {
        let rule = self.rule.evaluated();
        if self.packed.is_none() {
            rule.learn(&self.bind(&[x.clone(), y.clone()]), watch)?;
            return Ok(());
        }
        let Some(steps) = rule.steps() else {
            let left = self.learned(rule, x, y, true)?;
            return watch(Shown { step: 0, errors: &left.errors, outputs: &left.outputs });
        };
        for step in 0..=steps.count {
            let left = self.learned(rule.with_steps(Steps { count: step, ..steps }), x, y, true)?;
            watch(Shown { step, errors: &left.errors, outputs: &left.outputs })?;
        }
        Ok(())
    }

    /// The reference engine on this contender's network and a batch.
    pub fn bind<'a>(&'a self, data: &'a [Tensor]) -> Reference<'a> {
        Reference { graph: &self.graph, params: &self.params, data, feedback: self.feedback() }
    }

    /// Sum of all parameters in f64, layer after layer: the checksum of a sample.
    pub fn checksum(&self) -> Result<f64> {
        let mut sum = 0.0;
        for t in self.params.iter() {
            sum += t.to_dtype(DType::F64)?.sum_all()?.to_scalar::<f64>()?;
        }
        Ok(sum)
    }

    /// [`checksum`](Self::checksum), or [`Error::Diverged`] if it is not finite.
    ///
    /// # Errors
    /// Also if a call on a card has waited in vain for a part of itself.
    pub fn finite_checksum(&self) -> Result<f64> {
        if let Some(packed) = &self.packed {
            packed.engine.settled()?;
        }
        let sum = self.checksum()?;
        if sum.is_finite() {
            return Ok(sum);
        }
        let steps = self.spec.rule.steps();
        Err(Error::Diverged {
            rule: self.spec.rule.name().to_owned(),
            quantity: "the sum of the parameters".into(),
            steps: steps.map_or(0, |s| s.count),
            step_size: steps.map_or(0.0, |s| s.size),
        })
    }

    /// Share of rows of `x` whose largest output has the index in `labels`.
    pub fn accuracy(&self, x: &Tensor, labels: &[u32]) -> Result<f64> {
        let values = self.graph.forward(&self.params, std::slice::from_ref(x))?;
        let output = &values[self.graph.losses()[0].vertex];
        let predicted = output.argmax(1)?.to_vec1::<u32>()?;
        let correct = predicted.iter().zip(labels).filter(|(p, l)| p == l).count();
        Ok(correct as f64 / labels.len().max(1) as f64)
    }
}
