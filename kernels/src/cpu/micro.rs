//! The inner loops of a product: a few vectors of samples times eight units, in registers.
//!
//! The `gemm` crate, which Candle uses, accepts neither an operand that is already packed nor an epilogue on results in
//! registers, and at these sizes (128 units, 64 samples) it spends an eighth of its time packing and deciding how to.
//! States lie feature-major, so that nothing has to be packed here but, for many steps, the weights, once. The last
//! samples of a tile that do not fill a vector are read and written under a mask.

use pulp::Simd;

use super::real::Real;

/// Units of a block.
pub(super) const UNITS: usize = 8;

/// Where the weights of eight neighbouring units lie: of unit c and input k at `c·unit + k·input`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Strides {
    pub(super) unit: usize,
    pub(super) input: usize,
    /// From a block of eight units to the next, where units within a block are neighbours.
    pub(super) block: usize,
}

/// The number of units to compute at once: more where there is one vector of samples only, so that all registers are
/// used.
#[inline(always)]
pub(super) fn units_at_once<S: Simd, T: Real>(width: usize, neighbours: bool) -> usize {
    if neighbours && S::REGISTER_COUNT >= 32 && width < 2 * T::lanes::<S>() {
        2 * UNITS
    } else {
        UNITS
    }
}

/// Prefetches the cache line of an address that will be read soon; the address need not be valid.
#[inline(always)]
fn soon<T>(address: *const T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_mm_prefetch, _MM_HINT_T0};
        // SAFETY: a hint; it reads nothing and never faults, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// One block of a product: out`[c, s]` = scale · Σ_k w(c, k) h`[k, s]`, plus what is there if `keep`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block<T> {
    /// Values of k.
    pub(super) inputs: usize,
    pub(super) scale: T,
    pub(super) keep: bool,
    pub(super) w: *const T,
    pub(super) strides: Strides,
    /// Values of c: at most [`UNITS`], or twice as many where [`units_at_once`] says so.
    pub(super) units: usize,
    pub(super) h: *const T,
    pub(super) h_stride: usize,
    pub(super) out: *mut T,
    pub(super) out_stride: usize,
    /// Values of s.
    pub(super) width: usize,
}

/// M vectors of samples, N units, where the operands of `b` begin; under a mask if `TAIL`, with weights
/// of neighbouring units side by side if `NEXT`.
///
/// # Safety
/// As for [`block`].
#[expect(clippy::needless_range_loop, reason = "one index for several arrays of registers, unrolled")]
#[inline(always)]
unsafe fn inner<S: Simd, T: Real, const M: usize, const N: usize, const NEXT: bool, const TAIL: bool>(
    simd: S,
    b: Block<T>,
    mask: T::Mask<S>,
) {
    let Block { inputs, w, strides, .. } = b;
    let lanes = T::lanes::<S>();
    let mut sums = [[T::splat(simd, T::ZERO); M]; N];
    // SAFETY: the caller's, for every address below.
    unsafe {
        // one pointer per unit, or one for all where their weights are neighbours
        let mut rows = [w; N];
        if !NEXT {
            for c in 0..N {
                rows[c] = w.add(c * strides.unit);
            }
        }
        let mut h = b.h;
        let ahead = w.wrapping_add(N * inputs);
        if b.keep {
            // what is there may be far away, and is read after the last of the inputs
            for c in 0..N {
                for m in 0..M {
                    soon(b.out.wrapping_add(c * b.out_stride + m * lanes));
                }
            }
        }
        for k in 0..inputs {
            let mut samples = [T::splat(simd, T::ZERO); M];
            for m in 0..M {
                samples[m] = if TAIL { T::load_some(simd, mask, h) } else { T::load::<S>(h.add(m * lanes)) };
            }
            h = h.wrapping_add(b.h_stride);
            // the next block's weights: its rows follow these, as do its blocks where they are packed
            if NEXT && strides.input > UNITS {
                soon(w.wrapping_add(N + k * strides.input));
            } else {
                soon(ahead.wrapping_add(k * N));
            }
            for c in 0..N {
                let weight = if NEXT {
                    *w.add(k * strides.input + c / UNITS * strides.block + c % UNITS)
                } else {
                    *rows[c].add(k * strides.input)
                };
                let weight = T::splat(simd, weight);
                for m in 0..M {
                    sums[c][m] = T::fma(simd, weight, samples[m], sums[c][m]);
                }
            }
        }
        let scale = T::splat(simd, b.scale);
        for c in 0..N {
            for m in 0..M {
                let to = b.out.add(c * b.out_stride + m * lanes);
                let mut result = T::times(simd, scale, sums[c][m]);
                if b.keep {
                    let old = if TAIL { T::load_some(simd, mask, to) } else { T::load::<S>(to) };
                    result = T::fma(simd, scale, sums[c][m], old);
                }
                if TAIL {
                    T::store_some(simd, mask, to, result);
                } else {
                    T::store::<S>(to, result);
                }
            }
        }
    }
}

/// Does a block.
///
/// # Safety
/// `w` must be readable at every (c, k) of its strides, h at k·`h_stride` + s, and out writable (and initialised if
/// kept) at c·`out_stride` + s, without overlap and with no other code writing there.
#[inline(always)]
pub(super) unsafe fn block<S: Simd, T: Real>(simd: S, block: Block<T>) {
    let lanes = T::lanes::<S>();
    let Block { units, width, strides, .. } = block;
    let mask = T::first(simd, width % lanes);
    let mut done = 0;
    macro_rules! strip {
        ($m:literal, $n:literal, $tail:literal, $first:expr) => {
            // SAFETY: the caller's; M vectors of samples from `done` on, units `first` to + N.
            unsafe {
                let b = Block {
                    w: block.w.add($first * strides.unit),
                    h: block.h.add(done),
                    out: block.out.add(done + $first * block.out_stride),
                    ..block
                };
                if strides.unit == 1 {
                    inner::<S, T, $m, $n, true, $tail>(simd, b, mask);
                } else {
                    inner::<S, T, $m, $n, false, $tail>(simd, b, mask);
                }
            }
        };
    }
    macro_rules! units {
        ($m:literal, $tail:literal) => {
            if units == UNITS && S::REGISTER_COUNT >= 32 {
                strip!($m, 8, $tail, 0);
            } else {
                let mut first = 0;
                while first + 4 <= units {
                    strip!($m, 4, $tail, first);
                    first += 4;
                }
                while first < units {
                    strip!($m, 1, $tail, first);
                    first += 1;
                }
            }
        };
    }
    while done < width {
        let left = width - done;
        if units == 2 * UNITS {
            // a caller asks for 2 · UNITS only where it has fewer samples than two vectors hold
            if left >= lanes {
                strip!(1, 16, false, 0);
            } else {
                strip!(1, 16, true, 0);
            }
            done += lanes;
        } else if left >= 2 * lanes {
            units!(2, false);
            done += 2 * lanes;
        } else if left >= lanes {
            units!(1, false);
            done += lanes;
        } else {
            units!(1, true);
            done = width;
        }
    }
}
