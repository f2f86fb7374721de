//! Backpropagation as Candle offers it: build the loss, call `backward`.
//!
//! Candle's autograd fills a zero tensor and adds into it on every edge, so it is not a neutral baseline;
//! it is here because it is what a Candle user would write, next to the hand-written `bp/reference`.

use candle_core::{Tensor, Var};

use crate::net::{Loss, Network, Params};
use crate::Result;

/// Loss gradients by reverse-mode differentiation of the whole graph.
#[derive(Debug)]
pub struct Autograd {
    vars: Vec<Vec<Var>>,
}

impl Autograd {
    /// Takes `params` as variables (the same bits, new storage).
    pub fn new(params: &Params) -> Result<Self> {
        let vars = params
            .iter()
            .map(|layer| layer.iter().map(|t| Ok(Var::from_tensor(t)?)).collect::<Result<Vec<_>>>())
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { vars })
    }

    /// The variables as plain parameters of a network.
    pub fn params(&self) -> Params {
        self.vars.iter().map(|layer| layer.iter().map(|v| v.as_tensor().clone()).collect()).collect()
    }

    /// Replaces the variables' values.
    pub fn set(&self, params: &Params) -> Result<()> {
        for (vars, tensors) in self.vars.iter().zip(params) {
            for (var, t) in vars.iter().zip(tensors) {
                var.set(t)?;
            }
        }
        Ok(())
    }

    /// −∂loss/∂θ of every layer, and the output.
    ///
    /// The sign is the direction of learning, as everywhere else; it costs one pass over the parameters
    /// less than negating afterwards, because the loss itself is negated.
    pub fn directions(
        &self,
        network: &Network,
        loss: &Loss,
        x: &Tensor,
        y: &Tensor,
    ) -> Result<(Vec<Vec<Tensor>>, Tensor)> {
        let output = network.forward(&self.params(), x)?;
        let mut grads = loss.tensor(&output, y)?.neg()?.backward()?;
        let directions = self
            .vars
            .iter()
            .map(|layer| {
                layer
                    .iter()
                    .map(|v| grads.remove(v).map_or_else(|| Ok(v.zeros_like()?), Ok))
                    .collect::<Result<Vec<_>>>()
            })
            .collect::<Result<Vec<_>>>()?;
        Ok((directions, output.detach()))
    }
}
