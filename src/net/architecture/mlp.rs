//! Multilayer perceptrons: chains of dense layers.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use crate::net::architecture_kind::{ActivationOrder, Architecture, Kind, Settings, AS_WIDE};
use crate::net::layers::dense::layer_cost;
use crate::net::layers::{Activation, Dense};
use crate::net::parameterisation::{Parameterisation, Position};
use crate::net::topology::Source;
use crate::net::{host_tensor, Graph, GraphBuilder, LayerCost, Loss, Params};
use crate::{Error, Result};

/// The entry of the table of architectures.
pub const KIND: Kind = Kind {
    name: "mlp",
    about: "a chain of dense layers of equal width",
    build,
    invented: AS_WIDE,
    depth_is: "weight layers",
};

fn build(settings: &Settings) -> Arc<dyn Architecture> {
    Arc::new(MlpSpec {
        inputs: settings.input.iter().product(),
        width: settings.width,
        outputs: settings.outputs,
        depth: settings.depth,
        activation: settings.activation,
        activation_order: settings.activation_order,
        parameterisation: settings.parameterisation,
        gain: settings.gain,
        bias: settings.bias,
    })
}

/// A multilayer perceptron in words: everything needed to build one from a seed.
#[derive(Debug, Clone, PartialEq)]
pub struct MlpSpec {
    /// D, units of the input.
    pub inputs: usize,
    /// N, units of each hidden layer.
    pub width: usize,
    /// n_L, units of the output.
    pub outputs: usize,
    /// L, weight layers.
    pub depth: usize,
    /// φ of the hidden layers.
    pub activation: Activation,
    /// Where φ stands.
    pub activation_order: ActivationOrder,
    /// Scalings and start.
    pub parameterisation: Parameterisation,
    /// Factor on the start of the standard parameterisations.
    pub gain: f64,
    /// Whether layers have biases.
    pub bias: bool,
}

/// Data tensor 0 of a chain: its input.
pub const X: usize = 0;
/// Data tensor 1 of a chain: the target of its loss.
pub const Y: usize = 1;

/// A chain of dense layers 1..L: vertex l − 1 is layer l, latent with precision 1 but the last, which carries the loss.
/// Parameters are `w.1`, `b.1`, `w.2`, … (biases where there are any); data tensors are `x`, of shape `x` per sample,
/// and `y`.
///
/// # Errors
/// [`Error::Invalid`] for no layers, or layers that do not fit each other.
pub fn chain(layers: Vec<Dense>, x: &[usize], loss: Loss) -> Result<Graph> {
    let (depth, mut graph) = (layers.len(), GraphBuilder::new());
    let Some(outputs) = layers.last().map(|last| last.outputs) else {
        return Err(Error::Invalid("a network needs at least one layer (depth 1 or more)".into()));
    };
    let (mut below, y) = (Source::Data(graph.data("x", x)), graph.data("y", &[outputs]));
    let mut vertex = 0;
    for (layer, l) in layers.into_iter().zip(1..) {
        let shapes = layer.param_shapes();
        let named = shapes.iter().zip(["w", "b"]);
        let params: Vec<_> = named.map(|(shape, kind)| graph.param(&format!("{kind}.{l}"), shape)).collect();
        let precision = (l < depth).then_some(1.0);
        vertex = graph.add(&l.to_string(), Arc::new(layer), &[below], &params, precision)?;
        below = Source::Vertex(vertex);
    }
    graph.loss(vertex, y, loss)?;
    graph.build()
}

impl MlpSpec {
    /// Layers 1..L.
    pub fn layers(&self) -> Vec<Dense> {
        (1..=self.depth).map(|l| self.dense(l)).collect()
    }

    /// Work of each layer's verbs on a batch.
    pub fn costs(&self, batch: usize) -> Vec<LayerCost> {
        self.layers().iter().map(|layer| layer_cost(layer, batch)).collect()
    }

    fn position(&self, l: usize) -> Position {
        Position {
            layer: l,
            depth: self.depth,
            inputs: if l == 1 { self.inputs } else { self.width },
            outputs: if l == self.depth { self.outputs } else { self.width },
        }
    }

    /// Layer l, from 1.
    pub fn dense(&self, l: usize) -> Dense {
        let at = self.position(l);
        let hidden = |yes: bool| if yes { self.activation } else { Activation::Identity };
        Dense {
            inputs: at.inputs,
            outputs: at.outputs,
            act_in: hidden(self.activation_order == ActivationOrder::Pre && l > 1),
            act_out: hidden(self.activation_order == ActivationOrder::Post && l < self.depth),
            scale: self.parameterisation.scale(at),
            skip: self.parameterisation.skip(at),
            bias: self.bias,
        }
    }
}

impl Architecture for MlpSpec {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn graph(&self, loss: Loss) -> Result<Graph> {
        if self.depth == 0 || self.inputs == 0 || self.outputs == 0 || self.width == 0 {
            return Err(Error::Invalid(format!(
                "a perceptron needs depth, inputs, width and outputs of at least 1, got {}, {}, {}, {}",
                self.depth, self.inputs, self.width, self.outputs
            )));
        }
        chain(self.layers(), &[self.inputs], loss)
    }

    fn weights_read(&self) -> f64 {
        let (inputs, width, outputs) = (self.inputs as f64, self.width as f64, self.outputs as f64);
        match self.depth {
            0 | 1 => inputs * outputs,
            depth => inputs * width + (depth - 2) as f64 * width * width + width * outputs,
        }
    }

    fn start(&self, seed: u64, dtype: DType, device: &Device) -> Result<Params> {
        let mut params = Params::new();
        for l in 1..=self.depth {
            let at = self.position(l);
            let w = self.parameterisation.start(at, self.gain, seed);
            params.push(host_tensor(w, &[at.outputs, at.inputs], dtype, device)?);
            if self.bias {
                let b = self.parameterisation.start_bias(at, seed);
                params.push(host_tensor(b, &[at.outputs], dtype, device)?);
            }
        }
        Ok(params)
    }

    fn start_feedback(&self, seed: u64, dtype: DType, device: &Device) -> Result<Vec<Option<Tensor>>> {
        let mut table = Vec::new();
        for l in 1..=self.depth {
            let at = self.position(l);
            let w = self.parameterisation.start_feedback(at, self.gain, seed);
            table.push(Some(host_tensor(w, &[at.outputs, at.inputs], dtype, device)?));
            table.extend(self.bias.then_some(None));
        }
        Ok(table)
    }

    fn reduced(&self) -> Arc<dyn Architecture> {
        Arc::new(Self {
            inputs: self.inputs.min(6),
            width: self.width.min(7),
            outputs: self.outputs.min(4),
            depth: self.depth.min(6),
            ..self.clone()
        })
    }
}
