//! A record in the formats of programs that follow benchmarks over time.
//!
//! | format | for | content |
//! | --- | --- | --- |
//! | [`bmf`] | Bencher | `{bench: {measure: {value, lower_value, upper_value}}}` |
//! | [`gha_smaller`], [`gha_bigger`] | github-action-benchmark, one file per direction | `[{name, unit, value, range, extra}]` |
//! | [`critcmp`] | critcmp | `{name, benchmarks: {bench: {baseline, fullname, …}}}`, as `critcmp --export` writes |
//!
//! A benchmark is `<point>/<contender>`; names are tracking keys and stay stable. Contenders that failed are left out:
//! none of the formats knows a failure, and a zero would be a lie.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{json, Map, Value};

use super::side::{Entry, Side};
use crate::record::{slug, Record};
use crate::stats::{mad, median, quantile, PairedRatio};

/// A format, with the file name that `gate` gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Target {
    /// Bencher Metric Format
    Bmf,
    /// github-action-benchmark, customSmallerIsBetter: times, and times over the baseline's
    GhaSmaller,
    /// github-action-benchmark, customBiggerIsBetter: weight updates per second, and rates over the baseline's
    GhaBigger,
    /// critcmp: times only, for it knows no other measure
    Critcmp,
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Bmf, Self::GhaSmaller, Self::GhaBigger, Self::Critcmp];

    /// File name.
    pub fn file(self) -> &'static str {
        match self {
            Self::Bmf => "bmf.json",
            Self::GhaSmaller => "gha-smaller.json",
            Self::GhaBigger => "gha-bigger.json",
            Self::Critcmp => "critcmp.json",
        }
    }

    /// The file's content; `side` is that of the record.
    pub fn write(self, record: &Record, side: &Side) -> String {
        let value = match self {
            Self::Bmf => bmf(side),
            Self::GhaSmaller => gha_smaller(record, side),
            Self::GhaBigger => gha_bigger(record, side),
            Self::Critcmp => critcmp(record, side),
        };
        // Pretty, since these files are looked at and kept in repositories. A `Value` can always be written.
        format!("{value:#}\n")
    }
}

fn name(e: &Entry) -> String {
    format!("{}/{}", e.point, e.contender)
}

/// Bencher Metric Format: measure `latency` in nanoseconds, median and 95 % interval, and for all but baselines
/// `cost-ratio`, time in units of the baseline's.
pub fn bmf(side: &Side) -> Value {
    let mut benches = Map::new();
    for (e, time) in timed(side) {
        // Without an interval where there are too few rounds for one.
        let metric = |r: PairedRatio| match r.interval() {
            Some((low, high)) => json!({"value": r.ratio, "lower_value": low, "upper_value": high}),
            None => json!({"value": r.ratio}),
        };
        let mut measures = Map::new();
        measures.insert("latency".into(), metric(time));
        if let Some(r) = e.ratio {
            measures.insert("cost-ratio".into(), metric(r));
        }
        benches.insert(name(e), Value::Object(measures));
    }
    Value::Object(benches)
}

/// For `customSmallerIsBetter`: median time in nanoseconds, and time in units of the baseline's.
pub fn gha_smaller(record: &Record, side: &Side) -> Value {
    gha(record, side, |e| {
        let time = e.time.map(|t| ("time", "ns".to_owned(), [t.low, t.ratio, t.high]));
        let ratio = e.ratio.map(|r| ("cost", format!("x {}", e.baseline), [r.low, r.ratio, r.high]));
        time.into_iter().chain(ratio).collect()
    })
}

/// For `customBiggerIsBetter`: weight updates per second, and rate in units of the baseline's.
pub fn gha_bigger(record: &Record, side: &Side) -> Value {
    gha(record, side, |e| {
        let rate = |t: f64| 1e9 / t;
        let rates =
            e.time.map(|t| ("rate", "samples/s".to_owned(), [rate(t.high), rate(t.ratio), rate(t.low)]));
        let over = |r: f64| 1.0 / r;
        let speed = e
            .ratio
            .map(|r| ("speed", format!("x {}", e.baseline), [over(r.high), over(r.ratio), over(r.low)]));
        rates.into_iter().chain(speed).collect()
    })
}

