//! The building blocks of the kernels against their specification, on a GPU and in the emulator.

use crate::random::Random;

/// One launch of a kernel of `cuda/primitives.cu`. The runner gives it `a` at a 16-byte aligned address.
#[derive(Debug)]
pub struct Work<'a> {
    pub kernel: &'static str,
    pub blocks: u32,
    pub threads: u32,
    /// Bytes of dynamic shared memory.
    pub shared: u32,
    pub cooperative: bool,
    pub a: &'a [f32],
    pub b: &'a [f32],
    pub out: &'a mut [f32],
    pub flags: &'a mut [u32],
    pub n: usize,
    pub steps: usize,
}

/// Runs one launch, which changes `out` and `flags`.
pub type Runner<'a> = dyn FnMut(Work<'_>) -> Result<(), String> + 'a;

impl<'a> Work<'a> {
    fn new(kernel: &'static str, (blocks, threads): (u32, u32), a: &'a [f32], out: &'a mut [f32]) -> Self {
        let (shared, cooperative) = (0, false);
        Self { kernel, blocks, threads, shared, cooperative, a, b: &[], out, flags: &mut [], n: 0, steps: 0 }
    }
}

/// To 11 significant bits, halves away from zero, in f64.
fn tf32(x: f32) -> f64 {
    let x = f64::from(x);
    if x == 0.0 {
        return x;
    }
    let unit = 2f64.powi(x.abs().log2().floor() as i32 - 10);
    (x / unit).round() * unit
}

