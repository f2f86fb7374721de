//! A record in the formats of programs that follow benchmarks over time.
//!
//! | format | for | content |
//! | --- | --- | --- |
//! | `bmf` | Bencher | `{bench: {measure: {value, lower_value, upper_value}}}` |
//! | `gha-smaller`, `gha-bigger` | github-action-benchmark, one file per direction | `[{name, unit, value, range, extra}]` |
//! | `critcmp` | critcmp | `{name, benchmarks: {bench: {baseline, fullname, …}}}`, as `critcmp --export` writes |
//!
//! A benchmark is `<point>/<contender> (data=<name>-<8 digits of its SHA-256>, threads=<n>)`. Names are tracking keys:
//! they say what was measured, so that two records share one only where one continues the other, and stay the same from
//! revision to revision. Contenders that failed are left out: none of the formats knows a failure, and a zero would be
//! a lie.

use std::collections::{BTreeMap, HashMap, HashSet};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{json, Map, Value};

use super::side::{Entry, Side};
use crate::data::KINDS;
use crate::record::{slug, Record, Run};
use crate::stats::{mad, median, quantile, PairedRatio};
use crate::suite::wire::SuiteWire;
use crate::{Error, Result};

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

    /// The file's content; `side` is that of the record, and `name` what critcmp calls the record.
    ///
    /// # Errors
    /// If two entries would have one key.
    pub fn write(self, record: &Record, side: &Side, name: &str) -> Result<String> {
        let series = series(record, side)?;
        let value = match self {
            Self::Bmf => bmf(&series),
            Self::GhaSmaller => gha_smaller(record, side, &series),
            Self::GhaBigger => gha_bigger(record, side, &series),
            Self::Critcmp => critcmp(record, &series, name),
        };
        // Pretty, since these files are looked at and kept in repositories. A `Value` can always be written.
        Ok(format!("{value:#}\n"))
    }
}

/// What a record is called unless the user names it: suite, start and revision, and which shard.
pub fn default_name(run: &Run) -> String {
    let started: String =
        run.started.chars().filter(|c| c.is_ascii_digit() || *c == 'T' || *c == 'Z').collect();
    let dirty = if run.dirty { "+dirty" } else { "" };
    let part = run.shard.map(|shard| format!("-{}of{}", shard.index(), shard.of())).unwrap_or_default();
    format!("{}-{started}-{}{dirty}{part}", run.suite, run.rev)
}

/// What was timed without failing.
struct Series<'a> {
    /// The tracking key.
    key: String,
    entry: &'a Entry,
    time: PairedRatio,
}

fn series<'a>(record: &Record, side: &'a Side) -> Result<Vec<Series<'a>>> {
    // A definition that this version does not read has no data sets by benchmark; then all stand in every key.
    let suite = toml::from_str::<SuiteWire>(&record.run.definition).ok();
    let benchmarks: HashMap<&str, &str> =
        record.summary.iter().map(|row| (row.point.as_str(), row.benchmark.as_str())).collect();
    let mut keys = HashSet::new();
    let mut all = Vec::new();
    for entry in side.entries.iter().filter(|e| e.err.is_empty()) {
        let Some(time) = entry.time else { continue };
        let benchmark = benchmarks.get(entry.point.as_str()).copied().unwrap_or_default();
        let kind = suite
            .as_ref()
            .and_then(|s| s.benchmark.iter().find(|b| b.name == benchmark))
            .map(|b| b.data.as_str());
        let data = data(&side.data, kind);
        let key = format!("{}/{} (data={data}, threads={})", entry.point, entry.contender, side.threads);
        if !keys.insert(key.clone()) {
            let problem =
                format!("`{key}` would be the key of two results; give a record that holds it once");
            return Err(Error::content(&record.dir, problem));
        }
        all.push(Series { key, entry, time });
    }
    Ok(all)
}

/// The data of a benchmark that asks for `kind`, by name and fingerprint: a name proves little, since two folders of the
/// same name may hold different data. Data of any size follow from seed and point.
fn data(sets: &[String], kind: Option<&str>) -> String {
    let sized = |name: &str| KINDS.into_iter().any(|kind| kind.sized && kind.name == name);
    if let Some(kind) = kind.filter(|kind| sized(kind)) {
        return kind.to_owned();
    }
    let name = |set: &str| set.split(':').next().unwrap_or_default().to_owned();
    let called = |wanted: &str| sets.iter().filter(|set| name(set) == wanted).collect::<Vec<_>>();
    // What asks for the digits or for a folder gets what `--data` names: files are called by their format.
    let candidates =
        [kind.map(&called).unwrap_or_default(), called("idx"), called("cifar10"), called("cifar100")];
    let others = || sets.iter().filter(|set| !sized(&name(set))).collect();
    let own = candidates.into_iter().find(|own| !own.is_empty()).unwrap_or_else(others);
    let short = |set: &String| match set.rsplit_once("sha256 ") {
        Some((_, hash)) => format!("{}-{}", name(set), hash.chars().take(8).collect::<String>()),
        None => name(set),
    };
    own.into_iter().map(short).collect::<Vec<_>>().join("+")
}

