//! The three matrix products of a layer, on tiles, on the calling thread.

use gemm::Parallelism;
use pulp::{Simd, WithSimd};

use super::arena::{Tile, View, PANEL};
use super::epilogue::RUN;
use super::micro::{self, units_at_once, Block, Strides, UNITS};
use super::real::{Real, SQUARE};

/// What takes rows of a result: a trait where a closure would do, because it must become part of its caller, which is
/// compiled for the processor at hand.
pub(super) trait Rows<T> {
    /// Rows from `first` on, as one slice.
    ///
    /// # Safety
    /// As the implementation's fields demand.
    unsafe fn take<S: Simd>(&mut self, simd: S, first: usize, rows: &mut [T]);
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
    /// Rows of a block of eight at a time, or the whole result of a single sample.
    out: View<T>,
    /// Whether the tile's one sample is the whole batch.
    single: bool,
}

impl<T: Real> Product<T> {
    /// W h.
    pub(super) fn forward(w: Weights<T>, scale: f64, h: View<T>, out: View<T>, at: Tile) -> Self {
        debug_assert!(h.rows == w.inputs && out.width == h.width);
        let strides = Strides { unit: w.inputs, input: 1, block: UNITS * w.inputs };
        let wanted = at.rows(w.outputs);
        let wanted = (wanted.start, wanted.end);
        Self { ptr: w.ptr, strides, inputs: w.inputs, units: w.outputs, wanted, scale, h, out, single: false }
    }

    /// Wᵀ d.
    pub(super) fn backward(w: Weights<T>, scale: f64, d: View<T>, out: View<T>, at: Tile) -> Self {
        debug_assert!(d.rows == w.outputs && out.width == d.width);
        let strides = Strides { unit: 1, input: w.inputs, block: UNITS };
        let wanted = at.rows(w.inputs);
        let wanted = (wanted.start, wanted.end);
        Self {
            ptr: w.ptr,
            strides,
            inputs: w.outputs,
            units: w.inputs,
            wanted,
            scale,
            h: d,
            out,
            single: false,
        }
    }

    /// The same, said which batch the tile is of: a batch of one sample has a loop of its own, and takes it wherever
    /// its tile lies, so that bits do not depend on how a larger batch is cut.
    pub(super) fn of_batch(self, batch: usize) -> Self {
        Self { single: batch == 1, ..self }
    }

    /// The same with the weights in the order in which they are read, see [`pack`].
    pub(super) fn packed(self, packed: *const T) -> Self {
        Self { ptr: packed, strides: Strides { unit: 1, input: 0, block: UNITS * self.inputs }, ..self }
    }

    /// Samples of the tile.
    pub(super) fn width(&self) -> usize {
        self.out.width
    }

    /// Computes the result block by block and hands its rows on while they are in the nearest cache: one at a time, or
    /// in runs of [`RUN`] elements where they are short.
    ///
    /// # Safety
    /// The weights must be allocated and initialised for the sizes given. Meanwhile no code may write them or h, and no
    /// other code may read or write `out`, which overlaps neither. What is handed on is part of `out`.
    #[inline(always)]
    pub(super) unsafe fn rows<S: Simd>(self, simd: S, mut then: impl Rows<T>) {
        let Self { ptr, strides, inputs, wanted, scale, h, out, single, .. } = self;
        let packed = strides.input == 0;
        // SAFETY: the caller's; a block of c units starts `first` units into the weights, and its result has rows 0..c
        // of `out`, which holds eight of them at least.
        unsafe {
            if single {
                self.of_one_sample();
            }
            let mut first = wanted.0;
            while first < wanted.1 {
                let most = units_at_once::<S, T>(out.width, strides.unit == 1);
                let units = (wanted.1 - first).min(if wanted.1 - first < most { UNITS } else { most });
                if !single {
                    let (w, strides) = if packed {
                        (ptr.add(first * inputs), Strides { input: units.min(UNITS), ..strides })
                    } else {
                        (ptr.add(first * strides.unit), strides)
                    };
                    let (scale, keep, width) = (T::of(scale), false, out.width);
                    let (h, h_stride, out, out_stride) =
                        (h.ptr().cast_const(), h.stride, out.ptr(), out.stride);
                    let block =
                        Block { inputs, scale, keep, w, strides, units, h, h_stride, out, out_stride, width };
                    micro::block(simd, block);
                }
                let row = if single { first } else { 0 };
                // where the tile fills its panel, here and in every other field, short rows are taken several at a time
                let together = if h.stride == h.width { (RUN / out.width).max(1) } else { 1 };
                let mut c = 0;
                while c < units {
                    let rows = together.min(units - c);
                    then.take(simd, first + c, out.run_mut(row + c, rows * out.width));
                    c += rows;
                }
                first += units;
            }
        }
    }

