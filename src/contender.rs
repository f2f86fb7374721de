//! Contenders: a rule, a parameterisation, an engine and an optimiser, ready to update weights.

use candle_core::{DType, Device, Tensor};

use crate::engine::autograd::Autograd;
use crate::engine::counting::{Counting, Totals};
use crate::engine::reference::Reference;
use crate::engine::{unwatched, EngineKind};
use crate::net::{Loss, MlpSpec, Network, Params};
use crate::optim::{Directions, Optimiser, OptimiserKind};
use crate::rule::Rule;
use crate::{Error, Result};

/// Everything that defines a contender at a point, besides data.
#[derive(Debug, Clone)]
pub struct ContenderSpec {
    /// Contender id, `rule/engine`.
    pub id: String,
    /// The rule with its steps.
    pub rule: Rule,
    /// Who executes it.
    pub engine: EngineKind,
    /// The network.
    pub network: MlpSpec,
    /// The output energy.
    pub loss: Loss,
    /// The optimiser.
    pub optimiser: OptimiserKind,
    /// α.
    pub learning_rate: f64,
    /// f32 or f64.
    pub dtype: DType,
}

/// A contender with parameters and optimiser state.
#[derive(Debug)]
pub struct Contender {
    spec: ContenderSpec,
    network: Network,
    params: Params,
    optimiser: Box<dyn Optimiser>,
    autograd: Option<Autograd>,
}

impl Contender {
    /// Parameters drawn under `seed`: equal specs and seeds start from the same bits on every device.
    pub fn new(spec: &ContenderSpec, seed: u64, device: &Device) -> Result<Self> {
        let params = spec.network.start(seed, spec.dtype, device)?;
        Self::with_params(spec, params)
    }

    /// Starts from given parameters.
    pub fn with_params(spec: &ContenderSpec, params: Params) -> Result<Self> {
        let autograd = match spec.engine {
            EngineKind::Autograd => Some(Autograd::new(&params)?),
            EngineKind::Reference => None,
        };
        Ok(Self {
            network: Network::mlp(&spec.network)?,
            params,
            optimiser: spec.optimiser.build(spec.learning_rate),
            autograd,
            spec: spec.clone(),
        })
    }

    /// What defines it.
    pub fn spec(&self) -> &ContenderSpec {
        &self.spec
    }

    /// Its network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Its current parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// −∂F/∂θ (−∂loss/∂θ under backpropagation) on a batch, without moving anything.
    pub fn directions(&self, x: &Tensor, y: &Tensor) -> Result<Directions> {
        match &self.autograd {
            Some(autograd) => {
                let (directions, _) = autograd.directions(&self.network, &self.spec.loss, x, y)?;
                Ok(directions.into_iter().map(Some).collect())
            }
            None => {
                let engine = self.bind(x, y);
                Ok(self.spec.rule.learn(&engine, &mut unwatched)?.directions)
            }
        }
    }

    /// One weight update: directions on the batch, then the optimiser.
    pub fn update(&mut self, x: &Tensor, y: &Tensor) -> Result<()> {
        let directions = self.directions(x, y)?;
        self.optimiser.step(&mut self.params, &directions)?;
        if let Some(autograd) = &self.autograd {
            autograd.set(&self.params)?;
        }
        Ok(())
    }

    /// The reference engine on this contender's network and a batch.
    pub fn bind<'a>(&'a self, x: &'a Tensor, y: &'a Tensor) -> Reference<'a> {
        Reference { network: &self.network, params: &self.params, x, y, loss: self.spec.loss }
    }

    /// Sum of all parameters in f64, layer after layer: the checksum of a sample.
    pub fn checksum(&self) -> Result<f64> {
        let mut sum = 0.0;
        for t in self.params.iter().flatten() {
            sum += t.to_dtype(DType::F64)?.sum_all()?.to_scalar::<f64>()?;
        }
        Ok(sum)
    }

    /// [`checksum`](Self::checksum), or [`Error::Diverged`] if it is not finite.
    pub fn finite_checksum(&self) -> Result<f64> {
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
        let predicted = self.network.forward(&self.params, x)?.argmax(1)?.to_vec1::<u32>()?;
        let correct = predicted.iter().zip(labels).filter(|(p, l)| p == l).count();
        Ok(correct as f64 / labels.len().max(1) as f64)
    }
}

impl ContenderSpec {
    /// Work of one weight update's directions, counted by executing the schedule on the counting engine.
    pub fn counted(&self, batch: usize) -> Result<Totals> {
        let network = Network::mlp(&self.network)?;
        let engine = Counting::new(network.costs(batch), (batch * self.network.inputs) as u64, &self.loss);
        self.rule.learn(&engine, &mut unwatched)?;
        Ok(engine.totals())
    }
}
