//! Σ over rows of pixels times cotangents, by tap: a tile of up to six inputs and four vectors of outputs at a time.

use pulp::{Arch, Simd, WithSimd};

use super::panels::{Cut, Panel};
use super::reads::{Reads, Taps, ROWS};
use crate::cpu::arena::Aligned;
use crate::cpu::real::Real;

/// Rows whose cotangents are kept in the nearest cache, a row of them at most 256 bytes, while all taps and inputs are gone
/// through.
const AT_ONCE: usize = 126;

/// dw += Σ over rows of x_tᵀ c, in the order of [`Panels`](super::panels::Panels).
pub(crate) fn gradient<T: Real>(taps: &Taps, x: &[T], inputs: usize, c: &[T], dw: &mut [T]) {
    by_groups(taps, (x, inputs), c, dw, |group| Arch::new().dispatch(group));
}

/// The same, the images of each group as `run` runs them.
pub(super) fn by_groups<T: Real>(
    taps: &Taps,
    (x, inputs): (&[T], usize),
    c: &[T],
    dw: &mut [T],
    run: impl Fn(Group<'_, T>),
) {
    let rows = x.len() / (taps.read * inputs).max(1) * taps.written;
    let outputs = c.len() / rows.max(1);
    let (images, cut) = (taps.images(x, inputs, c, outputs), Cut { taps: taps.taps, inputs, outputs });
    assert!(dw.len() == cut.len::<T>(), "a gradient of another size");
    let together = taps.together();
    let mut near = Aligned::new();
    near.reserve(AT_ONCE * cut.panels::<T>().map(|p| p.width).max().unwrap_or(0));
    let whole = taps.reads(together.min(images));
    for panel in cut.panels::<T>() {
        for first in (0..images).step_by(together) {
            let count = together.min(images - first);
            let last = (count < together.min(images)).then(|| taps.reads(count));
            let x = &x[first * taps.read * inputs..][..count * taps.read * inputs];
            let c = &c[first * taps.written * outputs..][..count * taps.written * outputs];
            let dw = &mut dw[panel.start..][..cut.taps * inputs * panel.width];
            let reads = last.as_ref().unwrap_or(&whole);
            run(Group { reads, panel, cut, x, c, near: near.as_mut_slice(), dw });
        }
    }
}

/// What the images of a group add to one panel.
pub(super) struct Group<'a, T> {
    reads: &'a Reads,
    panel: Panel,
    cut: Cut,
    x: &'a [T],
    c: &'a [T],
    /// Room for [`AT_ONCE`] rows of the panel.
    near: &'a mut [T],
    dw: &'a mut [T],
}

/// A row of the images and the cotangent that it meets, as places of their first numbers.
#[derive(Debug, Clone, Copy)]
struct Pair {
    pixel: usize,
    cotangent: usize,
}

impl<T: Real> WithSimd for Group<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { reads, panel, cut, x, c, near, dw } = self;
        let (mut pairs, all) = (Vec::with_capacity(AT_ONCE), cut.taps * cut.inputs);
        let mut windows = if cut.inputs < ROWS { vec![T::ZERO; AT_ONCE * all] } else { Vec::new() };
        assert!(dw.len() == cut.taps * cut.inputs * panel.width, "a panel of another size");
        let dw = dw.as_mut_ptr();
        for from in (0..reads.count).step_by(AT_ONCE) {
            let rows = &reads.rows[from..reads.count.min(from + AT_ONCE)];
            for (&row, near) in rows.iter().zip(near.chunks_exact_mut(panel.width)) {
                near[..panel.count].copy_from_slice(&c[row * cut.outputs + panel.first..][..panel.count]);
                near[panel.count..].fill(T::ZERO);
            }
            let pixel = |tap: usize, k: usize| {
                let (tile, row) = ((from + k) / ROWS, (from + k) % ROWS);
                reads.pixels[(tile * reads.taps + tap) * ROWS + row]
            };
            if cut.inputs < ROWS {
                // too few for a tile: the inputs of all taps together
                windows.fill(T::ZERO);
                for (k, window) in windows.chunks_exact_mut(all).take(rows.len()).enumerate() {
                    for (tap, own) in window.chunks_exact_mut(cut.inputs).enumerate() {
                        if pixel(tap, k) != usize::MAX {
                            own.copy_from_slice(&x[pixel(tap, k) * cut.inputs..][..cut.inputs]);
                        }
                    }
                }
                pairs.clear();
                pairs.extend((0..rows.len()).map(|k| Pair { pixel: k * all, cotangent: k * panel.width }));
                let part = Part { pairs: &pairs, x: &windows, inputs: all, near, width: panel.width };
                // SAFETY: pairs are rows of `windows` and of `near`, and the inputs of all taps are all rows of dw.
                unsafe { part.run(simd, dw) };
                continue;
            }
            for tap in 0..cut.taps {
                pairs.clear();
                for k in (0..rows.len()).filter(|&k| pixel(tap, k) != usize::MAX) {
                    pairs.push(Pair { pixel: pixel(tap, k) * cut.inputs, cotangent: k * panel.width });
                }
                let part = Part { pairs: &pairs, x, inputs: cut.inputs, near, width: panel.width };
                // SAFETY: `Taps::new` has checked that its pixels are rows of an image, and `Taps::images` that x holds as many
                // as c; a pair's cotangent is a row of `near`. The tap's part of the panel has as many rows as inputs.
                unsafe { part.run(simd, dw.add(tap * cut.inputs * panel.width)) };
            }
        }
    }
}

