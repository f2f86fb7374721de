//! Element-wise activations φ, and the operation that applies one.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use candle_core::Tensor;
use serde::Deserialize;
use serde_json::Value;

use super::super::operation::{
    elements, no_params, only, Kind, Linearization, Operation, OperationCost, VerbCost,
};
use crate::{Error, Result};

/// An element-wise activation φ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Activation {
    /// φ(z) = z.
    Identity,
    /// φ(z) = tanh z.
    Tanh,
    /// φ(z) = max(z, 0), with φ'(0) = 0.
    Relu,
    /// φ(z) = z·Φ(z) with Φ the normal distribution function (the erf form, not its tanh approximation).
    Gelu,
    /// φ(z) = 1/(1 + e^−z).
    Sigmoid,
    /// φ(z) = sin z.
    Sin,
    /// φ(z) = tan z.
    Tan,
    /// φ(z) = √z.
    Sqrt,
    /// φ(z) = z².
    Square,
    /// φ(z) = max(z, 0) + 0.01·min(z, 0), with φ'(0) = 0.01.
    LeakyRelu,
}

/// The slope of [`Activation::LeakyRelu`] on negative arguments, that of PyTorch and JAX.
const LEAK: f64 = 0.01;

impl Activation {
    /// Activations of layers in suites and stacks, which the kernels have too; in the order help texts list them.
    pub const ALL: [Self; 4] = [Self::Identity, Self::Tanh, Self::Relu, Self::Gelu];

    /// Everything that [`Act`] can apply.
    pub const FUNCTIONS: [Self; 10] = [
        Self::Identity,
        Self::Tanh,
        Self::Relu,
        Self::Gelu,
        Self::Sigmoid,
        Self::Sin,
        Self::Tan,
        Self::Sqrt,
        Self::Square,
        Self::LeakyRelu,
    ];

    /// The name used in suites and case files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Tanh => "tanh",
            Self::Relu => "relu",
            Self::Gelu => "gelu",
            Self::Sigmoid => "sigmoid",
            Self::Sin => "sin",
            Self::Tan => "tan",
            Self::Sqrt => "sqrt",
            Self::Square => "square",
            Self::LeakyRelu => "leaky_relu",
        }
    }

    /// The function of this name, of all of them ([`from_str`](FromStr::from_str) knows [`ALL`](Self::ALL)).
    ///
    /// # Errors
    /// [`Error::Unknown`] for a name that is not among them.
    pub fn function(name: &str) -> Result<Self> {
        Self::FUNCTIONS
            .into_iter()
            .find(|a| a.name() == name)
            .ok_or_else(|| Error::unknown("activation", name, Self::FUNCTIONS.map(Self::name)))
    }

    /// a = φ(z), any shape; the identity shares storage with its argument.
    ///
    /// Where autograd is watching, gelu is spelled out as z·(1 + erf(z/√2))/2: the backward pass of Candle
    /// 0.11.1's own `gelu_erf` rounds 1/√(2π) to six digits, a relative error near 1e-6. Likewise relu is
    /// then a product with its mask, because Candle's has φ'(0) = 1.
    pub fn apply(self, z: &Tensor) -> Result<Tensor> {
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

    /// c ⊙ φ'(z), given z and a = φ(z): the transposed Jacobian of φ at z applied to c.
    ///
    /// tanh reads its derivative 1 − a² off the activation, so that no transcendental is evaluated twice.
    pub fn pull_back(self, z: &Tensor, a: &Tensor, c: &Tensor) -> Result<Tensor> {
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

    /// Operations per element of [`apply`](Self::apply); a transcendental counts as one.
    pub fn forward_ops(self) -> u64 {
        match self {
            Self::Identity => 0,
            Self::Tanh | Self::Relu | Self::Gelu | Self::Sin | Self::Sqrt | Self::Square => 1,
            Self::Tan | Self::LeakyRelu => 3,
            Self::Sigmoid => 4,
        }
    }

    /// Operations per element of [`pull_back`](Self::pull_back), as the formulas above are written.
    pub fn pull_back_ops(self) -> u64 {
        match self {
            Self::Identity => 0,
            Self::Tanh | Self::Sigmoid | Self::Tan | Self::Sqrt | Self::LeakyRelu => 3,
            Self::Relu | Self::Sin | Self::Square => 2,
            Self::Gelu => 10,
        }
    }
}

/// 1 where z > 0, else [`LEAK`].
fn leaky_slope(z: &Tensor) -> Result<Tensor> {
    Ok(z.detach().gt(0f64)?.to_dtype(z.dtype())?.affine(1.0 - LEAK, LEAK)?)
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Activation {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|a| a.name() == s)
            .ok_or_else(|| Error::unknown("activation", s, Self::ALL.map(Self::name)))
    }
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
    Ok(Arc::new(Act(Activation::function(&function).map_err(|e| e.to_string())?)))
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
