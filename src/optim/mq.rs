//! MQ: matrix-update equalisation.

use candle_core::Tensor;

use super::optimiser::{Directions, Memory, Optimiser};
use crate::net::{ParamId, Params};
use crate::{Error, Result};

/// One adaptive rate per layer (per group of parameters that belong together) from the mean size of its updates
/// (Alonso, Krichmar & Neftci, arXiv 2305.13562, and their program).
///
/// With ΔW_l, Δb_l the batch means of the directions, at batch n = 1, 2, …:
///
/// W_l ← W_l + (α/(v_l + r) + α_min) ΔW_l, the same factor for b_l;
/// v_l ← ρ v_l + (1 − ρ) mean|ΔW_l, Δb_l|, ρ = min(n/(n + 1), ρ_max),
///
/// the mean over all elements of both together, v_l = α at the start, r = 1e-6 and α_min = 1e-3 (which no schedule lowers). One scalar
/// per layer of memory, where Adam keeps two copies of the weights. v_l stays on the device as a tensor of
/// one element, so that no step waits for the host. A direction of exactly zero leaves the parameters alone
/// and lets v_l decay.
#[derive(Debug, Clone)]
pub struct Mq {
    rate: f64,
    /// v_l before the first update: α as it was at the start, whatever a schedule makes of it.
    start: f64,
    max_decay: f64,
    batches: u64,
    groups: Vec<Vec<ParamId>>,
    scale: Vec<Option<Tensor>>,
}

pub(crate) const R: f64 = 1e-6;
pub(crate) const MIN_RATE: f64 = 1e-3;

/// v in a [`Memory`], by group.
pub(crate) const SCALE: &str = "scale";

/// ρ_max of the published fully connected networks.
pub const MAX_DECAY_DENSE: f64 = 0.9999;

impl Mq {
    /// Learning rate α and ρ_max (0.9999 in published fully connected networks, 0.999 in convolutional ones), and the
    /// parameters of each layer.
    pub fn new(rate: f64, max_decay: f64, groups: Vec<Vec<ParamId>>) -> Self {
        Self { rate, start: rate, max_decay, batches: 0, scale: vec![None; groups.len()], groups }
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
        for (group, scale) in self.groups.iter().zip(&mut self.scale) {
            let Some(first) = group.first().map(|&p| &params[p]) else { continue };
            let v = match scale.take() {
                Some(v) => v,
                None => Tensor::full(self.start, (), first.device())?.to_dtype(first.dtype())?,
            };
            let mut decayed = v.affine(decay, 0.0)?;
            let moving: Vec<(ParamId, &Tensor)> =
                group.iter().filter_map(|&p| Some((p, directions[p].as_ref()?))).collect();
            if !moving.is_empty() {
                let factor = v.affine(1.0, R)?.recip()?.affine(self.rate, MIN_RATE)?;
                let means = moving
                    .iter()
                    .map(|(p, d)| Ok((*p, d.affine(1.0 / batch as f64, 0.0)?)))
                    .collect::<Result<Vec<_>>>()?;
                let elements: usize = group.iter().map(|&p| params[p].elem_count()).sum();
                let mut absolute = factor.zeros_like()?;
                for (_, mean) in &means {
                    absolute = (absolute + mean.abs()?.sum_all()?)?;
                }
                for (p, mean) in &means {
                    params[*p] = (&params[*p] + mean.broadcast_mul(&factor)?)?;
                }
                decayed = (decayed + absolute.affine((1.0 - decay) / elements.max(1) as f64, 0.0)?)?;
            }
            *scale = Some(decayed);
        }
        Ok(())
    }
    fn set_rate(&mut self, rate: f64) {
        self.rate = rate;
    }

    fn memory(&self) -> Memory {
        Memory { steps: self.batches, tables: vec![(SCALE, self.scale.clone())] }
    }

    fn restore(&mut self, mut memory: Memory) -> Result<()> {
        self.scale = memory.take(SCALE)?;
        self.batches = memory.steps;
        Ok(())
    }
}
