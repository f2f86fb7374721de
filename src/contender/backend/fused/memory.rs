//! What the optimiser of the fused engine keeps, tensor by tensor as other engines keep it.

use candle_core::Tensor;

use super::Fused;
use crate::net::Params;
use crate::optim::{adam, momentum, mq, Memory, OptimiserKind};
use crate::{Error, Result};

impl Fused {
    /// Overwrites the parameters.
    pub(super) fn put(&self, params: &[Tensor]) -> Result<()> {
        let shapes = |params: &[Tensor]| params.iter().map(|p| p.dims().to_vec()).collect::<Vec<_>>();
        if shapes(params) != shapes(&self.params) {
            return Err(Error::Invalid("the parameters are not of the shapes of this network".into()));
        }
        let flat = params.iter().map(Tensor::flatten_all).collect::<Result<Vec<_>, _>>()?;
        self.theta.slice_set(&Tensor::cat(&flat, 0)?, 0, 0)?;
        Ok(())
    }

    /// The state of the optimiser.
    pub(super) fn kept(&self) -> Result<Memory> {
        let mut tables = Vec::new();
        for (k, name) in self.quantities().iter().enumerate() {
            let own = |table: Params| {
                table.iter().map(|t| Ok(Some(t.force_contiguous()?))).collect::<Result<Vec<_>>>()
            };
            tables.push((*name, own(self.table(k)?)?));
        }
        Ok(Memory { steps: self.updates, tables })
    }

    /// Overwrites the state of the optimiser.
    pub(super) fn keep(&mut self, mut memory: Memory) -> Result<()> {
        for (k, name) in self.quantities().iter().enumerate() {
            let own = self.table(k)?;
            let given = memory.take(name)?;
            if given.len() != own.len() {
                return Err(Error::Invalid(format!(
                    "`{name}` has {} tensors; expected {}",
                    given.len(),
                    own.len()
                )));
            }
            let flat = |(given, own): (Option<Tensor>, &Tensor)| match given {
                Some(given) if given.dims() == own.dims() => Ok(given.flatten_all()?),
                Some(given) => Err(Error::Shape {
                    what: format!("`{name}` of the optimiser"),
                    expected: own.dims().to_vec(),
                    got: given.dims().to_vec(),
                }),
                None => Ok(own.zeros_like()?.flatten_all()?),
            };
            let flat = given.into_iter().zip(&own).map(flat).collect::<Result<Vec<_>>>()?;
            let parameters = self.engine.parameters();
            self.theta.slice_set(&Tensor::cat(&flat, 0)?, 0, parameters + k * parameters)?;
        }
        self.updates = memory.steps;
        Ok(())
    }

    /// What the optimiser keeps, in the order in which it lies behind the parameters.
    fn quantities(&self) -> &'static [&'static str] {
        match self.optimiser {
            OptimiserKind::Sgd => &[],
            OptimiserKind::Momentum => &[momentum::VELOCITY],
            OptimiserKind::Adam => &adam::MOMENTS,
            OptimiserKind::Mq => &[mq::SCALE],
        }
    }

    /// Quantity k as views: by parameter, or of MQ by layer.
    fn table(&self, k: usize) -> Result<Params> {
        let parameters = self.engine.parameters();
        if self.optimiser == OptimiserKind::Mq {
            let layers = self.theta.elem_count() - parameters;
            return (0..layers).map(|l| Ok(self.theta.narrow(0, parameters + l, 1)?.reshape(())?)).collect();
        }
        self.engine.unpack(&self.theta.narrow(0, parameters * (k + 1), parameters)?)
    }
}
