//! Oracles: R's `quantile` by hand, printed tables of the sign-test interval, and direct counting.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

fn close(got: f64, want: f64) {
    assert!((got - want).abs() <= 1e-12 * want.abs().max(1.0), "got {got}, want {want}");
}

/// `quantile(c(16, 1, 8, 2, 4), q)` in R 4: type 7, so h = 4 q.
#[test]
fn quantiles_as_r_gives_them() {
    let x = [16.0, 1.0, 8.0, 2.0, 4.0];
    for (q, want) in [(0.0, 1.0), (0.1, 1.4), (0.25, 2.0), (0.3, 2.4), (0.5, 4.0), (0.9, 12.8), (1.0, 16.0)] {
        close(quantile(&x, q), want);
    }
    // 1:4 tells type 7 (1.75) from types 2 (1.5), 5 (1.5), 6 (1.25) and 8 (1.4167).
    close(quantile(&[1.0, 2.0, 3.0, 4.0], 0.25), 1.75);
    close(median(&[1.0, 2.0, 3.0, 10.0]), 2.5);
    assert_eq!(median(&[7.0]), 7.0);
}

#[test]
fn mad_of_a_sample_with_an_outlier() {
    // |x - 2| = 1 1 0 0 2 4 7.
    assert_eq!(mad(&[1.0, 1.0, 2.0, 2.0, 4.0, 6.0, 9.0]), 1.0);
    // Even count: median 2.5, deviations 0.5 0.5 1.5 97.5, their median 1.
    close(mad(&[1.0, 2.0, 3.0, 100.0]), 1.0);
}

#[test]
fn without_values_or_with_nan_the_answer_is_nan() {
    for x in [&[][..], &[1.0, f64::NAN, 2.0]] {
        assert!(median(x).is_nan() && mad(x).is_nan() && quantile(x, 0.3).is_nan());
        assert_eq!(median_ci(x, 0.95), None);
    }
    for q in [-0.1, 1.1, f64::NAN] {
        assert!(quantile(&[1.0, 2.0], q).is_nan());
    }
    for level in [0.0, 1.0, -1.0, f64::NAN] {
        assert_eq!(median_ci(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], level), None);
    }
    assert_eq!(quantile(&[f64::INFINITY, f64::INFINITY, 0.0], 0.75), f64::INFINITY);
    assert_eq!(Spread::of(&[]), None);
}

#[test]
fn spread_rounds_half_to_even_and_once() {
    // Quartiles of 0 1 2 3: 0.75, 1.5, 2.25; deviations 1.5 0.5 0.5 1.5, median 1.
    assert_eq!(Spread::of(&[3, 1, 0, 2]), Some(Spread { min: 0, q1: 1, median: 2, q3: 2, mad: 1 }));
    // Median 2.5 goes down to 2 (even), 3.5 up to 4.
    assert_eq!(Spread::of(&[2, 3]).map(|s| s.median), Some(2));
    assert_eq!(Spread::of(&[3, 4]).map(|s| s.median), Some(4));
    // Median 1.5, deviations ½ four times, so ½ → 0; from the rounded median 2 they would give 1.
    assert_eq!(Spread::of(&[9, 1, 2, 0, 1, 2]).map(|s| s.mad), Some(0));
    assert_eq!(Spread::of(&[0, 0, 5, 5]), Some(Spread { min: 0, q1: 0, median: 2, q3: 5, mad: 2 }));
    let top = u64::MAX;
    assert_eq!(Spread::of(&[top, top]), Some(Spread { min: top, q1: top, median: top, q3: top, mad: 0 }));
}

/// Both routes to the same numbers must agree to half a nanosecond.
#[test]
fn spread_agrees_with_the_real_valued_functions() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for n in 1..40 {
        let ns: Vec<u64> = (0..n).map(|_| rng.random_range(0..1000)).collect();
        let x: Vec<f64> = ns.iter().map(|&v| v as f64).collect();
        let s = Spread::of(&ns).unwrap();
        for (got, want) in
            [(s.q1, quantile(&x, 0.25)), (s.median, median(&x)), (s.q3, quantile(&x, 0.75)), (s.mad, mad(&x))]
        {
            assert_eq!(got as f64, want.round_ties_even(), "n = {n}");
        }
    }
}

