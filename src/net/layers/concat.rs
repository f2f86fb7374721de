//! Tensors joined along an axis.

use candle_core::Tensor;
use serde::Deserialize;

use super::super::operation::{elements, no_params, Kind, Linearization, Operation, OperationCost, VerbCost};
use crate::Result;

/// The entry of the table of operations.
pub const KIND: Kind = Kind::of::<Concat>("concat");

/// Two or more inputs joined along `axis`, in the given order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concat {
    /// The axis, counted from the sample axis 0, which it may not be.
    pub axis: usize,
}

/// An axis of a shape without the sample axis.
pub(super) fn axis_of(axis: usize, shape: &[usize]) -> Result<usize, String> {
    match axis.checked_sub(1) {
        None => Err("names axis 0, the samples; expected 1 or more".into()),
        Some(own) if own < shape.len() => Ok(own),
        Some(_) => {
            Err(format!("names axis {axis} of a tensor with {} axes, counted from 0", shape.len() + 1))
        }
    }
}

impl Operation for Concat {
    fn kind(&self) -> &'static str {
        "concat"
    }

    fn shape(&self, inputs: &[&[usize]], params: &[&[usize]]) -> Result<Vec<usize>, String> {
        no_params(params)?;
        let [first, _, ..] = inputs else {
            return Err(format!("reads {} inputs; expected two or more", inputs.len()));
        };
        let axis = axis_of(self.axis, first)?;
        let mut joined = first.to_vec();
        for other in &inputs[1..] {
            let mut expected = joined.clone();
            expected[axis] = other.get(axis).copied().unwrap_or(0);
            if expected != *other {
                return Err(format!(
                    "joins shapes {first:?} and {other:?}; expected the same sizes but on axis {}",
                    self.axis
                ));
            }
            joined[axis] += other[axis];
        }
        Ok(joined)
    }

    fn forward(&self, _: &[&Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Linearization)> {
        let value = Tensor::cat(inputs, self.axis)?;
        let at = Linearization::plain(inputs, &value);
        Ok((value, at))
    }

    fn vjp(&self, _: &[&Tensor], at: &Linearization, slot: usize, c: &Tensor) -> Result<Tensor> {
        let sizes = at.inputs.iter().map(|t| t.dim(self.axis)).collect::<Result<Vec<_>, _>>()?;
        Ok(c.narrow(self.axis, sizes[..slot].iter().sum(), sizes[slot])?.contiguous()?)
    }

    fn vjp_linear(&self, params: &[&Tensor], at: &Linearization, slot: usize, c: &Tensor) -> Result<Tensor> {
        self.vjp(params, at, slot, c)
    }

    fn jvp(&self, _: &[&Tensor], at: &Linearization, slot: usize, d: &Tensor) -> Result<Tensor> {
        let parts = at.inputs.iter().enumerate();
        let parts = parts.map(|(k, t)| if k == slot { Ok(d.clone()) } else { t.zeros_like() });
        Ok(Tensor::cat(&parts.collect::<Result<Vec<_>, _>>()?, self.axis)?)
    }

    fn cost(&self, batch: usize, inputs: &[&[usize]], _: &[&[usize]]) -> OperationCost {
        let each: Vec<u64> = inputs.iter().map(|shape| elements(batch, shape)).collect();
        let all = each.iter().sum();
        let back: Vec<VerbCost> = each.iter().map(|n| VerbCost::elementwise(0, 2 * n)).collect();
        OperationCost {
            forward: VerbCost::elementwise(0, 2 * all),
            vjp: back.clone(),
            vjp_linear: back,
            outputs: all,
            ..OperationCost::default()
        }
    }
}
