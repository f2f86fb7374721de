//! A run of entries along an axis.

use candle_core::Tensor;
use serde::Deserialize;

use super::super::operation::{
    elements, no_params, only, Kind, Linearization, Operation, OperationCost, VerbCost,
};
use super::concat::axis_of;
use crate::Result;

/// The entry of the table of operations.
pub const KIND: Kind = Kind::of::<Slice>("slice");

/// Entries `from`, …, `to` − 1 of an axis, counted from 0; the axis stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// The axis, counted from the sample axis 0, which it may not be.
    pub axis: usize,
    /// The first entry.
    pub from: usize,
    /// The entry after the last.
    pub to: usize,
}

impl Operation for Slice {
    fn kind(&self) -> &'static str {
        "slice"
    }

    fn shape(&self, inputs: &[&[usize]], params: &[&[usize]]) -> Result<Vec<usize>, String> {
        no_params(params)?;
        let mut shape = only("inputs", inputs)?.to_vec();
        let axis = axis_of(self.axis, &shape)?;
        if self.from >= self.to || self.to > shape[axis] {
            return Err(format!(
                "takes entries {} to {} of {} on axis {}; expected from < to ≤ {}",
                self.from, self.to, shape[axis], self.axis, shape[axis]
            ));
        }
        shape[axis] = self.to - self.from;
        Ok(shape)
    }

    fn forward(&self, _: &[&Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Linearization)> {
        let value = inputs[0].narrow(self.axis, self.from, self.to - self.from)?.contiguous()?;
        let at = Linearization::plain(inputs, &value);
        Ok((value, at))
    }

    fn vjp(&self, _: &[&Tensor], at: &Linearization, _: usize, c: &Tensor) -> Result<Tensor> {
        let size = at.inputs[0].dim(self.axis)?;
        Ok(c.pad_with_zeros(self.axis, self.from, size - self.to)?)
    }

    fn vjp_linear(&self, params: &[&Tensor], at: &Linearization, slot: usize, c: &Tensor) -> Result<Tensor> {
        self.vjp(params, at, slot, c)
    }

    fn jvp(&self, _: &[&Tensor], _: &Linearization, _: usize, d: &Tensor) -> Result<Tensor> {
        Ok(d.narrow(self.axis, self.from, self.to - self.from)?.contiguous()?)
    }

    fn cost(&self, batch: usize, inputs: &[&[usize]], _: &[&[usize]]) -> OperationCost {
        let all = elements(batch, inputs[0]);
        let axis = self.axis.saturating_sub(1);
        let part = all / inputs[0][axis] as u64 * (self.to - self.from) as u64;
        let back = vec![VerbCost::elementwise(0, part + all)];
        OperationCost {
            forward: VerbCost::elementwise(0, 2 * part),
            vjp: back.clone(),
            vjp_linear: back,
            outputs: part,
            ..OperationCost::default()
        }
    }
}
