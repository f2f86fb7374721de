//! The inner loops of a product: a few vectors of samples times eight units, in registers.
//!
//! The `gemm` crate, on which Candle stands, takes neither an operand that was packed before nor work to be done on a
//! result while it is in registers, and at these sizes (128 units, 64 samples) it spends an eighth of its time packing
//! and deciding how to. States lie feature-major, so that nothing has to be packed here but, for many steps, the
//! weights, once. Where a tile has fewer samples than a vector has lanes, and for parameter gradients, `gemm` works.

use pulp::Simd;

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

/// Units that are best done at once: more of them, for registers' sake, where there is but one vector of samples.
#[inline(always)]
pub(super) fn units_at_once<S: Simd, T: Micro>(width: usize, neighbours: bool) -> usize {
    if neighbours && S::REGISTER_COUNT >= 32 && width < 2 * T::lanes::<S>() {
        2 * UNITS
    } else {
        UNITS
    }
}

/// Asks for the cache line of an address that will be read soon; any address will do.
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

/// Products of a vector's worth of samples with a block of units, for one number type.
pub(crate) trait Micro: Sized + Copy {
    /// Lanes of a vector.
    fn lanes<S: Simd>() -> usize;

    /// out`[c, s]` = scale · Σ_k w(c, k) h`[k, s]` for units c < `units` (at most [`UNITS`], or twice as many where
    /// [`units_at_once`] says so and `width` is less than two vectors) and the samples s of as
    /// many whole vectors as fit into `width`; returns how many samples that is.
    ///
    /// # Safety
    /// `w` must be readable at every (c, k) of its strides with k < `inputs`, h at k·`h_stride` + s, and out writable
    /// at c·`out_stride` + s, without overlap and with nobody else writing.
    #[allow(clippy::too_many_arguments)] // three operands with their strides and sizes
    unsafe fn block<S: Simd>(
        simd: S,
        inputs: usize,
        scale: Self,
        w: *const Self,
        strides: Strides,
        units: usize,
        h: *const Self,
        h_stride: usize,
        out: *mut Self,
        out_stride: usize,
        width: usize,
    ) -> usize;
}

macro_rules! micro {
    ($t:ty, $vector:ident, $lanes:ident, $splat:ident, $mul:ident, $fma:ident) => {
        impl Micro for $t {
            #[inline(always)]
            fn lanes<S: Simd>() -> usize {
                S::$lanes
            }

            #[inline(always)]
            unsafe fn block<S: Simd>(
                simd: S,
                inputs: usize,
                scale: Self,
                w: *const Self,
                strides: Strides,
                units: usize,
                h: *const Self,
                h_stride: usize,
                out: *mut Self,
                out_stride: usize,
                width: usize,
            ) -> usize {
                /// M vectors of samples, units first..first + N.
                ///
                /// # Safety
                /// As for [`Micro::block`].
                #[inline(always)]
                #[allow(clippy::too_many_arguments)]
                unsafe fn inner<S: Simd, const M: usize, const N: usize, const NEXT: bool>(
                    simd: S,
                    inputs: usize,
                    scale: $t,
                    w: *const $t,
                    strides: Strides,
                    h: *const $t,
                    h_stride: usize,
                    out: *mut $t,
                    out_stride: usize,
                ) {
                    let mut sums = [[simd.$splat(0.0); M]; N];
                    // SAFETY: the caller's, for every address below.
                    unsafe {
                        // one pointer per unit, or one for all where their weights are neighbours
                        let mut rows = [w; N];
                        if !NEXT {
                            for c in 0..N {
                                rows[c] = w.add(c * strides.unit);
                            }
                        }
                        let mut h = h;
                        let ahead = w.wrapping_add(N * inputs);
                        for k in 0..inputs {
                            let mut samples = [simd.$splat(0.0); M];
                            for m in 0..M {
                                samples[m] = h.add(m * S::$lanes).cast::<S::$vector>().read_unaligned();
                            }
                            h = h.wrapping_add(h_stride);
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
                                let weight = simd.$splat(weight);
                                for m in 0..M {
                                    sums[c][m] = simd.$fma(weight, samples[m], sums[c][m]);
                                }
                            }
                        }
                        let scale = simd.$splat(scale);
                        for c in 0..N {
                            for m in 0..M {
                                let to = out.add(c * out_stride + m * S::$lanes);
                                to.cast::<S::$vector>().write_unaligned(simd.$mul(scale, sums[c][m]));
                            }
                        }
                    }
                }

                let lanes = S::$lanes;
                let mut done = 0;
                macro_rules! strip {
                    ($m:literal, $n:literal, $first:expr) => {
                        // SAFETY: the caller's; vectors `done / lanes` to + M, units `first` to + N.
                        unsafe {
                            let (h, out) = (h.add(done), out.add(done + $first * out_stride));
                            let w = w.add($first * strides.unit);
                            if strides.unit == 1 {
                                inner::<S, $m, $n, true>(
                                    simd, inputs, scale, w, strides, h, h_stride, out, out_stride,
                                );
                            } else {
                                inner::<S, $m, $n, false>(
                                    simd, inputs, scale, w, strides, h, h_stride, out, out_stride,
                                );
                            }
                        }
                    };
                }
                while done + lanes <= width {
                    let two = done + 2 * lanes <= width;
                    if units == 2 * UNITS {
                        strip!(1, 16, 0);
                    } else if units == UNITS && S::REGISTER_COUNT >= 32 {
                        if two {
                            strip!(2, 8, 0);
                        } else {
                            strip!(1, 8, 0);
                        }
                    } else {
                        let mut first = 0;
                        while first + 4 <= units {
                            if two {
                                strip!(2, 4, first);
                            } else {
                                strip!(1, 4, first);
                            }
                            first += 4;
                        }
                        while first < units {
                            if two {
                                strip!(2, 1, first);
                            } else {
                                strip!(1, 1, first);
                            }
                            first += 1;
                        }
                    }
                    done += if two { 2 * lanes } else { lanes };
                }
                done
            }
        }
    };
}

micro!(f32, f32s, F32_LANES, splat_f32s, mul_f32s, mul_add_e_f32s);
micro!(f64, f64s, F64_LANES, splat_f64s, mul_f64s, mul_add_e_f64s);
