//! Rows of a table by their number.

use candle_core::{DType, Tensor};
use serde::Deserialize;

use super::super::operation::{elements, only, Kind, Linearization, Operation, OperationCost, VerbCost};
use crate::{Error, Result};

/// The entry of the table of operations.
pub const KIND: Kind = Kind::of::<Embedding>("embedding");

/// Row a of W, for every entry a of the input: W is `[codes, n]`, a holds whole numbers from 0 to codes − 1 in the network's
/// dtype, `[B, …]`, and the value is `[B, …, n]`.
///
/// The value is piecewise constant in a, so its derivative by a is 0. The gradient of row r is the sum of c over all uses of r.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embedding {}

/// The entries of `a` as numbers of rows, refused where there is no such row.
fn codes(a: &Tensor, rows: usize) -> Result<Tensor> {
    let flat = a.detach().flatten_all()?;
    let whole = flat.to_dtype(DType::U32)?;
    for (code, written) in whole.to_vec1::<u32>()?.iter().zip(flat.to_dtype(DType::F64)?.to_vec1::<f64>()?) {
        if f64::from(*code) != written || *code as usize >= rows {
            return Err(Error::Invalid(format!(
                "an embedding of {rows} rows reads the code {written}; expected whole numbers from 0 to {}",
                rows - 1
            )));
        }
    }
    Ok(whole)
}

impl Operation for Embedding {
    fn kind(&self) -> &'static str {
        "embedding"
    }

    fn shape(&self, inputs: &[&[usize]], params: &[&[usize]]) -> Result<Vec<usize>, String> {
        let a = only("inputs", inputs)?;
        match only("parameters", params)? {
            [_, n] => Ok([a, &[*n]].concat()),
            other => Err(format!("has a table of shape {other:?}; expected [codes, n]")),
        }
    }

    fn forward(&self, params: &[&Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Linearization)> {
        let (rows, n) = params[0].dims2()?;
        let codes = codes(inputs[0], rows)?;
        let shape = [inputs[0].dims(), &[n]].concat();
        let value = params[0].index_select(&codes, 0)?.reshape(shape)?;
        let at = Linearization::keeping(inputs, &value, vec![codes, params[0].zeros_like()?]);
        Ok((value, at))
    }

    fn vjp(&self, _: &[&Tensor], at: &Linearization, _: usize, _: &Tensor) -> Result<Tensor> {
        Ok(at.inputs[0].zeros_like()?)
    }

    fn jvp(&self, _: &[&Tensor], at: &Linearization, _: usize, _: &Tensor) -> Result<Tensor> {
        Ok(at.value.zeros_like()?)
    }

    fn param_grad(&self, at: &Linearization, c: &Tensor) -> Result<Vec<Tensor>> {
        let (codes, zeros) = (&at.kept[0], &at.kept[1]);
        let n = zeros.dim(1)?;
        Ok(vec![zeros.index_add(codes, &c.reshape((codes.elem_count(), n))?, 0)?])
    }

    fn cost(&self, batch: usize, inputs: &[&[usize]], params: &[&[usize]]) -> OperationCost {
        let (codes, table) = (elements(batch, inputs[0]), elements(1, params[0]));
        let outputs = codes * params[0][1] as u64;
        OperationCost {
            forward: VerbCost::elementwise(0, codes + 2 * outputs),
            vjp: vec![VerbCost::default()],
            vjp_linear: Vec::new(),
            param_grad: VerbCost::elementwise(outputs, codes + 2 * outputs + table),
            outputs,
            ..OperationCost::default()
        }
    }
}
