//! The fastest multiply-adds of a core, from registers to registers, and its clock.

use std::hint::black_box;

use pulp::{Simd, WithSimd};

/// Independent sums of a chain: as many multiply-adds in flight hide the latency of each (4 or 5 cycles on two units
/// need ten), and with the two factors they fit 16 registers.
const FEW: usize = 12;
/// The same with 32 registers, for cores with four units.
const MANY: usize = 24;

/// `steps` of x ← a x + b on every lane of [`FEW`] or [`MANY`] vectors; results in multiply-adds done, and the sum of
/// all x.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chain<T> {
    pub(crate) steps: usize,
    pub(crate) start: T,
    pub(crate) factor: T,
    pub(crate) summand: T,
}

/// What a chain did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Done {
    /// Multiply-adds, each of one number.
    pub(crate) multiply_adds: usize,
    /// Σ x at the end, so that a test can see that all steps were made.
    pub(crate) sum: f64,
}

/// A chain without vector instructions of a known name: a product and a sum, which the compiler lays out for whatever
/// every processor of the architecture has.
pub(crate) trait Plain: WithSimd<Output = Done> + Copy {
    /// Does it.
    fn plain(self) -> Done;
}

macro_rules! chain {
    ($t:ty, $lanes:ident, $splat:ident, $fma:ident, $sum:ident) => {
        impl WithSimd for Chain<$t> {
            type Output = Done;

            #[inline(always)]
            fn with_simd<S: Simd>(self, simd: S) -> Done {
                #[inline(always)]
                fn run<S: Simd, const N: usize>(simd: S, chain: Chain<$t>) -> Done {
                    // opaque, or the compiler would keep one sum in place of equal ones
                    let start = black_box([chain.start; N]);
                    let mut x = start.map(|x| simd.$splat(x));
                    let (a, b) = (simd.$splat(chain.factor), simd.$splat(chain.summand));
                    for _ in 0..chain.steps {
                        for x in &mut x {
                            *x = simd.$fma(*x, a, b);
                        }
                    }
                    let sum = x.into_iter().map(|x| f64::from(simd.$sum(x))).sum();
                    Done { multiply_adds: chain.steps * N * S::$lanes, sum }
                }
                if S::REGISTER_COUNT >= 32 {
                    run::<S, MANY>(simd, self)
                } else {
                    run::<S, FEW>(simd, self)
                }
            }
        }

        impl Plain for Chain<$t> {
            fn plain(self) -> Done {
                const LANES: usize = 16 / size_of::<$t>();
                let mut x = black_box([[self.start; LANES]; FEW]);
                let (a, b) = (black_box(self.factor), black_box(self.summand));
                for _ in 0..self.steps {
                    for vector in &mut x {
                        for x in vector {
                            *x = *x * a + b;
                        }
                    }
                }
                let sum = x.into_iter().flatten().map(f64::from).sum();
                Done { multiply_adds: self.steps * FEW * LANES, sum }
            }
        }
    };
}

chain!(f32, F32_LANES, splat_f32s, mul_add_e_f32s, reduce_sum_f32s);
chain!(f64, F64_LANES, splat_f64s, mul_add_e_f64s, reduce_sum_f64s);

/// A chain on vectors of one kind.
pub(crate) type OnVectors<T> = fn(Chain<T>) -> Done;

