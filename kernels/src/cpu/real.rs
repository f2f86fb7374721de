//! The two number types of the engine and what differs between them.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub};

use candle_core::{CpuStorage, WithDType};
use pulp::Simd;

use super::lanes::Lanes;

/// f32 or f64, as what can be done with them without the instructions of a processor.
pub trait Number:
    WithDType
    + Copy
    + Default
    + Debug
    + PartialOrd
    + Send
    + Sync
    + Add<Output = Self>
    + AddAssign
    + Sub<Output = Self>
    + Mul<Output = Self>
    + MulAssign
    + Div<Output = Self>
    + Neg<Output = Self>
    + 'static
{
}

impl Number for f32 {}
impl Number for f64 {}

/// f32 or f64.
///
/// f64 takes its transcendentals from the C library's Rust port and is exact to the last bits. f32 takes rational
/// and polynomial approximations that the compiler can vectorise, fitted here for least relative error (Lawson
/// weights on Chebyshev points); the error of each is stated and tested over all magnitudes.
pub(crate) trait Real: Number + Lanes {
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// Lanes that a product's tile should be a multiple of: two AVX2 registers.
    const LANES: usize;
    /// Below this a change of Φ's argument goes through a Taylor polynomial: where its remainder is as small as the
    /// cancellation in a difference of two Φ.
    const NEAR: Self;

    /// Rounded from f64.
    fn of(x: f64) -> Self;
    /// tanh x. f32: relative error at most 4e-7, NaN for NaN.
    fn tanh<S: Simd>(self) -> Self;
    /// Φ(x) and φ(x) = Φ'(x) of the normal distribution. f32: absolute error of each at most 3e-7.
    fn normal<S: Simd>(self) -> (Self, Self);
    /// e^(−u) for u ≥ 0. f32: relative error at most 3e-7, 0 from u = 87 on (e^(−87) is 1.6e-38), NaN for NaN.
    fn exp_of_minus<S: Simd>(self) -> Self;
    /// eˣ, as the C library computes it.
    fn exp(self) -> Self;
    /// √x.
    fn sqrt(self) -> Self;
    /// |x|.
    fn abs(self) -> Self;
    /// A buffer as Candle's storage.
    fn storage(values: Vec<Self>) -> CpuStorage;
    /// Transposes a square of [`SQUARE`] rows and columns in registers where S has instructions for that, and says
    /// whether it has.
    ///
    /// # Safety
    /// Rows of `from` must be readable and those of `to` writable, each `SQUARE` elements at its stride, without
    /// overlap.
    #[inline(always)]
    unsafe fn transpose_square<S: Simd>(_from: (*const Self, usize), _to: (*mut Self, usize)) -> bool {
        false
    }
}

/// See [`Real::transpose_square`].
pub(super) const SQUARE: usize = 16;

/// (P, Q) of tanh x ≈ x P(x²)/Q(x²) for |x| ≤ 9, relative error 2.1e-8 before rounding.
const TANH: ([f32; 5], [f32; 5]) = (
    [1.0, 1.338_102_3e-1, 3.495_585_2e-3, 2.060_903_7e-5, 1.335_460_2e-8],
    [1.0, 4.671_434e-1, 2.587_697e-2, 3.285_63e-4, 7.776_533e-7],
);
/// Beyond this tanh is 1 in f32.
const TANH_FLAT: f32 = 9.0;
/// (P, Q) of erf x ≈ x P(x²)/Q(x²) for |x| ≤ 3.9, relative error 1.8e-8 before rounding.
const ERF: ([f32; 6], [f32; 6]) = (
    [
        std::f32::consts::FRAC_2_SQRT_PI,
        1.896_649_8e-1,
        5.266_785_4e-2,
        3.738_272_4e-3,
        2.850_614_4e-4,
        2.066_498_1e-6,
    ],
    [1.0, 5.014_19e-1, 1.138_182_1e-1, 1.491_412_7e-2, 1.157_360_1e-3, 3.827_024e-5],
);
/// Beyond this erf is 1 in f32.
const ERF_FLAT: f32 = 3.9;
/// (eʳ − 1 − r)/r² for |r| ≤ ½ ln 2, relative error of eʳ 3.7e-9 before rounding.
const EXP: [f32; 5] = [4.999_998_9e-1, 1.666_651_8e-1, 4.166_953_3e-2, 8.368_916e-3, 1.375_140_8e-3];

/// Σ c_i xⁱ, each step rounded once where the processor has an instruction for that (every S but [`pulp::Scalar`]):
/// half as many instructions. Elsewhere `mul_add` would be a call.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(c: &[f32; N], x: f32) -> f32 {
    let mut sum = c[N - 1];
    for i in (0..N - 1).rev() {
        sum = if S::IS_SCALAR { sum * x + c[i] } else { sum.mul_add(x, c[i]) };
    }
    sum
}

/// x held to ±limit; a NaN stays one, which `clamp` by minima and maxima would not keep.
#[inline(always)]
fn hold(x: f32, limit: f32) -> f32 {
    let x = if x > limit { limit } else { x };
    if x < -limit {
        -limit
    } else {
        x
    }
}

