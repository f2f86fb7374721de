//! What tensor cores read, imitated on the CPU: each operand of each product is rounded as a GPU rounds it, sums are
//! f32.
//!
//! Slow, and not for timing: it says what the fused engine with such operands computes where there is no GPU, and what
//! it should compute where there is one.

use candle_core::{DType, Tensor};
use pcnbench_kernels::MathMode;

use super::Engine;
use crate::net::layers::dense::kept;
use crate::net::{
    DataId, Dense, Elementwise, Graph, LatentEnergy, Linearization, ParamId, Topology, VertexId,
};
use crate::{Error, Result};

/// A chain of dense layers bound to parameters and one batch, in f32 on the CPU.
#[derive(Debug, Clone, Copy)]
pub struct Rounded<'a> {
    /// Structure.
    pub graph: &'a Graph,
    /// Its layers.
    pub layers: &'a [Dense],
    /// θ.
    pub params: &'a [Tensor],
    /// x and y.
    pub data: &'a [Tensor],
    /// What products read.
    pub operands: MathMode,
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
        if self.operands != MathMode::Tf32x3 {
            let read = |x| self.operands.rounded(x);
            return Ok(parts(a, &read)?.matmul(&parts(b, &read)?)?);
        }
        let (big, small) = (|x| MathMode::split(x).0, |x| MathMode::split(x).1);
        let (a_big, b_big) = (parts(a, &big)?, parts(b, &big)?);
        let crossed = (parts(a, &small)?.matmul(&b_big)? + a_big.matmul(&parts(b, &small)?)?)?;
        Ok((crossed + a_big.matmul(&b_big)?)?)
    }

    fn scaled(&self, i: VertexId, t: Tensor) -> Result<Tensor> {
        Ok(t.affine(self.layers[i].scale, 0.0)?)
    }
}

impl Engine for Rounded<'_> {
    super::on_tensors::on_tensors!();

    fn forward(
        &self,
        i: VertexId,
        params: &[&Tensor],
        inputs: &[&Tensor],
    ) -> Result<(Tensor, Linearization)> {
        let (layer, below) = (&self.layers[i], inputs[0]);
        let input = layer.act_in.apply(below)?;
        let mut pre = self.scaled(i, self.product(&input, &params[0].t()?)?)?;
        if layer.bias {
            pre = pre.broadcast_add(params[1])?;
        }
        let post = layer.act_out.apply(&pre)?;
        let mu = if layer.skip { (&post + below)? } else { post.clone() };
        let at = Linearization::keeping(inputs, &mu, vec![input, pre, post]);
        Ok((mu, at))
    }

    fn vjp(
        &self,
        i: VertexId,
        _: usize,
        params: &[&Tensor],
        at: &Linearization,
        c: &Tensor,
    ) -> Result<Tensor> {
        let (layer, [input, pre, post]) = (&self.layers[i], kept(at)?);
        let delta = self.scaled(i, layer.act_out.pull_back(pre, post, c)?)?;
        let through = self.product(&delta, params[0])?;
        let out = layer.act_in.pull_back(&at.inputs[0], input, &through)?;
        Ok(if layer.skip { (out + c)? } else { out })
    }

    fn vjp_linear(
        &self,
        i: VertexId,
        _: usize,
        params: &[&Tensor],
        _: &Linearization,
        c: &Tensor,
    ) -> Result<Tensor> {
        let out = self.product(&self.scaled(i, c.clone())?, params[0])?;
        Ok(if self.layers[i].skip { (out + c)? } else { out })
    }

    fn param_grad(&self, i: VertexId, at: &Linearization, c: &Tensor) -> Result<Vec<Tensor>> {
        let (layer, [input, pre, post]) = (&self.layers[i], kept(at)?);
        let delta = layer.act_out.pull_back(pre, post, c)?;
        let mut grads = vec![self.product(&self.scaled(i, delta.clone())?.t()?, input)?];
        if layer.bias {
            grads.push(delta.sum(0)?);
        }
        Ok(grads)
    }
}
