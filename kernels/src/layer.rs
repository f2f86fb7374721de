//! The description of a dense layer and of its activations: the only one of the project. Networks, the engines on the
//! CPU and the tables that GPUs read are all made from it.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// An element-wise activation φ; the discriminant of one of [`STACKED`](Activation::STACKED) is its number in the kernels
/// on a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Activation {
    /// φ(z) = z.
    Identity = 0,
    /// φ(z) = tanh z.
    Tanh = 1,
    /// φ(z) = max(z, 0), with φ'(0) = 0.
    Relu = 2,
    /// φ(z) = z·Φ(z) with Φ the normal distribution function (the erf form, not its tanh approximation).
    Gelu = 3,
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

impl Activation {
    /// Activations of the layers of suites and of a [`Stack`](crate::Stack), in the order help texts list them.
    pub const STACKED: [Self; 4] = [Self::Identity, Self::Tanh, Self::Relu, Self::Gelu];

    /// Every activation.
    pub const ALL: [Self; 10] = [
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

    /// The slope of [`LeakyRelu`](Self::LeakyRelu) on negative arguments, that of PyTorch and JAX.
    pub const LEAK: f64 = 0.01;

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

    /// The activation of this name, of all of them ([`from_str`](FromStr::from_str) knows [`STACKED`](Self::STACKED)).
    ///
    /// # Errors
    /// [`Error::Unknown`] for a name that is not among them.
    pub fn named(name: &str) -> Result<Self> {
        Error::find("activation", name, Self::ALL, Self::name)
    }

    /// (φ(z), φ'(z)), in f64.
    // of no hot loop, and not to be copied into the loops beside which it is called
    #[inline(never)]
    pub fn at(self, z: f64) -> (f64, f64) {
        match self {
            Self::Identity => (z, 1.0),
            Self::Tanh => {
                let a = z.tanh();
                (a, 1.0 - a * a)
            }
            Self::Relu if z > 0.0 => (z, 1.0),
            Self::Relu => (0.0, 0.0),
            Self::Gelu => {
                let normal = 0.5 * (1.0 + libm::erf(z * std::f64::consts::FRAC_1_SQRT_2));
                let density = (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt();
                (z * normal, normal + z * density)
            }
            Self::Sigmoid => {
                let a = 1.0 / (1.0 + (-z).exp());
                (a, a * (1.0 - a))
            }
            Self::Sin => (z.sin(), z.cos()),
            Self::Tan => (z.tan(), 1.0 + z.tan().powi(2)),
            Self::Sqrt => (z.sqrt(), 0.5 / z.sqrt()),
            Self::Square => (z * z, 2.0 * z),
            Self::LeakyRelu if z > 0.0 => (z, 1.0),
            Self::LeakyRelu => (Self::LEAK * z, Self::LEAK),
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
        Error::find("activation", s, Self::STACKED, Self::name)
    }
}

/// A dense layer, μ = φ_out( scale · φ_in(v) Wᵀ + b ) + (v if skip). W is `[outputs, inputs]`, b is `[outputs]`; the
/// scale multiplies the product only, and the skip adds the raw state below, before φ_in and after φ_out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dense {
    /// Columns of W.
    pub inputs: usize,
    /// Rows of W.
    pub outputs: usize,
    /// φ_in, applied to the state below.
    pub act_in: Activation,
    /// φ_out, applied to the scaled product plus bias.
    pub act_out: Activation,
    /// Forward multiplier of the product (1/√N and its relatives under NTP and μPC).
    pub scale: f64,
    /// Whether the raw state below is added to the output; needs inputs = outputs.
    pub skip: bool,
    /// Whether there is a bias.
    pub bias: bool,
}

impl Dense {
    /// μ = v Wᵀ: no activation, multiplier, skip or bias. What a layer has besides is stated where it is made,
    /// `Dense { act_in: Activation::Tanh, ..Dense::linear(n, n) }`.
    pub const fn linear(inputs: usize, outputs: usize) -> Self {
        let act = Activation::Identity;
        Self { inputs, outputs, act_in: act, act_out: act, scale: 1.0, skip: false, bias: false }
    }

    /// Elements of b.
    pub(crate) fn bias_units(&self) -> usize {
        if self.bias {
            self.outputs
        } else {
            0
        }
    }

    /// Shapes of W and, if there is one, b.
    pub fn param_shapes(&self) -> Vec<Vec<usize>> {
        let mut shapes = vec![vec![self.outputs, self.inputs]];
        if self.bias {
            shapes.push(vec![self.outputs]);
        }
        shapes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the root and the tangent are smooth, and clear of the kinks at 0.
    const AT: [f64; 4] = [0.1, 0.4, 0.9, 1.2];

    #[test]
    fn activations_are_what_their_definitions_say() {
        let (z, e) = (0.9f64, std::f64::consts::E);
        let tanh = (z.exp() - (-z).exp()) / (z.exp() + (-z).exp());
        // Abramowitz & Stegun, table 26.1: Φ(1)
        for (act, z, expected, tolerance) in [
            (Activation::Identity, z, z, 0.0),
            (Activation::Tanh, z, tanh, 1e-15),
            (Activation::Relu, -z, 0.0, 0.0),
            (Activation::Gelu, 1.0, 0.841_344_746_068_543, 1e-15),
            (Activation::Sigmoid, 1.0, e / (1.0 + e), 1e-15),
            (Activation::Tan, std::f64::consts::FRAC_PI_4, 1.0, 1e-15),
            (Activation::Sin, std::f64::consts::FRAC_PI_6, 0.5, 1e-15),
            (Activation::Sqrt, 2.25, 1.5, 0.0),
            (Activation::Square, -1.5, 2.25, 0.0),
            (Activation::LeakyRelu, -2.0, -0.02, 0.0),
        ] {
            assert!((act.at(z).0 - expected).abs() <= tolerance, "{act}({z}) = {}", act.at(z).0);
        }
    }

    #[test]
    fn slopes_are_the_limits_of_differences() {
        let h = 1e-5;
        for act in Activation::ALL {
            let negative = AT.map(|z| -z);
            for &z in AT.iter().chain(&negative).filter(|z| act != Activation::Sqrt || **z > 0.0) {
                let difference = (act.at(z + h).0 - act.at(z - h).0) / (2.0 * h);
                // a sixth of h² times the third derivative, which is below 500 here, and the rounding of a difference
                assert!((act.at(z).1 - difference).abs() < 1e-8, "{act}'({z})");
            }
        }
    }

    #[test]
    fn names_are_read_back() {
        for act in Activation::ALL {
            assert_eq!(Activation::named(act.name()).unwrap(), act);
            assert_eq!(act.name().parse().ok(), Activation::STACKED.contains(&act).then_some(act));
        }
        let message = "square".parse::<Activation>().unwrap_err().to_string();
        assert_eq!(message, "unknown activation `square`; expected one of: identity, tanh, relu, gelu");
    }
}
