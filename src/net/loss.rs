//! Output energies: the loss on o = μ_L and the output error ε_L = −∂loss/∂o.

use std::fmt;
use std::str::FromStr;

use candle_core::{DType, Tensor, D};

use crate::{Error, Result};

/// The form of the loss, before precision and reduction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LossKind {
    /// ½‖o − y‖².
    HalfSquaredError,
    /// ‖o − y‖².
    SquaredError,
    /// −Σ y log softmax(o), softmax over the outputs of each sample.
    CrossEntropy,
    /// KL(y ‖ softmax(o)) = Σ y (log y − log softmax(o)): cross-entropy less the entropy of y, 0 where they agree. Same
    /// derivative.
    Kl,
    /// −Σ y log σ(o) + (1 − y) log(1 − σ(o)), every output a probability of its own with the logit o; y in [0, 1].
    Bernoulli,
    /// Σ h(o − y) with h(d) = ½d² for |d| ≤ 1 and |d| − ½ beyond: squared error whose derivative is bounded by 1.
    Huber,
}

/// What the sum over batch and outputs is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reduction {
    /// N = 1.
    Sum,
    /// N = B.
    BatchMean,
    /// N = the number of entries of o, B·n_L of a chain.
    ElementMean,
}

/// loss = (p/N) · Σ over batch and outputs of the kind's term.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loss {
    /// Which term.
    pub kind: LossKind,
    /// Which N.
    pub reduction: Reduction,
    /// Output precision p.
    pub precision: f64,
}

impl LossKind {
    /// Every loss, in the order help texts list them.
    pub const ALL: [Self; 6] = [
        Self::HalfSquaredError,
        Self::SquaredError,
        Self::CrossEntropy,
        Self::Kl,
        Self::Bernoulli,
        Self::Huber,
    ];

    /// Whether its targets are distributions over the last axis: rows that sum to 1.
    pub fn judges_distributions(self) -> bool {
        matches!(self, Self::CrossEntropy | Self::Kl)
    }

    /// The name used in suites and case files.
    pub fn name(self) -> &'static str {
        match self {
            Self::HalfSquaredError => "half_squared_error",
            Self::SquaredError => "squared_error",
            Self::CrossEntropy => "cross_entropy",
            Self::Kl => "kl",
            Self::Bernoulli => "bernoulli",
            Self::Huber => "huber",
        }
    }
}

impl Reduction {
    /// Every reduction.
    pub const ALL: [Self; 3] = [Self::Sum, Self::BatchMean, Self::ElementMean];

    /// The name used in suites and case files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::BatchMean => "batch_mean",
            Self::ElementMean => "element_mean",
        }
    }
}

impl fmt::Display for LossKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for LossKind {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|k| k.name() == s)
            .ok_or_else(|| Error::unknown("loss", s, Self::ALL.map(Self::name)))
    }
}

impl FromStr for Reduction {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|k| k.name() == s)
            .ok_or_else(|| Error::unknown("reduction", s, Self::ALL.map(Self::name)))
    }
}

impl Loss {
    /// ½‖o − y‖² summed over the batch: the field's default output energy.
    pub const HALF_SQUARED_ERROR: Self =
        Self { kind: LossKind::HalfSquaredError, reduction: Reduction::Sum, precision: 1.0 };

    /// p/N for outputs of shape `[B, …]`.
    pub fn weight(&self, o: &Tensor) -> Result<f64> {
        Ok(self.precision
            / match self.reduction {
                Reduction::Sum => 1.0,
                Reduction::BatchMean => o.dim(0)? as f64,
                Reduction::ElementMean => o.elem_count() as f64,
            })
    }

    /// The loss as a scalar tensor of o's dtype; differentiable by Candle's autograd.
    pub fn tensor(&self, o: &Tensor, y: &Tensor) -> Result<Tensor> {
        let (sum, factor) = match self.kind {
            LossKind::HalfSquaredError => ((o - y)?.sqr()?.sum_all()?, 0.5),
            LossKind::SquaredError => ((o - y)?.sqr()?.sum_all()?, 1.0),
            LossKind::CrossEntropy => ((candle_nn::ops::log_softmax(o, D::Minus1)? * y)?.sum_all()?, -1.0),
            LossKind::Kl => {
                // 0 log 0 = 0
                let log_y = y.maximum(f64::from(f32::MIN_POSITIVE))?.log()?;
                (((log_y - candle_nn::ops::log_softmax(o, D::Minus1)?)? * y)?.sum_all()?, 1.0)
            }
            LossKind::Bernoulli => {
                // log(1 + e^o) − y o = max(o, 0) + log(1 + e^−|o|) − y o
                let magnitude = ((o * sign(o)?)?.neg()?.exp()? + 1.0)?.log()?;
                (((positive(o)? + magnitude)? - (y * o)?)?.sum_all()?, 1.0)
            }
            LossKind::Huber => (huber(&(o - y)?)?, 1.0),
        };
        Ok(sum.affine(factor * self.weight(o)?, 0.0)?)
    }