type Quantity = (&'static str, String, [f64; 3]);

fn gha(record: &Record, side: &Side, quantities: impl Fn(&Entry) -> Vec<Quantity>) -> Value {
    let mut list = Vec::new();
    for (e, time) in timed(side) {
        let extra = format!(
            "{}, {} threads, revision {}, {} samples",
            side.class, side.threads, record.run.rev, time.pairs
        );
        for (what, unit, [low, value, high]) in quantities(e) {
            let mut entry = json!({
                "name": format!("{} {what}", name(e)),
                "unit": unit,
                "value": value,
                "extra": extra,
            });
            // One end is zero or infinite where there are too few rounds for an interval.
            if low > 0.0 && high.is_finite() {
                entry["range"] = format!("{low} to {high}").into();
            }
            list.push(entry);
        }
    }
    Value::Array(list)
}

/// As `critcmp --export` writes: one baseline, called after the suite, with the estimates that criterion keeps.
///
/// Mean, median, median absolute deviation and standard deviation of the samples in nanoseconds; intervals (95 %) and
/// standard errors from 1,000 bootstrap resamples under the run's seed. There is no slope, for one sample is one
/// execution.
pub fn critcmp(record: &Record, side: &Side) -> Value {
    let baseline = record.run.suite.as_str();
    let mut samples: BTreeMap<(&str, &str), Vec<f64>> = BTreeMap::new();
    for s in &record.samples {
        samples.entry((&s.point, &s.contender)).or_default().push(s.wall_ns as f64);
    }
    let mut benchmarks = Map::new();
    for (e, _) in timed(side) {
        let Some(walls) = samples.get(&(e.point.as_str(), e.contender.as_str())) else { continue };
        let id = name(e);
        let info = json!({
            "group_id": e.point,
            "function_id": e.contender,
            "value_str": null,
            "throughput": null,
            "full_id": id,
            "directory_name": format!("{}/{}", slug(&e.point), slug(&e.contender)),
        });
        let bench = json!({
            "baseline": baseline,
            "fullname": format!("{baseline}/{id}"),
            "criterion_benchmark_v1": info,
            "criterion_estimates_v1": estimates(walls, record.run.seed),
        });
        benchmarks.insert(id, bench);
    }
    json!({"name": baseline, "benchmarks": benchmarks})
}

const RESAMPLES: usize = 1000;

type Statistic = fn(&[f64]) -> f64;

fn estimates(walls: &[f64], seed: u64) -> Value {
    let statistics: [(&str, Statistic); 4] =
        [("mean", mean), ("median", median), ("median_abs_dev", mad), ("std_dev", deviation)];
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut resample = walls.to_vec();
    let mut drawn = statistics.map(|_| Vec::with_capacity(RESAMPLES));
    for _ in 0..RESAMPLES {
        resample.fill_with(|| walls[rng.random_range(0..walls.len())]);
        for ((_, statistic), drawn) in statistics.iter().zip(&mut drawn) {
            drawn.push(statistic(&resample));
        }
    }
    let mut all = Map::new();
    for ((key, statistic), drawn) in statistics.iter().zip(&drawn) {
        let estimate = json!({
            "confidence_interval": {
                "confidence_level": 0.95,
                "lower_bound": quantile(drawn, 0.025),
                "upper_bound": quantile(drawn, 0.975),
            },
            "point_estimate": statistic(walls),
            "standard_error": deviation(drawn),
        });
        all.insert((*key).to_owned(), estimate);
    }
    all.insert("slope".into(), Value::Null);
    Value::Object(all)
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

/// Of a sample: divided by n − 1; 0 for a single value, of which nothing is known.
fn deviation(x: &[f64]) -> f64 {
    let centre = mean(x);
    let squares: f64 = x.iter().map(|v| (v - centre).powi(2)).sum();
    (squares / (x.len().max(2) - 1) as f64).sqrt()
}

fn timed(side: &Side) -> impl Iterator<Item = (&Entry, PairedRatio)> {
    side.entries.iter().filter(|e| e.err.is_empty()).filter_map(|e| Some((e, e.time?)))
}

#[cfg(test)]
#[path = "export_tests.rs"]
mod tests;