fn matrix_products(run: &mut Runner<'_>) -> Result<(), String> {
    let mut random = Random::new(11);
    let f32_as_is = |x: f32| f64::from(x);
    type Rounding = fn(f32) -> f64;
    let kernels: [(&'static str, Rounding, f64); 2] = [
        // operands are exact after rounding: what is left is the f32 sum
        ("primitive_mma_tf32", tf32, 0.0),
        // what the two parts of both operands leave out: 2⁻²¹ each, and small·small, 2⁻²⁰
        ("primitive_mma_3xtf32", f32_as_is, 2f64.powi(-19)),
    ];
    let depth = 8;
    for (kernel, rounded, left_out) in kernels {
        let (mut a, b, c) = (random.numbers(16 * depth), random.numbers(depth * 8), random.numbers(128));
        // halfway between two tf32 numbers: where the ways to round differ
        a[..3].copy_from_slice(&[1.0 + 2f32.powi(-11), -1.0 - 2f32.powi(-11), 0.0]);
        let mut out = c.clone();
        run(Work { b: &b, ..Work::new(kernel, (1, 32), &a, &mut out) })?;
        for (at, got) in out.iter().enumerate() {
            let (row, column) = (at / 8, at % 8);
            let (mut sum, mut magnitude) = (f64::from(c[at]), f64::from(c[at].abs()));
            for k in 0..depth {
                let product = rounded(a[row * depth + k]) * rounded(b[k * 8 + column]);
                sum += product;
                magnitude += product.abs();
            }
            let bound = (3.0 * (depth as f64 + 1.0) * f64::from(f32::EPSILON) + left_out) * magnitude;
            if (f64::from(*got) - sum).abs() > bound {
                return Err(format!("{kernel} [{row},{column}] is {got}; expected {sum} ± {bound:.1e}"));
            }
        }
    }
    // NaN, with the bits of a GPU, stays NaN
    for (kernel, ..) in kernels {
        let (mut a, b, mut out) = (vec![1.0; 16 * 8], vec![1.0; 8 * 8], vec![0.0; 128]);
        a[8] = f32::from_bits(0x7fff_ffff);
        run(Work { b: &b, ..Work::new(kernel, (1, 32), &a, &mut out) })?;
        let expected = |at: usize| at / 8 == 1;
        if let Some(at) = (0..128).find(|at| out[*at].is_nan() != expected(*at)) {
            return Err(format!("{kernel} [{},{}] is {} beside a NaN in row 1", at / 8, at % 8, out[at]));
        }
    }
    // one product by 1, of a number whose small part has two bits more than tf32: rounded it is 2⁻²³ off, cut three
    // times that
    let (mut a, mut b, mut out) = (vec![0.0; 16 * 8], vec![0.0; 8 * 8], vec![0.0; 128]);
    (a[0], b[0]) = (1.0 + 2f32.powi(-11) + 3.0 * 2f32.powi(-23), 1.0);
    run(Work { b: &b, ..Work::new("primitive_mma_3xtf32", (1, 32), &a, &mut out) })?;
    if (out[0] - a[0]).abs() > 2f32.powi(-22) {
        return Err(format!("3×tf32 makes {} of {} times 1", out[0], a[0]));
    }
    Ok(())
}

fn asynchronous_copies(run: &mut Runner<'_>) -> Result<(), String> {
    for n in [0, 1, 3, 4, 127, 128, 129, 256, 1000] {
        let a = Random::new(n as u64 + 1).numbers(n.max(4));
        let mut out = vec![f32::NAN; n];
        run(Work { n, shared: 2 * 128 * 4, ..Work::new("primitive_copy_async", (1, 32), &a, &mut out) })?;
        let expected: Vec<_> = a[..n].iter().rev().copied().collect();
        if out != expected {
            return Err(format!("{n} numbers do not come out reversed"));
        }
    }
    Ok(())
}

fn relay(run: &mut Runner<'_>) -> Result<(), String> {
    for (blocks, n, steps, threads) in [(1, 3, 4, 32), (2, 1, 1, 64), (7, 70, 12, 64), (40, 5, 50, 32)] {
        let mut rows = Random::new(blocks as u64).numbers(blocks * n);
        let mut out = rows.clone();
        out.resize(2 * blocks * n, f32::NAN);
        let mut flags = vec![0; blocks];
        let work = Work::new("primitive_relay", (blocks as u32, threads), &[], &mut out);
        run(Work { n, steps, cooperative: true, flags: &mut flags, ..work })?;
        for _ in 0..steps {
            let old = rows.clone();
            for at in 0..rows.len() {
                let left = if at >= n { old[at - n] } else { 0.0 };
                let right = old.get(at + n).copied().unwrap_or(0.0);
                rows[at] = 0.5 * (left + right);
            }
        }
        let half = steps % 2 * blocks * n;
        // the same operations in the same order: the same bits
        if out[half..half + blocks * n] != rows || flags.iter().any(|flag| *flag != steps as u32) {
            return Err(format!("{blocks} blocks do not hold the values after {steps} steps"));
        }
    }
    Ok(())
}

fn warps(run: &mut Runner<'_>) -> Result<(), String> {
    // whole numbers: sums are exact in any order
    let a: Vec<f32> = (0..32).map(|i| ((i * 37 + 11) % 64) as f32 - 30.0).collect();
    let mut out = vec![f32::NAN; 192];
    run(Work::new("primitive_warp", (1, 32), &a, &mut out))?;
    let positive = a.iter().filter(|x| **x > 0.0).count() as f32;
    for lane in 0..32 {
        let group = &a[lane / 16 * 16..][..16];
        let expected = [
            a.iter().sum(),
            a[lane / 8 * 8 + 5],
            a[(lane + 1).min(31)],
            a[lane.saturating_sub(1)],
            positive,
            group.iter().copied().fold(f32::MIN, f32::max),
        ];
        // lane 31 has no lane above it and keeps its own
        let expected = if lane == 31 {
            [expected[0], expected[1], a[31], expected[3], expected[4], expected[5]]
        } else {
            expected
        };
        for (row, expected) in expected.into_iter().enumerate() {
            if out[32 * row + lane] != expected {
                return Err(format!(
                    "row {row} of lane {lane} is {}; expected {expected}",
                    out[32 * row + lane]
                ));
            }
        }
    }
    Ok(())
}

fn atomics(run: &mut Runner<'_>) -> Result<(), String> {
    for (n, blocks, cooperative) in [(1000, 8, false), (1000, 8, true), (1, 1, false), (129, 2, true)] {
        let a: Vec<f32> = Random::new(3).numbers(n).iter().map(|x| (x * 100.0).round()).collect();
        let (mut out, mut flags) = ([f32::NAN], [0, 0]);
        let work = Work::new("primitive_atomic", (blocks, 128), &a, &mut out);
        run(Work { n, cooperative, flags: &mut flags, ..work })?;
        let positive: Vec<_> = (0..n).filter(|i| a[*i] > 0.0).collect();
        let expected = [positive.len() as u32, positive.last().copied().unwrap_or(0) as u32];
        let sum: f32 = a[..n / 4 * 4].iter().sum();
        if flags != expected || out[0] != sum {
            return Err(format!(
                "{n} numbers give {flags:?} and {}; expected {expected:?} and {sum}",
                out[0]
            ));
        }
    }
    Ok(())
}

/// Over all magnitudes, in steps of 2⁻¹⁰ of a number where its two formulas meet.
fn hyperbolic_tangents(run: &mut Runner<'_>) -> Result<(), String> {
    let wide = (0..4000).map(|i| (f32::from(i as i16) / 100.0 - 30.0).exp2());
    let near = (-300..300i16).map(|i| 0.6 + f32::from(i) * 2f32.powi(-10));
    let mut a: Vec<f32> = wide.chain(near).flat_map(|x| [x, -x]).collect();
    a.extend([0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::NAN]);
    let mut out = vec![f32::NAN; a.len()];
    let blocks = a.len().div_ceil(128) as u32;
    run(Work { n: a.len(), ..Work::new("primitive_tanh", (blocks, 128), &a, &mut out) })?;
    for (x, got) in a.iter().zip(&out) {
        let expected = f64::from(*x).tanh();
        let off = (f64::from(*got) - expected).abs();
        if off > 3.5e-7 * expected.abs() || got.is_nan() != x.is_nan() {
            return Err(format!("tanh {x} is {got}; expected {expected} ± 3.5e-7 of it"));
        }
    }
    Ok(())
}

/// All tests of the primitives.
pub fn check(run: &mut Runner<'_>) -> Result<(), String> {
    [matrix_products, asynchronous_copies, relay, warps, atomics, hyperbolic_tangents]
        .into_iter()
        .try_for_each(|check| check(run))
}
