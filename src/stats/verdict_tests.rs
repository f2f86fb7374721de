//! Oracles: the interval of a difference of two normal means, the definitions by hand, and simulated experiments.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1, StandardNormal, StudentT};

use super::super::instances::tests::simulated;
use super::super::{paired_ratio, ratio_over_instances};
use super::*;

fn estimate(ratio: f64, low: f64, high: f64) -> PairedRatio {
    // Enough rounds for the correction for few to be below the tolerance of these tests.
    PairedRatio { ratio, low, high, pairs: usize::MAX, ..PairedRatio::UNKNOWN }
}

/// Half-widths 3 and 4 (in logarithms) make 5, as standard errors do.
#[test]
fn half_widths_add_as_the_sides_of_a_right_triangle() {
    let e = |x: f64| x.exp();
    let base = estimate(e(1.0), e(0.6), e(1.4));
    let new = estimate(e(1.1), e(0.8), e(1.4));
    let c = change(&base, &new, 0.0).unwrap();
    for (got, want) in [(c.ratio, 0.1), (c.low, -0.4), (c.high, 0.6)] {
        assert!((got.ln() - want).abs() < 1e-9, "{c:?}");
    }
    // Skewed: the lower end of new and the upper end of base make the lower end.
    let (base, new) = (estimate(1.0, e(-0.1), e(0.4)), estimate(1.0, e(-0.3), e(0.2)));
    let c = change(&base, &new, 0.0).unwrap();
    assert!((c.low.ln() + 0.5).abs() < 1e-9 && (c.high.ln() - 0.05_f64.sqrt()).abs() < 1e-9, "{c:?}");
}

#[test]
fn swapping_the_runs_inverts_the_change() {
    let (a, b) = (estimate(1.9, 1.8, 2.2), estimate(2.5, 2.45, 2.6));
    let (x, y) = (change(&a, &b, 0.01).unwrap(), change(&b, &a, 0.01).unwrap());
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
        assert_eq!(change(&bad, &sound, 0.0), None, "{bad:?}");
        assert_eq!(change(&sound, &bad, 0.0), None, "{bad:?}");
    }
}

fn of(low: f64, high: f64) -> Change {
    Change { ratio: (low * high).sqrt(), low, high }
}

/// Controls known to 2 %.
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
        // a change of 5 % is excluded, and none is not
        (0.99, 1.01, Verdict::Same),
        (0.97, 1.03, Verdict::Same),
        (0.953, 1.049, Verdict::Same),
        (0.97, 1.051, Verdict::Ambiguous),
        (0.952, 1.03, Verdict::Ambiguous),
        (0.90, 1.10, Verdict::Ambiguous),
        // none is excluded: the same only within 2 %
        (1.001, 1.0199, Verdict::Same),
        (1.001, 1.021, Verdict::Ambiguous),
        (1.005, 1.03, Verdict::Ambiguous),
        (0.979, 0.999, Verdict::Ambiguous),
        (f64::NAN, 1.0, Verdict::Invalid),
        (1.1, 1.0, Verdict::Invalid),
        (0.0, 1.0, Verdict::Invalid),
    ];
    for (low, high, want) in cases {
        let tolerance = Tolerance { noise: 0.02, asked: 0.01 };
        assert_eq!(verdict(&of(low, high), tolerance), want, "[{low}, {high}]");
    }
}

/// Whatever the controls show, an interval is called the same or not by what it excludes.
#[test]
fn noise_makes_nothing_the_same() {
    let ends = |i: i32| 1.013_f64.powi(i);
    for (i, j) in (-40..40).flat_map(|i| (i..40).map(move |j| (i, j))) {
        let change = of(ends(i), ends(j));
        let same = |noise: f64| verdict(&change, Tolerance { noise, asked: 0.01 }) == Verdict::Same;
        for noise in [0.0, 0.005, 0.02, 0.05, 0.1] {
            assert!(same(0.0) || !same(noise), "{change:?} with controls known to {noise}");
            let excluded = change.low * 1.05 > 1.0 && change.high < 1.05;
            assert!(excluded || !same(noise), "{change:?} with controls known to {noise}");
        }
        for noise in [0.101, 4.0, 1024.31, f64::INFINITY] {
            let tolerance = Tolerance { noise, asked: 0.01 };
            assert_eq!(
                verdict(&change, tolerance),
                Verdict::Ambiguous,
                "{change:?} with controls known to {noise}"
            );
        }
    }
}

