//! The reference engine: one Candle operation after another, any layer, f32 or f64, any device.

use candle_core::Tensor;

use super::{Engine, Learned};
use crate::net::{Local, Loss, Network, Params};
use crate::Result;

/// A network bound to parameters, one batch and a loss.
#[derive(Debug, Clone, Copy)]
pub struct Reference<'a> {
    /// Structure.
    pub network: &'a Network,
    /// θ.
    pub params: &'a Params,
    /// x, `[B, D]`.
    pub x: &'a Tensor,
    /// y, `[B, n_L]`.
    pub y: &'a Tensor,
    /// The output energy.
    pub loss: Loss,
    /// Learned backward weights, `w.l` per layer; `None` for the transposed forward weights.
    pub feedback: Option<&'a Params>,
}

impl Engine for Reference<'_> {
    type Value = Tensor;
    type Local = Local;
    type Params = Vec<Tensor>;
    type Direction = Vec<Tensor>;

    fn depth(&self) -> usize {
        self.network.depth()
    }

    fn input(&self) -> Tensor {
        self.x.clone()
    }

    fn params(&self, l: usize) -> &Vec<Tensor> {
        &self.params[l - 1]
    }

    fn feedback(&self, l: usize) -> &Vec<Tensor> {
        &self.feedback.unwrap_or(self.params)[l - 1]
    }

    fn forward_with(&self, l: usize, params: &Vec<Tensor>, below: &Tensor) -> Result<(Tensor, Local)> {
        self.network.layer(l).forward(params, below)
    }

    fn vjp_with(&self, l: usize, params: &Vec<Tensor>, at: &Local, e: &Tensor) -> Result<Tensor> {
        self.network.layer(l).vjp(params, at, e)
    }

    fn vjp_linear_with(&self, l: usize, params: &Vec<Tensor>, at: &Local, e: &Tensor) -> Result<Tensor> {
        self.network.layer(l).vjp_linear(params, at, e)
    }

    fn moved(&self, _: usize, params: &Vec<Tensor>, s: f64, direction: &Vec<Tensor>) -> Result<Vec<Tensor>> {
        params.iter().zip(direction).map(|(p, d)| Ok((p + d.affine(s, 0.0)?)?)).collect()
    }

    fn param_grad(&self, l: usize, at: &Local, e: &Tensor) -> Result<Vec<Tensor>> {
        self.network.layer(l).param_grad(at, e)
    }

    fn output_error(&self, o: &Tensor) -> Result<Tensor> {
        self.loss.output_error(o, self.y)
    }

    fn add(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        Ok((a + b)?)
    }

    fn sub(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        Ok((a - b)?)
    }

    fn scale(&self, s: f64, a: &Tensor) -> Result<Tensor> {
        Ok(a.affine(s, 0.0)?)
    }

    fn add_scaled(&self, a: &Tensor, s: f64, b: &Tensor) -> Result<Tensor> {
        Ok((a + b.affine(s, 0.0)?)?)
    }
}

impl Reference<'_> {
    /// Energies per layer: ½‖ε_l‖² summed over the batch for l < L, then the loss.
    pub fn energies(&self, errors: &[Option<Tensor>], output: &Tensor) -> Result<Vec<f64>> {
        let hidden = errors.len() - 1;
        let mut energies = errors[..hidden]
            .iter()
            .map(|e| e.as_ref().map_or(Ok(0.0), |e| Ok(0.5 * square_sum(e)?)))
            .collect::<Result<Vec<_>>>()?;
        energies.push(self.loss.value(output, self.y)?);
        Ok(energies)
    }

    /// Energies per layer of what a rule left behind.
    pub fn energy(&self, learned: &Learned<Self>) -> Result<Vec<f64>> {
        self.energies(&learned.errors, &learned.output)
    }
}

/// Σ t² in f64, so that f32 errors near 1e-20 do not underflow when squared.
fn square_sum(t: &Tensor) -> Result<f64> {
    Ok(t.to_dtype(candle_core::DType::F64)?.sqr()?.sum_all()?.to_scalar::<f64>()?)
}
