//! The last two axes swapped.

use candle_core::Tensor;
use serde::Deserialize;

use super::super::operation::{
    elements, no_params, only, Kind, Linearization, Operation, OperationCost, VerbCost,
};
use crate::Result;

/// The entry of the table of operations.
pub const KIND: Kind = Kind::of::<Transpose>("transpose");

/// a with its last two axes swapped; a sample has two axes or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transpose {}

fn swapped(t: &Tensor) -> Result<Tensor> {
    Ok(t.t()?.contiguous()?)
}

impl Operation for Transpose {
    fn kind(&self) -> &'static str {
        "transpose"
    }

    fn shape(&self, inputs: &[&[usize]], params: &[&[usize]]) -> Result<Vec<usize>, String> {
        no_params(params)?;
        let mut shape = only("inputs", inputs)?.to_vec();
        let Some(before_last) = shape.len().checked_sub(2) else {
            return Err(format!("reads {shape:?} values per sample; expected two axes or more to swap"));
        };
        shape.swap(before_last, before_last + 1);
        Ok(shape)
    }

    fn forward(&self, _: &[&Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Linearization)> {
        let value = swapped(inputs[0])?;
        let at = Linearization::plain(inputs, &value);
        Ok((value, at))
    }

    fn vjp(&self, _: &[&Tensor], _: &Linearization, _: usize, c: &Tensor) -> Result<Tensor> {
        swapped(c)
    }

    fn vjp_linear(&self, _: &[&Tensor], _: &Linearization, _: usize, c: &Tensor) -> Result<Tensor> {
        swapped(c)
    }

    fn jvp(&self, _: &[&Tensor], _: &Linearization, _: usize, d: &Tensor) -> Result<Tensor> {
        swapped(d)
    }

    fn cost(&self, batch: usize, inputs: &[&[usize]], _: &[&[usize]]) -> OperationCost {
        let n = elements(batch, inputs[0]);
        let each = VerbCost::elementwise(0, 2 * n);
        OperationCost {
            forward: each,
            vjp: vec![each],
            vjp_linear: vec![each],
            outputs: n,
            ..OperationCost::default()
        }
    }
}