/// What the user allows is no noise: half as much again is the same if that is tolerated, and controls may be as noisy.
#[test]
fn what_is_asked_for_is_granted_and_said() {
    let asked = |noise: f64, asked: f64| Tolerance { noise, asked };
    for (low, high, allowed, want, wide) in [
        (0.8, 1.3, 0.5, Verdict::Same, true),
        (1.2, 1.4, 0.5, Verdict::Same, true),
        (0.98, 1.02, 0.5, Verdict::Same, false),
        (1.2, 1.6, 0.5, Verdict::Ambiguous, false),
        (1.6, 1.7, 0.5, Verdict::Regressed, false),
        (0.5, 0.6, 0.5, Verdict::Improved, false),
        (1.01, 1.025, 0.03, Verdict::Same, false),
    ] {
        for noise in [0.0, allowed] {
            let (change, tolerance) = (of(low, high), asked(noise, allowed));
            assert_eq!(verdict(&change, tolerance), want, "[{low}, {high}] within {allowed}");
            assert_eq!(tolerance.is_wide_for(&change), wide, "[{low}, {high}] within {allowed}");
        }
    }
    assert_eq!(verdict(&of(0.98, 1.02), asked(0.51, 0.5)), Verdict::Ambiguous);
}

#[test]
fn tolerance_is_the_larger_floor_and_at_least_two_per_cent() {
    assert_eq!(Tolerance::new([None, None], 0.0).limit(), 0.02);
    assert_eq!(Tolerance::new([Some(0.014), None], 0.01).limit(), 0.02);
    assert_eq!(Tolerance::new([Some(0.02), Some(0.03)], 0.01).limit(), 0.03);
    assert_eq!(Tolerance::new([Some(0.02), Some(0.03)], 0.5).limit(), 0.5);
    // Both ends on one side: what counts is how far from 1.
    assert!((noise_floor(&estimate(1.03, 1.02, 1.04)).unwrap() - 0.04).abs() < 1e-12);
    assert!((noise_floor(&estimate(0.97, 1.0 / 1.05, 0.98)).unwrap() - 0.05).abs() < 1e-12);
    assert_eq!(noise_floor(&PairedRatio::UNKNOWN), None);
}

