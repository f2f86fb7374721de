//! Other shapes of the same numbers.

use std::sync::Arc;

use candle_core::Tensor;
use serde::Deserialize;

use super::super::operation::{
    elements, no_params, only, Kind, Linearization, Operation, OperationCost, VerbCost,
};
use crate::Result;

/// `[B, …]` becomes `[B, n]`, row-major.
pub const FLATTEN: Kind = Kind {
    name: "flatten",
    read: |attributes| {
        let Flatten {} = serde_json::from_value(attributes).map_err(|e| e.to_string())?;
        Ok(Arc::new(Reshape::FLAT))
    },
};
/// `[B, …]` becomes `[B, shape…]`, row-major.
pub const RESHAPE: Kind = Kind {
    name: "reshape",
    read: |attributes| {
        let Shape { shape } = serde_json::from_value(attributes).map_err(|e| e.to_string())?;
        Ok(Arc::new(Reshape::to(&shape)))
    },
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Flatten {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    shape: Vec<usize>,
}

/// The same numbers of a sample in another shape, row-major: a linear map whose transpose gives the shape back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reshape {
    /// The new shape of a sample; none for one axis, whatever its size.
    shape: Option<Vec<usize>>,
}

impl Reshape {
    /// `[B, …]` becomes `[B, n]`.
    pub const FLAT: Self = Self { shape: None };

    /// `[B, …]` becomes `[B, shape…]`.
    pub fn to(shape: &[usize]) -> Self {
        Self { shape: Some(shape.to_vec()) }
    }

    fn of(&self, input: &[usize]) -> Vec<usize> {
        self.shape.clone().unwrap_or_else(|| vec![input.iter().product()])
    }
}

/// `t` with the same samples in another shape.
fn reshaped(t: &Tensor, sample: &[usize]) -> Result<Tensor> {
    Ok(t.reshape([&[t.dim(0)?], sample].concat())?)
}

impl Operation for Reshape {
    fn kind(&self) -> &'static str {
        if self.shape.is_some() {
            RESHAPE.name
        } else {
            FLATTEN.name
        }
    }

    fn shape(&self, inputs: &[&[usize]], params: &[&[usize]]) -> Result<Vec<usize>, String> {
        no_params(params)?;
        let input = only("inputs", inputs)?;
        let sample = self.of(input);
        let count = |shape: &[usize]| shape.iter().try_fold(1usize, |n, &size| n.checked_mul(size));
        if count(&sample) == count(input) {
            return Ok(sample);
        }
        Err(format!("makes {sample:?} of {input:?}; expected the same number of values"))
    }

    fn forward(&self, _: &[&Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Linearization)> {
        let value = reshaped(inputs[0], &self.of(&inputs[0].dims()[1..]))?;
        let at = Linearization::plain(inputs, &value);
        Ok((value, at))
    }

    fn vjp(&self, _: &[&Tensor], at: &Linearization, _: usize, c: &Tensor) -> Result<Tensor> {
        reshaped(c, &at.inputs[0].dims()[1..])
    }

    fn vjp_linear(&self, params: &[&Tensor], at: &Linearization, slot: usize, c: &Tensor) -> Result<Tensor> {
        self.vjp(params, at, slot, c)
    }

    fn jvp(&self, _: &[&Tensor], at: &Linearization, _: usize, d: &Tensor) -> Result<Tensor> {
        reshaped(d, &at.value.dims()[1..])
    }

    /// Views move nothing.
    fn cost(&self, batch: usize, inputs: &[&[usize]], _: &[&[usize]]) -> OperationCost {
        OperationCost {
            vjp: vec![VerbCost::default()],
            vjp_linear: vec![VerbCost::default()],
            outputs: elements(batch, inputs[0]),
            ..OperationCost::default()
        }
    }
}
