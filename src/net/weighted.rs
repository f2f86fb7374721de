//! A network with other energies of its latent vertices.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use super::{Architecture, Graph, LatentEnergy, Loss, Params};
use crate::Result;

/// An architecture whose latent vertices all have the energy π Σ φ(ε).
#[derive(Debug, Clone)]
pub struct Weighted {
    /// The network.
    pub of: Arc<dyn Architecture>,
    /// π.
    pub precision: f64,
    /// φ.
    pub energy: LatentEnergy,
}

impl Architecture for Weighted {
    fn kind(&self) -> &'static str {
        self.of.kind()
    }

    fn graph(&self, loss: Loss) -> Result<Graph> {
        Ok(self.of.graph(loss)?.with_energies(|_| (self.precision, self.energy)))
    }

    fn weights_read(&self) -> f64 {
        self.of.weights_read()
    }

    fn start(&self, seed: u64, dtype: DType, device: &Device) -> Result<Params> {
        self.of.start(seed, dtype, device)
    }

    fn start_feedback(&self, seed: u64, dtype: DType, device: &Device) -> Result<Vec<Option<Tensor>>> {
        self.of.start_feedback(seed, dtype, device)
    }

    fn reduced(&self) -> Arc<dyn Architecture> {
        Arc::new(Self { of: self.of.reduced(), ..self.clone() })
    }
}