/// Of 40 rounds ten are quiet, at a ratio of 2 with one at 9; the others are slower on either side or on both.
#[test]
fn quiet_ratios_are_of_the_rounds_that_were_fastest_on_both_sides() {
    let quiet = (0..9).map(|_| (2.0, 1.0)).chain([(3.0, 1.0 / 3.0)]);
    let loud =
        (0..10).flat_map(|i| [(5.0 + f64::from(i), 1.0 + f64::from(i) / 5.0), (2.0, 1.5), (40.0, 0.5)]);
    let pairs: Vec<(f64, f64)> = loud.chain(quiet).collect();
    assert_eq!(pairs.len(), 40);
    assert!((quiet_ratio(&pairs).unwrap() - 2.0).abs() < 1e-12);
    // six at least
    assert!((quiet_ratio(&pairs[..6]).unwrap() - 5.0).abs() < 1e-12);
    assert_eq!(quiet_ratio(&[]), None);
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
        let c = change(&b, &n, 0.0).unwrap();
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

/// Half-widths 3 and 4 of either run's rounds, and 12 of what single instances may add: 13.
#[test]
fn single_instances_widen_the_interval_as_one_more_error() {
    let e = |x: f64| x.exp();
    let (base, new) = (estimate(1.0, e(-0.03), e(0.03)), estimate(1.0, e(-0.04), e(0.04)));
    let unseen = 0.12 / 1.959_963_984_540_054 / 2.0_f64.sqrt();
    let c = change(&base, &new, unseen).unwrap();
    assert!((c.low.ln() + 0.13).abs() < 1e-9 && (c.high.ln() - 0.13).abs() < 1e-9, "{c:?}");
    // A side of several instances needs no allowance: 0.05² + 0.12²/2.
    let several = PairedRatio { instances: 4, ..new };
    let c = change(&base, &several, unseen).unwrap();
    assert!((c.high.ln() - (0.0025_f64 + 0.0072).sqrt()).abs() < 1e-9, "{c:?}");
    let base = PairedRatio { instances: 5, ..base };
    assert!((change(&base, &several, unseen).unwrap().high.ln() - 0.05).abs() < 1e-9);
}

/// Welch's example of equal variances: two t intervals with four degrees of freedom make one with eight.
#[test]
fn degrees_of_freedom_add_up() {
    let of = |half: f64, freedom| PairedRatio {
        instances: 5,
        freedom,
        ..estimate(1.0, (-half).exp(), half.exp())
    };
    // Pearson and Hartley: 2.776 with 4, 2.306 with 8 degrees of freedom.
    let c = change(&of(0.027_764, Some(4)), &of(0.027_764, Some(4)), 0.0).unwrap();
    assert!((c.high.ln() - 0.01 * 2.0_f64.sqrt() * 2.306_0).abs() < 1e-5, "{c:?}");
    // Beside a side that is known far better, its own remain.
    let c = change(&of(0.027_764, Some(4)), &of(1e-6, None), 0.0).unwrap();
    assert!((c.high.ln() - 0.027_764).abs() < 1e-5, "{c:?}");
    let c = change(&of(0.0, Some(4)), &of(0.0, None), 0.0).unwrap();
    assert_eq!((c.low, c.high), (1.0, 1.0));
}

/// A run of `m` instances of `n` rounds; `between` as in [`simulated`].
fn run(kind: &str, m: usize, n: usize, between: f64, centre: f64, rng: &mut ChaCha8Rng) -> PairedRatio {
    ratio_over_instances(&simulated(kind, m, n, between, centre, rng)).unwrap()
}

/// Runs of several instances that shift their rounds: the change is covered, however much that is.
#[test]
fn coverage_of_the_change_over_instances() {
    use rayon::prelude::*;
    let mut cases = vec![];
    for kind in ["normal", "heavy", "one-sided"] {
        for (base, new, n) in [(4, 4, 12), (5, 5, 6), (5, 5, 16), (5, 20, 16), (8, 8, 25)] {
            cases.extend([0.0, 0.5, 1.0, 2.0, 4.0].map(|between| (kind, base, new, n, between)));
        }
    }
    let share = |&(kind, base, new, n, between): &(&str, usize, usize, usize, f64)| {
        let mut rng = ChaCha8Rng::seed_from_u64((base * 1000 + new * 10 + n) as u64);
        let covered = (0..EXPERIMENTS / 2).filter(|_| {
            let b = run(kind, base, n, between, 0.7, &mut rng);
            let c = change(&b, &run(kind, new, n, between, 0.75, &mut rng), 0.0).unwrap();
            c.low.ln() <= 0.05 && 0.05 <= c.high.ln()
        });
        covered.count() as f64 / (EXPERIMENTS / 2) as f64
    };
    let shares: Vec<f64> = cases.par_iter().map(share).collect();
    let allowed = 3.0 * (0.95 * 0.05 / (EXPERIMENTS / 2) as f64).sqrt();
    for ((kind, base, new, n, between), share) in cases.into_iter().zip(shares) {
        let case = format!("{kind}, {base} and {new} instances of {n} rounds, between {between}");
        println!("{case}: {:.1} %", 100.0 * share);
        assert!((0.94 - allowed..=0.98 + allowed).contains(&share), "{case}: {share}");
    }
}

/// Verdicts of two runs in each of which the contender and its control are measured in five instances.
fn verdicts(kind: &str, between: f64, shift: f64, n: usize, seed: u64) -> [usize; 5] {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut count = [0; 5];
    for _ in 0..3000 {
        let floors = [0, 1].map(|_| noise_floor(&run(kind, 5, n, between, 0.0, &mut rng)));
        let b = run(kind, 5, n, between, 0.7, &mut rng);
        let c = run(kind, 5, n, between, 0.7 + shift.ln(), &mut rng);
        count[verdict(&change(&b, &c, 0.0).unwrap(), Tolerance::new(floors, 0.01)) as usize] += 1;
    }
    count
}

/// Two runs of the same thing: fewer than 3 in 1000 regress, even before anything is measured again.
#[test]
fn runs_of_the_same_thing_do_not_regress() {
    for kind in ["normal", "heavy", "one-sided"] {
        for (between, n) in [(0.0, 6), (0.0, 16), (1.0, 16), (4.0, 16)] {
            let count = verdicts(kind, between, 1.0, n, n as u64);
            println!("{kind}, between {between}, {n} rounds: {count:?}");
            for beyond in [Verdict::Regressed, Verdict::Improved] {
                assert!(
                    count[beyond as usize] <= 9,
                    "{kind}, between {between}, {n} rounds: {beyond} {count:?}"
                );
            }
            assert_eq!(count[Verdict::Invalid as usize], 0);
        }
    }
}

/// A change of 5 % is called by its name, and hardly ever the same: a t interval misses it 5 times in 200.
#[test]
fn a_change_of_five_per_cent_is_found() {
    for (shift, want) in [(1.05, Verdict::Regressed), (1.0 / 1.05, Verdict::Improved)] {
        for (between, n, least) in [(0.0, 40, 0.99), (1.0, 40, 0.95)] {
            let count = verdicts("normal", between, shift, n, 9);
            println!("{want}, between {between}: {count:?}");
            assert!(count[want as usize] as f64 >= 3000.0 * least, "{want}, between {between}: {count:?}");
            assert!(count[Verdict::Same as usize] <= 75, "{want}, between {between}: {count:?}");
        }
    }
}

#[path = "scatter_tests.rs"]
mod scatter;
