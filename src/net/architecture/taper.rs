//! Perceptrons whose width halves from layer to layer.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use super::mlp::{chain, MlpSpec};
use super::{Architecture, Kind, Settings};
use crate::net::{host_tensor, Graph, Loss, Params};
use crate::Result;

/// The entry of the table of architectures.
pub const KIND: Kind =
    Kind { name: "taper", about: "a chain of dense layers, each half as wide as the one before", build };

/// The chain of a multilayer perceptron with other widths, and starts of normal numbers.
#[derive(Debug, Clone)]
struct Taper(MlpSpec);

fn build(settings: &Settings) -> Arc<dyn Architecture> {
    Arc::new(Taper(MlpSpec {
        inputs: settings.input.iter().product(),
        width: settings.width,
        outputs: settings.outputs,
        depth: settings.depth,
        activation: settings.activation,
        activation_order: settings.activation_order,
        parameterisation: settings.parameterisation,
        gain: settings.gain,
        bias: settings.bias,
    }))
}

impl Taper {
    fn width(&self, l: usize) -> usize {
        match l {
            0 => self.0.inputs,
            l if l == self.0.depth => self.0.outputs,
            l => (self.0.width >> (l - 1)).max(1),
        }
    }
}

impl Architecture for Taper {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn graph(&self, loss: Loss) -> Result<Graph> {
        let mut layers = self.0.layers();
        for (layer, l) in layers.iter_mut().zip(1..) {
            (layer.inputs, layer.outputs, layer.skip) = (self.width(l - 1), self.width(l), false);
        }
        chain(layers, &[self.0.inputs], loss)
    }

    fn start(&self, seed: u64, dtype: DType, device: &Device) -> Result<Params> {
        use crate::net::rng::{stream, Purpose};
        use rand::RngExt;
        let mut rng = stream(seed, Purpose::VerificationData);
        let graph = self.graph(Loss::HALF_SQUARED_ERROR)?;
        let mut draw = |shape: &[usize]| {
            let n = shape.iter().product();
            let values = (0..n).map(|_| rng.sample::<f64, _>(rand_distr::StandardNormal) / (n as f64).sqrt());
            host_tensor(values.collect(), shape, dtype, device)
        };
        graph.params().iter().map(|p| draw(&p.shape)).collect()
    }

    fn start_feedback(&self, seed: u64, dtype: DType, device: &Device) -> Result<Vec<Option<Tensor>>> {
        Ok(self.start(seed, dtype, device)?.into_iter().map(|p| (p.rank() > 1).then_some(p)).collect())
    }

    fn reduced(&self) -> Arc<dyn Architecture> {
        let MlpSpec { inputs, width, outputs, depth, .. } = self.0;
        let (inputs, width) = (inputs.min(6), width.min(7));
        let (outputs, depth) = (outputs.min(4), depth.min(6));
        Arc::new(Self(MlpSpec { inputs, width, outputs, depth, ..self.0.clone() }))
    }
}
