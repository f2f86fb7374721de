//! Sums, differences, products and multiples of tensors of one shape.

use std::sync::Arc;

use candle_core::Tensor;
use serde::Deserialize;
use serde_json::Value;

use super::super::operation::{
    elements, no_params, only, Kind, Linearization, Operation, OperationCost, VerbCost,
};
use crate::Result;

/// The entries of the table of operations.
pub const ADD: Kind = Kind { name: "add", read: |attributes| plain(attributes, Add) };
/// a − b.
pub const SUB: Kind = Kind { name: "sub", read: |attributes| plain(attributes, Sub) };
/// a ⊙ b.
pub const MUL: Kind = Kind { name: "mul", read: |attributes| plain(attributes, Mul) };
/// k·a.
pub const SCALE: Kind = Kind::of::<Scale>("scale");

/// a + b + …, two or more inputs of one shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Add;

/// a ⊙ b ⊙ …, two or more inputs of one shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mul;

/// a − b, of one shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sub;

/// k·a.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// k.
    pub constant: f64,
}

/// An operation without attributes.
fn plain(attributes: Value, operation: impl Operation) -> Result<Arc<dyn Operation>, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Attributes {}
    let Attributes {} = serde_json::from_value(attributes).map_err(|e| e.to_string())?;
    Ok(Arc::new(operation))
}

/// The one shape of two or more inputs.
fn alike(inputs: &[&[usize]], params: &[&[usize]]) -> Result<Vec<usize>, String> {
    no_params(params)?;
    match inputs {
        [first, second, others @ ..] => match [second].into_iter().chain(others).find(|s| *s != first) {
            None => Ok(first.to_vec()),
            Some(other) => Err(format!("reads shapes {first:?} and {other:?}; expected one shape")),
        },
        _ => Err(format!("reads {} inputs; expected two or more", inputs.len())),
    }
}

/// The inputs combined one after another.
fn fold(
    inputs: &[&Tensor],
    combine: impl Fn(&Tensor, &Tensor) -> candle_core::Result<Tensor>,
) -> Result<(Tensor, Linearization)> {
    let mut value = inputs[0].clone();
    for input in &inputs[1..] {
        value = combine(&value, input)?;
    }
    let at = Linearization::plain(inputs, &value);
    Ok((value, at))
}

impl Operation for Add {
    fn kind(&self) -> &'static str {
        "add"
    }

    fn shape(&self, inputs: &[&[usize]], params: &[&[usize]]) -> Result<Vec<usize>, String> {
        alike(inputs, params)
    }

    fn forward(&self, _: &[&Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Linearization)> {
        fold(inputs, |a, b| a + b)
    }

    fn vjp(&self, _: &[&Tensor], _: &Linearization, _: usize, c: &Tensor) -> Result<Tensor> {
        Ok(c.clone())
    }

    fn vjp_linear(&self, _: &[&Tensor], _: &Linearization, _: usize, c: &Tensor) -> Result<Tensor> {
        Ok(c.clone())
    }

    fn jvp(&self, _: &[&Tensor], _: &Linearization, _: usize, d: &Tensor) -> Result<Tensor> {
        Ok(d.clone())
    }

    fn cost(&self, batch: usize, inputs: &[&[usize]], _: &[&[usize]]) -> OperationCost {
        let (n, k) = (elements(batch, inputs[0]), inputs.len() as u64);
        OperationCost {
            forward: VerbCost::elementwise(n * (k - 1), n * (k + 1)),
            vjp: vec![VerbCost::default(); inputs.len()],
            vjp_linear: vec![VerbCost::default(); inputs.len()],
            outputs: n,
            ..OperationCost::default()
        }
    }
}

impl Mul {
    /// c ⊙ every input but the one in `slot`.
    fn others(at: &Linearization, slot: usize, c: &Tensor) -> Result<Tensor> {
        let others = at.inputs.iter().enumerate().filter(|(k, _)| *k != slot);
        others.map(|(_, t)| t).try_fold(c.clone(), |product, t| Ok((product * t)?))
    }
}

