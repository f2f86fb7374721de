//! Host-side tensors of case files: nested lists of f64 whose nesting is the shape.

use candle_core::{DType, Device, Tensor};
use serde_json::Value;

use crate::net::host_tensor;
use crate::Result;

/// A dense f64 tensor on the host, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    /// Sizes, outermost first; empty for a number.
    pub shape: Vec<usize>,
    /// Elements, row-major.
    pub data: Vec<f64>,
}

impl Host {
    /// Reads nested lists. The error says what is wrong, for the caller to add where.
    pub fn from_json(value: &Value) -> Result<Self, String> {
        let mut shape = Vec::new();
        let mut cursor = value;
        while let Value::Array(items) = cursor {
            shape.push(items.len());
            match items.first() {
                Some(first) => cursor = first,
                None => return Err("holds an empty list; every size must be at least 1".into()),
            }
        }
        let mut data = Vec::new();
        flatten(value, &shape, &mut data)?;
        Ok(Self { shape, data })
    }

    /// The elements of a Candle tensor, widened to f64.
    pub fn from_tensor(t: &Tensor) -> Result<Self> {
        let data = t.to_dtype(DType::F64)?.to_device(&Device::Cpu)?.flatten_all()?.to_vec1::<f64>()?;
        Ok(Self { shape: t.dims().to_vec(), data })
    }

    /// A one-dimensional tensor.
    pub fn vector(data: Vec<f64>) -> Self {
        Self { shape: vec![data.len()], data }
    }

    /// A number.
    pub fn scalar(value: f64) -> Self {
        Self { shape: Vec::new(), data: vec![value] }
    }

    /// Zeros of a shape.
    pub fn zeros(shape: &[usize]) -> Self {
        Self { shape: shape.to_vec(), data: vec![0.0; shape.iter().product()] }
    }

    /// Rounded to `dtype` on `device`.
    pub fn tensor(&self, dtype: DType, device: &Device) -> Result<Tensor> {
        host_tensor(self.data.clone(), &self.shape, dtype, device)
    }

    /// max |element|; 0 for no elements.
    pub fn largest(&self) -> f64 {
        self.data.iter().fold(0.0, |m, v| m.max(v.abs()))
    }

    /// −self.
    pub fn negated(mut self) -> Self {
        self.data.iter_mut().for_each(|v| *v = -*v);
        self
    }

    /// max |self − other| over elements; infinite if any difference is not a number.
    pub fn distance(&self, other: &Self) -> f64 {
        self.data.iter().zip(&other.data).fold(0.0, |m, (a, b)| {
            let d = (a - b).abs();
            if d.is_nan() {
                f64::INFINITY
            } else {
                m.max(d)
            }
        })
    }
}

fn flatten(value: &Value, shape: &[usize], into: &mut Vec<f64>) -> Result<(), String> {
    match (value, shape) {
        (Value::Number(n), []) => {
            let x = n.as_f64().filter(|x| x.is_finite()).ok_or("holds a number that is not finite")?;
            into.push(x);
            Ok(())
        }
        (Value::Array(items), [n, inner @ ..]) => {
            if items.len() != *n {
                return Err(format!("is ragged: lists of {n} and of {} side by side", items.len()));
            }
            items.iter().try_for_each(|item| flatten(item, inner, into))
        }
        (Value::Number(_) | Value::Array(_), _) => Err("is ragged: numbers and lists side by side".into()),
        (other, _) => Err(format!("holds `{other}` where a number belongs")),
    }
}
