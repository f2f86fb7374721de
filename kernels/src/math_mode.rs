//! How the products of a call read their operands: as f32, or rounded for tensor cores.

/// How the operands of every matrix product of a call are read. Sums, states, errors and parameters are f32 in every
/// case.
///
/// With K the length of a sum and M the sum of its terms' magnitudes, a product is off by at most K·2⁻²³·M in `F32`; by
/// (3K·2⁻²³ + 2⁻¹⁹)·M in `Tf32x3`, from three sums and what two parts of tf32 leave out of a product; by
/// (2u + K·2⁻²²)·M in `Tf32` and `Bf16`, u being [`unit`](Self::unit).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MathMode {
    /// Unrounded, multiplied by fused multiply-adds.
    #[default]
    F32,
    /// Split into two tf32 each where tensor cores multiply, unrounded elsewhere: as accurate as f32.
    Tf32x3,
    /// Rounded to tf32, 10 bits of fraction.
    Tf32,
    /// Rounded to bf16, 7 bits of fraction.
    Bf16,
}

impl MathMode {
    /// All modes, in the order of their numbers in the kernels.
    pub const ALL: [Self; 4] = [Self::F32, Self::Tf32x3, Self::Tf32, Self::Bf16];

    /// The modes that have persistent kernels, in the order of the kernels' names. Not bf16: weights and states are f32
    /// in shared memory, and a count of instructions and bank conflicts predicts no faster product than that of tf32.
    /// This has not been measured on a GPU.
    pub const RESIDENT: [Self; 3] = [Self::F32, Self::Tf32x3, Self::Tf32];

    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Tf32x3 => "3xtf32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
        }
    }

    /// u, the largest relative error of a normal operand; 0 where it is not rounded.
    ///
    /// The kernels round to nearest, which is half of this; a library may truncate.
    pub fn unit(self) -> f64 {
        match self {
            Self::F32 | Self::Tf32x3 => 0.0,
            Self::Tf32 => 2f64.powi(-10),
            Self::Bf16 => 2f64.powi(-7),
        }
    }

    /// The largest error of a sum of `terms` products, relative to the sum of the magnitudes of its terms.
    pub fn bound(self, terms: usize) -> f64 {
        let (terms, epsilon) = (terms as f64, f64::from(f32::EPSILON));
        match self {
            Self::F32 => terms * epsilon,
            Self::Tf32x3 => 3.0 * terms * epsilon + 2f64.powi(-19),
            Self::Tf32 | Self::Bf16 => 2.0 * self.unit() + 2.0 * terms * epsilon,
        }
    }

    /// An operand as a product reads it where tensor cores do not: to nearest, ties away from zero for tf32 and to even
    /// for bf16, as `cuda/mma.cuh` says. Infinities stay, and what is not a number stays none.
    pub fn rounded(self, x: f32) -> f32 {
        let bits = x.to_bits();
        if !x.is_finite() {
            return x;
        }
        match self {
            Self::F32 | Self::Tf32x3 => x,
            // adding half a unit may carry into the exponent, which is the next power of two
            Self::Tf32 => f32::from_bits((bits + 0x1000) & !0x1fff),
            Self::Bf16 => f32::from_bits((bits + 0x7fff + (bits >> 16 & 1)) & !0xffff),
        }
    }

    /// The two parts of an operand under `Tf32x3`, their sum within 2⁻²¹ of it: the first is cut to tf32, what it
    /// leaves is rounded, as `split_tf32` in `cuda/mma.cuh` does.
    pub fn split(x: f32) -> (f32, f32) {
        let big = f32::from_bits(x.to_bits() & !0x1fff);
        (big, Self::Tf32.rounded(x - big))
    }
}

impl std::fmt::Display for MathMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_are_rounded_to_nearest() {
        let ulp = |bits: i32| 1.0 + 2f32.powi(-bits);
        let (tf32, bf16) = (MathMode::Tf32, MathMode::Bf16);
        // what fits stays, and just below and above half a unit goes to either side
        assert_eq!((tf32.rounded(ulp(10)), bf16.rounded(ulp(7))), (ulp(10), ulp(7)));
        assert_eq!(tf32.rounded(f32::from_bits(ulp(11).to_bits() - 1)), 1.0);
        assert_eq!(tf32.rounded(ulp(11)), ulp(10));
        assert_eq!(tf32.rounded(-ulp(11)), -ulp(10));
        // ties to even: down from 1 + half, up from 1 + one and a half
        assert_eq!(bf16.rounded(ulp(8)), 1.0);
        assert_eq!(bf16.rounded(1.0 + 3.0 * 2f32.powi(-8)), 1.0 + 2.0 * 2f32.powi(-7));
        assert_eq!(bf16.rounded(f32::from_bits(ulp(8).to_bits() + 1)), ulp(7));
        // into the next power of two
        assert_eq!((tf32.rounded(f32::from_bits(0x3fff_ffff)), bf16.rounded(1.999)), (2.0, 2.0));
        assert_eq!(MathMode::F32.rounded(0.1), 0.1);
        assert!(bf16.rounded(f32::NAN).is_nan() && tf32.rounded(f32::INFINITY) == f32::INFINITY);
        assert_eq!(tf32.rounded(-0.0).to_bits(), (-0.0f32).to_bits());
    }

    #[test]
    fn no_operand_is_farther_off_than_its_unit_and_two_parts_are_nearly_all() {
        for i in 0..100_000u32 {
            let x = f32::from_bits(0x3000_0000 + i * 9973);
            for math in [MathMode::Tf32, MathMode::Bf16] {
                let off = (f64::from(math.rounded(x)) - f64::from(x)).abs();
                assert!(off <= 0.5 * math.unit() * f64::from(x), "{x} {math}");
            }
            let (big, small) = MathMode::split(x);
            let off = (f64::from(x) - f64::from(big) - f64::from(small)).abs();
            assert!(off <= 2f64.powi(-21) * f64::from(x), "{x}: {off}");
            assert!(f64::from(small.abs()) <= 2f64.powi(-10) * f64::from(x), "{x}: {small}");
        }
    }
}
