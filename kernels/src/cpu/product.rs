//! The three matrix products of a layer, on tiles, on the calling thread.

use gemm::Parallelism;
use pulp::Simd;

use super::arena::{Tile, View};
use super::epilogue::RUN;
use super::micro::{units_at_once, Strides, UNITS};
use super::real::Real;

/// What takes rows of a result: a trait where a closure would do, because it must become part of its caller, which is
/// compiled for the processor at hand.
pub(super) trait Rows<T> {
    /// Rows from `first` on, as one slice.
    ///
    /// # Safety
    /// As the implementation's fields demand.
    unsafe fn take(&mut self, first: usize, rows: &mut [T]);
}

/// Where W lies: row-major `[outputs, inputs]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weights<T> {
    pub(super) ptr: *mut T,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
}

/// A product of a layer's weights, or their transpose, with a tile: out`[units, w]` = scale · w h, h`[inputs, w]`.
#[derive(Clone, Copy)]
pub(super) struct Product<T> {
    ptr: *const T,
    strides: Strides,
    inputs: usize,
    /// Rows of the result, and those of them that are wanted.
    units: usize,
    wanted: (usize, usize),
    scale: f64,
    h: View<T>,
    /// Rows of a block of eight at a time, or the whole result where vectors are wider than the tile.
    out: View<T>,
}

impl<T: Real> Product<T> {
    /// W h.
    pub(super) fn forward(w: Weights<T>, scale: f64, h: View<T>, out: View<T>, at: Tile) -> Self {
        debug_assert!(h.rows == w.inputs && out.width == h.width);
        let strides = Strides { unit: w.inputs, input: 1, block: UNITS * w.inputs };
        let wanted = at.rows(w.outputs);
        let wanted = (wanted.start, wanted.end);
        Self { ptr: w.ptr, strides, inputs: w.inputs, units: w.outputs, wanted, scale, h, out }
    }

    /// Wᵀ d.
    pub(super) fn backward(w: Weights<T>, scale: f64, d: View<T>, out: View<T>, at: Tile) -> Self {
        debug_assert!(d.rows == w.outputs && out.width == d.width);
        let strides = Strides { unit: 1, input: w.inputs, block: UNITS };
        let wanted = at.rows(w.inputs);
        let wanted = (wanted.start, wanted.end);
        Self { ptr: w.ptr, strides, inputs: w.outputs, units: w.inputs, wanted, scale, h: d, out }
    }

    /// The same with the weights in the order in which they are read, see [`pack`].
    pub(super) fn packed(self, packed: *const T) -> Self {
        Self { ptr: packed, strides: Strides { unit: 1, input: 0, block: UNITS * self.inputs }, ..self }
    }

    /// Samples of the tile.
    pub(super) fn width(&self) -> usize {
        self.out.width
    }

    /// Computes the result block by block and hands its rows on while they are in the nearest cache: one at a time, or in
    /// runs of [`RUN`] elements where they are short.
    ///
    /// # Safety
    /// The weights must be allocated and initialised for the sizes given, nobody may write them or h or touch `out`
    /// meanwhile, and `out` overlaps neither. What is handed on is part of `out`.
    #[inline(always)]
    pub(super) unsafe fn rows<S: Simd>(self, simd: S, mut then: impl Rows<T>) {
        let Self { ptr, strides, inputs, wanted, scale, h, out, .. } = self;
        let whole = out.width < T::lanes::<S>();
        let packed = strides.input == 0;
        // SAFETY: the caller's; a block of c units starts `first` units into the weights, and its result has rows 0..c
        // of `out`, which holds eight of them at least.
        unsafe {
            if whole {
                self.with_gemm((wanted.0, wanted.1 - wanted.0), (0, out.width), wanted.0);
            }
            let mut first = wanted.0;
            while first < wanted.1 {
                let most = units_at_once::<S, T>(out.width, strides.unit == 1);
                let count = (wanted.1 - first).min(if wanted.1 - first < most { UNITS } else { most });
                if !whole {
                    let (w, strides) = if packed {
                        (ptr.add(first * inputs), Strides { input: count.min(UNITS), ..strides })
                    } else {
                        (ptr.add(first * strides.unit), strides)
                    };
                    let (scale, to) = (T::of(scale), out.ptr());
                    let done = T::block(
                        simd,
                        inputs,
                        scale,
                        w,
                        strides,
                        count,
                        h.ptr(),
                        h.stride,
                        to,
                        out.stride,
                        out.width,
                    );
                    if done < out.width {
                        self.with_gemm((first, count), (done, out.width - done), 0);
                    }
                }
                let row = if whole { first } else { 0 };
                // where the tile fills its panel, here and in every other field, short rows are taken several at a time
                let together = if h.stride == h.width { (RUN / out.width).max(1) } else { 1 };
                let mut c = 0;
                while c < count {
                    let rows = together.min(count - c);
                    then.take(first + c, out.run_mut(row + c, rows * out.width));
                    c += rows;
                }
                first += count;
            }
        }
    }

