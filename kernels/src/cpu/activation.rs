//! Activations on rows of a tile.
//!
//! A row is the same unit of up to 64 samples. Everything here is forced inline so that it is compiled for the
//! processor found at run time, whichever caller was (see [`super::epilogue`]).

// A closure in their place would be a function of its own, compiled without the instructions of the processor found.
#![allow(clippy::needless_range_loop)]

use pulp::Simd;

use super::real::Real;
use crate::layer::Activation;

/// out = φ(z).
#[inline(always)]
pub(crate) fn value<S: Simd, T: Real>(_: S, act: Activation, z: &[T], out: &mut [T]) {
    let n = out.len();
    let z = &z[..n];
    match act {
        Activation::Identity => out.copy_from_slice(z),
        Activation::Tanh => {
            for i in 0..n {
                out[i] = z[i].tanh::<S>();
            }
        }
        Activation::Relu => {
            for i in 0..n {
                out[i] = relu(z[i]);
            }
        }
        Activation::Gelu => {
            for i in 0..n {
                out[i] = z[i] * z[i].normal::<S>().0;
            }
        }
        // σ(z) = ½ + ½ tanh(z/2)
        Activation::Sigmoid => {
            for i in 0..n {
                out[i] = T::of(0.5) + (z[i] * T::of(0.5)).tanh::<S>() * T::of(0.5);
            }
        }
        other => {
            for i in 0..n {
                out[i] = T::of(other.at(z[i].to_f64()).0);
            }
        }
    }
}

/// out = φ(z) and slope = φ'(z).
#[inline(always)]
pub(crate) fn value_and_slope<S: Simd, T: Real>(
    _: S,
    act: Activation,
    z: &[T],
    out: &mut [T],
    slope: &mut [T],
) {
    let n = out.len();
    let (z, slope) = (&z[..n], &mut slope[..n]);
    match act {
        Activation::Identity => {
            out.copy_from_slice(z);
            slope.fill(T::ONE);
        }
        Activation::Tanh => {
            for i in 0..n {
                let a = z[i].tanh::<S>();
                out[i] = a;
                slope[i] = T::ONE - a * a;
            }
        }
        Activation::Relu => {
            for i in 0..n {
                out[i] = relu(z[i]);
                slope[i] = step(z[i]);
            }
        }
        Activation::Gelu => {
            for i in 0..n {
                let (cdf, density) = z[i].normal::<S>();
                out[i] = z[i] * cdf;
                slope[i] = cdf + z[i] * density;
            }
        }
        other => {
            for i in 0..n {
                let (value, derivative) = other.at(z[i].to_f64());
                (out[i], slope[i]) = (T::of(value), T::of(derivative));
            }
        }
    }
}