/// Bencher Metric Format: measure `latency` in nanoseconds, median and 95 % interval, and for all but baselines
/// `cost-ratio`, time in units of the baseline's.
fn bmf(series: &[Series<'_>]) -> Value {
    let mut benches = Map::new();
    for Series { key, entry: e, time } in series {
        // Without an interval where there are too few rounds for one.
        let metric = |r: PairedRatio| match r.interval() {
            Some((low, high)) => json!({"value": r.ratio, "lower_value": low, "upper_value": high}),
            None => json!({"value": r.ratio}),
        };
        let mut measures = Map::new();
        measures.insert("latency".into(), metric(*time));
        if let Some(r) = e.ratio {
            measures.insert("cost-ratio".into(), metric(r));
        }
        benches.insert(key.clone(), Value::Object(measures));
    }
    Value::Object(benches)
}

/// For `customSmallerIsBetter`: median time in nanoseconds, and time in units of the baseline's.
fn gha_smaller(record: &Record, side: &Side, series: &[Series<'_>]) -> Value {
    gha(record, side, series, |e| {
        let time = e.time.map(|t| ("time", "ns".to_owned(), [t.low, t.ratio, t.high]));
        let ratio = e.ratio.map(|r| ("cost", format!("x {}", e.baseline), [r.low, r.ratio, r.high]));
        time.into_iter().chain(ratio).collect()
    })
}

/// For `customBiggerIsBetter`: weight updates per second, and rate in units of the baseline's.
fn gha_bigger(record: &Record, side: &Side, series: &[Series<'_>]) -> Value {
    gha(record, side, series, |e| {
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

fn gha(
    record: &Record,
    side: &Side,
    series: &[Series<'_>],
    quantities: impl Fn(&Entry) -> Vec<Quantity>,
) -> Value {
    let mut list = Vec::new();
    for Series { key, entry, time } in series {
        let extra = format!(
            "{}, {} threads, revision {}, {} samples",
            side.class, side.threads, record.run.rev, time.pairs
        );
        for (what, unit, [low, value, high]) in quantities(entry) {
            let mut measurement = json!({
                "name": format!("{key} {what}"),
                "unit": unit,
                "value": value,
                "extra": extra,
            });
            // One end is zero or infinite where there are too few rounds for an interval.
            if low > 0.0 && high.is_finite() {
                measurement["range"] = format!("{low} to {high}").into();
            }
            list.push(measurement);
        }
    }
    Value::Array(list)
}

/// As `critcmp --export` writes: one baseline, called `baseline`, with the estimates that criterion keeps.
///
/// Mean, median, median absolute deviation and standard deviation of the samples in nanoseconds; intervals (95 %) and
/// standard errors from 1,000 bootstrap resamples under the run's seed. There is no slope, for one sample is one
/// execution.
fn critcmp(record: &Record, series: &[Series<'_>], baseline: &str) -> Value {
    let mut samples: BTreeMap<(&str, &str), Vec<f64>> = BTreeMap::new();
    for s in &record.samples {
        samples.entry((&s.point, &s.contender)).or_default().push(s.wall_ns as f64);
    }
    let mut benchmarks = Map::new();
    for Series { key: id, entry: e, .. } in series {
        let Some(walls) = samples.get(&(e.point.as_str(), e.contender.as_str())) else { continue };
        let info = json!({
            "group_id": e.point,
            "function_id": e.contender,
            "value_str": null,
            "throughput": null,
            "full_id": id,
            "directory_name": slug(id),
        });
        let bench = json!({
            "baseline": baseline,
            "fullname": format!("{baseline}/{id}"),
            "criterion_benchmark_v1": info,
            "criterion_estimates_v1": estimates(walls, record.run.seed),
        });
        benchmarks.insert(id.clone(), bench);
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

#[cfg(test)]
#[path = "export_tests.rs"]
mod tests;
