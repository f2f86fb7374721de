//! What follows a product while its result is still in the nearest cache: activation, error, slope, step.
//!
//! Each epilogue takes the rows of a product as they come, short ones several at a time. The code is compiled for every instruction set that `pulp`
//! knows and the best one present is entered per tile, so that the loops over a row are vector instructions.

use pulp::{NullaryFnOnce, Simd, WithSimd};

use super::arena::{View, PANEL};
use super::phi;
use super::product::{Product, Rows};
use super::real::Real;
use crate::stack::Activation;

/// Elements that are handled at once where rows are shorter: enough to make the work per row small, and not so many that
/// the operands of a run push those of the product out of the nearest cache.
pub(super) const RUN: usize = 2 * PANEL;

/// What the layer above will read of a state: φ_in at it, and φ_in' where that does not follow from φ_in.
#[derive(Clone, Copy)]
pub(super) struct Next<T> {
    pub(super) act: Activation,
    /// Absent where it is the state itself.
    pub(super) h: Option<View<T>>,
    pub(super) p: Option<View<T>>,
    /// Where states are deviations: the forward pass, so that h is φ_in(from + v) − φ_in(from).
    pub(super) from: Option<View<T>>,
}

/// After z = a W h: μ = φ_out(z + b) + skip, and what becomes of it.
pub(super) struct Predict<'a, T> {
    pub(super) z: Product<T>,
    /// b, or empty.
    pub(super) bias: &'a [T],
    pub(super) act: Activation,
    /// Where z is a change of the pre-activation: what it is a change from.
    pub(super) from: Option<View<T>>,
    /// v_{l−1} where it is added.
    pub(super) below: Option<View<T>>,
    /// Keeps the pre-activation.
    pub(super) keep: Option<View<T>>,
    pub(super) then: Predicted<T>,
}

/// What becomes of a prediction.
#[derive(Clone, Copy)]
pub(super) enum Predicted<T> {
    /// v = μ (+ e), slope = φ_out'.
    State { v: View<T>, plus: Option<View<T>>, also: Option<View<T>>, slope: Option<View<T>>, next: Next<T> },
    /// e = v − μ, and d = φ_out' ⊙ e, or φ_out' alone.
    Error { v: View<T>, e: View<T>, d: Option<View<T>>, slope_only: bool },
    /// o = μ (+ from), slope = φ_out'.
    Output { o: View<T>, from: Option<View<T>>, slope: Option<View<T>> },
}

/// After r = a Wᵀ d: r = φ_in' ⊙ r + skip, and what becomes of it.
pub(super) struct Pull<T> {
    pub(super) r: Product<T>,
    pub(super) act: Activation,
    /// φ_in and φ_in' at the state below.
    pub(super) h: View<T>,
    pub(super) p: Option<View<T>>,
    /// What the skip carries down.
    pub(super) skip: Option<View<T>>,
    pub(super) then: Pulled<T>,
}

/// What becomes of J_{l+1}ᵀ(·).
#[derive(Clone, Copy)]
pub(super) enum Pulled<T> {
    /// e = r, d ⊙= r.
    Adjoint { e: Option<View<T>>, d: Option<View<T>> },
    /// e += g (r − e), d ⊙= r, and r is kept for the next skip. `first`: e was 0.
    Descend { e: View<T>, d: Option<View<T>>, keep: Option<View<T>>, g: T, first: bool },
    /// v += g (r − e). `arriving`: e was 0; it becomes what v moved by, and d ⊙= e.
    Move { v: View<T>, e: View<T>, d: Option<View<T>>, g: T, arriving: bool, next: Next<T> },
    /// v += s, e += s with s = g (r − e), then d ⊙= e. `first`: e was 0.
    Sweep { v: View<T>, e: View<T>, d: Option<View<T>>, g: T, first: bool, next: Next<T> },
    /// to = e + g (r − e), d = slope ⊙ to; e is `to` itself where none is given. `arriving`: e was 0.
    Fixed { e: Option<View<T>>, to: View<T>, d: Option<(View<T>, View<T>)>, g: T, arriving: bool },
    /// step = g (r − e). `arriving`: e was 0.
    Step { e: View<T>, step: View<T>, g: T, arriving: bool },
}

