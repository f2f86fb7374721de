//! Slow-downs behind controls that scatter: whatever these show, a change of half as much again is never the same.

use rand::RngExt;

use super::super::super::{Rounds, FEWEST_FOR_INTERVAL};
use super::*;

/// How times scatter.
#[derive(Debug, Clone, Copy)]
enum Scatter {
    /// Two samples in five take up to a hundred times as long.
    Outliers,
    /// Half of the samples take five times as long.
    Bimodal,
    /// Cauchy: no variance at all.
    Tails,
    /// Each side's speed walks at random.
    Drift,
    /// Whole instances take up to ten times as long.
    Instances,
}

const ALL: [Scatter; 5] =
    [Scatter::Outliers, Scatter::Bimodal, Scatter::Tails, Scatter::Drift, Scatter::Instances];

/// Logarithms of one side's times.
fn times(kind: Scatter, n: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let (mut walk, whole) = (0.0, 2.3 * rng.random::<f64>());
    let one = |_| {
        let usual: f64 = 0.01 * Distribution::<f64>::sample(&StandardNormal, rng);
        let step: f64 = StandardNormal.sample(rng);
        walk += 0.2 * step;
        usual
            + match kind {
                Scatter::Outliers if rng.random_bool(0.4) => 4.6 * rng.random::<f64>(),
                Scatter::Bimodal if rng.random() => 1.6,
                Scatter::Outliers | Scatter::Bimodal => 0.0,
                Scatter::Tails => {
                    0.2 * Distribution::<f64>::sample(&StudentT::new(1.0).unwrap(), rng).clamp(-20.0, 20.0)
                }
                Scatter::Drift => walk,
                Scatter::Instances => whole,
            }
    };
    (0..n).map(one).collect()
}

/// Five instances of two sides, of which one is `ratio` times as slow; `scattered` says whether it scatters, or both.
fn measured(kind: Scatter, scattered: bool, ratio: f64, n: usize, rng: &mut ChaCha8Rng) -> PairedRatio {
    let instance = |_| -> Rounds {
        let other = times(kind, n, rng);
        let own = if scattered {
            times(kind, n, rng)
        } else {
            let small = |x: &f64| x + 0.002 * Distribution::<f64>::sample(&StandardNormal, rng);
            other.iter().map(small).collect()
        };
        let time = |x: &f64, by: f64| 1e6 * by * x.exp();
        (own.iter().map(|x| time(x, ratio)).collect(), other.iter().map(|x| time(x, 1.0)).collect())
    };
    let instances: Vec<Rounds> = (0..5).map(instance).collect();
    ratio_over_instances(&instances).unwrap()
}

/// 200 pairs of runs for each shape of scatter, number of rounds and slow-down. Controls scatter; the contender does
/// too, or is known to a fraction of a per cent.
#[test]
fn a_slow_down_behind_scattered_controls_is_never_the_same() {
    for kind in ALL {
        for n in [1, 2, 3, 12, 40] {
            for slower in [1.5, 2.0, 3.0, 1.0 / 1.5, 1.0 / 3.0] {
                let mut rng = ChaCha8Rng::seed_from_u64(n as u64);
                let mut count = [0; 5];
                for trial in 0..200 {
                    let floors = [0, 1].map(|_| noise_floor(&measured(kind, true, 1.0, n, &mut rng)));
                    let scattered = trial % 2 == 0;
                    let base = measured(kind, scattered, 1.4, n, &mut rng);
                    let new = measured(kind, scattered, 1.4 * slower, n, &mut rng);
                    let tolerance = Tolerance::new(floors, LEAST_TOLERANCE);
                    match change(&base, &new, 0.0) {
                        Some(change) => count[verdict(&change, tolerance) as usize] += 1,
                        None => assert!(5 * n < FEWEST_FOR_INTERVAL),
                    }
                }
                println!("{kind:?}, {n} rounds, {slower:.3}: {count:?}");
                assert_eq!(count[Verdict::Same as usize], 0, "{kind:?}, {n} rounds, {slower}");
            }
        }
    }
}

/// The controls of these runs are what would have been tolerated: far more than the slow-down.
#[test]
fn the_controls_do_scatter() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for kind in ALL {
        let floors: Vec<f64> =
            (0..200).filter_map(|_| noise_floor(&measured(kind, true, 1.0, 12, &mut rng))).collect();
        let beyond = floors.iter().filter(|floor| **floor > 0.5).count();
        assert!(beyond > 20, "{kind:?}: {beyond} of 200 beyond 50 %");
    }
}
