//! After W h: activation, error, slope.

use pulp::{Simd, WithSimd};

use super::activation;
use super::arena::View;
use super::epilogue::{add, copy, plus, times, Next, RUN};
use super::product::{Product, Rows};
use super::real::Real;
use crate::layer::Activation;

/// The epilogue of z = a W h: μ = φ_out(z + b) + skip, and its use.
pub(super) struct Predict<'a, T> {
    pub(super) z: Product<T>,
    /// b, or empty.
    pub(super) bias: &'a [T],
    pub(super) act: Activation,
    /// The pre-activation of the forward pass, if z is a change of it.
    pub(super) from: Option<View<T>>,
    /// v_{l−1}, if it is added.
    pub(super) below: Option<View<T>>,
    /// Where to store the pre-activation.
    pub(super) keep: Option<View<T>>,
    pub(super) then: Predicted<T>,
}

/// The use of a prediction.
#[derive(Clone, Copy)]
pub(super) enum Predicted<T> {
    /// v = μ (+ e), slope = φ_out'.
    State { v: View<T>, plus: Option<View<T>>, also: Option<View<T>>, slope: Option<View<T>>, next: Next<T> },
    /// e = v − μ, and d = φ_out' ⊙ e, or φ_out' alone.
    Error { v: View<T>, e: View<T>, d: Option<View<T>>, slope_only: bool },
    /// o = μ (+ from), slope = φ_out'.
    Output { o: View<T>, from: Option<View<T>>, slope: Option<View<T>> },
}

impl<T: Real> WithSimd for Predict<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (z, width) = (self.z, self.z.width());
        let rows = PredictRows { all: self, width, post: [T::ZERO; RUN], slope: [T::ZERO; RUN] };
        // SAFETY: a worker has its tile of every field it writes to itself, and no other worker writes what it reads
        // before they meet again (see `Net`); no two views of one epilogue share memory but as documented there, and
        // then only one of the slices lives at a time.
        unsafe { z.rows(simd, rows) };
    }
}

/// A [`Predict`] with what it needs per run.
struct PredictRows<'a, T> {
    all: Predict<'a, T>,
    width: usize,
    post: [T; RUN],
    slope: [T; RUN],
}

impl<T: Real> Rows<T> for PredictRows<'_, T> {
    #[inline(always)]
    unsafe fn take<S: Simd>(&mut self, simd: S, j: usize, mu: &mut [T]) {
        let Self { all, width, post, slope } = self;
        let Predict { bias, act, from, below, keep, then, .. } = *all;
        let width = *width;
        // SAFETY: the caller's.
        unsafe {
            let n = mu.len();
            if !bias.is_empty() {
                mu.chunks_exact_mut(width).zip(&bias[j..]).for_each(|(row, b)| add(row, *b));
            }
            if let Some(keep) = keep {
                keep.run_mut(j, n).copy_from_slice(mu);
            }
            let mu = match (act, from) {
                (Activation::Identity, _) => mu,
                (_, None) => {
                    activation::value_and_slope(simd, act, mu, &mut post[..n], &mut slope[..n]);
                    &mut post[..n]
                }
                (_, Some(from)) => {
                    activation::change(simd, act, from.run(j, n), mu, &mut post[..n], &mut slope[..n]);
                    &mut post[..n]
                }
            };
            if let Some(below) = below {
                plus(mu, below.run(j, n));
            }
            match then {
                Predicted::State { v, plus: errors, also, slope: to, next } => {
                    if let Some(also) = also {
                        also.run_mut(j, n).copy_from_slice(mu);
                    }
                    if let Some(e) = errors {
                        plus(mu, e.run(j, n));
                    }
                    if let Some(to) = to {
                        copy(&slope[..n], to.run_mut(j, n));
                    }
                    next.store(simd, j, mu, v.run_mut(j, n));
                }
                Predicted::Error { v, e, d, slope_only } => {
                    let (v, e) = (v.run(j, n), e.run_mut(j, n));
                    let (v, mu) = (&v[..e.len()], &mu[..e.len()]);
                    (0..e.len()).for_each(|c| e[c] = v[c] - mu[c]);
                    if let Some(d) = d {
                        let d = d.run_mut(j, n);
                        d.copy_from_slice(&slope[..n]);
                        if !slope_only {
                            times(d, e);
                        }
                    }
                }
                Predicted::Output { o, from, slope: to } => {
                    if let Some(from) = from {
                        plus(mu, from.run(j, n));
                    }
                    o.run_mut(j, n).copy_from_slice(mu);
                    if let Some(to) = to {
                        to.run_mut(j, n).copy_from_slice(&slope[..n]);
                    }
                }
            }
        }
    }
}
