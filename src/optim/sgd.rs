//! Plain gradient descent.

use super::optimiser::{for_each, Directions, Memory, Optimiser};
use crate::net::Params;
use crate::Result;

/// θ ← θ + α d.
#[derive(Debug, Clone, Copy)]
pub struct Sgd {
    /// α.
    pub rate: f64,
}

impl Optimiser for Sgd {
    fn step(&mut self, params: &mut Params, directions: &Directions, _batch: usize) -> Result<()> {
        for_each(params, directions, |_, p, d| d.map(|d| Ok((p + d.affine(self.rate, 0.0)?)?)).transpose())
    }

    fn set_rate(&mut self, rate: f64) {
        self.rate = rate;
    }

    fn memory(&self) -> Memory {
        Memory::default()
    }

    fn restore(&mut self, _: Memory) -> Result<()> {
        Ok(())
    }
}
