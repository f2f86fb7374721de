//! Oracles: the interval of a difference of two normal means, the definitions by hand, and simulated experiments.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1, StandardNormal, StudentT};

use super::super::paired_ratio;
use super::*;

fn estimate(ratio: f64, low: f64, high: f64) -> PairedRatio {
    // So many rounds that the correction for few is below the tolerance of these tests.
    PairedRatio { ratio, low, high, pairs: usize::MAX }
}

/// Half-widths 3 and 4 (in logarithms) make 5, as standard errors do.
#[test]
fn half_widths_add_as_the_sides_of_a_right_triangle() {
    let e = |x: f64| x.exp();
    let base = estimate(e(1.0), e(0.6), e(1.4));
    let new = estimate(e(1.1), e(0.8), e(1.4));
    let c = change(&base, &new, [1, 1], 0.0).unwrap();
    for (got, want) in [(c.ratio, 0.1), (c.low, -0.4), (c.high, 0.6)] {
        assert!((got.ln() - want).abs() < 1e-9, "{c:?}");
    }
    // Skewed: the lower end of new and the upper end of base make the lower end.
    let (base, new) = (estimate(1.0, e(-0.1), e(0.4)), estimate(1.0, e(-0.3), e(0.2)));
    let c = change(&base, &new, [1, 1], 0.0).unwrap();
    assert!((c.low.ln() + 0.5).abs() < 1e-9 && (c.high.ln() - 0.05_f64.sqrt()).abs() < 1e-9, "{c:?}");
}

