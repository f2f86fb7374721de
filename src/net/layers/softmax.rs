//! The softmax over the last axis.

use candle_core::{Tensor, D};
use serde::Deserialize;

use super::super::operation::{
    elements, no_params, only, Kind, Linearization, Operation, OperationCost, VerbCost,
};
use crate::Result;

/// The entry of the table of operations.
pub const KIND: Kind = Kind::of::<Softmax>("softmax");

/// s_k = exp(a_k − m)/Σ_j exp(a_j − m) over the last axis, with m the largest a of its row, on which s does not depend.
///
/// Its Jacobian diag(s) − s sᵀ is symmetric: Jᵀc = s ⊙ (c − ⟨s, c⟩).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Softmax {}

impl Operation for Softmax {
    fn kind(&self) -> &'static str {
        "softmax"
    }

    fn shape(&self, inputs: &[&[usize]], params: &[&[usize]]) -> Result<Vec<usize>, String> {
        no_params(params)?;
        match only("inputs", inputs)? {
            [] => Err("reads one number per sample; expected an axis to normalise over".into()),
            shape => Ok(shape.to_vec()),
        }
    }

    fn forward(&self, _: &[&Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Linearization)> {
        let largest = inputs[0].detach().max_keepdim(D::Minus1)?;
        let powers = inputs[0].broadcast_sub(&largest)?.exp()?;
        let value = powers.broadcast_div(&powers.sum_keepdim(D::Minus1)?)?;
        let at = Linearization::plain(inputs, &value);
        Ok((value, at))
    }

    fn vjp(&self, _: &[&Tensor], at: &Linearization, _: usize, c: &Tensor) -> Result<Tensor> {
        let along = (&at.value * c)?.sum_keepdim(D::Minus1)?;
        Ok((&at.value * c.broadcast_sub(&along)?)?)
    }

    fn jvp(&self, params: &[&Tensor], at: &Linearization, slot: usize, d: &Tensor) -> Result<Tensor> {
        self.vjp(params, at, slot, d)
    }

    fn cost(&self, batch: usize, inputs: &[&[usize]], _: &[&[usize]]) -> OperationCost {
        let n = elements(batch, inputs[0]);
        OperationCost {
            // maximum, difference, exponential, sum, quotient
            forward: VerbCost::elementwise(5 * n, 2 * n),
            // product, sum, difference, product
            vjp: vec![VerbCost::elementwise(4 * n, 3 * n)],
            vjp_linear: Vec::new(),
            outputs: n,
            ..OperationCost::default()
        }
    }
}
