//! Oracles: the interval of a difference of two normal means, the definitions by hand, and simulated experiments.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1, StandardNormal, StudentT};

use super::super::paired_ratio;
use super::*;

fn estimate(ratio: f64, low: f64, high: f64) -> PairedRatio {
    PairedRatio { ratio, low, high, pairs: 20 }
}

/// Half-widths 3 and 4 (in logarithms) make 5, as standard errors do.
#[test]
fn half_widths_add_as_the_sides_of_a_right_triangle() {
    let e = |x: f64| x.exp();
    let base = estimate(e(1.0), e(0.6), e(1.4));
    let new = estimate(e(1.1), e(0.8), e(1.4));
    let c = change(&base, &new).unwrap();
    for (got, want) in [(c.ratio, 0.1), (c.low, -0.4), (c.high, 0.6)] {
        assert!((got.ln() - want).abs() < 1e-12, "{c:?}");
    }
    // Skewed: the lower end of new and the upper end of base make the lower end.
    let (base, new) = (estimate(1.0, e(-0.1), e(0.4)), estimate(1.0, e(-0.3), e(0.2)));
    let c = change(&base, &new).unwrap();
    assert!((c.low.ln() + 0.5).abs() < 1e-12 && (c.high.ln() - 0.05_f64.sqrt()).abs() < 1e-12, "{c:?}");
}

#[test]
fn swapping_the_runs_inverts_the_change() {
    let (a, b) = (estimate(1.9, 1.8, 2.2), estimate(2.5, 2.45, 2.6));
    let (x, y) = (change(&a, &b).unwrap(), change(&b, &a).unwrap());
    for (x, y) in [(x.ratio, y.ratio), (x.low, y.high), (x.high, y.low)] {
        assert!((x * y - 1.0).abs() < 1e-12);
    }
}

#[test]
fn what_is_no_estimate_gives_none() {
    let sound = estimate(1.0, 0.9, 1.1);
    for bad in [
        estimate(f64::NAN, 0.9, 1.1),
        estimate(1.0, 0.0, 1.1),
        estimate(1.0, 0.9, f64::INFINITY),
        estimate(1.2, 0.9, 1.1),
        estimate(0.8, 0.9, 1.1),
        estimate(-1.0, -2.0, 1.0),
    ] {
        assert_eq!(change(&bad, &sound), None, "{bad:?}");
        assert_eq!(change(&sound, &bad), None, "{bad:?}");
    }
}

#[test]
fn verdicts_by_hand() {
    let cases = [
        // wholly beyond 2 %
        (1.03, 1.05, Verdict::Regressed),
        (1.021, 1.5, Verdict::Regressed),
        (0.90, 0.97, Verdict::Improved),
        // at the edge: not beyond
        (1.019, 1.05, Verdict::Ambiguous),
        (0.95, 0.9804, Verdict::Ambiguous),
        // within
        (0.99, 1.01, Verdict::Same),
        (1.005, 1.019, Verdict::Same),
        // too wide for the tolerance, not for twice it
        (0.97, 1.03, Verdict::Same),
        (0.97, 1.05, Verdict::Ambiguous),
        (0.90, 1.10, Verdict::Ambiguous),
        // a change is seen, but it may be tolerable
        (1.001, 1.03, Verdict::Ambiguous),
        (f64::NAN, 1.0, Verdict::Invalid),
        (1.1, 1.0, Verdict::Invalid),
        (0.0, 1.0, Verdict::Invalid),
    ];
    for (low, high, want) in cases {
        let ratio = (low * high).sqrt();
        assert_eq!(verdict(&Change { ratio, low, high }, 0.02), want, "[{low}, {high}]");
    }
}

#[test]
fn tolerance_is_the_larger_floor_and_at_least_one_per_cent() {
    assert_eq!(tolerance([None, None]), 0.01);
    assert_eq!(tolerance([Some(0.004), None]), 0.01);
    assert_eq!(tolerance([Some(0.02), Some(0.03)]), 0.03);
    // Both ends on one side: what counts is how far from 1.
    assert!((noise_floor(&estimate(1.03, 1.02, 1.04)) - 0.04).abs() < 1e-12);
    assert!((noise_floor(&estimate(0.97, 1.0 / 1.05, 0.98)) - 0.05).abs() < 1e-12);
}

/// Noise of one log-ratio.
#[derive(Debug, Clone, Copy)]
enum Noise {
    Normal,
    /// Infinite variance.
    Heavy,
    /// Slowdowns of either side, with exponential tails.
    Slowdowns,
    /// Neighbours resemble each other: AR(1) with this ρ.
    Autocorrelated(f64),
    /// A random walk beside the noise of single rounds, an eighth of it per round.
    Drifting,
}