impl<T: Real> WithSimd for Predict<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (z, width) = (self.z, self.z.width());
        let rows = PredictRows { all: self, width, post: [T::ZERO; RUN], slope: [T::ZERO; RUN] };
        // SAFETY: a worker has its tile of every field it writes to itself, and nobody writes what it reads before they
        // meet again (see `Net`); no two views of one epilogue share memory but as documented there, and then only one
        // of the slices lives at a time.
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
    unsafe fn take(&mut self, j: usize, mu: &mut [T]) {
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
                    phi::both(act, mu, &mut post[..n], &mut slope[..n]);
                    &mut post[..n]
                }
                (_, Some(from)) => {
                    phi::change(act, from.run(j, n), mu, &mut post[..n], &mut slope[..n]);
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
                    next.store(j, mu, v.run_mut(j, n));
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

impl<T: Real> WithSimd for Pull<T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let r = self.r;
        // SAFETY: as for `Predict`.
        unsafe { r.rows(simd, self) };
    }
}

impl<T: Real> Rows<T> for Pull<T> {
    #[inline(always)]
    unsafe fn take(&mut self, j: usize, r: &mut [T]) {
        let Self { act, h, p, skip, then, .. } = *self;
        // SAFETY: the caller's.
        unsafe {
            let n = r.len();
            let slopes = p.map_or(&[][..], |p| p.run(j, n));
            phi::pull_back(act, h.run(j, n), slopes, r);
            if let Some(skip) = skip {
                plus(r, skip.run(j, n));
            }
            match then {
                Pulled::Adjoint { e, d } => {
                    if let Some(d) = d {
                        times(d.run_mut(j, n), r);
                    }
                    if let Some(e) = e {
                        copy(r, e.run_mut(j, n));
                    }
                }
                Pulled::Descend { e, d, keep, g, first } => {
                    if let Some(keep) = keep {
                        copy(r, keep.run_mut(j, n));
                    }
                    if let Some(d) = d {
                        times(d.run_mut(j, n), r);
                    }
                    let e = &mut e.run_mut(j, n)[..n];
                    if first {
                        (0..n).for_each(|c| e[c] = g * r[c]);
                    } else {
                        (0..n).for_each(|c| e[c] += g * (r[c] - e[c]));
                    }
                }
                Pulled::Move { v, e, d, g, arriving, next } => {
                    let v = &mut v.run_mut(j, n)[..n];
                    if arriving {
                        let e = &mut e.run_mut(j, n)[..n];
                        for c in 0..n {
                            let new = v[c] + g * r[c];
                            e[c] = new - v[c];
                            v[c] = new;
                        }
                        if let Some(d) = d {
                            times(d.run_mut(j, n), e);
                        }
                    } else {
                        let e = &e.run(j, n)[..n];
                        (0..n).for_each(|c| v[c] += g * (r[c] - e[c]));
                    }
                    next.at(j, v);
                }
                Pulled::Sweep { v, e, d, g, first, next } => {
                    let (v, e) = (&mut v.run_mut(j, n)[..n], &mut e.run_mut(j, n)[..n]);
                    if first {
                        e.fill(T::ZERO);
                    }
                    for c in 0..n {
                        let step = g * (r[c] - e[c]);
                        v[c] += step;
                        e[c] += step;
                    }
                    if let Some(d) = d {
                        times(d.run_mut(j, n), e);
                    }
                    next.at(j, v);
                }
                Pulled::Fixed { e, to, d, g, arriving } => {
                    let to = &mut to.run_mut(j, n)[..n];
                    match e {
                        _ if arriving => (0..n).for_each(|c| to[c] = g * r[c]),
                        None => (0..n).for_each(|c| to[c] += g * (r[c] - to[c])),
                        Some(e) => {
                            let e = &e.run(j, n)[..n];
                            (0..n).for_each(|c| to[c] = e[c] + g * (r[c] - e[c]));
                        }
                    }
                    if let Some((slope, d)) = d {
                        let d = d.run_mut(j, n);
                        d.copy_from_slice(slope.run(j, n));
                        times(d, to);
                    }
                }
                Pulled::Step { e, step, g, arriving } => {
                    let step = &mut step.run_mut(j, n)[..n];
                    if arriving {
                        (0..n).for_each(|c| step[c] = g * r[c]);
                    } else {
                        let e = &e.run(j, n)[..n];
                        (0..n).for_each(|c| step[c] = g * (r[c] - e[c]));
                    }
                }
            }
        }
    }
}