    /// All wanted units of a single sample: a product with a vector, which reads each weight once and is better done
    /// along the weights. The `gemm` crate does that, without memory of its own.
    ///
    /// # Safety
    /// As for [`rows`](Self::rows).
    unsafe fn of_one_sample(self) {
        let Self { ptr, strides, inputs, units, wanted, scale, h, out, .. } = self;
        debug_assert!(h.width == 1 && h.stride == 1 && out.stride == 1);
        // packed blocks lie one after another, which no two strides can say; units of one block at a time, then
        let step = if strides.input == 0 { UNITS } else { (wanted.1 - wanted.0).max(1) };
        for first in (wanted.0..wanted.1).step_by(step) {
            let count = step.min(wanted.1 - first);
            let (w, by_unit, by_input) = if strides.input == 0 {
                (first * inputs, 1, UNITS.min(units - first))
            } else {
                (first * strides.unit, strides.unit, strides.input)
            };
            // SAFETY: the sample is the one row of the product (distance 1 in h and out), units its columns; every
            // element lies within the operands by the caller's word.
            unsafe {
                gemm::gemm(
                    1,
                    count,
                    inputs,
                    out.ptr().add(first),
                    1,
                    1,
                    false,
                    h.ptr(),
                    1,
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
/// W must be readable and `to` writable for all its elements, and no other code may read or write `to` meanwhile.
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

/// out = factor · d hᵀ, plus what is there if `keep`; out row-major `[units of d, units of h]`, d and h with the same
/// samples, at most [`PANEL`] of them.
pub(super) struct Outer<'a, T> {
    pub(super) out: *mut T,
    pub(super) keep: bool,
    pub(super) factor: f64,
    pub(super) d: View<T>,
    /// Samples one after another, in panels.
    pub(super) h: &'a [View<T>],
    /// [`FLIPPED`] elements, for h with samples as rows.
    pub(super) flipped: &'a mut [T],
}

/// Units of h that are flipped at once: with a panel of samples they fill most of the nearest cache.
const FLIP: usize = 128;

/// Elements of the scratch of [`Outer`].
pub(super) const FLIPPED: usize = FLIP * PANEL;

impl<T: Real> Outer<'_, T> {
    /// Units from `first` on, samples as rows.
    ///
    /// # Safety
    /// As for [`run`](Self::run).
    #[inline(always)]
    unsafe fn flip<S: Simd>(&mut self, first: usize, units: usize) {
        let whole = units / SQUARE * SQUARE;
        let mut before = 0;
        for panel in self.h {
            let (samples, to) = (panel.width, &mut self.flipped[before * units..][..panel.width * units]);
            for start in (0..whole).step_by(SQUARE) {
                // SAFETY: the caller's.
                let rows: [&[T]; SQUARE] = std::array::from_fn(|i| unsafe { panel.row(first + start + i) });
                let mut done = 0;
                while done + SQUARE <= samples {
                    let to = (to[done * units + start..].as_mut_ptr(), units);
                    // SAFETY: rows `start` to + SQUARE of the panel and as many of its samples; `to` holds all of both.
                    let transposed = unsafe {
                        let from = panel.ptr().add((first + start) * panel.stride + done).cast_const();
                        T::transpose_square::<S>((from, panel.stride), to)
                    };
                    if !transposed {
                        break;
                    }
                    done += SQUARE;
                }
                for (s, to) in to.chunks_exact_mut(units).enumerate().skip(done) {
                    let to = &mut to[start..start + SQUARE];
                    (0..SQUARE).for_each(|i| to[i] = rows[i][s]);
                }
            }
            for unit in whole..units {
                // SAFETY: the caller's.
                let row = unsafe { panel.row(first + unit) };
                (0..samples).for_each(|s| to[s * units + unit] = row[s]);
            }
            before += samples;
        }
    }

    /// Does it.
    ///
    /// # Safety
    /// out must be allocated (and initialised if kept). Meanwhile no other code accesses it, and no code writes h or d.
    pub(super) unsafe fn run(self, arch: pulp::Arch) {
        let samples = self.h.iter().map(|panel| panel.width).sum::<usize>();
        debug_assert!(self.d.width == samples && samples <= PANEL && self.flipped.len() >= FLIPPED);
        arch.dispatch(self);
    }
}

impl<T: Real> WithSimd for Outer<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (d, inputs) = (self.d, self.h[0].rows);
        for first in (0..inputs).step_by(FLIP) {
            let width = FLIP.min(inputs - first);
            // SAFETY: what `run` asks for; the weights of this product are d, its units those of d, its inputs samples.
            unsafe {
                self.flip::<S>(first, width);
                for unit in (0..d.rows).step_by(UNITS) {
                    let block = Block {
                        inputs: d.width,
                        scale: T::of(self.factor),
                        keep: self.keep,
                        w: d.ptr().add(unit * d.stride).cast_const(),
                        strides: Strides { unit: d.stride, input: 1, block: 0 },
                        units: UNITS.min(d.rows - unit),
                        h: self.flipped.as_ptr(),
                        h_stride: width,
                        out: self.out.add(unit * inputs + first),
                        out_stride: inputs,
                        width,
                    };
                    micro::block(simd, block);
                }
            }
        }
    }
}
