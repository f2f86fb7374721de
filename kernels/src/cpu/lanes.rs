//! Vectors of a number type, for code that is written once for both.

use pulp::{MemMask, Simd};

/// What a vector of one number type can do. Every function becomes part of its caller, which is compiled for S.
pub(crate) trait Lanes: Sized + Copy {
    /// A vector.
    type Vector<S: Simd>: Copy;
    /// Which lanes of a vector are in memory.
    type Mask<S: Simd>: Copy;

    /// Lanes of a vector.
    fn lanes<S: Simd>() -> usize;
    /// x in every lane.
    fn splat<S: Simd>(simd: S, x: Self) -> Self::Vector<S>;
    /// a b.
    fn times<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>) -> Self::Vector<S>;
    /// a b + c, rounded once where the processor has an instruction for that.
    fn fma<S: Simd>(simd: S, a: Self::Vector<S>, b: Self::Vector<S>, c: Self::Vector<S>) -> Self::Vector<S>;
    /// The first n lanes.
    fn first<S: Simd>(simd: S, n: usize) -> Self::Mask<S>;

    /// A vector from memory, at any alignment.
    ///
    /// # Safety
    /// All its lanes must be readable.
    unsafe fn load<S: Simd>(from: *const Self) -> Self::Vector<S>;
    /// A vector to memory, at any alignment.
    ///
    /// # Safety
    /// All its lanes must be writable.
    unsafe fn store<S: Simd>(to: *mut Self, vector: Self::Vector<S>);
    /// The lanes of a mask from memory, the others zero.
    ///
    /// # Safety
    /// The lanes of the mask must be readable.
    unsafe fn load_some<S: Simd>(simd: S, mask: Self::Mask<S>, from: *const Self) -> Self::Vector<S>;
    /// The lanes of a mask to memory.
    ///
    /// # Safety
    /// The lanes of the mask must be writable.
    unsafe fn store_some<S: Simd>(simd: S, mask: Self::Mask<S>, to: *mut Self, vector: Self::Vector<S>);
}

macro_rules! lanes {
    ($t:ty, $vector:ident, $mask:ident, $lanes:ident, $splat:ident, $mul:ident, $fma:ident, $between:ident, $load:ident, $store:ident) => {
        impl Lanes for $t {
            type Vector<S: Simd> = S::$vector;
            type Mask<S: Simd> = MemMask<S::$mask>;

            #[inline(always)]
            fn lanes<S: Simd>() -> usize {
                S::$lanes
            }

            #[inline(always)]
            fn splat<S: Simd>(simd: S, x: Self) -> S::$vector {
                simd.$splat(x)
            }

            #[inline(always)]
            fn times<S: Simd>(simd: S, a: S::$vector, b: S::$vector) -> S::$vector {
                simd.$mul(a, b)
            }

            #[inline(always)]
            fn fma<S: Simd>(simd: S, a: S::$vector, b: S::$vector, c: S::$vector) -> S::$vector {
                simd.$fma(a, b, c)
            }

            #[inline(always)]
            fn first<S: Simd>(simd: S, n: usize) -> Self::Mask<S> {
                simd.$between(0, n as _)
            }

            #[inline(always)]
            unsafe fn load<S: Simd>(from: *const Self) -> S::$vector {
                // SAFETY: the caller's.
                unsafe { from.cast::<S::$vector>().read_unaligned() }
            }

            #[inline(always)]
            unsafe fn store<S: Simd>(to: *mut Self, vector: S::$vector) {
                // SAFETY: the caller's.
                unsafe { to.cast::<S::$vector>().write_unaligned(vector) }
            }

            #[inline(always)]
            unsafe fn load_some<S: Simd>(simd: S, mask: Self::Mask<S>, from: *const Self) -> S::$vector {
                // SAFETY: the caller's.
                unsafe { simd.$load(mask, from) }
            }

            #[inline(always)]
            unsafe fn store_some<S: Simd>(simd: S, mask: Self::Mask<S>, to: *mut Self, vector: S::$vector) {
                // SAFETY: the caller's.
                unsafe { simd.$store(mask, to, vector) }
            }
        }
    };
}

lanes!(
    f32,
    f32s,
    m32s,
    F32_LANES,
    splat_f32s,
    mul_f32s,
    mul_add_e_f32s,
    mask_between_m32s,
    mask_load_ptr_f32s,
    mask_store_ptr_f32s
);
lanes!(
    f64,
    f64s,
    m64s,
    F64_LANES,
    splat_f64s,
    mul_f64s,
    mul_add_e_f64s,
    mask_between_m64s,
    mask_load_ptr_f64s,
    mask_store_ptr_f64s
);
