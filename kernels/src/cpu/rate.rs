//! The engine's products on their own, without what follows them in a layer.

use std::time::Instant;

use pulp::{Arch, Simd, WithSimd};

use super::arena::{Aligned, Grid, View, PANEL};
use super::product::{pack, Product, Rows, Weights};
use super::real::Real;

/// A layer of `width` units on as many, and a batch.
pub(crate) struct Layer<T> {
    batch: usize,
    width: usize,
    weights: Aligned<T>,
    packed: Aligned<T>,
    /// States of all panels, and one tile of a result.
    states: Aligned<T>,
    result: Aligned<T>,
}

/// Takes rows and does nothing with them.
struct Ignore;

impl<T> Rows<T> for Ignore {
    #[inline(always)]
    unsafe fn take<S: Simd>(&mut self, _: S, _: usize, rows: &mut [T]) {
        std::hint::black_box(rows);
    }
}

/// One product over the whole batch: W h, or Wᵀ d with packed weights.
struct Once<'a, T> {
    layer: &'a mut Layer<T>,
    backward: bool,
}

impl<T: Real> WithSimd for Once<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Layer { batch, width, weights, packed, states, result } = self.layer;
        let (batch, width) = (*batch, *width);
        let w = Weights { ptr: weights.as_mut_slice().as_mut_ptr(), inputs: width, outputs: width };
        let packed = packed.as_mut_slice().as_ptr();
        let (states, result) = (states.as_mut_slice(), result.as_mut_slice());
        let grid = Grid::new(batch, PANEL, PANEL);
        for tile in (0..grid.tiles()).map(|i| grid.tile(i)) {
            let (at, size) = (tile.panel * width, tile.width * width);
            // SAFETY: the slices are checked to hold the tile's panel and a whole result, and live longer than the
            // views.
            let (h, out) = unsafe {
                let h = View::new(states[at..at + size].as_mut_ptr(), tile.width, width, tile.width);
                (h, View::new(result[..size].as_mut_ptr(), tile.width, width, tile.width))
            };
            let product = match self.backward {
                false => Product::forward(w, 1.0, h, out, tile),
                true => Product::backward(w, 1.0, h, out, tile).packed(packed),
            };
            // SAFETY: weights, packed or not, have width² elements; no other thread has any of this.
            unsafe { product.of_batch(batch).rows(simd, Ignore) };
        }
    }
}

impl<T: Real> Layer<T> {
    /// Elements from -1 to 1, each another one.
    pub(crate) fn new(batch: usize, width: usize) -> Self {
        let filled = |n: usize| {
            let mut memory = Aligned::new();
            memory.reserve(n);
            memory.as_mut_slice()[..n].iter_mut().enumerate().for_each(|(i, x)| *x = T::of((i as f64).sin()));
            memory
        };
        let [mut weights, mut packed, states, result] =
            [width * width, width * width, batch * width, PANEL * width].map(filled);
        let w = Weights { ptr: weights.as_mut_slice().as_mut_ptr(), inputs: width, outputs: width };
        // SAFETY: both have width² elements, and are this function's own.
        unsafe { pack(w, 0..width.div_ceil(super::micro::UNITS), packed.as_mut_slice().as_mut_ptr()) };
        Self { batch, width, weights, packed, states, result }
    }

    /// FLOPs per second of `calls` products on this thread.
    pub(crate) fn rate(&mut self, backward: bool, calls: usize) -> f64 {
        let (arch, begin) = (Arch::new(), Instant::now());
        for _ in 0..calls {
            arch.dispatch(Once { layer: self, backward });
        }
        let flops = 2.0 * calls as f64 * self.batch as f64 * (self.width as f64).powi(2);
        flops / begin.elapsed().as_secs_f64().max(1e-9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The last tile of a result against sums by hand.
    #[test]
    fn what_is_timed_is_the_product() {
        for (batch, width) in [(1, 7), (5, 8), (64, 20), (70, 33)] {
            let mut layer = Layer::<f64>::new(batch, width);
            let last = (batch - 1) / PANEL * PANEL;
            let samples = batch - last;
            for backward in [false, true] {
                assert!(layer.rate(backward, 1) > 0.0);
                let w = layer.weights.as_mut_slice().to_vec();
                let h = layer.states.as_mut_slice()[last * width..].to_vec();
                let weight =
                    |unit: usize, k: usize| if backward { w[k * width + unit] } else { w[unit * width + k] };
                // a block of eight units at a time lies in the same rows; the last block is what is left there
                let first = if batch == 1 { 0 } else { (width - 1) / 8 * 8 };
                for unit in first..width {
                    for s in 0..samples {
                        let want: f64 = (0..width).map(|k| weight(unit, k) * h[k * samples + s]).sum();
                        let got = layer.result.as_mut_slice()[(unit - first) * samples + s];
                        assert!(
                            (want - got).abs() < 1e-12,
                            "{batch} {width} {backward} {unit} {s}: {want} {got}"
                        );
                    }
                }
            }
        }
    }

    /// FLOPs by hand, in the time that passed: a clock that is read before and after shows as much or, if something
    /// interrupts the thread in between, more.
    #[test]
    fn a_rate_is_flops_over_time() {
        let (batch, width, calls) = (70, 33, 200);
        let mut layer = Layer::<f32>::new(batch, width);
        for backward in [false, true] {
            let flops = (2 * 70 * 33 * 33 * 200) as f64;
            let counted = (0..20).map(|_| {
                let begin = Instant::now();
                layer.rate(backward, calls) * begin.elapsed().as_secs_f64() / flops
            });
            let least = counted.fold(f64::INFINITY, f64::min);
            assert!((1.0 - 1e-9..1.1).contains(&least), "{backward}: {least}");
        }
    }

    /// A call or a tile that is counted and not made would multiply the rate: one of 64 calls by 64, one of 16
    /// tiles by 16.
    #[test]
    fn all_calls_and_tiles_are_made() {
        let best = |batch: usize, calls: usize, backward: bool| {
            let mut layer = Layer::<f32>::new(batch, 64);
            (0..20).map(|_| layer.rate(backward, calls)).fold(0.0, f64::max)
        };
        for backward in [false, true] {
            let one = best(PANEL, 1, backward);
            for many in [best(PANEL, 64, backward), best(16 * PANEL, 1, backward)] {
                assert!(many < 6.0 * one, "{backward}: {many} of {one}");
            }
        }
    }
}
