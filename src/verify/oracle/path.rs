//! Oracle of the methods of inference: where T steps lead, from the descents at all of them.
//!
//! Every method is said as a weighted sum over all earlier descents, or over earlier points, never by the recursion of the rules.
//! Conjugate gradients need the curvature along a direction besides (`conjugate.rs`).

use candle_core::Tensor;

use crate::rule::{Method, Steps};
use crate::{Error, Result};

/// States of latent vertices, by vertex; `None` for deterministic ones.
pub(super) type States = Vec<Option<Tensor>>;

/// The way of inference so far.
pub(super) struct Path {
    steps: Steps,
    descents: Vec<States>,
    points: Vec<States>,
    /// ω of Chebyshev's three-term recurrence.
    omega: f64,
}

/// ‖d‖ over all vertices and samples.
fn length(descent: &States) -> Result<f64> {
    let squares = descent.iter().flatten().map(|d| Ok(d.sqr()?.sum_all()?.to_scalar::<f64>()?));
    Ok(squares.sum::<Result<f64>>()?.sqrt())
}

impl Path {
    pub(super) fn new(steps: Steps) -> Self {
        Self { steps, descents: Vec::new(), points: Vec::new(), omega: 1.0 }
    }

    /// Whether inference ends where its descent is this one.
    pub(super) fn ends(&self, descent: &States) -> Result<bool> {
        let lengths = self.descents.iter().chain([descent]).map(length).collect::<Result<Vec<_>>>()?;
        let largest = lengths.iter().copied().fold(0.0, f64::max);
        Ok(self.steps.residual > 0.0 && length(descent)? <= self.steps.residual * largest)
    }

    /// Where the next step ends, from `here` with this descent; `curvature` gives p·G p of every sample along a direction p.
    pub(super) fn next(
        &mut self,
        here: States,
        descent: States,
        curvature: impl FnOnce(&States, &States) -> Result<Tensor>,
    ) -> Result<States> {
        let t = self.descents.len();
        self.descents.push(descent);
        self.points.push(here);
        let here = &self.points[t];
        // g of this step, Chebyshev's aside
        let g = Steps { method: Method::Plain, ..self.steps }.size(t);
        match self.steps.method {
            Method::Plain => plus(here, g, &self.descents[t]),
            // u_t = Σ_s β^(t−s) d_s
            Method::HeavyBall { beta } => {
                let weights = (0..=t).map(|s| beta.powi((t - s) as i32));
                plus(here, g, &self.sum(weights, |d: &Tensor| Ok(d.clone()))?)
            }
            // u_t = Σ_s w_s d_s: the product of r/(r + 3) from s to t − 1 telescopes
            Method::Nesterov => {
                let own = |s: usize| (s * (s + 1) * (s + 2)) as f64;
                let weights = (0..=t).map(|s| if s == t { 1.0 } else { own(s) / own(t) });
                let ahead = t as f64 / (t + 3) as f64;
                let there = plus(here, g, &self.descents[t])?;
                plus(&there, g * ahead, &self.sum(weights, |d: &Tensor| Ok(d.clone()))?)
            }
            // p_t = Σ_s (Π_{s < q ≤ t} β_q) d_s with a β of every sample
            Method::ConjugateGradient => {
                let last = &self.descents[t];
                if last.iter().all(Option::is_none) {
                    // a network without states
                    return Ok(here.clone());
                }
                let (mut p, mut weight) = (last.clone(), rows(last, last)?.ones_like()?);
                for s in (0..t).rev() {
                    let (before, after) = (&self.descents[s], &self.descents[s + 1]);
                    let change = rows(after, &plus(after, -1.0, before)?)?;
                    weight = (weight * positive_quotient(&change, &rows(before, before)?)?)?;
                    p = plus(&p, 1.0, &by_rows(&weight, before)?)?;
                }
                let alpha = positive_quotient(&rows(&p, last)?, &curvature(here, &p)?)?;
                plus(here, 1.0, &by_rows(&alpha, &p)?)
            }
            // weighted means of descents and of their squares
            Method::Adam => {
                let weights = |beta: f64| {
                    let all: f64 = (0..=t).map(|s| beta.powi(s as i32)).sum();
                    (0..=t).map(move |s| beta.powi((t - s) as i32) / all)
                };
                let mean = self.sum(weights(0.9), |d: &Tensor| Ok(d.clone()))?;
                let square = self.sum(weights(0.999), |d: &Tensor| d * d)?;
                let each = mean.iter().zip(&square).map(|(m, s)| match (m, s) {
                    (Some(m), Some(s)) => Ok(Some((m / (s.sqrt()? + 1e-8)?)?)),
                    _ => Ok(None),
                });
                plus(here, g, &each.collect::<Result<_>>()?)
            }
            // x_{t+1} = x_{t−1} + ω_{t+1} (x_t + d_t/θ − x_{t−1}), with ω_1 = 1, ω_2 = 2θ²/(2θ² − δ²), ω_{t+1} = 1/(1 − ω_t δ²/(2θ)²)
            Method::Chebyshev { smallest } => {
                let top = 2.0 / self.steps.size;
                let bottom = if smallest < top { smallest } else { top };
                let (middle, half) = ((top + bottom) / 2.0, (top - bottom) / 2.0);
                let share = (half / middle).powi(2);
                self.omega = match t {
                    0 => 1.0,
                    1 => 2.0 / (2.0 - share),
                    _ => 1.0 / (1.0 - self.omega * share / 4.0),
                };
                let there = plus(here, 1.0 / middle, &self.descents[t])?;
                match t.checked_sub(1) {
                    None => Ok(there),
                    Some(before) => {
                        let before = &self.points[before];
                        plus(before, self.omega, &plus(&there, -1.0, before)?)
                    }
                }
            }
        }
    }

