//! Heavy-ball momentum.

use candle_core::Tensor;

use super::optimiser::{for_each, Directions, Memory, Optimiser};
use crate::net::Params;
use crate::Result;

/// μ of the suites.
pub(crate) const MU: f64 = 0.9;

/// m in a [`Memory`].
pub(crate) const VELOCITY: &str = "velocity";

/// m ← μ m + d, θ ← θ + α m (Polyak 1964, in the form of Sutskever et al. 2013 without dampening).
#[derive(Debug, Clone)]
pub struct Momentum {
    rate: f64,
    mu: f64,
    velocity: Vec<Option<Tensor>>,
}

impl Momentum {
    /// Learning rate α and momentum μ.
    pub fn new(rate: f64, mu: f64) -> Self {
        Self { rate, mu, velocity: Vec::new() }
    }
}

impl Optimiser for Momentum {
    fn step(&mut self, params: &mut Params, directions: &Directions, _batch: usize) -> Result<()> {
        let Self { rate, mu, velocity } = self;
        for_each(params, directions, |i, p, d| {
            if velocity.len() <= i {
                velocity.resize(i + 1, None);
            }
            velocity[i] = match (velocity[i].take(), d) {
                (None, None) => None,
                (None, Some(d)) => Some(d.clone()),
                (Some(m), None) => Some(m.affine(*mu, 0.0)?),
                (Some(m), Some(d)) => Some((m.affine(*mu, 0.0)? + d)?),
            };
            velocity[i].as_ref().map(|m| Ok((p + m.affine(*rate, 0.0)?)?)).transpose()
        })
    }
    fn set_rate(&mut self, rate: f64) {
        self.rate = rate;
    }

    fn memory(&self) -> Memory {
        Memory { steps: 0, tables: vec![(VELOCITY, self.velocity.clone())] }
    }

    fn restore(&mut self, mut memory: Memory) -> Result<()> {
        self.velocity = memory.take(VELOCITY)?;
        Ok(())
    }
}
