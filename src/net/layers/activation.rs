//! Element-wise activations φ, and the operation that applies one.

use std::sync::Arc;

use candle_core::Tensor;
pub use pcnbench_kernels::Activation;
use serde::Deserialize;
use serde_json::Value;

use super::super::operation::{
    elements, no_params, only, Kind, Linearization, Operation, OperationCost, VerbCost,
};
use crate::Result;

/// φ and its derivative on tensors, and how many operations each counts as.
pub trait Elementwise: Copy {
    /// a = φ(z), any shape; the identity shares storage with its argument.
    ///
    /// Where autograd is watching, gelu is spelled out as z·(1 + erf(z/√2))/2: the backward pass of Candle
    /// 0.11.1's own `gelu_erf` rounds 1/√(2π) to six digits, a relative error near 1e-6. Likewise relu is
    /// then a product with its mask, because Candle's has φ'(0) = 1.
    ///
    /// # Errors
    /// If Candle or the device fails.
    fn apply(self, z: &Tensor) -> Result<Tensor>;

    /// c ⊙ φ'(z), given z and a = φ(z): the transposed Jacobian of φ at z applied to c.
    ///
    /// tanh reads its derivative 1 − a² off the activation, so that no transcendental is evaluated twice.
    ///
    /// # Errors
    /// If Candle or the device fails.
    fn pull_back(self, z: &Tensor, a: &Tensor, c: &Tensor) -> Result<Tensor>;

    /// Operations per element of [`apply`](Self::apply); a transcendental counts as one.
    fn forward_ops(self) -> u64;

    /// Operations per element of [`pull_back`](Self::pull_back), as its formulas are written.
    fn pull_back_ops(self) -> u64;
}

impl Elementwise for Activation {
    fn apply(self, z: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Self::Identity => z.clone(),
            Self::Tanh => z.tanh()?,
            Self::Relu if z.track_op() => (z * z.detach().gt(0f64)?.to_dtype(z.dtype())?)?,
            Self::Relu => z.relu()?,
            Self::Gelu if z.track_op() => {
                (z * z.affine(std::f64::consts::FRAC_1_SQRT_2, 0.0)?.erf()?.affine(0.5, 0.5)?)?
            }
            Self::Gelu => z.gelu_erf()?,
            Self::Sigmoid => z.neg()?.exp()?.affine(1.0, 1.0)?.recip()?,
            Self::Sin => z.sin()?,
            Self::Tan => (z.sin()? / z.cos()?)?,
            Self::Sqrt => z.sqrt()?,
            Self::Square => z.sqr()?,
            Self::LeakyRelu => (z * leaky_slope(z)?)?,
        })
    }

    fn pull_back(self, z: &Tensor, a: &Tensor, c: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Self::Identity => c.clone(),
            Self::Tanh => (c * a.sqr()?.affine(-1.0, 1.0)?)?,
            Self::Relu => (c * z.gt(0f64)?.to_dtype(z.dtype())?)?,
            Self::Gelu => {
                let cdf = z.affine(std::f64::consts::FRAC_1_SQRT_2, 0.0)?.erf()?.affine(0.5, 0.5)?;
                let inv_sqrt_tau = 1.0 / std::f64::consts::TAU.sqrt();
                let pdf = z.sqr()?.affine(-0.5, 0.0)?.exp()?.affine(inv_sqrt_tau, 0.0)?;
                (c * (cdf + (z * pdf)?)?)?
            }
            Self::Sigmoid => (c * (a * a.affine(-1.0, 1.0)?)?)?,
            Self::Sin => (c * z.cos()?)?,
            Self::Tan => (c * a.sqr()?.affine(1.0, 1.0)?)?,
            Self::Sqrt => (c * a.recip()?.affine(0.5, 0.0)?)?,
            Self::Square => (c * z.affine(2.0, 0.0)?)?,
            Self::LeakyRelu => (c * leaky_slope(z)?)?,
        })
    }

    fn forward_ops(self) -> u64 {
        match self {
            Self::Identity => 0,
            Self::Tanh | Self::Relu | Self::Gelu | Self::Sin | Self::Sqrt | Self::Square => 1,
            Self::Tan | Self::LeakyRelu => 3,
            Self::Sigmoid => 4,
        }
    }

    fn pull_back_ops(self) -> u64 {
        match self {
            Self::Identity => 0,
            Self::Tanh | Self::Sigmoid | Self::Tan | Self::Sqrt | Self::LeakyRelu => 3,
            Self::Relu | Self::Sin | Self::Square => 2,
            Self::Gelu => 10,
        }
    }
}

/// φ'(z) of [`Activation::LeakyRelu`].
fn leaky_slope(z: &Tensor) -> Result<Tensor> {
    const LEAK: f64 = Activation::LEAK;
    Ok(z.detach().gt(0f64)?.to_dtype(z.dtype())?.affine(1.0 - LEAK, LEAK)?)
}

/// The entry of the table of operations.
pub const KIND: Kind = Kind { name: "act", read };

/// The attributes of [`Act`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Attributes {
    function: String,
}

fn read(attributes: Value) -> Result<Arc<dyn Operation>, String> {
    let Attributes { function } = serde_json::from_value(attributes).map_err(|e| e.to_string())?;
    Ok(Arc::new(Act(Activation::named(&function).map_err(|e| e.to_string())?)))
}

/// The operation φ(a), element by element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Act(pub Activation);

impl Operation for Act {
    fn kind(&self) -> &'static str {
        "act"
    }

    fn shape(&self, inputs: &[&[usize]], params: &[&[usize]]) -> Result<Vec<usize>, String> {
        no_params(params)?;
        Ok(only("inputs", inputs)?.to_vec())
    }

    fn forward(&self, _: &[&Tensor], inputs: &[&Tensor]) -> Result<(Tensor, Linearization)> {
        let value = self.0.apply(inputs[0])?;
        let at = Linearization::plain(inputs, &value);
        Ok((value, at))
    }

    fn vjp(&self, _: &[&Tensor], at: &Linearization, _: usize, c: &Tensor) -> Result<Tensor> {
        self.0.pull_back(&at.inputs[0], &at.value, c)
    }

    fn vjp_linear(&self, _: &[&Tensor], _: &Linearization, _: usize, c: &Tensor) -> Result<Tensor> {
        Ok(c.clone())
    }

    /// φ acts element by element, so its Jacobian is symmetric.
    fn jvp(&self, _: &[&Tensor], at: &Linearization, _: usize, d: &Tensor) -> Result<Tensor> {
        self.0.pull_back(&at.inputs[0], &at.value, d)
    }

    fn cost(&self, batch: usize, inputs: &[&[usize]], _: &[&[usize]]) -> OperationCost {
        let n = elements(batch, inputs[0]);
        let back = match self.0 {
            Activation::Identity => VerbCost::default(),
            // reads c and either the input or the value, writes the result
            _ => VerbCost::elementwise(n * self.0.pull_back_ops(), 3 * n),
        };
        let forward = match self.0 {
            Activation::Identity => VerbCost::default(),
            _ => VerbCost::elementwise(n * self.0.forward_ops(), 2 * n),
        };
        OperationCost {
            forward,
            vjp: vec![back],
            vjp_linear: vec![VerbCost::default()],
            outputs: n,
            ..OperationCost::default()
        }
    }
}
