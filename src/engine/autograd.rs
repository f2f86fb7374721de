//! Backpropagation as Candle offers it: build the loss, call `backward`.
//!
//! Candle's autograd fills a zero tensor and adds into it on every edge, so it is not a neutral baseline;
//! it is here because it is what a Candle user would write, next to the hand-written `bp/reference`.

use candle_core::{Tensor, Var};

use crate::net::{Graph, OutputEnergy, Params};
use crate::{Error, Result};

/// Loss gradients by reverse-mode differentiation of the whole graph.
#[derive(Debug)]
pub struct Autograd {
    vars: Vec<Var>,
}

impl Autograd {
    /// Takes `params` as variables (the same bits, new storage).
    pub fn new(params: &[Tensor]) -> Result<Self> {
        Ok(Self { vars: params.iter().map(Var::from_tensor).collect::<Result<_, _>>()? })
    }

    /// The variables as plain parameters of a network.
    pub fn params(&self) -> Params {
        self.vars.iter().map(|v| v.as_tensor().clone()).collect()
    }

    /// Replaces the variables' values.
    pub fn set(&self, params: &[Tensor]) -> Result<()> {
        for (var, t) in self.vars.iter().zip(params) {
            var.set(t)?;
        }
        Ok(())
    }

    /// −∂(sum of losses)/∂θ of every parameter (zero of a frozen one), and per loss the value that it judges.
    ///
    /// The sign is the direction of learning, as everywhere else; it costs one pass over the parameters
    /// less than negating afterwards, because the loss itself is negated.
    pub fn directions(&self, graph: &Graph, data: &[Tensor]) -> Result<(Vec<Tensor>, Vec<Tensor>)> {
        let values = graph.forward(&self.params(), data)?;
        let mut total: Option<Tensor> = None;
        for term in graph.losses() {
            let loss = term.loss.tensor(&values[term.vertex], &data[term.target])?;
            total = Some(match total {
                Some(total) => (total + loss)?,
                None => loss,
            });
        }
        let total = total.ok_or_else(|| Error::Invalid("the network has no loss".into()))?;
        let mut grads = total.neg()?.backward()?;
        let direction = |(p, v): (usize, &Var)| match grads.remove(v) {
            Some(direction) if !graph.topology().is_frozen(p) => Ok(direction),
            _ => Ok(v.zeros_like()?),
        };
        let directions = self.vars.iter().enumerate().map(direction).collect::<Result<Vec<_>>>()?;
        Ok((directions, graph.losses().iter().map(|term| values[term.vertex].detach()).collect()))
    }
}