/// Ranks of the 95 % and 99 % interval as printed by Gardner and Altman, "Statistics with Confidence"
/// (1989), table 5.3.
#[test]
fn median_interval_has_the_tabulated_ranks() {
    let table = [
        (0.95, 6, 1, 6),
        (0.95, 8, 1, 8),
        (0.95, 9, 2, 8),
        (0.95, 10, 2, 9),
        (0.95, 12, 3, 10),
        (0.95, 15, 4, 12),
        (0.95, 20, 6, 15),
        (0.95, 25, 8, 18),
        (0.95, 30, 10, 21),
        (0.95, 40, 14, 27),
        (0.95, 50, 18, 33),
        (0.95, 100, 40, 61),
        (0.99, 8, 1, 8),
        (0.99, 10, 1, 10),
        (0.99, 20, 4, 17),
        (0.99, 100, 37, 64),
    ];
    for (level, n, low, high) in table {
        let x: Vec<f64> = (1..=n).rev().map(f64::from).collect();
        assert_eq!(median_ci(&x, level), Some((f64::from(low), f64::from(high))), "n = {n}, level {level}");
    }
}

#[test]
fn median_interval_of_few_and_of_many_values() {
    // The extremes of n values hold the median with probability 1 - 2^(1 - n), whatever the distribution.
    for n in 0..9 {
        let x: Vec<f64> = (1..=n).map(f64::from).collect();
        for (level, fewest) in [(0.95, FEWEST_FOR_INTERVAL), (0.99, 8)] {
            let wanted = (n as usize >= fewest).then_some((1.0, f64::from(n)));
            assert_eq!(1.0 - 2.0_f64.powi(1 - n) >= level, wanted.is_some(), "n = {n}");
            assert_eq!(median_ci(&x, level), wanted, "n = {n}, level {level}");
        }
    }
    // 1 - 2⁻⁴ is the exact coverage of the extremes of five, 1 - 2·(1 + 6)/64 of ranks 2 and 5 of six.
    assert_eq!(median_ci(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 1.0 - 14.0 / 64.0), Some((2.0, 5.0)));
    // Never crossed, however low the level.
    assert_eq!(median_ci(&[1.0, 2.0, 3.0, 4.0], 1e-9), Some((2.0, 3.0)));
    // A single rank covers nothing.
    assert_eq!(median_ci(&[1.0, 2.0, 3.0], 1e-9), Some((1.0, 3.0)));
    // Normal approximation: k = n/2 - 1.96 √n / 2; 2⁻ⁿ is not representable here.
    let x: Vec<f64> = (1..=10_000).map(f64::from).collect();
    let (low, high) = median_ci(&x, 0.95).unwrap();
    assert!((low - 4902.0).abs() <= 1.0 && low + high == 10_001.0, "{low} {high}");
}

/// For the Laplace distribution the interpolation is exact, so its coverage is the level itself.
#[test]
fn interpolated_interval_covers_at_its_level() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for (n, level) in [(7, 0.95), (10, 0.95), (13, 0.8), (40, 0.95)] {
        let experiments = 10_000;
        let mut covered = 0;
        for _ in 0..experiments {
            let mut x: Vec<f64> = (0..n)
                .map(|_| {
                    let size = -(1.0 - rng.random::<f64>()).ln();
                    if rng.random() {
                        size
                    } else {
                        -size
                    }
                })
                .collect();
            x.sort_unstable_by(f64::total_cmp);
            let (low, high) = median_ci_interpolated(&x, level);
            covered += usize::from(low <= 0.0 && 0.0 <= high);
        }
        let share = covered as f64 / f64::from(experiments);
        let error = (level * (1.0 - level) / f64::from(experiments)).sqrt();
        assert!((share - level).abs() < 4.0 * error, "n = {n}: {share} instead of {level}");
    }
}