/// [`Real::exp_of_minus`].
#[inline(always)]
fn exp_of_minus<S: Simd>(u: f32) -> f32 {
    // adding and taking away 1.5 · 2²³ rounds to an integer, whose bits are then the low bits of the sum
    const ROUND: f32 = 12_582_912.0;
    let x = -hold(u, 87.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln 2 in two parts, the first with 9 trailing zero bits
    let r = (x - n * 0.693_359_4) + n * 2.121_944_4e-4;
    let value = 1.0 + r + r * r * polynomial::<S, 5>(&EXP, r);
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    let result = value * power;
    if u >= 87.0 {
        0.0
    } else {
        result
    }
}

/// Four columns of 16 rows, each as a row.
///
/// # Safety
/// The processor has AVX-512; addresses as for [`Real::transpose_square`].
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn four_columns((from, stride): (*const f32, usize), (to, to_stride): (*mut f32, usize)) {
    use std::arch::x86_64::*;
    // SAFETY: the caller's.
    unsafe {
        // quarter j of part i: row 4j + i
        let mut parts = [_mm512_setzero_ps(); 4];
        for (i, whole) in parts.iter_mut().enumerate() {
            let row = from.add(i * stride);
            let part = _mm512_castps128_ps512(_mm_loadu_ps(row));
            let part = _mm512_insertf32x4::<1>(part, _mm_loadu_ps(row.add(4 * stride)));
            let part = _mm512_insertf32x4::<2>(part, _mm_loadu_ps(row.add(8 * stride)));
            *whole = _mm512_insertf32x4::<3>(part, _mm_loadu_ps(row.add(12 * stride)));
        }
        let [a, b, c, d] = parts;
        let low = _mm512_castps_pd(_mm512_unpacklo_ps(a, b));
        let low2 = _mm512_castps_pd(_mm512_unpacklo_ps(c, d));
        let high = _mm512_castps_pd(_mm512_unpackhi_ps(a, b));
        let high2 = _mm512_castps_pd(_mm512_unpackhi_ps(c, d));
        _mm512_storeu_ps(to, _mm512_castpd_ps(_mm512_unpacklo_pd(low, low2)));
        _mm512_storeu_ps(to.add(to_stride), _mm512_castpd_ps(_mm512_unpackhi_pd(low, low2)));
        _mm512_storeu_ps(to.add(2 * to_stride), _mm512_castpd_ps(_mm512_unpacklo_pd(high, high2)));
        _mm512_storeu_ps(to.add(3 * to_stride), _mm512_castpd_ps(_mm512_unpackhi_pd(high, high2)));
    }
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const LANES: usize = 16;
    const NEAR: Self = 1.0 / 32.0;

    #[inline(always)]
    fn of(x: f64) -> Self {
        x as f32
    }

    #[inline(always)]
    fn tanh<S: Simd>(self) -> Self {
        let x = hold(self, TANH_FLAT);
        let square = x * x;
        x * polynomial::<S, 5>(&TANH.0, square) / polynomial::<S, 5>(&TANH.1, square)
    }

    #[inline(always)]
    fn normal<S: Simd>(self) -> (Self, Self) {
        let x = hold(self * std::f32::consts::FRAC_1_SQRT_2, ERF_FLAT);
        let square = x * x;
        let erf = x * polynomial::<S, 6>(&ERF.0, square) / polynomial::<S, 6>(&ERF.1, square);
        // 1/√(2π)
        (0.5 + 0.5 * erf, 0.398_942_3 * exp_of_minus::<S>(0.5 * self * self))
    }

    #[inline(always)]
    fn exp_of_minus<S: Simd>(self) -> Self {
        exp_of_minus::<S>(self)
    }

    #[inline(always)]
    fn exp(self) -> Self {
        libm::expf(self)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        self.sqrt()
    }

    #[inline(always)]
    fn abs(self) -> Self {
        self.abs()
    }

    fn storage(values: Vec<Self>) -> CpuStorage {
        CpuStorage::F32(values)
    }

    #[inline(always)]
    unsafe fn transpose_square<S: Simd>(
        (from, stride): (*const Self, usize),
        (to, to_stride): (*mut Self, usize),
    ) -> bool {
        #[cfg(target_arch = "x86_64")]
        if S::F32_LANES == SQUARE {
            for s in (0..SQUARE).step_by(4) {
                // SAFETY: vectors of 16 lanes are AVX-512's, whose instructions S may therefore use; addresses are the
                // caller's.
                unsafe { four_columns((from.add(s), stride), (to.add(s * to_stride), to_stride)) };
            }
            return true;
        }
        let _ = (from, stride, to, to_stride);
        false
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const LANES: usize = 8;
    const NEAR: Self = 1.0 / 1024.0;

    #[inline(always)]
    fn of(x: f64) -> Self {
        x
    }

    #[inline(always)]
    fn tanh<S: Simd>(self) -> Self {
        libm::tanh(self)
    }

    #[inline(always)]
    fn normal<S: Simd>(self) -> (Self, Self) {
        // erfc keeps the lower tail's relative precision
        let cdf = 0.5 * libm::erfc(-self * std::f64::consts::FRAC_1_SQRT_2);
        (cdf, libm::exp(-0.5 * self * self) / std::f64::consts::TAU.sqrt())
    }

    #[inline(always)]
    fn exp_of_minus<S: Simd>(self) -> Self {
        libm::exp(-self)
    }

    #[inline(always)]
    fn exp(self) -> Self {
        libm::exp(self)
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        self.sqrt()
    }

    #[inline(always)]
    fn abs(self) -> Self {
        self.abs()
    }

    fn storage(values: Vec<Self>) -> CpuStorage {
        CpuStorage::F64(values)
    }
}

#[cfg(test)]
mod tests {
    use pulp::{Arch, Scalar, WithSimd};

    use super::*;

    /// Every magnitude from the smallest denormal to past the flat part, both signs, 4096 per binade.
    fn everywhere() -> impl Iterator<Item = f32> {
        let above_zero = (0..=f32::to_bits(200.0)).step_by(2048).map(f32::from_bits);
        above_zero.flat_map(|x| [x, -x])
    }

    /// With one rounding per step of a polynomial, where this machine has an instruction for that, and with two.
    fn every_way(check: impl WithSimd<Output = ()> + Copy) {
        Arch::new().dispatch(check);
        check.with_simd(Scalar);
    }

    #[derive(Clone, Copy)]
    struct TanhError;

    impl WithSimd for TanhError {
        type Output = ();

        fn with_simd<S: Simd>(self, _: S) {
            let mut worst = 0.0f64;
            for x in everywhere() {
                let (got, exact) = (f64::from(Real::tanh::<S>(x)), libm::tanh(f64::from(x)));
                // below the normal numbers the spacing is absolute
                let error = (got - exact).abs() / exact.abs().max(f64::from(f32::MIN_POSITIVE));
                worst = worst.max(error);
            }
            assert!(worst <= 4e-7, "{worst:e}");
            assert!(Real::tanh::<S>(f32::NAN).is_nan());
            for x in [f32::INFINITY, f32::NEG_INFINITY] {
                assert!((Real::tanh::<S>(x) - x.signum()).abs() <= 4e-7);
            }
        }
    }

    #[derive(Clone, Copy)]
    struct NormalError;

    impl WithSimd for NormalError {
        type Output = ();

        fn with_simd<S: Simd>(self, _: S) {
            let mut worst = (0.0f64, 0.0f64);
            for x in everywhere() {
                let (got, exact) = (x.normal::<S>(), f64::from(x).normal::<S>());
                worst.0 = worst.0.max((f64::from(got.0) - exact.0).abs());
                worst.1 = worst.1.max((f64::from(got.1) - exact.1).abs());
            }
            assert!(worst.0 <= 3e-7 && worst.1 <= 3e-7, "{worst:?}");
            let of_nan = f32::NAN.normal::<S>();
            assert!(of_nan.0.is_nan() && of_nan.1.is_nan());
            for (x, cdf) in [(f32::INFINITY, 1.0), (f32::NEG_INFINITY, 0.0)] {
                let got = x.normal::<S>();
                assert!((got.0 - cdf).abs() <= 3e-7 && got.1 == 0.0, "{got:?}");
            }
        }
    }

    #[test]
    fn tanh_within_its_stated_error() {
        every_way(TanhError);
    }

    #[test]
    fn normal_within_its_stated_error() {
        every_way(NormalError);
    }

    #[derive(Clone, Copy)]
    struct ExponentialError;

    impl WithSimd for ExponentialError {
        type Output = ();

        fn with_simd<S: Simd>(self, _: S) {
            for u in everywhere().filter(|u| *u >= 0.0) {
                let (got, exact) = (f64::from(Real::exp_of_minus::<S>(u)), libm::exp(-f64::from(u)));
                if u < 87.0 {
                    assert!((got / exact - 1.0).abs() <= 3e-7, "{u}: {got:e} for {exact:e}");
                } else {
                    assert_eq!(got, 0.0, "{u}");
                }
            }
            assert!(Real::exp_of_minus::<S>(f32::NAN).is_nan());
            assert_eq!(Real::exp_of_minus::<S>(f32::INFINITY), 0.0);
        }
    }

    #[test]
    fn exponential_within_its_stated_error() {
        every_way(ExponentialError);
    }

    /// The f64 forms against other formulas for the same functions.
    #[test]
    fn f64_forms_against_identities() {
        for i in -400..=400 {
            let x = f64::from(i) / 50.0;
            let (cdf, density) = x.normal::<Scalar>();
            assert!((cdf - 0.5 * (1.0 + libm::erf(x / 2f64.sqrt()))).abs() < 2e-16);
            assert!((density - (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()).abs() < 1e-16);
            let e = (2.0 * x).exp_m1();
            assert!((Real::tanh::<Scalar>(x) - e / (e + 2.0)).abs() < 4e-16);
        }
    }
}