/// Log-ratios of one run around `centre`; scale 5 %.
fn series(noise: Noise, centre: f64, n: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let normal = |rng: &mut ChaCha8Rng| -> f64 { StandardNormal.sample(rng) };
    let mut state = normal(rng);
    let mut walk = Vec::with_capacity(n);
    for i in 0..n {
        walk.push(match noise {
            Noise::Normal => normal(rng),
            Noise::Heavy => StudentT::new(2.0).unwrap().sample(rng),
            Noise::Slowdowns => {
                let (a, b): (f64, f64) = (Exp1.sample(rng), Exp1.sample(rng));
                a - b
            }
            Noise::Autocorrelated(rho) => {
                let value = state;
                state = rho * state + (1.0 - rho * rho).sqrt() * normal(rng);
                value
            }
            Noise::Drifting => {
                // A machine that warms up and calms down: a slow wave of random phase, as large as the noise of a
                // round, over a third of the run; what is measured is the median over the wave.
                let phase = std::f64::consts::TAU * (3.0 * i as f64 / n as f64 + state);
                normal(rng) + 0.5 * phase.sin()
            }
        });
    }
    walk.into_iter().map(|x| centre + 0.05 * x).collect()
}

fn measure(noise: Noise, centre: f64, n: usize, rng: &mut ChaCha8Rng) -> PairedRatio {
    let a: Vec<f64> = series(noise, centre, n, rng).into_iter().map(|d| 1e6 * d.exp()).collect();
    paired_ratio(&a, &vec![1e6; n]).unwrap()
}

/// Share of experiments whose interval holds the true change.
fn coverage(noise: Noise, base: usize, new: usize, experiments: usize) -> f64 {
    let mut rng = ChaCha8Rng::seed_from_u64((base * 1000 + new) as u64);
    let truth = 1.05_f64;
    let covered = (0..experiments).filter(|_| {
        let b = measure(noise, 0.7, base, &mut rng);
        let n = measure(noise, 0.7 + truth.ln(), new, &mut rng);
        let c = change(&b, &n).unwrap();
        c.low <= truth && truth <= c.high
    });
    covered.count() as f64 / experiments as f64
}

#[test]
fn coverage_of_the_change() {
    for noise in [Noise::Normal, Noise::Heavy, Noise::Slowdowns, Noise::Drifting] {
        for (base, new) in [(12, 12), (20, 60), (60, 20), (40, 160), (120, 120)] {
            let share = coverage(noise, base, new, 4000);
            println!("{noise:?}, {base} and {new} rounds: {:.1} %", 100.0 * share);
            assert!((0.93..=0.975).contains(&share), "{noise:?}, {base} and {new} rounds: {share}");
        }
    }
}

#[test]
fn coverage_of_the_change_where_neighbours_resemble_each_other() {
    for (rho, base, new, least) in [(0.3, 20, 60, 0.91), (0.3, 120, 120, 0.925), (0.5, 120, 480, 0.9)] {
        let share = coverage(Noise::Autocorrelated(rho), base, new, 4000);
        println!("AR(1) {rho}, {base} and {new} rounds: {:.1} %", 100.0 * share);
        assert!(share > least && share < 0.97, "AR(1) {rho}, {base} and {new} rounds: {share}");
    }
}

/// Two runs of the same thing, tolerances from controls of the same noise: fewer than 1 % regress, even before
/// anything is measured again.
#[test]
fn runs_of_the_same_thing_do_not_regress() {
    for noise in [Noise::Normal, Noise::Heavy, Noise::Slowdowns, Noise::Drifting, Noise::Autocorrelated(0.5)] {
        for (base, new) in [(12, 12), (20, 80), (120, 120)] {
            let mut rng = ChaCha8Rng::seed_from_u64(base as u64);
            let experiments = 3000;
            let mut count = [0usize; 5];
            for _ in 0..experiments {
                let floors = [base, new].map(|n| Some(noise_floor(&measure(noise, 0.0, n, &mut rng))));
                let b = measure(noise, 0.7, base, &mut rng);
                let n = measure(noise, 0.7, new, &mut rng);
                count[verdict(&change(&b, &n).unwrap(), tolerance(floors)) as usize] += 1;
            }
            println!("{noise:?}, {base} and {new} rounds: {count:?}");
            for beyond in [Verdict::Regressed, Verdict::Improved] {
                let share = count[beyond as usize] as f64 / experiments as f64;
                assert!(share < 0.01, "{noise:?}, {base} and {new} rounds: {beyond} {share}");
            }
            assert_eq!(count[Verdict::Invalid as usize], 0);
        }
    }
}

/// With enough rounds a change of 5 % is called by its name: half-widths of a run near 1 %.
#[test]
fn a_change_of_five_per_cent_is_found() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    for (shift, want) in [(1.05_f64, Verdict::Regressed), (1.0 / 1.05, Verdict::Improved)] {
        let found = (0..500).filter(|_| {
            let n = 240 + rng.random_range(0..40);
            let floors = [n, n].map(|n| Some(noise_floor(&measure(Noise::Normal, 0.0, n, &mut rng))));
            let b = measure(Noise::Normal, 0.7, n, &mut rng);
            let c = measure(Noise::Normal, 0.7 + shift.ln(), n, &mut rng);
            verdict(&change(&b, &c).unwrap(), tolerance(floors)) == want
        });
        let found = found.count();
        println!("{want}: {found} of 500");
        assert!(found >= 480, "{want}: {found} of 500");
    }
}
