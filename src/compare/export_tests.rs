//! Oracles: the schemas of the programs that read these files, written down here from their documentation, and the
//! numbers of the record.

use serde::Deserialize;

use super::super::fixture::{record, DEFINITION};
use super::*;

fn sides() -> (Record, Side) {
    let mut record = record(DEFINITION, 1);
    // one failure among the rest
    let point = record.summary[0].point.clone();
    let mut rows: Vec<_> = record.summary.iter().filter(|r| r.point == point).cloned().collect();
    rows[2].err = "epc diverged".into();
    let own: Vec<_> = record.samples.iter().filter(|s| s.point == point).cloned().collect();
    let ratios = crate::record::summarise::fill(&mut rows, &own).unwrap();
    record.summary.retain(|r| r.point != point);
    record.ratios.retain(|r| r.point != point);
    record.summary.extend(rows);
    record.ratios.extend(ratios);
    let side = Side::of(&record).unwrap();
    (record, side)
}

/// The tracking key, as the format's description has it.
fn key(point: &str, contender: &str) -> String {
    format!("{point}/{contender} (data=digits, threads=2)")
}

/// Bencher: a map of benchmarks to maps of measures to metrics; names up to 1024 characters, measures up to 64.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metric {
    value: f64,
    lower_value: Option<f64>,
    upper_value: Option<f64>,
}

#[test]
fn bencher_metric_format() {
    let (record, side) = sides();
    let text = Target::Bmf.write(&record, &side, "n").unwrap();
    let file: BTreeMap<String, BTreeMap<String, Metric>> = serde_json::from_str(&text).unwrap();
    assert_eq!(file.len(), 5, "the one that failed is left out");
    for (bench, measures) in &file {
        assert!(bench.len() <= 1024 && measures.keys().all(|m| m.len() <= 64));
        assert!(measures.values().all(|m| m.lower_value <= Some(m.value) && Some(m.value) <= m.upper_value));
        let row = record.summary.iter().find(|r| *bench == key(&r.point, &r.contender)).unwrap();
        let latency = &measures["latency"];
        assert_eq!(latency.value, row.median_ns as f64);
        let time = side.get(&row.point, &row.contender).unwrap().time.unwrap();
        assert_eq!((latency.lower_value, latency.upper_value), (Some(time.low), Some(time.high)));
        // Samples lie within half a per cent, so that medians of 60 are known to less.
        assert!(time.low > 0.995 * time.ratio && time.high < 1.005 * time.ratio, "{time:?}");
        let ratio = record.ratios.iter().find(|r| r.point == row.point && r.contender == row.contender);
        assert_eq!(measures.get("cost-ratio").map(|m| m.value), ratio.map(|r| r.ratio));
    }
}

/// github-action-benchmark: `name`, `unit`, `value`, and optionally `range` and `extra`, which are text.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bench {
    name: String,
    unit: String,
    value: f64,
    range: Option<String>,
    extra: Option<String>,
}

#[test]
fn github_action_benchmark_in_both_directions() {
    let (record, side) = sides();
    let read = |target: Target| {
        serde_json::from_str::<Vec<Bench>>(&target.write(&record, &side, "n").unwrap()).unwrap()
    };
    let (smaller, bigger) = (read(Target::GhaSmaller), read(Target::GhaBigger));
    // Five contenders timed, two of them baselines.
    assert_eq!((smaller.len(), bigger.len()), (8, 8));
    for (small, big) in smaller.iter().zip(&bigger) {
        // The same quantity, upside down.
        let product = if small.unit == "ns" { 1e9 } else { 1.0 };
        assert!((small.value * big.value / product - 1.0).abs() < 1e-12, "{small:?} {big:?}");
        for bench in [small, big] {
            let (low, high) = bench.range.as_ref().unwrap().split_once(" to ").unwrap();
            let (low, high): (f64, f64) = (low.parse().unwrap(), high.parse().unwrap());
            assert!(low <= bench.value && bench.value <= high, "{bench:?}");
            assert!(bench.extra.as_ref().unwrap().contains("2 threads"));
        }
    }
    let names: std::collections::BTreeSet<_> = smaller.iter().map(|b| &b.name).collect();
    assert_eq!(names.len(), smaller.len(), "a name is a series");
    let row = &record.summary[0];
    let time =
        smaller.iter().find(|b| b.name == format!("{} time", key(&row.point, &row.contender))).unwrap();
    assert_eq!((time.value, time.unit.as_str()), (row.median_ns as f64, "ns"));
}

/// critcmp: what it reads back from its own `--export`. It takes files without a slope since 0.1.8.
#[derive(Debug, Deserialize)]
struct Exported {
    name: String,
    benchmarks: BTreeMap<String, CritBench>,
}

#[derive(Debug, Deserialize)]
struct CritBench {
    baseline: String,
    fullname: String,
    criterion_benchmark_v1: CritInfo,
    criterion_estimates_v1: CritEstimates,
}

#[derive(Debug, Deserialize)]
struct CritInfo {
    group_id: String,
    function_id: Option<String>,
    full_id: String,
    #[allow(dead_code)]
    value_str: Option<String>,
    directory_name: String,
}

#[derive(Debug, Deserialize)]
struct CritEstimates {
    mean: CritStats,
    median: CritStats,
    median_abs_dev: CritStats,
    slope: Option<CritStats>,
    std_dev: CritStats,
}

#[derive(Debug, Deserialize)]
struct CritStats {
    confidence_interval: CritInterval,
    point_estimate: f64,
    standard_error: f64,
}

#[derive(Debug, Deserialize)]
struct CritInterval {
    confidence_level: f64,
    lower_bound: f64,
    upper_bound: f64,
}

