//! Oracles: hand-computed blocks, all orders of a short series, and simulated coverage.

use rand::{seq::SliceRandom, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1, StandardNormal, StudentT};

use super::*;

#[test]
fn ratio_is_the_exponentiated_median_of_log_ratios() {
    let b = [10.0, 20.0, 40.0, 80.0];
    let a = [20.0, 60.0, 160.0, 400.0];
    let r = paired_ratio(&a, &b).unwrap();
    assert!((r.ratio - 12.0_f64.sqrt()).abs() < 1e-14, "geometric mean of the ratios 3 and 4");
    // Fewer than six rounds: the extremes.
    assert!((r.low - 2.0).abs() < 1e-14 && (r.high - 5.0).abs() < 1e-14 && r.pairs == 4);
}

#[test]
fn swapping_the_contenders_inverts_the_ratio() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let times: Vec<f64> = (0..42).map(|_| 1e6 + 1e5 * noise("heavy", &mut rng).abs()).collect();
    let (a, b) = times.split_at(21);
    let (r, s) = (paired_ratio(a, b).unwrap(), paired_ratio(b, a).unwrap());
    for (x, y) in [(r.ratio, s.ratio), (r.low, s.high), (r.high, s.low)] {
        assert!((x * y - 1.0).abs() < 1e-12);
    }
    assert!(r.low < r.ratio && r.ratio < r.high);
}

/// A round that is slow for both contenders must not widen the interval.
#[test]
fn common_noise_cancels() {
    let b: Vec<f64> = (0..20).map(|i| 1.0 + f64::from(i % 7)).collect();
    let a: Vec<f64> = b.iter().map(|t| 1.5 * t).collect();
    let r = paired_ratio(&a, &b).unwrap();
    assert!((r.low - 1.5).abs() < 1e-12 && (r.high - 1.5).abs() < 1e-12);
}

#[test]
fn what_is_not_a_pair_of_times_gives_none() {
    assert_eq!(paired_ratio(&[], &[]), None);
    assert_eq!(paired_ratio(&[1.0], &[1.0, 2.0]), None);
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(paired_ratio(&[1.0, bad], &[1.0, 1.0]), None);
        assert_eq!(paired_ratio(&[1.0, 1.0], &[bad, 1.0]), None);
    }
    assert_eq!(paired_ratio(&[f64::MAX], &[f64::MIN_POSITIVE]).map(|r| r.pairs), Some(1));
}

#[test]
fn block_lengths() {
    for (n, want) in [(0, 1), (1, 1), (2, 2), (3, 2), (8, 2), (9, 3), (27, 3), (28, 4), (64, 4), (65, 5)] {
        assert_eq!(block_length(n), want, "n = {n}");
    }
}

/// Eight values, blocks of two. Four low then four high: block sums ∓2 six times and 0 once, mean square
/// 24/7; over all orders it is 2 + 2·(-1/7) = 12/7. Strictly alternating: every sum is 0.
#[test]
fn block_variance_of_hand_computed_series() {
    let run = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
    assert!((block_variance(&run, 4.5) - 2.0).abs() < 1e-14);
    let alternating = [1.0, 8.0, 2.0, 7.0, 3.0, 6.0, 4.0, 5.0];
    assert_eq!(block_variance(&alternating, 4.5), 0.0);
    assert_eq!(block_variance(&[2.0; 9], 2.0), 1.0);
}

/// The normalisation holds for odd lengths and ties alike: the mean over all orders is 1.
#[test]
fn block_variance_averages_to_one_over_all_orders() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for series in
        [vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], vec![1.0, 3.0, 3.0, 3.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]]
    {
        let centre = super::super::median(&series);
        let mut x = series.clone();
        let draws = 40_000;
        let mean = (0..draws)
            .map(|_| {
                x.shuffle(&mut rng);
                block_variance(&x, centre)
            })
            .sum::<f64>()
            / f64::from(draws);
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
    }
}

/// Noise of one time, in units of its scale.
fn noise(kind: &str, rng: &mut ChaCha8Rng) -> f64 {
    match kind {
        "normal" => StandardNormal.sample(rng),
        // Infinite variance.
        "heavy" => StudentT::new(2.0).unwrap().sample(rng),
        // Only slowdowns, with a Pareto tail of exponent 2: ln(1 + Pareto) is exponential.
        _ => {
            0.5 * {
                let e: f64 = Exp1.sample(rng);
                e
            }
        }
    }
}

/// Share of simulated experiments whose interval contains the true ratio 1.25.
fn coverage(kind: &str, rho: f64, n: usize, experiments: usize) -> f64 {
    let mut rng = ChaCha8Rng::seed_from_u64(n as u64);
    let covered = (0..experiments).filter(|_| {
        let mut series = |scale: f64| {
            let mut state = noise(kind, &mut rng);
            let step = |_| {
                let t = scale * (0.05 * state).exp();
                state = rho * state + (1.0 - rho * rho).sqrt() * noise(kind, &mut rng);
                t
            };
            (0..n).map(step).collect::<Vec<_>>()
        };
        let (a, b) = (series(1250.0), series(1000.0));
        let r = paired_ratio(&a, &b).unwrap();
        r.low <= 1.25 && 1.25 <= r.high
    });
    covered.count() as f64 / experiments as f64
}

/// Independent rounds: between 93 and 97 % whatever the noise. 8,000 experiments: standard error 0.24 %.
#[test]
fn coverage_of_independent_rounds() {
    for kind in ["normal", "heavy", "slowdowns"] {
        for n in [10, 20, 40, 80] {
            let share = coverage(kind, 0.0, n, 8000);
            println!("{kind}, n = {n}: {:.1} %", 100.0 * share);
            assert!((0.93..=0.97).contains(&share), "{kind}, n = {n}: {share}");
        }
    }
}

/// Rounds with AR(1) noise, ρ = 0.3: short of 95 %, and clearly above the 88 % that an interval for
/// independent rounds reaches (see [`paired_ratio`]).
#[test]
fn coverage_of_autocorrelated_rounds() {
    for (n, least) in [(10, 0.905), (20, 0.91), (40, 0.915), (80, 0.92)] {
        let share = coverage("normal", 0.3, n, 8000);
        println!("AR(1) 0.3, n = {n}: {:.1} %", 100.0 * share);
        assert!(share > least && share < 0.96, "n = {n}: {share}");
    }
}