    /// Σ_s weight_s of(d_s).
    fn sum(
        &self,
        weights: impl Iterator<Item = f64>,
        of: impl Fn(&Tensor) -> candle_core::Result<Tensor> + Copy,
    ) -> Result<States> {
        let zeros = |d: &Option<Tensor>| Ok(d.as_ref().map(Tensor::zeros_like).transpose()?);
        let mut sum = self.descents[0].iter().map(zeros).collect::<Result<States>>()?;
        for (weight, descent) in weights.zip(&self.descents) {
            let each = descent.iter().map(|d| Ok(d.as_ref().map(of).transpose()?));
            sum = plus(&sum, weight, &each.collect::<Result<_>>()?)?;
        }
        Ok(sum)
    }
}

/// a/b of every sample where both are positive, else 0.
fn positive_quotient(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let each = a.to_vec1::<f64>()?.into_iter().zip(b.to_vec1::<f64>()?);
    let quotients: Vec<f64> = each.map(|(a, b)| if a > 0.0 && b > 0.0 { a / b } else { 0.0 }).collect();
    Ok(Tensor::from_vec(quotients, a.dims(), a.device())?)
}

/// a + s b, where b has something.
pub(super) fn plus(a: &States, s: f64, b: &States) -> Result<States> {
    let each = a.iter().zip(b).map(|(a, b)| match (a, b) {
        (Some(a), Some(b)) => Ok(Some((a + b.affine(s, 0.0)?)?)),
        (a, _) => Ok(a.clone()),
    });
    each.collect()
}

/// Σ a b of every sample, over all vertices that have both.
pub(super) fn rows(a: &States, b: &States) -> Result<Tensor> {
    let mut sum: Option<Tensor> = None;
    for (a, b) in a.iter().zip(b) {
        if let (Some(a), Some(b)) = (a, b) {
            let own = row_sums(&(a * b)?)?;
            sum = Some(match sum {
                Some(sum) => (sum + own)?,
                None => own,
            });
        }
    }
    sum.ok_or_else(|| Error::Invalid("a network without states has no inner products".into()))
}

/// Every sample of a times its number in s.
fn by_rows(s: &Tensor, a: &States) -> Result<States> {
    let each = a.iter().map(|a| match a {
        Some(a) => {
            let flat = a.reshape((s.dim(0)?, ()))?;
            Ok(Some(flat.broadcast_mul(&s.unsqueeze(1)?)?.reshape(a.dims())?))
        }
        None => Ok(None),
    });
    each.collect()
}

/// Σ t of every sample.
pub(super) fn row_sums(t: &Tensor) -> Result<Tensor> {
    Ok(t.reshape((t.dim(0)?, ()))?.sum(1)?)
}
