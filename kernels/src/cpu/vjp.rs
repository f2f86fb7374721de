//! Vector-Jacobian products: Wᵀ d, then slope, skip, and the step of a state or an error.

use pulp::{Simd, WithSimd};

use super::activation;
use super::arena::View;
use super::epilogue::{copy, plus, times, Next};
use super::momentum::Carried;
use super::product::{Product, Rows};
use super::real::Real;
use crate::layer::Activation;

/// r = a Wᵀ d with its epilogue r = φ_in' ⊙ r + skip, and the use of r.
pub(super) struct Vjp<T> {
    pub(super) r: Product<T>,
    pub(super) act: Activation,
    /// φ_in and φ_in' at the state below.
    pub(super) h: View<T>,
    pub(super) p: Option<View<T>>,
    /// The error or adjoint that the skip carries down.
    pub(super) skip: Option<View<T>>,
    pub(super) then: AfterVjp<T>,
}

/// The use of r = J_{l+1}ᵀ(·).
#[derive(Clone, Copy)]
pub(super) enum AfterVjp<T> {
    /// e = r, d ⊙= r.
    Adjoint { e: Option<View<T>>, d: Option<View<T>> },
    /// e += g (r − e), d ⊙= r, and r is stored in `keep` for the next skip. `first`: e was 0. With momentum the step along
    /// r − e is momentum's.
    Descend {
        e: View<T>,
        d: Option<View<T>>,
        keep: Option<View<T>>,
        g: T,
        first: bool,
        momentum: Option<Carried<T>>,
    },
    /// v += g (r − e). `arriving`: e was 0; it becomes the change of v, and d ⊙= e. With momentum the step along r − e is
    /// momentum's.
    Move {
        v: View<T>,
        e: View<T>,
        d: Option<View<T>>,
        g: T,
        arriving: bool,
        momentum: Option<Carried<T>>,
        next: Next<T>,
    },
    /// v += s, e += s with s = g (r − e), then d ⊙= e. `first`: e was 0.
    Sweep { v: View<T>, e: View<T>, d: Option<View<T>>, g: T, first: bool, next: Next<T> },
    /// to = e + g (r − e), d = slope ⊙ to; `e: None` means e is `to` itself. `arriving`: e was 0.
    Fixed { e: Option<View<T>>, to: View<T>, d: Option<(View<T>, View<T>)>, g: T, arriving: bool },
    /// step = g (r − e). `arriving`: e was 0.
    Step { e: View<T>, step: View<T>, g: T, arriving: bool },
}

impl<T: Real> WithSimd for Vjp<T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let r = self.r;
        // SAFETY: as for `Predict`.
        unsafe { r.rows(simd, self) };
    }
}

impl<T: Real> Rows<T> for Vjp<T> {
    #[inline(always)]
    unsafe fn take<S: Simd>(&mut self, simd: S, j: usize, r: &mut [T]) {
        let Self { act, h, p, skip, then, .. } = *self;
        // SAFETY: the caller's.
        unsafe {
            let n = r.len();
            let slopes = p.map_or(&[][..], |p| p.run(j, n));
            activation::times_slope(act, h.run(j, n), slopes, r);
            if let Some(skip) = skip {
                plus(r, skip.run(j, n));
            }
            match then {
                AfterVjp::Adjoint { e, d } => {
                    if let Some(d) = d {
                        times(d.run_mut(j, n), r);
                    }
                    if let Some(e) = e {
                        copy(r, e.run_mut(j, n));
                    }
                }
                AfterVjp::Descend { e, d, keep, g, first, momentum } => {
                    if let Some(keep) = keep {
                        copy(r, keep.run_mut(j, n));
                    }
                    if let Some(d) = d {
                        times(d.run_mut(j, n), r);
                    }
                    let e = &mut e.run_mut(j, n)[..n];
                    match momentum {
                        None if first => (0..n).for_each(|c| e[c] = g * r[c]),
                        None => (0..n).for_each(|c| e[c] += g * (r[c] - e[c])),
                        Some(momentum) if first => {
                            momentum.first(j, r);
                            copy(r, e);
                        }
                        Some(momentum) => {
                            momentum.step(j, r, e);
                            plus(e, r);
                        }
                    }
                }
                AfterVjp::Move { v, e, d, g, arriving, momentum, next } => {
                    let v = &mut v.run_mut(j, n)[..n];
                    if arriving {
                        let g = match momentum {
                            None => g,
                            // r becomes the step itself
                            Some(momentum) => {
                                momentum.first(j, r);
                                T::ONE
                            }
                        };
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
                        match momentum {
                            None => (0..n).for_each(|c| v[c] += g * (r[c] - e[c])),
                            Some(momentum) => {
                                momentum.step(j, r, e);
                                plus(v, r);
                            }
                        }
                    }
                    next.at(simd, j, v);
                }
                AfterVjp::Sweep { v, e, d, g, first, next } => {
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
                    next.at(simd, j, v);
                }
                AfterVjp::Fixed { e, to, d, g, arriving } => {
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
                AfterVjp::Step { e, step, g, arriving } => {
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