/// ε_1 = v_1 − μ_1 (v_1 itself where it is a deviation), δ_1 = φ_out' ⊙ ε_1: what needs no product because μ_1 never changes.
pub(super) struct FirstError<T> {
    pub(super) v: View<T>,
    pub(super) m: Option<View<T>>,
    pub(super) e: View<T>,
    /// δ_1 and φ_out'.
    pub(super) d: Option<(View<T>, View<T>)>,
    pub(super) rows: std::ops::Range<usize>,
}

impl<T: Real> NullaryFnOnce for FirstError<T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { v, m, e, d, rows } = self;
        for j in rows {
            // SAFETY: as for `Predict`.
            unsafe {
                let (v, e) = (v.row(j), e.row_mut(j));
                let n = e.len();
                match m {
                    None => copy(v, e),
                    Some(m) => {
                        let (v, m) = (&v[..n], &m.row(j)[..n]);
                        (0..n).for_each(|c| e[c] = v[c] - m[c]);
                    }
                }
                if let Some((d, slope)) = d {
                    let (d, slope) = (&mut d.row_mut(j)[..n], &slope.row(j)[..n]);
                    (0..n).for_each(|c| d[c] = slope[c] * e[c]);
                }
            }
        }
    }
}

/// States move by given steps: v += step. `arriving`: e becomes what v moved by, and d ⊙= e.
pub(super) struct Advance<T> {
    pub(super) v: View<T>,
    pub(super) step: View<T>,
    pub(super) arriving: Option<(View<T>, Option<View<T>>)>,
    pub(super) next: Next<T>,
}

impl<T: Real> NullaryFnOnce for Advance<T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { v, step, arriving, next } = self;
        for j in 0..v.rows {
            // SAFETY: as for `Predict`.
            unsafe {
                let (v, step) = (v.row_mut(j), step.row(j));
                let n = v.len();
                if let Some((e, d)) = arriving {
                    let e = e.row_mut(j);
                    (0..n).for_each(|c| e[c] = (v[c] + step[c]) - v[c]);
                    if let Some(d) = d {
                        times(d.row_mut(j), e);
                    }
                }
                plus(v, step);
                next.at(j, v);
            }
        }
    }
}

impl<T: Real> Next<T> {
    /// Rows from j on of a state and of what the layer above will read of it.
    ///
    /// # Safety
    /// As for [`View::row_mut`], for the views of `self`.
    #[inline(always)]
    unsafe fn store(&self, j: usize, values: &[T], v: &mut [T]) {
        copy(values, v);
        // SAFETY: passed on to the caller.
        unsafe { self.at(j, v) };
    }

    /// Writes the rows from j on of what the layer above will read of the state v.
    ///
    /// # Safety
    /// As for [`View::row_mut`], for the views of `self`.
    #[inline(always)]
    pub(super) unsafe fn at(&self, j: usize, v: &[T]) {
        // SAFETY: passed on to the caller.
        unsafe {
            match (self.h, self.p, self.from) {
                (None, ..) => {}
                (Some(h), Some(p), Some(from)) => {
                    phi::change(
                        self.act,
                        from.run(j, v.len()),
                        v,
                        h.run_mut(j, v.len()),
                        p.run_mut(j, v.len()),
                    );
                }
                (Some(h), Some(p), None) => {
                    phi::both(self.act, v, h.run_mut(j, v.len()), p.run_mut(j, v.len()))
                }
                (Some(h), None, _) => phi::value(self.act, v, h.run_mut(j, v.len())),
            }
        }
    }
}

/// A copy of a short row: in pieces of a length known here, which are moves and not calls.
#[inline(always)]
pub(super) fn copy<T: Real>(from: &[T], to: &mut [T]) {
    const PIECE: usize = 16;
    let whole = to.len() / PIECE * PIECE;
    let mut at = 0;
    while at < whole {
        if let (Ok(from), Ok(to)) = (
            <&[T; PIECE]>::try_from(&from[at..at + PIECE]),
            <&mut [T; PIECE]>::try_from(&mut to[at..at + PIECE]),
        ) {
            *to = *from;
        }
        at += PIECE;
    }
    let n = to.len();
    to[whole..].copy_from_slice(&from[whole..n]);
}

#[inline(always)]
fn add<T: Real>(a: &mut [T], b: T) {
    a.iter_mut().for_each(|a| *a += b);
}

#[inline(always)]
pub(super) fn plus<T: Real>(a: &mut [T], b: &[T]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += *b);
}

#[inline(always)]
pub(super) fn times<T: Real>(a: &mut [T], b: &[T]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a *= *b);
}
