//! Oracles: ranks by hand, all orders of a short series, closed forms of the normal distribution, a finer quadrature.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::*;

#[test]
fn rank_correlations_by_hand() {
    // Ranks -1.5 -0.5 0.5 1.5: (0.75 - 0.25 + 0.75) / 5.
    assert_eq!(rank_correlation(&[1.0, 2.0, 4.0, 8.0]), Some(0.25));
    // Two values share rank 0.5 of 0, 1, 2: -0.5 -0.5 1.
    assert!((rank_correlation(&[7.0, 7.0, 9.0]).unwrap() + 1.0 / 6.0).abs() < 1e-15);
    assert_eq!(rank_correlation(&[3.0; 5]), None);
    assert_eq!(rank_correlation(&[-f64::INFINITY, 0.0, 1.0, 5e300]), Some(0.25));
}

/// Every order of `values`, once.
fn orders(values: &mut Vec<f64>, fixed: usize, each: &mut impl FnMut(&[f64])) {
    if fixed == values.len() {
        return each(values);
    }
    for i in fixed..values.len() {
        values.swap(fixed, i);
        orders(values, fixed + 1, each);
        values.swap(fixed, i);
    }
}

/// −1/n on average, ties or not; and the variance that the multiplier takes for granted at ρ = 0, up to 1/n².
#[test]
fn rank_correlation_over_all_orders() {
    for mut values in [(0..8).map(f64::from).collect::<Vec<_>>(), vec![1.0, 1.0, 2.0, 3.0, 3.0, 3.0, 9.0]] {
        let n = values.len() as f64;
        let mut all = Vec::new();
        orders(&mut values, 0, &mut |x| all.push(rank_correlation(x).unwrap()));
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        let variance = all.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / all.len() as f64;
        assert!((mean + 1.0 / n).abs() < 1e-12, "{mean}");
        assert!((variance - (n - 2.0) / (n * n)).abs() < 1.0 / (n * n), "{variance}");
    }
}

#[test]
fn deviations_in_closed_form() {
    assert_eq!(deviation(0.0, 50), 1.0);
    // arcsin ½ = π/6: neighbouring signs have correlation 1/3.
    assert!((deviation(0.5, 2).powi(2) - 4.0 / 3.0).abs() < 1e-14);
    let third = 2.0 / PI * 0.25_f64.asin();
    assert!((deviation(0.5, 3).powi(2) - (1.0 + 4.0 / 9.0 + 2.0 / 3.0 * third)).abs() < 1e-14);
    assert!((deviation(-0.5, 2).powi(2) - 2.0 / 3.0).abs() < 1e-14);
}

/// The number of positive values of simulated series varies as stated.
#[test]
fn deviations_as_simulated() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for (rho, n) in [(0.5_f64, 10), (0.8, 40), (-0.4, 15)] {
        let experiments = 40_000;
        let mut square = 0.0;
        for _ in 0..experiments {
            let mut state: f64 = StandardNormal.sample(&mut rng);
            let mut sum = 0.0;
            for _ in 0..n {
                sum += state.signum();
                let fresh: f64 = StandardNormal.sample(&mut rng);
                state = rho * state + (1.0 - rho * rho).sqrt() * fresh;
            }
            square += sum * sum;
        }
        // A variance from 40 000 experiments has a relative standard error of √(2/40 000) = 0.7 %.
        let share = square / f64::from(experiments) / n as f64 / deviation(rho, n).powi(2);
        assert!((share - 1.0).abs() < 0.03, "ρ = {rho}, n = {n}: {share}");
    }
}

/// Coverage averaged over 4001 points of the whole range of ρ.
fn average(z: f64, r: f64, n: usize) -> f64 {
    let len = n as f64;
    let (mut covered, mut total) = (0.0, 0.0);
    for i in 0..=4000 {
        let rho = -0.9 + 1.8 * f64::from(i) / 4000.0;
        let rank = 6.0 / PI * (rho / 2.0).asin();
        let sd = ((1.0 - rho * rho) * (len - 2.0)).sqrt() / len;
        let off = (r - (rank - (1.0 + 4.0 * rank) / len)) / sd;
        let weight = (-0.5 * off * off).exp() / sd;
        let tau = (1.0
            + 2.0
                * (1..n).map(|k| (1.0 - k as f64 / len) * 2.0 / PI * rho.powi(k as i32).asin()).sum::<f64>())
        .sqrt();
        covered += weight * libm::erf(z / tau / 2.0_f64.sqrt());
        total += weight;
    }
    covered / total
}

#[test]
fn the_multiplier_covers_95_per_cent_on_average() {
    for n in [6, 10, 15, 40, 200] {
        let mut last = 0.0;
        for r in [-0.6, -0.3, -0.1, 0.0, 0.1, 0.3, 0.5] {
            let z = multiplier(r, n);
            let covered = average(z, r, n);
            assert!((covered - 0.95).abs() < 2e-4, "n = {n}, r = {r}: z = {z} covers {covered}");
            // Below ten rounds no order of ranks is what a large ρ leads one to expect.
            assert!(
                z > last || n < 10 || r < -0.2,
                "n = {n}, r = {r}: {last}, {z}; more likeness asks for more width"
            );
            last = z;
        }
    }
}

/// ρ is then known, and independent rounds need what they always need.
#[test]
fn many_rounds_settle_rho() {
    let n = 200_000;
    assert!((multiplier(0.0, n) - Z_95).abs() < 1e-3);
    let rank = 6.0 / PI * 0.15_f64.asin();
    assert!((multiplier(rank, n) / deviation(0.3, n) - Z_95).abs() < 1e-3);
}

/// Any correlation that ranks can have gives a usable number.
#[test]
fn multipliers_of_extremes() {
    for n in [6, 7, 20, 300] {
        for r in [-1.0, -0.9, 0.9, 1.0] {
            let z = multiplier(r, n);
            assert!(z.is_finite() && z > 0.1 && z < 20.0, "n = {n}, r = {r}: {z}");
        }
    }
}
