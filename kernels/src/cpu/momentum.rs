//! Momentum of inference, on descents that are still in the nearest cache: u ← d + β u, and the step g (a d + c u).

use super::arena::View;
use super::real::Real;
use crate::schedule::Momentum;

/// u of a layer and a tile, and the numbers of a step.
#[derive(Clone, Copy)]
pub(super) struct Carried<T> {
    u: View<T>,
    beta: T,
    /// g a.
    direct: T,
    /// g c.
    carried: T,
}

impl<T: Real> Carried<T> {
    /// Of a step of size g, for a layer's u.
    #[inline(always)]
    pub(super) fn new(u: View<T>, step: Momentum, g: f64) -> Self {
        let Momentum { beta, direct, carried } = step;
        Self { u, beta: T::of(beta), direct: T::of(g * direct), carried: T::of(g * carried) }
    }

    /// Turns the rows r from j on into the step along r − e.
    ///
    /// # Safety
    /// As for [`View::row_mut`], for u; it holds the sum of the step before.
    #[inline(always)]
    pub(super) unsafe fn step(&self, j: usize, r: &mut [T], e: &[T]) {
        let Self { u, beta, direct, carried } = *self;
        let n = r.len();
        // SAFETY: passed on to the caller.
        let (u, e) = unsafe { (&mut u.run_mut(j, n)[..n], &e[..n]) };
        for c in 0..n {
            let d = r[c] - e[c];
            u[c] = d + beta * u[c];
            r[c] = direct * d + carried * u[c];
        }
    }

    /// Turns the rows r from j on into the first step, along r; what u holds before is not read.
    ///
    /// # Safety
    /// As for [`View::row_mut`], for u.
    #[inline(always)]
    pub(super) unsafe fn first(&self, j: usize, r: &mut [T]) {
        let Self { u, direct, carried, .. } = *self;
        let n = r.len();
        // SAFETY: passed on to the caller.
        let u = unsafe { &mut u.run_mut(j, n)[..n] };
        for c in 0..n {
            u[c] = r[c];
            r[c] = direct * r[c] + carried * r[c];
        }
    }
}