/// The kinds of vectors of this processor that a product may use, by name.
///
/// All of them, because the widest are not always the fastest: where a core has one unit for 512 bits and two for 256,
/// or lowers its clock for the former, the latter may win.
pub(crate) fn vectors<T>() -> Vec<(&'static str, OnVectors<T>)>
where
    Chain<T>: Plain,
{
    #[cfg_attr(not(any(target_arch = "x86_64", target_arch = "aarch64")), allow(unused_mut))]
    let mut found: Vec<(&'static str, OnVectors<T>)> = vec![("plain", Plain::plain)];
    #[cfg(target_arch = "x86_64")]
    {
        use pulp::x86::{V3, V4};
        if V3::is_available() {
            found.push(("avx2", |chain| {
                V3::try_new().map_or_else(|| chain.plain(), |v| Simd::vectorize(v, chain))
            }));
        }
        if V4::is_available() {
            found.push(("avx512f", |chain| {
                V4::try_new().map_or_else(|| chain.plain(), |v| Simd::vectorize(v, chain))
            }));
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        use pulp::aarch64::Neon;
        if Neon::is_available() {
            found.push(("neon", |chain| {
                Neon::try_new().map_or_else(|| chain.plain(), |v| Simd::vectorize(v, chain))
            }));
        }
    }
    found
}

/// Makes `16 · rounds` additions, each of which needs the one before, and so takes as many cycles; false on
/// architectures for which none are written.
///
/// In machine code, because a compiler would make one product of them, and of registers, because some cores leave out
/// additions of constants.
pub(crate) fn additions(rounds: u64) -> bool {
    if rounds == 0 {
        return true;
    }
    #[cfg(target_arch = "x86_64")]
    // SAFETY: registers and flags only.
    unsafe {
        std::arch::asm!(
            "2:",
            "add {x}, {y}", "add {x}, {y}", "add {x}, {y}", "add {x}, {y}",
            "add {x}, {y}", "add {x}, {y}", "add {x}, {y}", "add {x}, {y}",
            "add {x}, {y}", "add {x}, {y}", "add {x}, {y}", "add {x}, {y}",
            "add {x}, {y}", "add {x}, {y}", "add {x}, {y}", "add {x}, {y}",
            "dec {n}",
            "jnz 2b",
            x = inout(reg) 1u64 => _,
            y = in(reg) 3u64,
            n = inout(reg) rounds => _,
            options(nomem, nostack),
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: registers and flags only.
    unsafe {
        std::arch::asm!(
            "2:",
            "add {x}, {x}, {y}", "add {x}, {x}, {y}", "add {x}, {x}, {y}", "add {x}, {x}, {y}",
            "add {x}, {x}, {y}", "add {x}, {x}, {y}", "add {x}, {x}, {y}", "add {x}, {x}, {y}",
            "add {x}, {x}, {y}", "add {x}, {x}, {y}", "add {x}, {x}, {y}", "add {x}, {x}, {y}",
            "add {x}, {x}, {y}", "add {x}, {x}, {y}", "add {x}, {x}, {y}", "add {x}, {x}, {y}",
            "subs {n}, {n}, #1",
            "b.ne 2b",
            x = inout(reg) 1u64 => _,
            y = in(reg) 3u64,
            n = inout(reg) rounds => _,
            options(nomem, nostack),
        );
    }
    cfg!(any(target_arch = "x86_64", target_arch = "aarch64"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// x_n = aⁿ x_0 + b (1 − aⁿ)/(1 − a) in every lane of every sum: no step is left out, and as many are counted.
    #[test]
    fn chains_make_every_step() {
        for (name, run) in vectors::<f64>() {
            for steps in [0, 1, 7, 40] {
                let (start, factor, summand) = (2.0, 0.75, 3.0);
                let done = run(Chain { steps, start, factor, summand });
                let power = 0.75f64.powi(steps as i32);
                let one = power * start + summand * (1.0 - power) / 0.25;
                let lanes =
                    if steps == 0 { done.sum / one } else { done.multiply_adds as f64 / steps as f64 };
                assert!((done.sum - lanes * one).abs() < 1e-12 * done.sum, "{name}, {steps}: {done:?}");
                assert_eq!(lanes % FEW as f64, 0.0, "{name}");
            }
        }
        for (name, run) in vectors::<f32>() {
            let done = run(Chain { steps: 10, start: 1.0, factor: 0.5, summand: 0.25 });
            // ½¹⁰ + ½(1 − ½¹⁰): exact in f32
            let one = 0.5 + 0.5 * 0.5f64.powi(10);
            assert_eq!(done.sum, done.multiply_adds as f64 / 10.0 * one, "{name}");
        }
    }
}
