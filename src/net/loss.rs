//! Output energies on tensors: the loss on o = μ_L and the output error ε_L = −∂loss/∂o.

use candle_core::{DType, Tensor, D};
pub use pcnbench_kernels::{Loss, LossKind, Reduction};

use crate::Result;

/// A loss on tensors of shape `[B, …]`, and how many operations it counts as.
pub trait OutputEnergy {
    /// The loss as a scalar tensor of o's dtype; differentiable by Candle's autograd.
    ///
    /// # Errors
    /// If the shapes do not fit, or the device fails.
    fn tensor(&self, o: &Tensor, y: &Tensor) -> Result<Tensor>;

    /// The loss as a number.
    ///
    /// # Errors
    /// If the shapes do not fit, or the device fails.
    fn value(&self, o: &Tensor, y: &Tensor) -> Result<f64>;

    /// ε_L = −∂loss/∂o, shape of o: (p/N)(y − o), twice that, (p/N)(y − softmax o), (p/N)(y − σ(o)), or y − o cut to [−1, 1].
    ///
    /// The forms with a softmax use that every row of y sums to 1.
    ///
    /// # Errors
    /// If the shapes do not fit, or the device fails.
    fn output_error(&self, o: &Tensor, y: &Tensor) -> Result<Tensor>;

    /// The second derivative of the loss by o, applied to d, which has the shape of o: (p/N) d, twice that, (p/N) of s ⊙ (d − ⟨s, d⟩)
    /// with s = softmax(o), of σ(o)(1 − σ(o)) d, or of d where |o − y| ≤ 1. Positive semidefinite.
    ///
    /// # Errors
    /// If the shapes do not fit, or the device fails.
    fn curvature(&self, o: &Tensor, y: &Tensor, d: &Tensor) -> Result<Tensor>;

    /// Element-wise operations of [`output_error`](Self::output_error) per output element.
    fn output_error_ops(&self) -> u64;

    /// Element-wise operations of [`curvature`](Self::curvature) per output element.
    fn curvature_ops(&self) -> u64;
}

/// p/N for outputs of shape `[B, …]`.
///
/// # Errors
/// If o has no axis.
pub fn weight(loss: &Loss, o: &Tensor) -> Result<f64> {
    Ok(loss.weight(o.dim(0)?, o.elem_count()))
}

impl OutputEnergy for Loss {
    fn tensor(&self, o: &Tensor, y: &Tensor) -> Result<Tensor> {
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
        Ok(sum.affine(factor * weight(self, o)?, 0.0)?)
    }

    fn value(&self, o: &Tensor, y: &Tensor) -> Result<f64> {
        Ok(self.tensor(o, y)?.to_dtype(DType::F64)?.to_scalar::<f64>()?)
    }

    fn output_error(&self, o: &Tensor, y: &Tensor) -> Result<Tensor> {
        let (difference, factor) = match self.kind {
            LossKind::HalfSquaredError => ((y - o)?, 1.0),
            LossKind::SquaredError => ((y - o)?, 2.0),
            LossKind::CrossEntropy | LossKind::Kl => ((y - candle_nn::ops::softmax(o, D::Minus1)?)?, 1.0),
            LossKind::Bernoulli => ((y - o.neg()?.exp()?.affine(1.0, 1.0)?.recip()?)?, 1.0),
            LossKind::Huber => ((y - o)?.clamp(-1.0, 1.0)?, 1.0),
        };
        let factor = factor * weight(self, o)?;
        Ok(if factor == 1.0 { difference } else { difference.affine(factor, 0.0)? })
    }

    fn curvature(&self, o: &Tensor, y: &Tensor, d: &Tensor) -> Result<Tensor> {
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
        Ok(own.affine(factor * weight(self, o)?, 0.0)?)
    }

    fn output_error_ops(&self) -> u64 {
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

    fn curvature_ops(&self) -> u64 {
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
