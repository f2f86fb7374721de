//! The linear map: a Wᵀ + b on the last axis.

use candle_core::{Tensor, D};
use serde::Deserialize;

use super::super::operation::{elements, only, Kind, Linearization, Operation, OperationCost, VerbCost};
use crate::Result;

/// The entry of the table of operations.
pub const KIND: Kind = Kind::of::<Linear>("linear");

/// a Wᵀ + b: W is `[outputs, inputs]`, b is `[outputs]`, a is `[B, …, inputs]`; every index before the last is a row of
/// the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// Whether there is a bias.
    pub bias: bool,
}

/// `[rows, n]`: every index before the last one is a row.
fn rows(t: &Tensor) -> Result<Tensor> {
    if t.rank() == 2 {
        return Ok(t.clone());
    }
    let last = t.dim(D::Minus1)?;
    Ok(t.reshape((t.elem_count() / last, last))?)
}

/// The rows of a product in the shape of `like`, which has another last axis.
fn unrows(t: Tensor, like: &Tensor) -> Result<Tensor> {
    if like.rank() == 2 {
        return Ok(t);
    }
    let mut shape = like.dims().to_vec();
    if let Some(last) = shape.last_mut() {
        *last = t.dim(D::Minus1)?;
    }
    Ok(t.reshape(shape)?)
}

impl Operation for Linear {
    fn kind(&self) -> &'static str {
        "linear"
    }

    fn shape(&self, inputs: &[&[usize]], params: &[&[usize]]) -> Result<Vec<usize>, String> {
        let a = only("inputs", inputs)?;
        let Some((last, before)) = a.split_last() else {
            return Err("reads one number per sample; expected an axis to multiply".into());
        };
        let outputs = match (params, self.bias) {
            ([w], false) | ([w, _], true) => match w {
                [outputs, inputs] if inputs == last => *outputs,
                _ => {
                    return Err(format!(
                        "reads {last} values on the last axis but its W is {w:?}; expected [outputs, {last}]"
                    ))
                }
            },
            _ => {
                let expected = if self.bias { "2 (W and b)" } else { "1 (W)" };
                return Err(format!("has {} parameters; expected {expected}", params.len()));
            }
        };
        if let Some(b) = params.get(1).filter(|b| **b != [outputs]) {
            return Err(format!("has a bias of shape {b:?}; expected [{outputs}]"));
        }
        Ok(before.iter().copied().chain([outputs]).collect())
    }

    fn forward(&self, params: &[&Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Linearization)> {
        let mut value = rows(inputs[0])?.matmul(&params[0].t()?)?;
        if self.bias {
            value = value.broadcast_add(params[1])?;
        }
        let value = unrows(value, inputs[0])?;
        let at = Linearization::plain(inputs, &value);
        Ok((value, at))
    }

    fn vjp(&self, params: &[&Tensor], at: &Linearization, _: usize, c: &Tensor) -> Result<Tensor> {
        unrows(rows(c)?.matmul(params[0])?, &at.inputs[0])
    }

    fn vjp_linear(&self, params: &[&Tensor], at: &Linearization, slot: usize, c: &Tensor) -> Result<Tensor> {
        self.vjp(params, at, slot, c)
    }

    fn jvp(&self, params: &[&Tensor], at: &Linearization, _: usize, d: &Tensor) -> Result<Tensor> {
        unrows(rows(d)?.matmul(&params[0].t()?)?, &at.inputs[0])
    }

    fn param_grad(&self, at: &Linearization, c: &Tensor) -> Result<Vec<Tensor>> {
        let c = rows(c)?;
        let mut grads = vec![c.t()?.matmul(&rows(&at.inputs[0])?)?];
        if self.bias {
            grads.push(c.sum(0)?);
        }
        Ok(grads)
    }

    fn cost(&self, batch: usize, inputs: &[&[usize]], params: &[&[usize]]) -> OperationCost {
        let (w, read) = (elements(1, params[0]), elements(batch, inputs[0]));
        let outputs = params[0][0] as u64;
        let written = read / params[0][1] as u64 * outputs;
        let product =
            VerbCost { gemms: 1, gemm_flops: 2 * read * outputs, elementwise: 0, moved: w + read + written };
        let bias = written * u64::from(self.bias);
        OperationCost {
            forward: VerbCost { elementwise: bias, ..product },
            vjp: vec![product],
            vjp_linear: vec![product],
            param_grad: VerbCost { elementwise: bias, ..product },
            outputs: written,
            ..OperationCost::default()
        }
    }
}
