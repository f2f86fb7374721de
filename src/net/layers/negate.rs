//! The negative of a tensor.

use candle_core::Tensor;
use serde::Deserialize;

use super::super::operation::{
    elements, no_params, only, Kind, Linearization, Operation, OperationCost, VerbCost,
};
use crate::Result;

/// The entry of the table of operations.
pub const KIND: Kind = Kind::of::<Negate>("negate");

/// −a, any shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Negate {}

impl Operation for Negate {
    fn kind(&self) -> &'static str {
        "negate"
    }

    fn shape(&self, inputs: &[&[usize]], params: &[&[usize]]) -> Result<Vec<usize>, String> {
        no_params(params)?;
        Ok(only("inputs", inputs)?.to_vec())
    }

    fn forward(&self, _: &[&Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Linearization)> {
        let value = inputs[0].neg()?;
        let at = Linearization::plain(inputs, &value);
        Ok((value, at))
    }

    fn vjp(&self, _: &[&Tensor], _: &Linearization, _: usize, c: &Tensor) -> Result<Tensor> {
        Ok(c.neg()?)
    }

    fn vjp_linear(&self, params: &[&Tensor], at: &Linearization, slot: usize, c: &Tensor) -> Result<Tensor> {
        self.vjp(params, at, slot, c)
    }

    fn jvp(&self, _: &[&Tensor], _: &Linearization, _: usize, d: &Tensor) -> Result<Tensor> {
        Ok(d.neg()?)
    }

    fn cost(&self, batch: usize, inputs: &[&[usize]], _: &[&[usize]]) -> OperationCost {
        let n = elements(batch, inputs[0]);
        let pass = VerbCost::elementwise(n, 2 * n);
        OperationCost {
            forward: pass,
            vjp: vec![pass],
            vjp_linear: vec![pass],
            param_grad: VerbCost::default(),
            outputs: n,
        }
    }
}
