//! The reference engine: one Candle operation after another, any layer, f32 or f64, any device.

use candle_core::Tensor;

use super::{Engine, Learned};
use crate::net::{DataId, Graph, LatentEnergy, Linearization, OutputEnergy, ParamId, Topology, VertexId};
use crate::Result;

/// A network bound to parameters and one batch.
#[derive(Debug, Clone, Copy)]
pub struct Reference<'a> {
    /// Structure.
    pub graph: &'a Graph,
    /// θ.
    pub params: &'a [Tensor],
    /// Inputs and targets.
    pub data: &'a [Tensor],
    /// Learned backward weights where there are any; `None` for the transposed forward weights.
    pub feedback: Option<&'a [Option<Tensor>]>,
}

impl Engine for Reference<'_> {
    super::on_tensors::on_tensors!();

    fn feedback(&self, p: ParamId) -> &Tensor {
        self.feedback.and_then(|own| own[p].as_ref()).unwrap_or(&self.params[p])
    }

    super::on_tensors::by_operations!();
}

impl Reference<'_> {
    /// Energies: π_i Σ φ_i(ε_i) summed over the batch for every latent vertex in order, then the losses. Of a chain that is
    /// one per layer.
    pub fn energies(&self, errors: &[Option<Tensor>], outputs: &[Tensor]) -> Result<Vec<f64>> {
        let topology = self.topology();
        let mut energies = Vec::new();
        for i in topology.latent() {
            let own = |e| energy_of(topology.energy(i), e);
            let sum = errors[i].as_ref().map_or(Ok(0.0), own)?;
            energies.push(topology.precision(i).unwrap_or(1.0) * sum);
        }
        for (term, output) in self.graph.losses().iter().zip(outputs) {
            energies.push(term.loss.value(output, &self.data[term.target])?);
        }
        Ok(energies)
    }

    /// Energies of the end of inference.
    pub fn energy(&self, learned: &Learned<Tensor, Tensor, Tensor>) -> Result<Vec<f64>> {
        self.energies(&learned.errors, &learned.outputs)
    }

    /// As [`energy`](Self::energy) with the multipliers of the augmented Lagrangian: (ρπ_i/2)‖ε_i + λ_i/(ρπ_i)‖² of a latent vertex.
    pub fn augmented_energy(&self, learned: &Learned<Tensor, Tensor, Tensor>, rho: f64) -> Result<Vec<f64>> {
        let topology = self.topology();
        let weight = |i| rho * topology.precision(i).unwrap_or(1.0);
        let mut shifted = learned.errors.clone();
        for (i, multiplier) in learned.multipliers.iter().enumerate() {
            if let (Some(own), Some(e)) = (multiplier, &learned.errors[i]) {
                shifted[i] = Some((e + own.affine(1.0 / weight(i), 0.0)?)?);
            }
        }
        let mut energies = self.energies(&shifted, &learned.outputs)?;
        topology.latent().zip(&mut energies).for_each(|(_, energy)| *energy *= rho);
        Ok(energies)
    }
}

/// Σ φ(ε) in f64, so that f32 errors near 1e-20 do not underflow when squared.
fn energy_of(energy: LatentEnergy, error: &Tensor) -> Result<f64> {
    Ok(energy.tensor(&error.to_dtype(candle_core::DType::F64)?)?.to_scalar::<f64>()?)
}
