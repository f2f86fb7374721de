//! A dense layer of a chain: μ = φ_out( scale · φ_in(v) Wᵀ + b ) + (v if skip).

use candle_core::Tensor;

use super::super::operation::{only, LayerCost, Linearization, Operation, OperationCost, VerbCost};
use super::activation::Activation;
use crate::{Error, Result};

/// A dense layer. W is `[outputs, inputs]`, b is `[outputs]`; the scale multiplies the product only, and
/// the skip adds the raw state below, before φ_in and after φ_out.
#[derive(Debug, Clone, PartialEq)]
pub struct Dense {
    /// Columns of W.
    pub inputs: usize,
    /// Rows of W.
    pub outputs: usize,
    /// φ_in, applied to the state below.
    pub act_in: Activation,
    /// φ_out, applied to the scaled product plus bias.
    pub act_out: Activation,
    /// Forward multiplier of the product (1/√N and its relatives under NTP and μPC).
    pub scale: f64,
    /// Whether the raw state below is added to the output; needs inputs = outputs.
    pub skip: bool,
    /// Whether there is a bias.
    pub bias: bool,
}

impl Dense {
    /// v as `[B, inputs]`: each sample is read as one row-major vector, whatever its shape.
    fn rows(&self, v: &Tensor) -> Result<Tensor> {
        let batch = v.dim(0)?;
        if v.elem_count() != batch * self.inputs {
            return Err(Error::Shape {
                what: format!("input of a dense layer with {} inputs", self.inputs),
                expected: vec![batch, self.inputs],
                got: v.dims().to_vec(),
            });
        }
        Ok(if v.rank() == 2 { v.clone() } else { v.reshape((batch, self.inputs))? })
    }

    fn scaled(&self, t: Tensor) -> Result<Tensor> {
        Ok(if self.scale == 1.0 { t } else { t.affine(self.scale, 0.0)? })
    }

    /// φ_in(v), the pre-activation of φ_out, and φ_out of it, before any skip is added.
    pub(crate) fn kept(at: &Linearization) -> Result<&[Tensor; 3]> {
        let kept = at.kept.as_slice().try_into();
        kept.map_err(|_| Error::Invalid("a linearisation of another operation than dense".into()))
    }

    /// Shapes of W and, if there is one, b.
    pub fn param_shapes(&self) -> Vec<Vec<usize>> {
        let mut shapes = vec![vec![self.outputs, self.inputs]];
        if self.bias {
            shapes.push(vec![self.outputs]);
        }
        shapes
    }

    /// Work of the verbs on a batch of `batch` samples.
    pub fn layer_cost(&self, batch: usize) -> LayerCost {
        let (b, i, o) = (batch as u64, self.inputs as u64, self.outputs as u64);
        let product =
            VerbCost { gemms: 1, gemm_flops: 2 * b * i * o, elementwise: 0, moved: i * o + b * i + b * o };
        let (scale, bias, skip) = (u64::from(self.scale != 1.0), u64::from(self.bias), u64::from(self.skip));
        let with = |elementwise| VerbCost { elementwise, ..product };
        LayerCost {
            forward: with(
                b * i * self.act_in.forward_ops()
                    + b * o * (scale + bias + skip + self.act_out.forward_ops()),
            ),
            vjp: with(
                b * o * (self.act_out.pull_back_ops() + scale) + b * i * (self.act_in.pull_back_ops() + skip),
            ),
            vjp_linear: with(b * o * scale + b * i * skip),
            param_grad: with(b * o * (self.act_out.pull_back_ops() + scale + bias)),
            outputs: b * o,
            parameters: i * o + o * bias,
        }
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
        let below = self.rows(inputs[0])?;
        let input = self.act_in.apply(&below)?;
        let mut pre = self.scaled(input.matmul(&params[0].t()?)?)?;
        if self.bias {
            pre = pre.broadcast_add(params[1])?;
        }
        let post = self.act_out.apply(&pre)?;
        let mu = if self.skip { (&post + &below)? } else { post.clone() };
        let at = Linearization::keeping(inputs, &mu, vec![input, pre, post]);
        Ok((mu, at))
    }

    fn vjp(&self, params: &[&Tensor], at: &Linearization, _: usize, e: &Tensor) -> Result<Tensor> {
        let [input, pre, post] = Self::kept(at)?;
        let raw = &at.inputs[0];
        let delta = self.scaled(self.act_out.pull_back(pre, post, e)?)?;
        let through = delta.matmul(params[0])?;
        let below = self.rows(raw)?;
        let mut out = self.act_in.pull_back(&below, input, &through)?;
        if self.skip {
            out = (out + e)?;
        }
        Ok(if raw.rank() == 2 { out } else { out.reshape(raw.shape())? })
    }

    fn vjp_linear(&self, params: &[&Tensor], at: &Linearization, _: usize, e: &Tensor) -> Result<Tensor> {
        let raw = &at.inputs[0];
        let mut out = self.scaled(e.clone())?.matmul(params[0])?;
        if self.skip {
            out = (out + e)?;
        }
        Ok(if raw.rank() == 2 { out } else { out.reshape(raw.shape())? })
    }

    fn jvp(&self, params: &[&Tensor], at: &Linearization, _: usize, d: &Tensor) -> Result<Tensor> {
        let [input, pre, post] = Self::kept(at)?;
        let (below, d) = (self.rows(&at.inputs[0])?, self.rows(d)?);
        // φ acts element by element: its Jacobian is symmetric
        let through = self.act_in.pull_back(&below, input, &d)?;
        let out = self.act_out.pull_back(pre, post, &self.scaled(through.matmul(&params[0].t()?)?)?)?;
        Ok(if self.skip { (out + d)? } else { out })
    }

    fn param_grad(&self, at: &Linearization, e: &Tensor) -> Result<Vec<Tensor>> {
        let [input, pre, post] = Self::kept(at)?;
        let delta = self.act_out.pull_back(pre, post, e)?;
        let scaled = self.scaled(delta.clone())?;
        let mut grads = vec![scaled.t()?.matmul(input)?];
        if self.bias {
            grads.push(delta.sum(0)?);
        }
        Ok(grads)
    }

    fn cost(&self, batch: usize, _: &[&[usize]], _: &[&[usize]]) -> OperationCost {
        self.layer_cost(batch).operation()
    }
}
