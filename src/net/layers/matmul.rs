//! The product of two values.

use candle_core::Tensor;
use serde::Deserialize;

use super::super::operation::{elements, no_params, Kind, Linearization, Operation, OperationCost, VerbCost};
use crate::Result;

/// The entry of the table of operations.
pub const KIND: Kind = Kind::of::<Matmul>("matmul");

/// a b of a `[B, …, m, k]` and b `[B, …, k, n]`: a matrix product over the last two axes for every index before them.
///
/// Transposed Jacobians: c bᵀ by a, aᵀ c by b.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matmul {}

impl Operation for Matmul {
    fn kind(&self) -> &'static str {
        "matmul"
    }

    fn shape(&self, inputs: &[&[usize]], params: &[&[usize]]) -> Result<Vec<usize>, String> {
        no_params(params)?;
        let [a, b] = inputs else {
            return Err(format!("reads {} inputs; expected two", inputs.len()));
        };
        match (a, b) {
            ([before @ .., m, k], [same @ .., rows, n]) if before == same && k == rows => {
                Ok([before, &[*m, *n]].concat())
            }
            _ => Err(format!("reads shapes {a:?} and {b:?}; expected [.., m, k] and [.., k, n]")),
        }
    }

    fn forward(&self, _: &[&Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Linearization)> {
        let value = inputs[0].matmul(inputs[1])?;
        let at = Linearization::plain(inputs, &value);
        Ok((value, at))
    }

    fn vjp(&self, _: &[&Tensor], at: &Linearization, slot: usize, c: &Tensor) -> Result<Tensor> {
        Ok(match slot {
            0 => c.matmul(&at.inputs[1].t()?)?,
            _ => at.inputs[0].t()?.matmul(c)?,
        })
    }

    fn jvp(&self, _: &[&Tensor], at: &Linearization, slot: usize, d: &Tensor) -> Result<Tensor> {
        Ok(match slot {
            0 => d.matmul(&at.inputs[1])?,
            _ => at.inputs[0].matmul(d)?,
        })
    }

    fn cost(&self, batch: usize, inputs: &[&[usize]], _: &[&[usize]]) -> OperationCost {
        let (a, b) = (elements(batch, inputs[0]), elements(batch, inputs[1]));
        let n = inputs[1].last().map_or(1, |&n| n as u64);
        let k = inputs[0].last().map_or(1, |&k| k as u64);
        let outputs = a / k * n;
        let each = VerbCost { gemms: 1, gemm_flops: 2 * a * n, elementwise: 0, moved: a + b + outputs };
        OperationCost {
            forward: each,
            vjp: vec![each; 2],
            vjp_linear: Vec::new(),
            outputs,
            ..OperationCost::default()
        }
    }
}
