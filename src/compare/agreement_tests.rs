//! Oracles: runs whose shifts are put in, limits by hand.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::super::fixture::side;
use super::*;

/// Runs of ten contenders known to ±2 %, each run and contender off by a normal error of `off` times the standard error, and
/// the whole run by `whole` times.
fn sides(runs: usize, off: f64, whole: f64, seed: u64) -> Vec<Side> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let names: Vec<String> = (0..10).map(|k| format!("spc/reference:{}", k + 1)).collect();
    let one = |_| {
        let common: f64 = StandardNormal.sample(&mut rng);
        let ratios: Vec<(&str, f64)> = names
            .iter()
            .map(|name| {
                let own: f64 = StandardNormal.sample(&mut rng);
                (name.as_str(), (0.02_f64.ln_1p() / 1.96 * (off * own + whole * common)).exp())
            })
            .collect();
        side("run", &ratios, 2.0)
    };
    // Both points of a side have the same ratios: twice the rows, no more to know.
    (0..runs).map(one).collect()
}

#[test]
fn counts_are_those_of_all_pairs() {
    let a = Agreement::of(&sides(6, 1.0, 0.0, 1)).unwrap();
    assert_eq!((a.runs, a.pairs, a.holding.rows), (6, 15, 300));
    // Three runs, of which the last is off by 3 % where two are known to 2 % each: two of three pairs miss 1, and regress.
    let mut three = vec![side("a", &[("spc/reference", 1.0)], 0.5); 3];
    three[2] = side("c", &[("spc/reference", 1.03)], 0.5);
    let a = Agreement::of(&three).unwrap();
    assert_eq!((a.holding.count, a.holding.rows, a.regressed.count), (2, 6, 4));
    // Without a run: 0 of 2, 0 of 2, 2 of 2. σ² = 2/3 · (1/9 + 1/9 + 4/9).
    assert!((a.holding.error - (4.0_f64 / 9.0).sqrt()).abs() < 1e-12, "{a:?}");
}

/// Errors of the stated size: the interval of the share holds 95 % in most of the experiments, though runs that are off as a
/// whole miss in all their rows at once. Errors twice as large are found out.
#[test]
fn the_share_is_known_as_well_as_it_says() {
    for (whole, off) in [(0.0, 1.0), (0.7, 0.7)] {
        let of = move |scale: f64| {
            (0..60).filter(move |&seed| {
                let a = Agreement::of(&sides(24, scale * off, scale * whole, seed)).unwrap();
                let (low, high) = a.holding_interval();
                low <= 0.951 && 0.949 <= high
            })
        };
        let (right, wrong) = (of(1.0).count(), of(2.0).count());
        println!("whole {whole}: {right} and {wrong} of 60");
        assert!(right >= 50 && wrong <= 6, "whole {whole}: {right} and {wrong} of 60");
    }
}

/// Nothing among n independent rows: 1 − 0.05^(1/n), about 3/n.
#[test]
fn the_limit_of_none() {
    let share = |count, rows, error| Share { count, rows, error };
    let of = |error: f64, regressed| Agreement {
        runs: 40,
        pairs: 780,
        holding: share(9_500, 10_000, error),
        regressed,
        ambiguous: share(0, 10_000, 0.0),
    };
    let independent = (0.95_f64 * 0.05 / 10_000.0).sqrt();
    let none = share(0, 10_000, 0.0);
    let n = 10_000.0;
    assert!((of(independent, none).most_regressed() - (1.0 - 0.05_f64.powf(1.0 / n))).abs() < 1e-9);
    // Clustered: errors three times as large leave a ninth of the rows.
    assert!((of(3.0 * independent, none).most_regressed() - (1.0 - 0.05_f64.powf(9.0 / n))).abs() < 1e-8);
    // Sixteen that are independent, and in two runs each: half as much as eight in 5000, whose Poisson limit is 14.435.
    let own = |count: usize| ((count as f64 / n) * (1.0 - count as f64 / n) / n).sqrt();
    let limit = of(3.0 * independent, share(16, 10_000, own(16))).most_regressed();
    assert!((limit * n / 2.0 - 14.43).abs() < 0.02, "{limit}");
    // With errors twice as large they weigh as four in 2500, whose limit is 9.154.
    let limit = of(3.0 * independent, share(16, 10_000, 2.0 * own(16))).most_regressed();
    assert!((limit * n / 4.0 - 9.15).abs() < 0.02, "{limit}");
    // Ten times as many in a few runs: t with 39 degrees of freedom is 1.685.
    let limit = of(independent, share(100, 10_000, 0.005)).most_regressed();
    assert!(limit >= 0.01 + 1.685 * 0.005 - 1e-5, "{limit}");
}

#[test]
fn what_says_nothing_is_refused() {
    assert!(Agreement::of(&sides(2, 1.0, 0.0, 1)).unwrap_err().to_string().contains("takes 3"));
    let mut strange = sides(3, 1.0, 0.0, 1);
    strange[1].threads = 9;
    assert!(Agreement::of(&strange).unwrap_err().to_string().contains("no ratio to compare"));
}