#[test]
fn critcmp_export() {
    let (record, side) = sides();
    let text = Target::Critcmp.write(&record, &side, "mine").unwrap();
    assert_eq!(text, Target::Critcmp.write(&record, &side, "mine").unwrap(), "the same bytes again");
    let file: Exported = serde_json::from_str(&text).unwrap();
    assert_eq!((file.name.as_str(), file.benchmarks.len()), ("mine", 5));
    for (id, bench) in &file.benchmarks {
        let info = &bench.criterion_benchmark_v1;
        assert_eq!(
            (&bench.baseline, &bench.fullname, &info.full_id),
            (&file.name, &format!("mine/{id}"), id)
        );
        assert_eq!(*id, key(&info.group_id, info.function_id.as_deref().unwrap()));
        assert!(info.directory_name.chars().all(|c| c.is_ascii_alphanumeric() || "-/".contains(c)));
        let own = |s: &&crate::record::Sample| key(&s.point, &s.contender) == *id;
        let walls: Vec<f64> = record.samples.iter().filter(own).map(|s| s.wall_ns as f64).collect();
        let n = walls.len() as f64;
        let e = &bench.criterion_estimates_v1;
        assert!(e.slope.is_none());
        let centre = walls.iter().sum::<f64>() / n;
        let sd = (walls.iter().map(|w| (w - centre).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
        assert!((e.mean.point_estimate / centre - 1.0).abs() < 1e-12);
        assert!((e.std_dev.point_estimate / sd - 1.0).abs() < 1e-9);
        // The standard error of a mean is known in closed form; 1,000 resamples give it to about 2 %.
        assert!((e.mean.standard_error / (sd / n.sqrt()) - 1.0).abs() < 0.15, "{:?}", e.mean);
        assert_eq!(e.median.point_estimate, median(&walls));
        assert_eq!(e.median_abs_dev.point_estimate, mad(&walls));
        for s in [&e.mean, &e.median, &e.median_abs_dev, &e.std_dev] {
            let i = &s.confidence_interval;
            assert!(i.confidence_level == 0.95 && s.standard_error > 0.0);
            assert!(i.lower_bound <= s.point_estimate && s.point_estimate <= i.upper_bound, "{s:?}");
        }
    }
}

#[test]
fn a_single_sample_has_no_spread() {
    assert_eq!(deviation(&[5.0]), 0.0);
    assert_eq!(deviation(&[1.0, 3.0]), 2.0_f64.sqrt());
}

/// Records that differ in what they measured have no key in common; those that do not have all of them, whatever their
/// revision and date.
#[test]
fn keys_tell_threads_and_data_apart_and_stay_from_revision_to_revision() {
    let (record, _) = sides();
    let keys = |change: &dyn Fn(&mut Record)| {
        let mut record = record.clone();
        change(&mut record);
        let text = Target::Bmf.write(&record, &Side::of(&record).unwrap(), "n").unwrap();
        let file: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
        file.into_keys().collect::<HashSet<_>>()
    };
    let before = keys(&|_| ());
    let later = keys(&|r| {
        (r.run.rev, r.run.started) = ("def5678".into(), "2026-12-01T00:00:00Z".into());
        r.run.argv = vec!["x".into()];
    });
    assert_eq!(before, later);
    let line = |hash: &str| format!("digits: 1437 training + 360 test rows, 64 -> 10, sha256 {hash}");
    let changes: [&dyn Fn(&mut Record); 3] =
        [&|r| r.run.threads = 3, &|r| r.run.data = vec![line("7dd4bbfb0ccd9d2c")], &|r| {
            r.run.data = vec![line("7dd4bbfa0ccd9d2c")]
        }];
    let all: Vec<HashSet<String>> = std::iter::once(before).chain(changes.map(keys)).collect();
    for (i, a) in all.iter().enumerate() {
        assert!(a.len() == 5 && all[..i].iter().all(|b| a.is_disjoint(b)), "{a:?}");
    }
}

#[test]
fn data_are_those_that_the_benchmark_asked_for() {
    let sets = [
        "digits: 1 sha256 0123456789",
        "idx: 2 sha256 aaaaaaaaaa",
        "mnist: 3 sha256 bbbbbbbbbb",
        "teacher: 4 sha256 c",
    ];
    let data = |kind, sets: &[&str]| data(&sets.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>(), kind);
    for (kind, expected) in [
        ("digits", "digits-01234567"),
        ("mnist", "mnist-bbbbbbbb"),
        ("folder", "idx-aaaaaaaa"),
        ("teacher", "teacher"),
    ] {
        assert_eq!(data(Some(kind), &sets), expected);
    }
    assert_eq!(data(Some("digits"), &sets[1..]), "idx-aaaaaaaa");
    assert_eq!(data(Some("digits"), &sets[2..]), "mnist-bbbbbbbb");
    assert_eq!(data(None, &sets[2..]), "mnist-bbbbbbbb");
}

#[test]
fn two_results_of_one_key_are_refused() {
    let (record, mut side) = sides();
    side.entries.push(side.entries[0].clone());
    for target in Target::ALL {
        let refused = target.write(&record, &side, "n").unwrap_err().to_string();
        assert!(
            refused.contains("bp/reference (data=digits, threads=2)` would be the key of two"),
            "{refused}"
        );
    }
}

/// Two runs of one suite are two baselines, unless they are one and the same.
#[test]
fn a_record_is_called_after_suite_start_and_revision() {
    let (record, _) = sides();
    let mut run = record.run;
    assert_eq!(default_name(&run), "small-20261122T053600Z-abc1234");
    (run.dirty, run.shard) = (true, Some("2/3".parse().unwrap()));
    assert_eq!(default_name(&run), "small-20261122T053600Z-abc1234+dirty-2of3");
}
