//! The sum over an axis.

use candle_core::Tensor;
use serde::Deserialize;

use super::super::operation::{
    elements, no_params, only, Kind, Linearization, Operation, OperationCost, VerbCost,
};
use super::concat::axis_of;
use crate::Result;

/// The entry of the table of operations.
pub const KIND: Kind = Kind::of::<Sum>("sum");

/// Σ over `axis`, which is removed; the transposed Jacobian repeats c along it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sum {
    /// The axis, counted from the sample axis 0, which it may not be.
    pub axis: usize,
}

impl Operation for Sum {
    fn kind(&self) -> &'static str {
        "sum"
    }

    fn shape(&self, inputs: &[&[usize]], params: &[&[usize]]) -> Result<Vec<usize>, String> {
        no_params(params)?;
        let mut shape = only("inputs", inputs)?.to_vec();
        let axis = axis_of(self.axis, &shape)?;
        shape.remove(axis);
        Ok(shape)
    }

    fn forward(&self, _: &[&Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Linearization)> {
        let value = inputs[0].sum(self.axis)?;
        let at = Linearization::plain(inputs, &value);
        Ok((value, at))
    }

    fn vjp(&self, _: &[&Tensor], at: &Linearization, _: usize, c: &Tensor) -> Result<Tensor> {
        Ok(c.unsqueeze(self.axis)?.broadcast_as(at.inputs[0].shape())?.contiguous()?)
    }

    fn vjp_linear(&self, params: &[&Tensor], at: &Linearization, slot: usize, c: &Tensor) -> Result<Tensor> {
        self.vjp(params, at, slot, c)
    }

    fn jvp(&self, _: &[&Tensor], _: &Linearization, _: usize, d: &Tensor) -> Result<Tensor> {
        Ok(d.sum(self.axis)?)
    }

    fn cost(&self, batch: usize, inputs: &[&[usize]], _: &[&[usize]]) -> OperationCost {
        let n = elements(batch, inputs[0]);
        let outputs = n / inputs[0][self.axis.saturating_sub(1)] as u64;
        let back = vec![VerbCost::elementwise(0, n + outputs)];
        OperationCost {
            forward: VerbCost::elementwise(n - outputs, n + outputs),
            vjp: back.clone(),
            vjp_linear: back,
            outputs,
            ..OperationCost::default()
        }
    }
}