impl Operation for Mul {
    fn kind(&self) -> &'static str {
        "mul"
    }

    fn shape(&self, inputs: &[&[usize]], params: &[&[usize]]) -> Result<Vec<usize>, String> {
        alike(inputs, params)
    }

    fn forward(&self, _: &[&Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Linearization)> {
        fold(inputs, |a, b| a * b)
    }

    fn vjp(&self, _: &[&Tensor], at: &Linearization, slot: usize, c: &Tensor) -> Result<Tensor> {
        Self::others(at, slot, c)
    }

    fn jvp(&self, _: &[&Tensor], at: &Linearization, slot: usize, d: &Tensor) -> Result<Tensor> {
        Self::others(at, slot, d)
    }

    fn cost(&self, batch: usize, inputs: &[&[usize]], _: &[&[usize]]) -> OperationCost {
        let (n, k) = (elements(batch, inputs[0]), inputs.len() as u64);
        let each = VerbCost::elementwise(n * (k - 1), n * (k + 1));
        OperationCost {
            forward: each,
            vjp: vec![each; inputs.len()],
            vjp_linear: Vec::new(),
            outputs: n,
            ..OperationCost::default()
        }
    }
}

impl Operation for Sub {
    fn kind(&self) -> &'static str {
        "sub"
    }

    fn shape(&self, inputs: &[&[usize]], params: &[&[usize]]) -> Result<Vec<usize>, String> {
        if inputs.len() != 2 {
            return Err(format!("reads {} inputs; expected two", inputs.len()));
        }
        alike(inputs, params)
    }

    fn forward(&self, _: &[&Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Linearization)> {
        fold(inputs, |a, b| a - b)
    }

    fn vjp(&self, _: &[&Tensor], _: &Linearization, slot: usize, c: &Tensor) -> Result<Tensor> {
        Ok(if slot == 0 { c.clone() } else { c.neg()? })
    }

    fn vjp_linear(&self, params: &[&Tensor], at: &Linearization, slot: usize, c: &Tensor) -> Result<Tensor> {
        self.vjp(params, at, slot, c)
    }

    fn jvp(&self, params: &[&Tensor], at: &Linearization, slot: usize, d: &Tensor) -> Result<Tensor> {
        self.vjp(params, at, slot, d)
    }

    fn cost(&self, batch: usize, inputs: &[&[usize]], _: &[&[usize]]) -> OperationCost {
        let n = elements(batch, inputs[0]);
        let back = vec![VerbCost::default(), VerbCost::elementwise(n, 2 * n)];
        OperationCost {
            forward: VerbCost::elementwise(n, 3 * n),
            vjp: back.clone(),
            vjp_linear: back,
            outputs: n,
            ..OperationCost::default()
        }
    }
}

impl Operation for Scale {
    fn kind(&self) -> &'static str {
        "scale"
    }

    fn shape(&self, inputs: &[&[usize]], params: &[&[usize]]) -> Result<Vec<usize>, String> {
        no_params(params)?;
        Ok(only("inputs", inputs)?.to_vec())
    }

    fn forward(&self, _: &[&Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Linearization)> {
        let value = inputs[0].affine(self.constant, 0.0)?;
        let at = Linearization::plain(inputs, &value);
        Ok((value, at))
    }

    fn vjp(&self, _: &[&Tensor], _: &Linearization, _: usize, c: &Tensor) -> Result<Tensor> {
        Ok(c.affine(self.constant, 0.0)?)
    }

    fn vjp_linear(&self, params: &[&Tensor], at: &Linearization, slot: usize, c: &Tensor) -> Result<Tensor> {
        self.vjp(params, at, slot, c)
    }

    fn jvp(&self, _: &[&Tensor], _: &Linearization, _: usize, d: &Tensor) -> Result<Tensor> {
        Ok(d.affine(self.constant, 0.0)?)
    }

    fn cost(&self, batch: usize, inputs: &[&[usize]], _: &[&[usize]]) -> OperationCost {
        let n = elements(batch, inputs[0]);
        let each = VerbCost::elementwise(n, 2 * n);
        OperationCost {
            forward: each,
            vjp: vec![each],
            vjp_linear: vec![each],
            outputs: n,
            ..OperationCost::default()
        }
    }
}
