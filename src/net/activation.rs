//! Element-wise activations φ and their derivatives.

use std::fmt;
use std::str::FromStr;

use candle_core::Tensor;

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
}

impl Activation {
    /// Every activation, in the order help texts list them.
    pub const ALL: [Self; 4] = [Self::Identity, Self::Tanh, Self::Relu, Self::Gelu];

    /// The name used in suites and case files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Tanh => "tanh",
            Self::Relu => "relu",
            Self::Gelu => "gelu",
        }
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
        })
    }

    /// Operations per element of [`apply`](Self::apply); a transcendental counts as one.
    pub fn forward_ops(self) -> u64 {
        u64::from(self != Self::Identity)
    }

    /// Operations per element of [`pull_back`](Self::pull_back), as the formulas above are written.
    pub fn pull_back_ops(self) -> u64 {
        match self {
            Self::Identity => 0,
            Self::Tanh => 3,
            Self::Relu => 2,
            Self::Gelu => 10,
        }
    }
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