    /// The loss as a number.
    pub fn value(&self, o: &Tensor, y: &Tensor) -> Result<f64> {
        Ok(self.tensor(o, y)?.to_dtype(DType::F64)?.to_scalar::<f64>()?)
    }

    /// ε_L = −∂loss/∂o, shape of o: (p/N)(y − o), twice that, (p/N)(y − softmax o), (p/N)(y − σ(o)), or y − o cut to [−1, 1].
    ///
    /// The forms with a softmax use that every row of y sums to 1.
    pub fn output_error(&self, o: &Tensor, y: &Tensor) -> Result<Tensor> {
        let (difference, factor) = match self.kind {
            LossKind::HalfSquaredError => ((y - o)?, 1.0),
            LossKind::SquaredError => ((y - o)?, 2.0),
            LossKind::CrossEntropy | LossKind::Kl => ((y - candle_nn::ops::softmax(o, D::Minus1)?)?, 1.0),
            LossKind::Bernoulli => ((y - o.neg()?.exp()?.affine(1.0, 1.0)?.recip()?)?, 1.0),
            LossKind::Huber => ((y - o)?.clamp(-1.0, 1.0)?, 1.0),
        };
        let weight = factor * self.weight(o)?;
        Ok(if weight == 1.0 { difference } else { difference.affine(weight, 0.0)? })
    }

    /// The second derivative of the loss by o, applied to d, which has the shape of o: (p/N) d, twice that, (p/N) of s ⊙ (d − ⟨s, d⟩)
    /// with s = softmax(o), of σ(o)(1 − σ(o)) d, or of d where |o − y| ≤ 1. Positive semidefinite.
    pub fn curvature(&self, o: &Tensor, y: &Tensor, d: &Tensor) -> Result<Tensor> {
        let (own, factor) = match self.kind {
            LossKind::HalfSquaredError => (d.clone(), 1.0),
            LossKind::SquaredError => (d.clone(), 2.0),
            LossKind::CrossEntropy | LossKind::Kl => {
                let s = candle_nn::ops::softmax(o, D::Minus1)?;
                let mean = (&s * d)?.sum_keepdim(D::Minus1)?;
                ((s * d.broadcast_sub(&mean)?)?, 1.0)
            }
            LossKind::Bernoulli => {
                let p = o.neg()?.exp()?.affine(1.0, 1.0)?.recip()?;
                ((((&p * p.affine(-1.0, 1.0)?)?) * d)?, 1.0)
            }
            LossKind::Huber => ((d * (o - y)?.abs()?.le(1f64)?.to_dtype(d.dtype())?)?, 1.0),
        };
        Ok(own.affine(factor * self.weight(o)?, 0.0)?)
    }

    /// Element-wise operations of [`output_error`](Self::output_error) per output element.
    pub fn output_error_ops(&self) -> u64 {
        let scaled = u64::from(
            self.precision != 1.0 || self.reduction != Reduction::Sum || self.kind == LossKind::SquaredError,
        );
        scaled
            + match self.kind {
                LossKind::HalfSquaredError | LossKind::SquaredError => 1,
                // softmax: maximum, difference, exponential, sum, quotient
                LossKind::CrossEntropy | LossKind::Kl => 6,
                // sign, exponential, sum, reciprocal
                LossKind::Bernoulli => 5,
                // two comparisons
                LossKind::Huber => 3,
            }
    }

    /// Element-wise operations of [`curvature`](Self::curvature) per output element.
    pub fn curvature_ops(&self) -> u64 {
        1 + match self.kind {
            LossKind::HalfSquaredError | LossKind::SquaredError => 0,
            // softmax: maximum, difference, exponential, sum, quotient; ⟨s, d⟩ twice, difference, product
            LossKind::CrossEntropy | LossKind::Kl => 9,
            // sign, exponential, sum, reciprocal; 1 − σ and two products
            LossKind::Bernoulli => 7,
            // difference, size, comparison, product
            LossKind::Huber => 4,
        }
    }
}

/// 1 where t > 0, else 0; a constant to autograd.
fn step(t: &Tensor) -> Result<Tensor> {
    Ok(t.detach().gt(0f64)?.to_dtype(t.dtype())?)
}

/// 1 where t > 0, else −1; a constant to autograd.
pub(super) fn sign(t: &Tensor) -> Result<Tensor> {
    Ok(step(t)?.affine(2.0, -1.0)?)
}

/// max(t, 0), differentiable.
fn positive(t: &Tensor) -> Result<Tensor> {
    Ok((t * step(t)?)?)
}

/// Σ h(d) with h(d) = ½d² for |d| ≤ 1 and |d| − ½ beyond; differentiable.
pub(super) fn huber(d: &Tensor) -> Result<Tensor> {
    // with m = min(|d|, 1): m (|d| − ½m)
    let size = (d * sign(d)?)?;
    let least = size.minimum(1.0)?;
    Ok((&least * (&size - least.affine(0.5, 0.0)?)?)?.sum_all()?)
}
