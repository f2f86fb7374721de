//! MQ: matrix-update equalisation.

use candle_core::Tensor;

use super::{Directions, Optimiser};
use crate::net::Params;
use crate::{Error, Result};

/// One adaptive rate per layer from the mean size of its updates (Alonso, Krichmar & Neftci,
/// arXiv 2305.13562, and their program).
///
/// With ΔW_l, Δb_l the batch means of the directions, at batch n = 1, 2, …:
///
/// W_l ← W_l + (α/(v_l + r) + α_min) ΔW_l, the same factor for b_l;
/// v_l ← ρ v_l + (1 − ρ) mean|ΔW_l, Δb_l|, ρ = min(n/(n + 1), ρ_max),
///
/// the mean over all elements of both together, v_l = α at the start, r = 1e-6 and α_min = 1e-3. One scalar
/// per layer of memory, where Adam keeps two copies of the weights. v_l stays on the device as a tensor of
/// one element, so that no step waits for the host. A direction of exactly zero leaves the parameters alone
/// and lets v_l decay.
#[derive(Debug, Clone)]
pub struct Mq {
    rate: f64,
    max_decay: f64,
    batches: u64,
    scale: Vec<Option<Tensor>>,
}

pub(crate) const R: f64 = 1e-6;
pub(crate) const MIN_RATE: f64 = 1e-3;

/// ρ_max of the published fully connected networks.
pub const MAX_DECAY_DENSE: f64 = 0.9999;

impl Mq {
    /// Learning rate α and ρ_max (0.9999 in published fully connected networks, 0.999 in convolutional ones).
    pub fn new(rate: f64, max_decay: f64) -> Self {
        Self { rate, max_decay, batches: 0, scale: Vec::new() }
    }
}

impl Optimiser for Mq {
    fn step(&mut self, params: &mut Params, directions: &Directions, batch: usize) -> Result<()> {
        if batch == 0 {
            return Err(Error::Invalid("MQ averages over the batch, which is empty".into()));
        }
        self.batches = self.batches.saturating_add(1);
        let n = self.batches as f64;
        let decay = (n / (n + 1.0)).min(self.max_decay);
        self.scale.resize(params.len().max(self.scale.len()), None);
        for ((own, direction), scale) in params.iter_mut().zip(directions).zip(&mut self.scale) {
            let Some(first) = own.first() else { continue };
            let v = match scale.take() {
                Some(v) => v,
                None => Tensor::full(self.rate, (), first.device())?.to_dtype(first.dtype())?,
            };
            let mut decayed = v.affine(decay, 0.0)?;
            if let Some(direction) = direction {
                let factor = v.affine(1.0, R)?.recip()?.affine(self.rate, MIN_RATE)?;
                let means = direction
                    .iter()
                    .map(|d| Ok(d.affine(1.0 / batch as f64, 0.0)?))
                    .collect::<Result<Vec<_>>>()?;
                let (mut absolute, mut elements) = (factor.zeros_like()?, 0);
                for mean in &means {
                    absolute = (absolute + mean.abs()?.sum_all()?)?;
                    elements += mean.elem_count();
                }
                for (p, mean) in own.iter_mut().zip(&means) {
                    *p = (&*p + mean.broadcast_mul(&factor)?)?;
                }
                decayed = (decayed + absolute.affine((1.0 - decay) / elements.max(1) as f64, 0.0)?)?;
            }
            *scale = Some(decayed);
        }
        Ok(())
    }
}
