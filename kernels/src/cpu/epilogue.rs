//! Epilogues of products, on results that are still in the nearest cache: activation, error, slope, step.
//!
//! Each epilogue takes the rows of a product in order, short ones several at a time. The code is compiled for every
//! instruction set that `pulp` knows, and the best one of the processor is chosen per tile, so that the loops over a
//! row are vector instructions.

use pulp::{NullaryFnOnce, Simd, WithSimd};

use super::activation;
use super::arena::{View, PANEL};
use super::real::Real;
use crate::layer::Activation;

/// Elements that are handled at once where rows are shorter: enough to make the work per row small, and few enough that
/// the operands of a run do not push those of the product out of the nearest cache.
pub(super) const RUN: usize = 2 * PANEL;

/// The fields that the layer above reads of a state: φ_in at it, and φ_in' where that cannot be computed from φ_in.
#[derive(Clone, Copy)]
pub(super) struct Next<T> {
    pub(super) act: Activation,
    /// Absent where it is the state itself.
    pub(super) h: Option<View<T>>,
    pub(super) p: Option<View<T>>,
    /// Where states are deviations: the forward pass, so that h is φ_in(from + v) − φ_in(from).
    pub(super) from: Option<View<T>>,
}

/// ε_1 = v_1 − μ_1 (v_1 itself where it is a deviation), δ_1 = φ_out' ⊙ ε_1, without a product, because μ_1
/// never changes.
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

/// States move by given steps: v += step. `arriving`: e becomes the change of v, and d ⊙= e.
pub(super) struct Advance<T> {
    pub(super) v: View<T>,
    pub(super) step: View<T>,
    pub(super) arriving: Option<(View<T>, Option<View<T>>)>,
    pub(super) next: Next<T>,
}

impl<T: Real> WithSimd for Advance<T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
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
                next.at(simd, j, v);
            }
        }
    }
}

/// Recomputes the fields that the layer above reads of states; with `sum`, after v = a + b.
pub(super) struct Restate<T> {
    pub(super) v: View<T>,
    pub(super) sum: Option<(View<T>, View<T>)>,
    pub(super) rows: std::ops::Range<usize>,
    pub(super) next: Next<T>,
}

impl<T: Real> WithSimd for Restate<T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { v, sum, rows, next } = self;
        for j in rows {
            // SAFETY: as for `Predict`.
            unsafe {
                if let Some((a, b)) = sum {
                    let v = v.row_mut(j);
                    let (a, b) = (&a.row(j)[..v.len()], &b.row(j)[..v.len()]);
                    (0..v.len()).for_each(|c| v[c] = a[c] + b[c]);
                }
                next.at(simd, j, v.row(j));
            }
        }
    }
}

impl<T: Real> Next<T> {
    /// Writes the rows from j on of a state v and of the fields that the layer above reads of it.
    ///
    /// # Safety
    /// As for [`View::row_mut`], for the views of `self`.
    #[inline(always)]
    pub(super) unsafe fn store<S: Simd>(&self, simd: S, j: usize, values: &[T], v: &mut [T]) {
        copy(values, v);
        // SAFETY: passed on to the caller.
        unsafe { self.at(simd, j, v) };
    }

    /// Writes the rows from j on of the fields that the layer above reads of the state v.
    ///
    /// # Safety
    /// As for [`View::row_mut`], for the views of `self`.
    #[inline(always)]
    pub(super) unsafe fn at<S: Simd>(&self, simd: S, j: usize, v: &[T]) {
        // SAFETY: passed on to the caller.
        unsafe {
            match (self.h, self.p, self.from) {
                (None, ..) => {}
                (Some(h), Some(p), Some(from)) => {
                    activation::change(
                        simd,
                        self.act,
                        from.run(j, v.len()),
                        v,
                        h.run_mut(j, v.len()),
                        p.run_mut(j, v.len()),
                    );
                }
                (Some(h), Some(p), None) => activation::value_and_slope(
                    simd,
                    self.act,
                    v,
                    h.run_mut(j, v.len()),
                    p.run_mut(j, v.len()),
                ),
                (Some(h), None, _) => activation::value(simd, self.act, v, h.run_mut(j, v.len())),
            }
        }
    }
}

/// Copies a short row in pieces of constant length, which compile to moves, not to calls.
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
pub(super) fn add<T: Real>(a: &mut [T], b: T) {
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
