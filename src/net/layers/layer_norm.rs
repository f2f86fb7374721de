//! Layer normalisation over the last axis.

use candle_core::{Tensor, D};
use serde::Deserialize;

use super::super::operation::{elements, only, Kind, Linearization, Operation, OperationCost, VerbCost};
use crate::Result;

/// The entry of the table of operations.
pub const KIND: Kind = Kind::of::<LayerNorm>("layer_norm");

/// g ⊙ z + b with z = (a − mean a)/√(var a + ε) over the last axis, of n values; var divides by n, g and b are `[n]`
/// (Ba et al., arXiv 1607.06450).
///
/// With r = 1/√(var a + ε) and h = g ⊙ c: Jᵀc = r (h − mean h − z mean(z ⊙ h)).
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerNorm {
    /// ε.
    pub epsilon: f64,
}

/// r (h − mean h − z mean(z ⊙ h)), the Jacobian of a ↦ z applied to h; it is symmetric.
fn normalised(at: &Linearization, h: &Tensor) -> Result<Tensor> {
    let (z, r) = (&at.kept[0], &at.kept[1]);
    let along = (z * h)?.mean_keepdim(D::Minus1)?;
    let centred = h.broadcast_sub(&h.mean_keepdim(D::Minus1)?)?;
    Ok((centred - z.broadcast_mul(&along)?)?.broadcast_mul(r)?)
}

/// `[rows, n]`.
fn rows(t: &Tensor) -> Result<Tensor> {
    let n = t.dim(D::Minus1)?;
    Ok(t.reshape((t.elem_count() / n, n))?)
}

impl Operation for LayerNorm {
    fn kind(&self) -> &'static str {
        "layer_norm"
    }

    fn shape(&self, inputs: &[&[usize]], params: &[&[usize]]) -> Result<Vec<usize>, String> {
        if !(self.epsilon.is_finite() && self.epsilon > 0.0) {
            return Err(format!("has epsilon {}; expected a positive number", self.epsilon));
        }
        let a = only("inputs", inputs)?;
        let Some(&n) = a.last() else {
            return Err("reads one number per sample; expected an axis to normalise over".into());
        };
        match params {
            [gain, bias] if **gain == [n] && **bias == [n] => Ok(a.to_vec()),
            [gain, bias] => {
                Err(format!("has a gain of shape {gain:?} and a bias of {bias:?}; expected [{n}]"))
            }
            _ => Err(format!("has {} parameters; expected 2 (gain and bias)", params.len())),
        }
    }

    fn forward(&self, params: &[&Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Linearization)> {
        let centred = inputs[0].broadcast_sub(&inputs[0].mean_keepdim(D::Minus1)?)?;
        let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
        let r = variance.affine(1.0, self.epsilon)?.sqrt()?.recip()?;
        let z = centred.broadcast_mul(&r)?;
        let value = z.broadcast_mul(params[0])?.broadcast_add(params[1])?;
        let at = Linearization::keeping(inputs, &value, vec![z, r]);
        Ok((value, at))
    }

    fn vjp(&self, params: &[&Tensor], at: &Linearization, _: usize, c: &Tensor) -> Result<Tensor> {
        normalised(at, &c.broadcast_mul(params[0])?)
    }

    fn jvp(&self, params: &[&Tensor], at: &Linearization, _: usize, d: &Tensor) -> Result<Tensor> {
        Ok(normalised(at, d)?.broadcast_mul(params[0])?)
    }

    fn param_grad(&self, at: &Linearization, c: &Tensor) -> Result<Vec<Tensor>> {
        Ok(vec![rows(&(c * &at.kept[0])?)?.sum(0)?, rows(c)?.sum(0)?])
    }

    fn cost(&self, batch: usize, inputs: &[&[usize]], _: &[&[usize]]) -> OperationCost {
        let n = elements(batch, inputs[0]);
        OperationCost {
            // sum, difference, square, sum, times r, gain, bias; what there is one of per row is not counted
            forward: VerbCost::elementwise(7 * n, 2 * n),
            // gain; product, sum; sum, difference; product, difference, times r
            vjp: vec![VerbCost::elementwise(8 * n, 3 * n)],
            vjp_linear: Vec::new(),
            // product and two sums
            param_grad: VerbCost::elementwise(3 * n, 2 * n),
            outputs: n,
            ..OperationCost::default()
        }
    }
}
