//! A chain of layers, its parameters, and the forward pass.

use candle_core::{DType, Device, Tensor};

use super::activation::Activation;
use super::dense::Dense;
use super::layer::{Layer, LayerCost};
use super::parameterisation::{Parameterisation, Position};
use crate::{Error, Result};

/// Parameters of a network: `params[l − 1]` holds the tensors of layer l, `w.l` then `b.l`.
pub type Params = Vec<Vec<Tensor>>;

/// On which side of the weights a hidden layer's activation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Placement {
    /// μ_l = a W φ(v) + …: states are pre-activations (φ_1 is the identity).
    Input,
    /// μ_l = φ(a W v) + …: states are activations; the readout stays linear.
    Output,
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
    pub placement: Placement,
    /// Scalings and start.
    pub parameterisation: Parameterisation,
    /// Factor on the start of the standard parameterisations.
    pub gain: f64,
    /// Whether layers have biases.
    pub bias: bool,
}

/// A chain of layers f_L ∘ … ∘ f_1.
#[derive(Debug)]
pub struct Network {
    layers: Vec<Box<dyn Layer>>,
}

impl Network {
    /// A network of the given layers, first to last.
    pub fn new(layers: Vec<Box<dyn Layer>>) -> Result<Self> {
        if layers.is_empty() {
            return Err(Error::Invalid("a network needs at least one layer (depth 1 or more)".into()));
        }
        Ok(Self { layers })
    }

    /// The layers and initial parameters (row-major f64, one vector per tensor) of a perceptron.
    pub fn mlp(spec: &MlpSpec) -> Result<Self> {
        if spec.depth == 0 || spec.inputs == 0 || spec.outputs == 0 || spec.width == 0 {
            return Err(Error::Invalid(format!(
                "a perceptron needs depth, inputs, width and outputs of at least 1, got {}, {}, {}, {}",
                spec.depth, spec.inputs, spec.width, spec.outputs
            )));
        }
        let layers = (1..=spec.depth).map(|l| -> Box<dyn Layer> { Box::new(spec.dense(l)) }).collect();
        Self::new(layers)
    }

    /// L.
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// Layer l, from 1.
    pub fn layer(&self, l: usize) -> &dyn Layer {
        self.layers[l - 1].as_ref()
    }

    /// All layers, first to last.
    pub fn layers(&self) -> impl Iterator<Item = &dyn Layer> {
        self.layers.iter().map(AsRef::as_ref)
    }

    /// Work of each layer's verbs on a batch.
    pub fn costs(&self, batch: usize) -> Vec<LayerCost> {
        self.layers.iter().map(|layer| layer.cost(batch)).collect()
    }

    /// o = f_L(… f_1(x)), shape `[B, n_L]`.
    pub fn forward(&self, params: &Params, x: &Tensor) -> Result<Tensor> {
        self.layers.iter().zip(params).try_fold(x.clone(), |v, (layer, p)| Ok(layer.forward(p, &v)?.0))
    }
}

impl MlpSpec {
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
            act_in: hidden(self.placement == Placement::Input && l > 1),
            act_out: hidden(self.placement == Placement::Output && l < self.depth),
            scale: self.parameterisation.scale(at),
            skip: self.parameterisation.skip(at),
            bias: self.bias,
        }
    }

    /// Parameters at the start, drawn on the host under `seed`, rounded to `dtype`, on `device`.
    pub fn start(&self, seed: u64, dtype: DType, device: &Device) -> Result<Params> {
        (1..=self.depth)
            .map(|l| {
                let at = self.position(l);
                let w = self.parameterisation.start(at, self.gain, seed);
                let mut tensors = vec![host_tensor(w, &[at.outputs, at.inputs], dtype, device)?];
                if self.bias {
                    let b = self.parameterisation.start_bias(at, seed);
                    tensors.push(host_tensor(b, &[at.outputs], dtype, device)?);
                }
                Ok(tensors)
            })
            .collect()
    }

    /// Backward weights at the start, one tensor per layer and no biases, for rules that learn their own.
    pub fn start_feedback(&self, seed: u64, dtype: DType, device: &Device) -> Result<Params> {
        (1..=self.depth)
            .map(|l| {
                let at = self.position(l);
                let w = self.parameterisation.start_feedback(at, self.gain, seed);
                Ok(vec![host_tensor(w, &[at.outputs, at.inputs], dtype, device)?])
            })
            .collect()
    }
}

/// Host numbers as a tensor: rounded to `dtype` on the host, then copied, so devices get the same bits.
pub fn host_tensor(values: Vec<f64>, shape: &[usize], dtype: DType, device: &Device) -> Result<Tensor> {
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)?.to_device(device)?)
}
