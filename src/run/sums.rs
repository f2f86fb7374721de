//! Sums over parameters that say how near two directions are.

use candle_core::{DType, Tensor};

use crate::Result;

/// ‖own‖², ‖bp‖² and own·bp.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    own: f64,
    bp: f64,
    dot: f64,
}

impl Sums {
    pub(super) fn of(own: Option<&Tensor>, bp: Option<&Tensor>) -> Result<Self> {
        let sum = |a: &Tensor, b: &Tensor| -> Result<f64> {
            Ok((a.to_dtype(DType::F64)? * b.to_dtype(DType::F64)?)?.sum_all()?.to_scalar::<f64>()?)
        };
        let square = |side: Option<&Tensor>| side.map_or(Ok(0.0), |t| sum(t, t));
        let dot = match (own, bp) {
            (Some(own), Some(bp)) => sum(own, bp)?,
            _ => 0.0,
        };
        Ok(Self { own: square(own)?, bp: square(bp)?, dot })
    }

    pub(super) fn plus(self, o: Self) -> Self {
        Self { own: self.own + o.own, bp: self.bp + o.bp, dot: self.dot + o.dot }
    }

    /// ‖own‖².
    pub(super) fn own_square(self) -> f64 {
        self.own
    }

    /// ‖bp‖².
    pub(super) fn bp_square(self) -> f64 {
        self.bp
    }

    pub(super) fn is_finite(self) -> bool {
        [self.own, self.bp, self.dot].iter().all(|v| v.is_finite())
    }

    /// ‖own‖/‖bp‖, 0 where backpropagation's is zero.
    pub(super) fn norm_ratio(self) -> f64 {
        if self.bp > 0.0 {
            (self.own / self.bp).sqrt()
        } else {
            0.0
        }
    }

    /// 0 where either side is exactly zero: nothing points nowhere.
    pub(super) fn cosine(self) -> f64 {
        let scale = self.own.sqrt() * self.bp.sqrt();
        if scale > 0.0 {
            (self.dot / scale).clamp(-1.0, 1.0)
        } else {
            0.0
        }
    }
}
