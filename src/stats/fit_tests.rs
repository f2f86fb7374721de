//! Oracles: laws whose parameters are known, and simulated coverage of the exponent's interval.

use rand_distr::{Distribution, StandardNormal};

use super::*;

const SIZES: [f64; 7] = [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];

fn law(sizes: &[f64], a: f64, b: f64, p: f64) -> Vec<(f64, [f64; 1])> {
    sizes.iter().map(|&l| (l, [a + b * l.powf(p)])).collect()
}

fn close(got: f64, want: f64) {
    assert!((got - want).abs() <= 1e-6 * want.abs().max(1e-3), "got {got}, want {want}");
}

#[test]
fn exact_laws_are_recovered() {
    for (a, b, p) in [
        (0.0, 3.0, 1.0),
        (0.0, 2e5, 0.5),
        (0.0, 1e-7, 2.0),
        (5000.0, 30.0, 1.0),
        (1e6, 2.0, 2.37),
        (7.0, 3.0, 0.4),
        (1.0, 1.0, 3.9),
    ] {
        let fit = power_fit(&law(&SIZES, a, b, p), 0, 0).unwrap();
        close(fit.p, p);
        close(fit.b / b, 1.0);
        assert!((fit.a - a).abs() <= 1e-6 * (a + b), "a: got {}, want {a}", fit.a);
        assert!(fit.r2 > 1.0 - 1e-9);
        assert!(fit.p_low.is_nan() && fit.p_high.is_nan());
    }
}

/// With three sizes an offset would fit anything; without it the pure law is exact where it is true.
#[test]
fn few_sizes_give_the_pure_power_law() {
    for n in [2, 3] {
        let fit = power_fit(&law(&SIZES[..n], 0.0, 4.0, 1.7), 0, 0).unwrap();
        close(fit.p, 1.7);
        close(fit.b, 4.0);
        assert_eq!(power_fit(&law(&SIZES[..n], 100.0, 4.0, 1.7), 0, 0).unwrap().a, 0.0);
    }
    // Distinct sizes count, not points.
    let mut twice = law(&SIZES[..3], 100.0, 4.0, 1.7);
    twice.extend(law(&SIZES[..3], 100.0, 4.0, 1.7));
    assert_eq!(power_fit(&twice, 0, 0).unwrap().a, 0.0);
}

/// 20 % at the smallest size must pull as hard as 20 % at the largest: mirrored errors, mirrored slopes.
#[test]
fn small_sizes_count_as_much_as_large_ones() {
    let slope = |at: usize, factor: f64| {
        let mut points = law(&SIZES[..3], 0.0, 1.0, 1.0);
        points[at].1[0] *= factor;
        power_fit(&points, 0, 0).unwrap().p
    };
    close(slope(0, 0.8) - 1.0, 1.0 - slope(2, 0.8));
    assert!(slope(0, 0.8) > 1.1);
}

#[test]
fn exponents_stay_within_their_bounds() {
    let falling = law(&SIZES, 0.0, 1.0, -1.0);
    assert_eq!(power_fit(&falling, 0, 0).unwrap().p, 0.0);
    assert_eq!(power_fit(&law(&SIZES, 0.0, 1.0, 5.0), 0, 0).unwrap().p, P_MAX);
    let flat = power_fit(&law(&SIZES, 0.0, 9.0, 0.0), 0, 0).unwrap();
    close(flat.a + flat.b, 9.0);
    assert_eq!((flat.a, flat.p, flat.r2), (0.0, 0.0, 1.0));
}

/// t = L - 1 has a negative offset; a cost cannot, so the exponent must bend instead.
#[test]
fn a_negative_offset_is_refused() {
    let fit = power_fit(&law(&SIZES, -1.0, 1.0, 1.0), 0, 0).unwrap();
    assert!(fit.a == 0.0 && fit.p > 1.02 && fit.r2 < 0.9999, "{fit:?}");
}

#[test]
fn degenerate_input_gives_none() {
    let none: [(f64, [f64; 1]); 0] = [];
    assert_eq!(power_fit(&none, 10, 0), None);
    assert_eq!(power_fit(&[(4.0, [1.0]), (4.0, [2.0])], 10, 0), None);
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(power_fit(&[(2.0, [1.0]), (bad, [2.0])], 10, 0), None);
        assert_eq!(power_fit(&[(2.0, [1.0]), (4.0, [bad])], 10, 0), None);
        assert_eq!(log_slope(&[(2.0, 1.0), (bad, 2.0)]), None);
        assert_eq!(log_slope(&[(2.0, 1.0), (4.0, bad)]), None);
    }
    assert_eq!(power_fit(&[(2.0, vec![1.0]), (4.0, vec![])], 10, 0), None);
    assert_eq!(log_slope(&[(2.0, 1.0)]), None);
    assert_eq!(log_slope(&[(2.0, 1.0), (2.0, 3.0)]), None);
}

#[test]
fn log_slope_of_known_points() {
    let points: Vec<(f64, f64)> = SIZES.iter().map(|&l| (l, 3.0 * l.powf(-1.25))).collect();
    close(log_slope(&points).unwrap(), -1.25);
    // ln L = 0 1 2 (times ln 2), ln t = 0 1 5 (times ln 2): slope 5/2 by the normal equations.
    close(log_slope(&[(1.0, 1.0), (2.0, 2.0), (4.0, 32.0)]).unwrap(), 2.5);
}

fn noisy(rng: &mut ChaCha8Rng, a: f64, p: f64, samples: usize) -> Vec<(f64, Vec<f64>)> {
    let mut noise = || -> f64 { StandardNormal.sample(rng) };
    let mut at = |l: f64| (0..samples).map(|_| (a + l.powf(p)) * (0.03 * noise()).exp()).collect();
    SIZES.iter().map(|&l| (l, at(l))).collect()
}

#[test]
fn the_interval_depends_on_the_seed_and_on_nothing_else() {
    let series = noisy(&mut ChaCha8Rng::seed_from_u64(5), 3.0, 1.2, 12);
    let fit = |seed| power_fit(&series, 100, seed).unwrap();
    assert_eq!(fit(1), fit(1));
    assert_ne!(fit(1).p_low, fit(2).p_low);
    assert!(fit(1).p_low < fit(1).p && fit(1).p < fit(1).p_high);
}

/// The 95 % interval of p, 12 samples per L: with an offset, without one (truth on the bound a = 0), and
/// for the pure law fitted to three sizes. 600 experiments: standard error 0.9 %.
#[test]
fn coverage_of_the_exponent() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    for (a, p, sizes) in [(20.0, 1.5, 7), (0.0, 1.0, 7), (0.0, 1.0, 3)] {
        let experiments: u32 = 600;
        let mut covered = 0;
        for seed in 0..experiments {
            let series = noisy(&mut rng, a, p, 12);
            let fit = power_fit(&series[..sizes], 200, u64::from(seed)).unwrap();
            covered += u32::from(fit.p_low <= p && p <= fit.p_high);
        }
        let share = f64::from(covered) / f64::from(experiments);
        println!("a = {a}, p = {p}, {sizes} sizes: {:.1} %", 100.0 * share);
        assert!((0.92..=0.985).contains(&share), "a = {a}, p = {p}: {share}");
    }
}
