//! Adam.

use candle_core::Tensor;

use super::optimiser::{for_each, Directions, Memory, Optimiser};
use crate::net::Params;
use crate::Result;

/// Adam (Kingma & Ba, arXiv 1412.6980, algorithm 1) with β₁ = 0.9, β₂ = 0.999, ε = 1e-8:
///
/// m ← β₁m + (1 − β₁)d, s ← β₂s + (1 − β₂)d², θ ← θ + α (m/(1 − β₁ᵗ)) / (√(s/(1 − β₂ᵗ)) + ε).
#[derive(Debug, Clone)]
pub struct Adam {
    rate: f64,
    t: i32,
    moments: Vec<Option<(Tensor, Tensor)>>,
}

pub(crate) const BETA1: f64 = 0.9;
pub(crate) const BETA2: f64 = 0.999;
pub(crate) const EPSILON: f64 = 1e-8;

/// m and s in a [`Memory`].
pub(crate) const MOMENTS: [&str; 2] = ["first_moment", "second_moment"];

impl Adam {
    /// Learning rate α.
    pub fn new(rate: f64) -> Self {
        Self { rate, t: 0, moments: Vec::new() }
    }
}

impl Optimiser for Adam {
    fn step(&mut self, params: &mut Params, directions: &Directions, _batch: usize) -> Result<()> {
        self.t = self.t.saturating_add(1);
        let Self { rate, t, moments } = self;
        let (correct1, correct2) = (1.0 - BETA1.powi(*t), 1.0 - BETA2.powi(*t));
        for_each(params, directions, |i, p, d| {
            if moments.len() <= i {
                moments.resize(i + 1, None);
            }
            moments[i] = match (moments[i].take(), d) {
                (None, None) => None,
                (None, Some(d)) => Some((d.affine(1.0 - BETA1, 0.0)?, d.sqr()?.affine(1.0 - BETA2, 0.0)?)),
                (Some((m, s)), None) => Some((m.affine(BETA1, 0.0)?, s.affine(BETA2, 0.0)?)),
                (Some((m, s)), Some(d)) => Some((
                    (m.affine(BETA1, 0.0)? + d.affine(1.0 - BETA1, 0.0)?)?,
                    (s.affine(BETA2, 0.0)? + d.sqr()?.affine(1.0 - BETA2, 0.0)?)?,
                )),
            };
            let Some((m, s)) = &moments[i] else { return Ok(None) };
            let denominator = s.affine(1.0 / correct2, 0.0)?.sqrt()?.affine(1.0, EPSILON)?;
            let step = (m.affine(*rate / correct1, 0.0)? / denominator)?;
            Ok(Some((p + step)?))
        })
    }
    fn set_rate(&mut self, rate: f64) {
        self.rate = rate;
    }

    fn memory(&self) -> Memory {
        let table = |of: fn(&(Tensor, Tensor)) -> &Tensor| {
            self.moments.iter().map(|moments| moments.as_ref().map(|m| of(m).clone())).collect()
        };
        let tables = vec![(MOMENTS[0], table(|m| &m.0)), (MOMENTS[1], table(|m| &m.1))];
        Memory { steps: u64::try_from(self.t).unwrap_or_default(), tables }
    }

    fn restore(&mut self, mut memory: Memory) -> Result<()> {
        let [first, second] = MOMENTS.map(|name| memory.take(name));
        self.moments = first?.into_iter().zip(second?).map(|(m, s)| m.zip(s)).collect();
        self.t = i32::try_from(memory.steps).unwrap_or(i32::MAX);
        Ok(())
    }
}