/// Pixels with the cotangents that they meet.
struct Part<'a, T> {
    pairs: &'a [Pair],
    x: &'a [T],
    /// Numbers of a pixel.
    inputs: usize,
    near: &'a [T],
    width: usize,
}

impl<T: Real> Part<'_, T> {
    /// Adds all inputs.
    ///
    /// # Safety
    /// Every pair must be where `inputs` numbers of x and `width` of `near` begin; dw must be as many rows of `width` numbers as
    /// there are inputs, and overlap nothing that is read.
    #[inline(always)]
    unsafe fn run<S: Simd>(&self, simd: S, dw: *mut T) {
        let mut input = 0;
        while input < self.inputs {
            let left = self.inputs - input;
            // SAFETY: the caller's; a tile has no more inputs than are left.
            unsafe {
                let (x, dw) = (self.x.as_ptr().wrapping_add(input), dw.add(input * self.width));
                let tile = Tile { pairs: self.pairs, x, near: self.near.as_ptr(), dw, width: self.width };
                if left >= ROWS {
                    tile.run::<S, ROWS>(simd);
                    input += ROWS;
                } else if left >= 2 {
                    tile.run::<S, 2>(simd);
                    input += 2;
                } else {
                    tile.run::<S, 1>(simd);
                    input += 1;
                }
            }
        }
    }
}

/// Some inputs and a panel of outputs.
struct Tile<'a, T> {
    pairs: &'a [Pair],
    x: *const T,
    near: *const T,
    dw: *mut T,
    width: usize,
}

impl<T: Real> Tile<'_, T> {
    /// Adds N inputs.
    ///
    /// # Safety
    /// Of every pair N numbers of x and a row of `near` must be readable, and N rows of dw writable, `width` numbers each.
    #[inline(always)]
    unsafe fn run<S: Simd, const N: usize>(&self, simd: S) {
        let lanes = T::lanes::<S>();
        let mut done = 0;
        // SAFETY: the caller's; rows of a panel are whole vectors of every processor.
        unsafe {
            while done < self.width {
                let left = self.width - done;
                if left >= 4 * lanes && S::REGISTER_COUNT >= 32 {
                    self.strip::<S, 4, N>(simd, done);
                    done += 4 * lanes;
                } else if left >= 2 * lanes {
                    self.strip::<S, 2, N>(simd, done);
                    done += 2 * lanes;
                } else {
                    self.strip::<S, 1, N>(simd, done);
                    done += lanes;
                }
            }
        }
    }

    /// M vectors of outputs from column `from` on.
    ///
    /// # Safety
    /// As for [`run`](Self::run).
    #[expect(clippy::needless_range_loop, reason = "one index for several arrays of registers, unrolled")]
    #[inline(always)]
    unsafe fn strip<S: Simd, const M: usize, const N: usize>(&self, simd: S, from: usize) {
        let lanes = T::lanes::<S>();
        let mut sums = [[T::splat(simd, T::ZERO); M]; N];
        // SAFETY: the caller's, for every address below.
        unsafe {
            let place = |n: usize, m: usize| self.dw.add(n * self.width + from + m * lanes);
            for n in 0..N {
                for m in 0..M {
                    sums[n][m] = T::load::<S>(place(n, m));
                }
            }
            for pair in self.pairs {
                let (pixel, row) = (self.x.add(pair.pixel), self.near.add(pair.cotangent + from));
                let mut vectors = [T::splat(simd, T::ZERO); M];
                for m in 0..M {
                    vectors[m] = T::load::<S>(row.add(m * lanes));
                }
                for n in 0..N {
                    let value = T::splat(simd, *pixel.add(n));
                    for m in 0..M {
                        sums[n][m] = T::fma(simd, value, vectors[m], sums[n][m]);
                    }
                }
            }
            for n in 0..N {
                for m in 0..M {
                    T::store::<S>(place(n, m), sums[n][m]);
                }
            }
        }
    }
}