#[test]
fn swapping_the_runs_inverts_the_change() {
    let (a, b) = (estimate(1.9, 1.8, 2.2), estimate(2.5, 2.45, 2.6));
    let (x, y) = (change(&a, &b, [1, 3], 0.01).unwrap(), change(&b, &a, [3, 1], 0.01).unwrap());
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
        assert_eq!(change(&bad, &sound, [1, 1], 0.0), None, "{bad:?}");
        assert_eq!(change(&sound, &bad, [1, 1], 0.0), None, "{bad:?}");
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

#[test]
fn quiet_rounds_must_follow_by_half() {
    let c = |ratio: f64| Change { ratio, low: ratio, high: ratio };
    assert!(
        is_quiet_too(&c(1.21), 1.1) && is_quiet_too(&c(1.21), 1.3) && is_quiet_too(&c(1.0 / 1.21), 1.0 / 1.1)
    );
    for (ratio, quiet) in [(1.21, 1.099), (1.21, 0.9), (0.8, 1.0), (0.8, 1.2), (2.0, f64::NAN)] {
        assert!(!is_quiet_too(&c(ratio), quiet), "{ratio} {quiet}");
    }
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
    /// The machine's speed walks at random, by as much per round as a round is noisy; both contenders feel it.
    Drifting,
}

/// Logarithms of one contender's times, beside what the machine does; scale 5 %.
fn noise(kind: Noise, n: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let mut state: f64 = StandardNormal.sample(rng);
    let one = |_| {
        0.05 * match kind {
            Noise::Normal | Noise::Drifting => StandardNormal.sample(rng),
            Noise::Heavy => StudentT::new(2.0).unwrap().sample(rng),
            Noise::Slowdowns => Exp1.sample(rng),
            Noise::Autocorrelated(rho) => {
                let value = state;
                let fresh: f64 = StandardNormal.sample(rng);
                state = rho * state + (1.0 - rho * rho).sqrt() * fresh;
                value
            }
        }
    };
    (0..n).map(one).collect()
}

/// A run of `n` rounds in which the contender takes `exp(centre)` times as long as its baseline.
fn measure(kind: Noise, centre: f64, n: usize, rng: &mut ChaCha8Rng) -> PairedRatio {
    let (own, other) = (noise(kind, n, rng), noise(kind, n, rng));
    let mut speed = 0.0;
    let mut machine = Vec::with_capacity(n);
    for _ in 0..n {
        if matches!(kind, Noise::Drifting) {
            let step: f64 = StandardNormal.sample(rng);
            speed += 0.05 * step;
        }
        machine.push(speed);
    }
    let times = |noise: &[f64], centre: f64| -> Vec<f64> {
        noise.iter().zip(&machine).map(|(x, m)| 1e6 * (centre + x + m).exp()).collect()
    };
    paired_ratio(&times(&own, centre), &times(&other, 0.0)).unwrap()
}

/// Share of experiments whose interval holds the true change.
fn coverage(noise: Noise, base: usize, new: usize, experiments: usize) -> f64 {
    let mut rng = ChaCha8Rng::seed_from_u64((base * 1000 + new) as u64);
    let truth = 1.05_f64;
    let covered = (0..experiments).filter(|_| {
        let b = measure(noise, 0.7, base, &mut rng);
        let n = measure(noise, 0.7 + truth.ln(), new, &mut rng);
        let c = change(&b, &n, [1, 1], 0.0).unwrap();
        c.low <= truth && truth <= c.high
    });
    covered.count() as f64 / experiments as f64
}

/// Experiments of each case: the standard error of a coverage is √(0.95 · 0.05 / 6000) = 0.28 %.
const EXPERIMENTS: usize = 6000;

/// Within 93 and 97 %, but for three standard errors of the simulation.
fn covers(cases: &[(Noise, usize, usize)]) {
    use rayon::prelude::*;
    let allowed = 3.0 * (0.95 * 0.05 / EXPERIMENTS as f64).sqrt();
    let shares: Vec<f64> =
        cases.par_iter().map(|&(noise, base, new)| coverage(noise, base, new, EXPERIMENTS)).collect();
    for ((noise, base, new), share) in cases.iter().zip(shares) {
        println!("{noise:?}, {base} and {new} rounds: {:.1} %", 100.0 * share);
        assert!(
            (0.93 - allowed..=0.97 + allowed).contains(&share),
            "{noise:?}, {base} and {new} rounds: {share}"
        );
    }
}

/// Numbers of rounds of base and new: alike, few and many, and of a second look beside a baseline.
const ROUNDS: [(usize, usize); 8] =
    [(10, 10), (12, 12), (10, 60), (20, 60), (60, 20), (40, 160), (120, 120), (150, 600)];

fn all(noises: &[Noise], rounds: &[(usize, usize)]) -> Vec<(Noise, usize, usize)> {
    noises.iter().flat_map(|&noise| rounds.iter().map(move |&(base, new)| (noise, base, new))).collect()
}

#[test]
fn coverage_of_the_change() {
    covers(&all(&[Noise::Normal, Noise::Heavy, Noise::Slowdowns, Noise::Drifting], &ROUNDS));
}

#[test]
fn coverage_of_the_change_where_neighbours_resemble_each_other() {
    covers(&all(&[Noise::Autocorrelated(0.15), Noise::Autocorrelated(0.3)], &ROUNDS));
    covers(&all(&[Noise::Autocorrelated(0.5)], &[(20, 60), (60, 20), (40, 160), (120, 120), (150, 600)]));
}

/// Many rounds need nothing, and neither does a difference that is all but one interval.
#[test]
fn the_correction_for_the_noise_of_intervals() {
    assert!((shrinkage([1.0, 1.0], [16, 16]) - (1.0 - 1.6 * 0.25 * 0.5)).abs() < 1e-12);
    assert!((shrinkage([3.0, 1.0], [16, 25]) - (1.0 - 1.6 * 3.0 / 16.0 * 0.45)).abs() < 1e-12);
    assert!((shrinkage([1.0, 1.0], [usize::MAX, usize::MAX]) - 1.0).abs() < 1e-9);
    assert!((shrinkage([1.0, 1e-9], [10, 10]) - 1.0).abs() < 1e-8);
    assert_eq!(shrinkage([1.0, 1.0], [9, 100]), 1.0);
    assert_eq!(shrinkage([0.0, 0.0], [10, 10]), 1.0);
}

/// Half-widths 3 and 4 of either run's rounds, and 12 of what sessions add: 13.
#[test]
fn sessions_widen_the_interval_as_one_more_error() {
    let e = |x: f64| x.exp();
    let (base, new) = (estimate(1.0, e(-0.03), e(0.03)), estimate(1.0, e(-0.04), e(0.04)));
    let between = 0.12 / Z_95;
    // 1/2 + 1/2 of the variance of one session
    let c = change(&base, &new, [2, 2], between).unwrap();
    assert!((c.low.ln() + 0.13).abs() < 1e-9 && (c.high.ln() - 0.13).abs() < 1e-9, "{c:?}");
    let c = change(&base, &new, [1, 1], 0.0).unwrap();
    assert!((c.high.ln() - 0.05).abs() < 1e-9, "{c:?}");
}

/// Runs that sessions shift by 0.5 %: the interval that knows of it covers, whatever the number of rounds; one that does
/// not, covers less than 85 % once rounds are many.
#[test]
fn coverage_where_sessions_shift_their_rounds() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let experiments = 4000;
    for (base, new, rounds) in [(4, 4, 600), (4, 1, 150), (1, 1, 150), (1, 1, 2000)] {
        let mut covered = [0, 0];
        for _ in 0..experiments {
            let mut run = |sessions: usize| {
                let each = rounds / sessions;
                // Sessions are concatenated, as they are when a point is measured again.
                let mut times = Vec::new();
                for _ in 0..sessions {
                    let shift: f64 = StandardNormal.sample(&mut rng);
                    let own = noise(Noise::Normal, each, &mut rng);
                    times.extend(own.iter().map(|x| 1e6 * (x + BETWEEN_SESSIONS * shift).exp()));
                }
                paired_ratio(&times, &vec![1e6; times.len()]).unwrap()
            };
            let (b, n) = (run(base), run(new));
            for (count, between) in covered.iter_mut().zip([BETWEEN_SESSIONS, 0.0]) {
                let c = change(&b, &n, [base, new], between).unwrap();
                *count += i32::from(c.low <= 1.0 && 1.0 <= c.high);
            }
        }
        let [with, without] = covered.map(|c| f64::from(c) / f64::from(experiments));
        println!("{base} and {new} sessions of {rounds} rounds in all: {with}, without {without}");
        assert!(
            (0.93..=0.975).contains(&with),
            "{base} and {new} sessions of {rounds} rounds in all: {with}"
        );
        assert!(without < with);
        assert!(rounds < 2000 || without < 0.85, "{without}");
    }
}

/// Two runs of the same thing, tolerances from controls of the same noise: fewer than 1 % regress, even before
/// anything is measured again.
#[test]
fn runs_of_the_same_thing_do_not_regress() {
    for noise in [Noise::Normal, Noise::Heavy, Noise::Slowdowns, Noise::Drifting, Noise::Autocorrelated(0.5)]
    {
        for (base, new) in [(12, 12), (20, 80), (120, 120)] {
            let mut rng = ChaCha8Rng::seed_from_u64(base as u64);
            let experiments = 3000;
            let mut count = [0usize; 5];
            for _ in 0..experiments {
                let floors = [base, new].map(|n| Some(noise_floor(&measure(noise, 0.0, n, &mut rng))));
                let b = measure(noise, 0.7, base, &mut rng);
                let n = measure(noise, 0.7, new, &mut rng);
                count[verdict(&change(&b, &n, [1, 1], BETWEEN_SESSIONS).unwrap(), tolerance(floors))
                    as usize] += 1;
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
            verdict(&change(&b, &c, [4, 4], BETWEEN_SESSIONS).unwrap(), tolerance(floors)) == want
        });
        let found = found.count();
        println!("{want}: {found} of 500");
        assert!(found >= 480, "{want}: {found} of 500");
    }
}
