//! Energies of latent vertices: how an error is judged.

use std::fmt;
use std::str::FromStr;

use candle_core::Tensor;

use super::loss::{huber, sign};
use crate::{Error, Result};

/// The energy π Σ φ(ε) of a latent vertex with the error ε = v − f, summed over its values and the samples: −log p(v | f) of a
/// density around f, but for a constant.
///
/// Every rule that descends the energy reads the error through ψ = φ′ alone: what reaches the parents of a vertex is π Jᵀψ(ε), and
/// its own state is drawn back by π ψ(ε). ψ is the influence function of robust statistics (Huber, 1964). Energies that are no
/// function of ε, such as cross-entropy between v and f, have no error-based form and are not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LatentEnergy {
    /// φ = ½ε², ψ = ε: the normal density, which the literature takes where it says nothing else.
    #[default]
    Gaussian,
    /// φ = log cosh ε, ψ = tanh ε: as |ε| far from 0, the density of Laplace with its kink smoothed away. With the kink itself, where
    /// ψ is a sign, rounding would decide which way an error of zero is pushed.
    LogCosh,
    /// φ = ½ε² for |ε| ≤ 1 and |ε| − ½ beyond, ψ = ε cut to [−1, 1].
    Huber,
}

impl LatentEnergy {
    /// Every energy, in the order help texts list them.
    pub const ALL: [Self; 3] = [Self::Gaussian, Self::LogCosh, Self::Huber];

    /// The name used in suites.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gaussian => "gaussian",
            Self::LogCosh => "log_cosh",
            Self::Huber => "huber",
        }
    }

    /// ψ(ε), shape of ε.
    pub fn influence(self, error: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Self::Gaussian => error.clone(),
            Self::LogCosh => error.tanh()?,
            Self::Huber => error.clamp(-1.0, 1.0)?,
        })
    }

    /// φ″(ε), shape of ε.
    pub fn curvature(self, error: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Self::Gaussian => error.ones_like()?,
            Self::LogCosh => error.tanh()?.sqr()?.affine(-1.0, 1.0)?,
            Self::Huber => error.abs()?.le(1f64)?.to_dtype(error.dtype())?,
        })
    }

    /// Σ φ(ε) as a scalar tensor; differentiable by Candle's autograd.
    pub fn tensor(self, error: &Tensor) -> Result<Tensor> {
        let (sum, factor) = match self {
            Self::Gaussian => (error.sqr()?.sum_all()?, 0.5),
            Self::LogCosh => {
                // |ε| + log(1 + e^(−2|ε|)) − log 2
                let size = (error * sign(error)?)?;
                let rest = size.affine(-2.0, 0.0)?.exp()?.affine(1.0, 1.0)?.log()?;
                (((size + rest)? - std::f64::consts::LN_2)?.sum_all()?, 1.0)
            }
            Self::Huber => (huber(error)?, 1.0),
        };
        Ok(sum.affine(factor, 0.0)?)
    }

    /// Element-wise operations of ψ per value.
    pub fn influence_ops(self) -> u64 {
        match self {
            Self::Gaussian => 0,
            Self::LogCosh => 1,
            // two comparisons
            Self::Huber => 2,
        }
    }

    /// Element-wise operations of φ″ per value.
    pub fn curvature_ops(self) -> u64 {
        match self {
            Self::Gaussian => 0,
            // hyperbolic tangent, square, difference
            Self::LogCosh => 3,
            // size and comparison
            Self::Huber => 2,
        }
    }
}

impl fmt::Display for LatentEnergy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for LatentEnergy {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|k| k.name() == s)
            .ok_or_else(|| Error::unknown("latent energy", s, Self::ALL.map(Self::name)))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    /// ψ is the derivative of φ, by central differences away from kinks.
    #[test]
    fn influence_is_the_derivative() {
        let h = 1e-6;
        for energy in LatentEnergy::ALL {
            let at = |e: f64| Tensor::new(&[e], &Device::Cpu).unwrap();
            let value = |e: f64| energy.tensor(&at(e)).unwrap().to_scalar::<f64>().unwrap();
            for e in [-3.0, -1.5, -0.9, -0.2, 0.3, 0.7, 1.2, 4.0] {
                let psi = energy.influence(&at(e)).unwrap().to_vec1::<f64>().unwrap()[0];
                let slope = (value(e + h) - value(e - h)) / (2.0 * h);
                assert!((psi - slope).abs() < 1e-8, "{energy} at {e}: {psi} for {slope}");
                let curvature = energy.curvature(&at(e)).unwrap().to_vec1::<f64>().unwrap()[0];
                let influence = |e: f64| energy.influence(&at(e)).unwrap().to_vec1::<f64>().unwrap()[0];
                let slope = (influence(e + h) - influence(e - h)) / (2.0 * h);
                assert!((curvature - slope).abs() < 1e-8, "{energy} at {e}: {curvature} for {slope}");
            }
            assert!(value(0.0).abs() < 1e-15);
            assert_eq!(energy.influence(&at(0.0)).unwrap().to_vec1::<f64>().unwrap(), [0.0]);
            assert_eq!(energy.name().parse::<LatentEnergy>().unwrap(), energy);
        }
    }
}