    /// Units first.. and samples from.. of the result, through the `gemm` crate, into the rows of `out` from `row` on.
    ///
    /// # Safety
    /// As for [`rows`](Self::rows).
    unsafe fn with_gemm(self, (first, count): (usize, usize), (from, width): (usize, usize), row: usize) {
        let Self { ptr, strides, inputs, units, scale, h, out, .. } = self;
        if inputs == 0 {
            // SAFETY: the caller gives `out` to us alone.
            (0..count).for_each(|c| unsafe { out.row_mut(row + c) }[from..from + width].fill(T::ZERO));
            return;
        }
        // packed blocks lie one after another, which no two strides can say; units of one block at a time, then
        let step = if strides.input == 0 { UNITS } else { count.max(1) };
        for start in (0..count).step_by(step) {
            let n = step.min(count - start);
            let (w, by_unit, by_input) = if strides.input == 0 {
                ((first + start) * inputs, 1, UNITS.min(units - (first + start)))
            } else {
                ((first + start) * strides.unit, strides.unit, strides.input)
            };
            // SAFETY: samples are the rows of the product (distance 1 in h and out), units its columns; every element
            // lies within the operands by the caller's word.
            unsafe {
                gemm::gemm(
                    width,
                    n,
                    inputs,
                    out.ptr().add((row + start) * out.stride + from),
                    out.stride as isize,
                    1,
                    false,
                    h.ptr().add(from),
                    h.stride as isize,
                    1,
                    ptr.add(w),
                    by_unit as isize,
                    by_input as isize,
                    T::ZERO,
                    T::of(scale),
                    false,
                    false,
                    false,
                    Parallelism::None,
                );
            }
        }
    }
}

/// Wᵀ in blocks of eight of its rows (the inputs of the layer), each with the inputs of one unit of W after another:
/// the order in which [`Product::backward`] reads them.
///
/// # Safety
/// W must be readable and `to` writable for all its elements, and nobody else may touch `to`.
pub(super) unsafe fn pack<T: Real>(w: Weights<T>, blocks: std::ops::Range<usize>, to: *mut T) {
    for block in blocks {
        let first = block * UNITS;
        let count = UNITS.min(w.inputs - first);
        for k in 0..w.outputs {
            // SAFETY: eight (or the last few) neighbours of row k of W, to their place in the block.
            unsafe {
                let from = w.ptr.add(k * w.inputs + first);
                std::ptr::copy_nonoverlapping(from, to.add(first * w.outputs + k * count), count);
            }
        }
    }
}

/// out = keep·out + factor · d hᵀ, out row-major `[units of d, units of h]`, d and h with the same samples.
///
/// # Safety
/// out must be allocated and initialised and nobody else may touch it meanwhile; nobody may write h or d.
pub(super) unsafe fn outer<T: Real>(out: *mut T, keep: bool, factor: f64, d: View<T>, h: View<T>) {
    debug_assert!(d.width == h.width);
    // SAFETY: inputs are the rows of the product (distance 1 in out), units its columns; all within the operands.
    unsafe {
        gemm::gemm(
            h.rows,
            d.rows,
            h.width,
            out,
            h.rows as isize,
            1,
            keep,
            h.ptr(),
            1,
            h.stride as isize,
            d.ptr(),
            d.stride as isize,
            1,
            T::ONE,
            T::of(factor),
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
