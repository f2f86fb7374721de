//! Oracles: geometric means by hand, and simulated coverage of their interval.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::super::fixture::{entry, side};
use super::*;
use crate::stats::paired_ratio;

#[test]
fn means_by_hand() {
    let mut s = side("a", &[("spc/reference", 2.0), ("epc/reference", 3.0)], 0.0);
    let at = |s: &Side, contender: &str| s.entries.iter().rposition(|e| e.contender == contender).unwrap();
    let last = at(&s, "spc/reference");
    s.entries[last] = entry("p@depth=8", "spc/reference", 8.0, 0.0);
    let ranking = rank(&[s], &[]).unwrap();
    let found: Vec<_> = ranking.rows.iter().map(|r| (r.contender.as_str(), r.mean.ratio)).collect();
    assert_eq!(
        found.iter().map(|f| f.0).collect::<Vec<_>>(),
        ["bp/reference", "epc/reference", "spc/reference"]
    );
    for ((_, got), want) in found.iter().zip([1.0, 3.0, 4.0]) {
        assert!((got - want).abs() < 1e-12, "{found:?}");
    }
    assert_eq!(ranking.points.len(), 2);
    assert!(ranking.left_out.is_empty());
}

/// Two points known to 3 and 4 per cent: their mean to 5 / 2 per cent, in logarithms.
#[test]
fn intervals_by_hand() {
    let mut s = side("a", &[("spc/reference", 2.0)], 0.0);
    let e = |x: f64| x.exp();
    s.entries[1].ratio =
        Some(PairedRatio { ratio: 1.0, low: e(-0.03), high: e(0.03), pairs: 10, ..PairedRatio::UNKNOWN });
    s.entries[3].ratio =
        Some(PairedRatio { ratio: 1.0, low: e(-0.04), high: e(0.04), pairs: 20, ..PairedRatio::UNKNOWN });
    let ranking = rank(&[s], &[]).unwrap();
    let spc = ranking.rows.iter().find(|r| r.contender == "spc/reference").unwrap().mean;
    assert!((spc.low.ln() + 0.025).abs() < 1e-12 && (spc.high.ln() - 0.025).abs() < 1e-12, "{spc:?}");
    assert_eq!(spc.pairs, 30);
}

#[test]
fn the_interval_of_a_mean_covers() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let experiments = 4000;
    let covered = (0..experiments).filter(|_| {
        let points: Vec<PairedRatio> = (0..5)
            .map(|i| {
                let centre = 0.3 * f64::from(i);
                let noise = |_| -> f64 { StandardNormal.sample(&mut rng) };
                let a: Vec<f64> = (0..30).map(noise).map(|x| 1e6 * (centre + 0.05 * x).exp()).collect();
                paired_ratio(&a, &[1e6; 30]).unwrap()
            })
            .collect();
        let m = mean(points.iter());
        m.low.ln() <= 0.6 && 0.6 <= m.high.ln()
    });
    let share = covered.count() as f64 / f64::from(experiments);
    // wide rather than narrow, as documented
    assert!((0.95..=0.995).contains(&share), "{share}");
}

#[test]
fn only_common_points_count_and_the_others_are_named() {
    let mut s = side("a", &[("spc/reference", 2.0), ("epc/reference", 3.0)], 0.1);
    s.entries.retain(|e| !(e.point == "p@depth=8" && e.contender == "epc/reference"));
    let ranking = rank(std::slice::from_ref(&s), &[]).unwrap();
    assert_eq!(ranking.points, ["p@depth=4"]);
    assert_eq!(ranking.left_out, [("p@depth=8".to_owned(), vec!["epc/reference".to_owned()])]);
    let fewer = rank(std::slice::from_ref(&s), &["spc/reference".into(), "bp/reference".into()]).unwrap();
    assert_eq!((fewer.points.len(), fewer.rows.len()), (2, 2));
    // A failure is no ratio, and no baseline of 1 either.
    s.entries[0].err = "failed".into();
    let failed = rank(&[s], &[]).unwrap_err().to_string();
    assert!(
        failed.contains("no point is common to all contenders") && failed.contains("--contender"),
        "{failed}"
    );
}

#[test]
fn several_records_must_not_overlap() {
    let whole = side("a", &[("spc/reference", 2.0)], 0.1);
    let (mut left, mut right) = (whole.clone(), whole.clone());
    left.entries.retain(|e| e.point == "p@depth=4");
    right.entries.retain(|e| e.point == "p@depth=8");
    assert_eq!(
        rank(&[left.clone(), right], &[]).unwrap().rows,
        rank(std::slice::from_ref(&whole), &[]).unwrap().rows
    );
    let twice = rank(&[whole, Side { name: "b".into(), ..left }], &[]).unwrap_err().to_string();
    assert!(twice.contains("bp/reference at p@depth=4 is in both a and b"), "{twice}");
    let stranger = rank(&[side("a", &[], 0.1)], &["x/y".into()]).unwrap_err().to_string();
    assert!(stranger.contains("unknown contender `x/y`") && stranger.contains("bp/reference"), "{stranger}");
    assert!(rank(&[], &[]).unwrap_err().to_string().contains("hold no timed point"));
}
