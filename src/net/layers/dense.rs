//! The operation of a dense layer, μ = φ_out( scale · φ_in(v) Wᵀ + b ) + (v if skip); [`Dense`] describes it.

use candle_core::Tensor;
pub use pcnbench_kernels::Dense;

use super::super::operation::{only, LayerCost, Linearization, Operation, OperationCost, VerbCost};
use super::activation::Elementwise;
use crate::{Error, Result};

/// v as `[B, inputs]`: each sample is read as one row-major vector, whatever its shape.
fn rows(layer: &Dense, v: &Tensor) -> Result<Tensor> {
    let batch = v.dim(0)?;
    if v.elem_count() != batch * layer.inputs {
        return Err(Error::Shape {
            what: format!("input of a dense layer with {} inputs", layer.inputs),
            expected: vec![batch, layer.inputs],
            got: v.dims().to_vec(),
        });
    }
    Ok(if v.rank() == 2 { v.clone() } else { v.reshape((batch, layer.inputs))? })
}

fn scaled(layer: &Dense, t: Tensor) -> Result<Tensor> {
    Ok(if layer.scale == 1.0 { t } else { t.affine(layer.scale, 0.0)? })
}

/// φ_in(v), the pre-activation of φ_out, and φ_out of it, before any skip is added.
pub(crate) fn kept(at: &Linearization) -> Result<&[Tensor; 3]> {
    let kept = at.kept.as_slice().try_into();
    kept.map_err(|_| Error::Invalid("a linearisation of another operation than dense".into()))
}

/// Work of a layer's verbs on a batch of `batch` samples.
pub fn layer_cost(layer: &Dense, batch: usize) -> LayerCost {
    let (b, i, o) = (batch as u64, layer.inputs as u64, layer.outputs as u64);
    let product =
        VerbCost { gemms: 1, gemm_flops: 2 * b * i * o, elementwise: 0, moved: i * o + b * i + b * o };
    let (scale, bias, skip) = (u64::from(layer.scale != 1.0), u64::from(layer.bias), u64::from(layer.skip));
    let (act_in, act_out) = (layer.act_in, layer.act_out);
    let with = |elementwise| VerbCost { elementwise, ..product };
    LayerCost {
        forward: with(b * i * act_in.forward_ops() + b * o * (scale + bias + skip + act_out.forward_ops())),
        vjp: with(b * o * (act_out.pull_back_ops() + scale) + b * i * (act_in.pull_back_ops() + skip)),
        vjp_linear: with(b * o * scale + b * i * skip),
        param_grad: with(b * o * (act_out.pull_back_ops() + scale + bias)),
        outputs: b * o,
        parameters: i * o + o * bias,
    }
}

impl Operation for Dense {
    fn kind(&self) -> &'static str {
        "dense"
    }

    fn shape(&self, inputs: &[&[usize]], params: &[&[usize]]) -> Result<Vec<usize>, String> {
        let read: usize = only("inputs", inputs)?.iter().product();
        if read != self.inputs {
            return Err(format!("reads {read} values per sample; expected {}", self.inputs));
        }
        let expected = self.param_shapes();
        if !params.iter().copied().eq(expected.iter().map(Vec::as_slice)) {
            return Err(format!("has parameters of shapes {params:?}; expected {expected:?}"));
        }
        if self.skip && self.inputs != self.outputs {
            return Err(format!(
                "adds its {} inputs to its {} outputs; a skip needs as many of both",
                self.inputs, self.outputs
            ));
        }
        Ok(vec![self.outputs])
    }

    fn forward(&self, params: &[&Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Linearization)> {
        let below = rows(self, inputs[0])?;
        let input = self.act_in.apply(&below)?;
        let mut pre = scaled(self, input.matmul(&params[0].t()?)?)?;
        if self.bias {
            pre = pre.broadcast_add(params[1])?;
        }
        let post = self.act_out.apply(&pre)?;
        let mu = if self.skip { (&post + &below)? } else { post.clone() };
        let at = Linearization::keeping(inputs, &mu, vec![input, pre, post]);
        Ok((mu, at))
    }

    fn vjp(&self, params: &[&Tensor], at: &Linearization, _: usize, e: &Tensor) -> Result<Tensor> {
        let [input, pre, post] = kept(at)?;
        let raw = &at.inputs[0];
        let delta = scaled(self, self.act_out.pull_back(pre, post, e)?)?;
        let through = delta.matmul(params[0])?;
        let below = rows(self, raw)?;
        let mut out = self.act_in.pull_back(&below, input, &through)?;
        if self.skip {
            out = (out + e)?;
        }
        Ok(if raw.rank() == 2 { out } else { out.reshape(raw.shape())? })
    }

    fn vjp_linear(&self, params: &[&Tensor], at: &Linearization, _: usize, e: &Tensor) -> Result<Tensor> {
        let raw = &at.inputs[0];
        let mut out = scaled(self, e.clone())?.matmul(params[0])?;
        if self.skip {
            out = (out + e)?;
        }
        Ok(if raw.rank() == 2 { out } else { out.reshape(raw.shape())? })
    }

    fn jvp(&self, params: &[&Tensor], at: &Linearization, _: usize, d: &Tensor) -> Result<Tensor> {
        let [input, pre, post] = kept(at)?;
        let (below, d) = (rows(self, &at.inputs[0])?, rows(self, d)?);
        // φ acts element by element: its Jacobian is symmetric
        let through = self.act_in.pull_back(&below, input, &d)?;
        let out = self.act_out.pull_back(pre, post, &scaled(self, through.matmul(&params[0].t()?)?)?)?;
        Ok(if self.skip { (out + d)? } else { out })
    }

    fn param_grad(&self, at: &Linearization, e: &Tensor) -> Result<Vec<Tensor>> {
        let [input, pre, post] = kept(at)?;
        let delta = self.act_out.pull_back(pre, post, e)?;
        let scaled = scaled(self, delta.clone())?;
        let mut grads = vec![scaled.t()?.matmul(input)?];
        if self.bias {
            grads.push(delta.sum(0)?);
        }
        Ok(grads)
    }

    fn cost(&self, batch: usize, _: &[&[usize]], _: &[&[usize]]) -> OperationCost {
        layer_cost(self, batch).operation()
    }
}
