//! Other shapes of the same numbers.

use candle_core::Tensor;
use serde::Deserialize;

use super::super::operation::elements;
use super::super::operation::{no_params, only, Kind, Linearization, Operation, OperationCost, VerbCost};
use crate::Result;

/// `[B, …]` becomes `[B, n]`, row-major.
pub const FLATTEN: Kind = Kind::of::<Flatten>("flatten");
/// `[B, …]` becomes `[B, shape…]`, row-major.
pub const RESHAPE: Kind = Kind::of::<Reshape>("reshape");

/// `[B, …]` becomes `[B, n]`, row-major: a linear map whose transpose gives the shape back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flatten {}

/// `[B, …]` becomes `[B, shape…]`, row-major: a linear map whose transpose gives the shape back.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reshape {
    /// The new shape of a sample.
    pub shape: Vec<usize>,
}

/// `t` with the same samples in another shape.
fn reshaped(t: &Tensor, sample: &[usize]) -> Result<Tensor> {
    let shape = [&[t.dim(0)?], sample].concat();
    Ok(t.reshape(shape)?)
}

/// Views move nothing.
fn free(batch: usize, input: &[usize]) -> OperationCost {
    OperationCost {
        vjp: vec![VerbCost::default()],
        vjp_linear: vec![VerbCost::default()],
        outputs: elements(batch, input),
        ..OperationCost::default()
    }
}

/// Both operations: `$sample` is the shape of the value of `$self` for an input of shape `$input`.
macro_rules! reshaping {
    ($type:ty, $kind:expr, |$self:ident, $input:ident| $sample:expr) => {
        impl Operation for $type {
            fn kind(&self) -> &'static str {
                $kind
            }

            fn shape(&self, inputs: &[&[usize]], params: &[&[usize]]) -> Result<Vec<usize>, String> {
                no_params(params)?;
                let ($self, $input) = (self, only("inputs", inputs)?);
                let sample: Vec<usize> = $sample;
                let count =
                    |shape: &[usize]| shape.iter().try_fold(1usize, |n: usize, &size| n.checked_mul(size));
                if count(&sample) == count($input) {
                    return Ok(sample);
                }
                Err(format!("makes {sample:?} of {:?}; expected the same number of values", $input))
            }

            fn forward(&self, _: &[&Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Linearization)> {
                let value = self.jvp(&[], &Linearization::plain(inputs, inputs[0]), 0, inputs[0])?;
                let at = Linearization::plain(inputs, &value);
                Ok((value, at))
            }

            fn vjp(&self, _: &[&Tensor], at: &Linearization, _: usize, c: &Tensor) -> Result<Tensor> {
                reshaped(c, &at.inputs[0].dims()[1..])
            }

            fn vjp_linear(
                &self,
                params: &[&Tensor],
                at: &Linearization,
                slot: usize,
                c: &Tensor,
            ) -> Result<Tensor> {
                self.vjp(params, at, slot, c)
            }

            fn jvp(&self, _: &[&Tensor], at: &Linearization, _: usize, d: &Tensor) -> Result<Tensor> {
                let ($self, $input) = (self, &at.inputs[0].dims()[1..]);
                let sample: Vec<usize> = $sample;
                reshaped(d, &sample)
            }

            fn cost(&self, batch: usize, inputs: &[&[usize]], _: &[&[usize]]) -> OperationCost {
                free(batch, inputs[0])
            }
        }
    };
}

reshaping!(Flatten, "flatten", |_own, input| vec![input.iter().product()]);
reshaping!(Reshape, "reshape", |own, _input| own.shape.clone());