/// out = φ(z₀ + Δ) − φ(z₀) without the cancellation of two large numbers, and slope = φ'(z₀ + Δ).
///
/// tanh: tanh Δ · (1 − tanh z₀ tanh(z₀ + Δ)), an identity. relu: by cases of the two signs. gelu, with z = z₀ + Δ:
/// Δ Φ(z) + z₀ (Φ(z) − Φ(z₀)), where near z₀ the last difference is φ(z₀) times the Taylor polynomial
/// Δ − z₀Δ²/2 + (z₀² − 1)Δ³/6 − (z₀³ − 3z₀)Δ⁴/24, whose remainder is below Δ⁵/100: a part in 10⁸ of Δ at 1/32, where
/// f32 begins to do without it, and in 10¹⁴ at 1/1024, where f64 does.
#[inline(always)]
pub(super) fn change<S: Simd, T: Real>(
    _: S,
    act: Activation,
    from: &[T],
    by: &[T],
    out: &mut [T],
    slope: &mut [T],
) {
    let n = out.len();
    let (from, by, slope) = (&from[..n], &by[..n], &mut slope[..n]);
    match act {
        Activation::Identity => {
            out.copy_from_slice(by);
            slope.fill(T::ONE);
        }
        Activation::Tanh => {
            for i in 0..n {
                let a = (from[i] + by[i]).tanh::<S>();
                out[i] = by[i].tanh::<S>() * (T::ONE - from[i].tanh::<S>() * a);
                slope[i] = T::ONE - a * a;
            }
        }
        Activation::Relu => {
            for i in 0..n {
                let z = from[i] + by[i];
                let (was, is) = (from[i] > T::ZERO, z > T::ZERO);
                let crossed = if is { z } else { -from[i] };
                let same = if is { by[i] } else { T::ZERO };
                out[i] = if was == is { same } else { crossed };
                slope[i] = step(z);
            }
        }
        Activation::Gelu => {
            for i in 0..n {
                let (a, d) = (from[i], by[i]);
                let z = a + d;
                let ((cdf, density), (cdf0, density0)) = (z.normal::<S>(), a.normal::<S>());
                let (square, third) = (a * a, T::of(1.0 / 3.0));
                let fourth = d * (T::of(3.0) * a - square * a) * T::of(0.25);
                let taylor = d * (T::ONE - d * T::of(0.5) * (a - d * third * ((square - T::ONE) + fourth)));
                let near = d.abs() < T::NEAR;
                let difference = if near { density0 * taylor } else { cdf - cdf0 };
                out[i] = d * cdf + a * difference;
                slope[i] = cdf + z * density;
            }
        }
        other => {
            for i in 0..n {
                let from = from[i].to_f64();
                let (value, derivative) = other.at(from + by[i].to_f64());
                (out[i], slope[i]) = (T::of(value - other.at(from).0), T::of(derivative));
            }
        }
    }
}

/// r ⊙= φ'(z), computed from a = φ(z) where it follows from that; `slope` holds φ'(z) for others.
#[inline(always)]
pub(super) fn times_slope<T: Real>(act: Activation, a: &[T], slope: &[T], r: &mut [T]) {
    let n = r.len();
    match act {
        Activation::Identity => {}
        Activation::Tanh => {
            let a = &a[..n];
            for i in 0..n {
                r[i] *= T::ONE - a[i] * a[i];
            }
        }
        Activation::Relu => {
            let a = &a[..n];
            for i in 0..n {
                r[i] *= step(a[i]);
            }
        }
        _ => {
            let slope = &slope[..n];
            for i in 0..n {
                r[i] *= slope[i];
            }
        }
    }
}

#[inline(always)]
fn relu<T: Real>(z: T) -> T {
    if z > T::ZERO {
        z
    } else {
        T::ZERO
    }
}

#[inline(always)]
fn step<T: Real>(z: T) -> T {
    if z > T::ZERO {
        T::ONE
    } else {
        T::ZERO
    }
}

#[cfg(test)]
mod tests {
    use pulp::Scalar;

    use super::*;

    /// On rows in f64, φ, its slope and its change are those of the definition of φ at every number.
    #[test]
    fn rows_are_what_the_definition_says() {
        let (from, by, z) = ([0.2, 0.6, 1.0], [0.3, -0.05, 0.2], [0.5, 0.55, 1.2]);
        // a few roundings of numbers below 10, the slope of tan at 1.2
        let same = |a: f64, b: f64| (a - b).abs() < 1e-14;
        for act in Activation::ALL {
            let [mut alone, mut out, mut slope, mut changed, mut slope_there] = [[0.0; 3]; 5];
            value(Scalar::new(), act, &z, &mut alone);
            value_and_slope(Scalar::new(), act, &z, &mut out, &mut slope);
            change(Scalar::new(), act, &from, &by, &mut changed, &mut slope_there);
            let mut pulled = [2.0; 3];
            times_slope(act, &out, &slope, &mut pulled);
            for i in 0..3 {
                let (expected, derivative) = act.at(z[i]);
                assert!(same(alone[i], expected) && same(out[i], expected), "{act}: {alone:?}, {out:?}");
                assert!(same(changed[i], expected - act.at(from[i]).0), "{act}: {changed:?}");
                assert!(same(slope[i], derivative) && same(slope_there[i], derivative), "{act}: {slope:?}");
                assert!(same(pulled[i], 2.0 * derivative), "{act}: {pulled:?}");
            }
        }
    }
}
