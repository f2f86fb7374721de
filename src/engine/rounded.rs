//! What tensor cores read, imitated on the CPU: each operand of each product is rounded as a card rounds it, sums are f32.
//!
//! Slow, and not for timing: it says what the fused engine with such operands computes where there is no card, and what it
//! should compute where there is one.

use candle_core::{DType, Tensor};
use pcnbench_kernels::Operands;

use super::Engine;
use crate::net::{Dense, Local, Loss, Params};
use crate::{Error, Result};

/// A stack of dense layers bound to parameters, one batch and a loss, in f32 on the CPU.
#[derive(Debug, Clone, Copy)]
pub struct Rounded<'a> {
    /// Structure.
    pub layers: &'a [Dense],
    /// θ.
    pub params: &'a Params,
    /// x, `[B, D]`.
    pub x: &'a Tensor,
    /// y, `[B, n_L]`.
    pub y: &'a Tensor,
    /// The output energy.
    pub loss: Loss,
    /// What products read.
    pub operands: Operands,
}

impl Rounded<'_> {
    /// a·b of operands as they are read.
    fn product(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        let parts = |t: &Tensor, part: &dyn Fn(f32) -> f32| -> Result<Tensor> {
            if t.dtype() != DType::F32 {
                return Err(Error::Invalid(format!(
                    "{} operands are for f32, not for {}; use --dtype f32",
                    self.operands,
                    t.dtype().as_str()
                )));
            }
            let read = t.flatten_all()?.to_vec1::<f32>()?.into_iter().map(part).collect::<Vec<_>>();
            Ok(Tensor::from_vec(read, t.dims(), t.device())?)
        };
        if self.operands != Operands::Tf32x3 {
            let read = |x| self.operands.rounded(x);
            return Ok(parts(a, &read)?.matmul(&parts(b, &read)?)?);
        }
        let (big, small) = (|x| Operands::split(x).0, |x| Operands::split(x).1);
        let (a_big, b_big) = (parts(a, &big)?, parts(b, &big)?);
        let crossed = (parts(a, &small)?.matmul(&b_big)? + a_big.matmul(&parts(b, &small)?)?)?;
        Ok((crossed + a_big.matmul(&b_big)?)?)
    }

    fn scaled(&self, l: usize, t: Tensor) -> Result<Tensor> {
        Ok(t.affine(self.layers[l - 1].scale, 0.0)?)
    }
}

impl Engine for Rounded<'_> {
    type Value = Tensor;
    type Local = Local;
    type Params = Vec<Tensor>;
    type Direction = Vec<Tensor>;

    fn depth(&self) -> usize {
        self.layers.len()
    }

    fn input(&self) -> Tensor {
        self.x.clone()
    }

    fn params(&self, l: usize) -> &Vec<Tensor> {
        &self.params[l - 1]
    }

    fn forward_with(&self, l: usize, params: &Vec<Tensor>, below: &Tensor) -> Result<(Tensor, Local)> {
        let layer = &self.layers[l - 1];
        let input = layer.act_in.apply(below)?;
        let mut pre = self.scaled(l, self.product(&input, &params[0].t()?)?)?;
        if layer.bias {
            pre = pre.broadcast_add(&params[1])?;
        }
        let post = layer.act_out.apply(&pre)?;
        let mu = if layer.skip { (&post + below)? } else { post.clone() };
        Ok((mu, Local { below: below.clone(), input, pre, post }))
    }

    fn vjp_with(&self, l: usize, params: &Vec<Tensor>, at: &Local, e: &Tensor) -> Result<Tensor> {
        let layer = &self.layers[l - 1];
        let delta = self.scaled(l, layer.act_out.pull_back(&at.pre, &at.post, e)?)?;
        let through = self.product(&delta, &params[0])?;
        let out = layer.act_in.pull_back(&at.below, &at.input, &through)?;
        Ok(if layer.skip { (out + e)? } else { out })
    }

    fn vjp_linear_with(&self, l: usize, params: &Vec<Tensor>, _: &Local, e: &Tensor) -> Result<Tensor> {
        let out = self.product(&self.scaled(l, e.clone())?, &params[0])?;
        Ok(if self.layers[l - 1].skip { (out + e)? } else { out })
    }

    fn moved(&self, _: usize, params: &Vec<Tensor>, s: f64, direction: &Vec<Tensor>) -> Result<Vec<Tensor>> {
        params.iter().zip(direction).map(|(p, d)| Ok((p + d.affine(s, 0.0)?)?)).collect()
    }

    fn param_grad(&self, l: usize, at: &Local, e: &Tensor) -> Result<Vec<Tensor>> {
        let layer = &self.layers[l - 1];
        let delta = layer.act_out.pull_back(&at.pre, &at.post, e)?;
        let mut grads = vec![self.product(&self.scaled(l, delta.clone())?.t()?, &at.input)?];
        if layer.bias {
            grads.push(delta.sum(0)?);
        }
        Ok(grads)
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
