//! From raw samples to the numbers people quote; pure, so that any record can be recomputed.

use std::collections::{BTreeMap, BTreeSet};

use super::columns::Row;
use super::schema::{RatioRow, Record, Sample, SummaryRow};
use crate::engine::EngineKind;
use crate::stats::{median, median_ci, ratio_over_instances, Rounds, Spread};
use crate::{Error, Result};

/// Ends the id of an A/A control: the contender before it, measured a second time in every round, so
/// that its ratio shows what difference the method sees where there is none.
///
/// A control has samples and a ratio to its own contender, but no summary row: it is no result.
pub const CONTROL: &str = "~aa";

/// Confidence level of every interval.
const LEVEL: f64 = 0.95;

/// Relative difference at which a recomputed ratio counts as another one: `exp` and `ln` may differ in
/// the last digits between platforms. Times are integers and must be equal.
const SAME: f64 = 1e-12;

/// Fills the timing columns of the summary rows of one point from its samples, and returns its ratios.
///
/// Times are the wall clock. A row with `err` keeps zeros, and a contender without samples (a trace) too.
/// Ratios, in the order of the rows: each contender to its row's `baseline`, each control to its own contender;
/// paired by round, and only between contenders without `err`.
///
/// # Errors
/// If a sample belongs to none of the rows, or a contender has two samples in one round.
pub fn fill(rows: &mut [SummaryRow], samples: &[Sample]) -> Result<Vec<RatioRow>> {
    let times = by_contender(rows, samples)?;
    for row in rows.iter_mut() {
        let none = Times::new();
        let usable =
            if row.err.is_empty() { times.get(row.contender.as_str()).unwrap_or(&none) } else { &none };
        fill_row(row, usable);
        let sound = row.err.is_empty();
        let own = || samples.iter().filter(|s| sound && s.contender == row.contender);
        (row.contended, row.host_bound) = (contended(own()), host_bound(own()));
    }
    let mut ratios = Vec::new();
    for row in rows.iter().filter(|row| row.err.is_empty()) {
        let sound = |id: &str| rows.iter().any(|row| row.contender == id && row.err.is_empty());
        let control = format!("{}{CONTROL}", row.contender);
        let to_baseline = Some(&row.baseline[..])
            .filter(|b| *b != row.contender && sound(b))
            .map(|b| (&row.contender[..], b));
        for (contender, baseline) in to_baseline.into_iter().chain([(&control[..], &row.contender[..])]) {
            if let (Some(a), Some(b)) = (times.get(contender), times.get(baseline)) {
                ratios.extend(ratio(&row.point, (contender, a), (baseline, b)));
            }
        }
    }
    Ok(ratios)
}

/// How many times faster each contender is than the same rule on the same network executed by the reference engine:
/// t_reference/t_contender, paired by round, with the contender as `contender` and the reference as `baseline`.
///
/// None for contenders of the reference engine, for rules without one at the point, and where either has an `err`. No file
/// of a record holds these: they follow from its samples, and the ratios it holds are to baselines.
///
/// # Errors
/// As [`fill`].
pub fn speed_ups(record: &Record) -> Result<Vec<RatioRow>> {
    let samples = by_point(&record.samples);
    let mut all = Vec::new();
    let mut points: Vec<(&str, Vec<SummaryRow>)> = by_point(&record.summary).into_iter().collect();
    // In the order of the summary, in which depths are numbers.
    points.sort_by_key(|(point, _)| record.summary.iter().position(|row| row.point == *point));
    for (point, rows) in points {
        let times = by_contender(&rows, samples.get(point).map_or(&[][..], Vec::as_slice))
            .map_err(|e| differs::<Sample>(record, &e.to_string()))?;
        let sound = |id: &str| rows.iter().any(|row| row.contender == id && row.err.is_empty());
        for row in &rows {
            let name = row.contender.split('/').next().unwrap_or_default();
            let reference = format!("{name}/{}", EngineKind::Reference);
            if row.contender == reference || !sound(&row.contender) || !sound(&reference) {
                continue;
            }
            if let (Some(own), Some(other)) =
                (times.get(row.contender.as_str()), times.get(reference.as_str()))
            {
                let inverted = ratio(point, (&row.contender, other), (&reference, own));
                all.extend(inverted);
            }
        }
    }
    Ok(all)
}

/// Recomputes all timing columns and ratios of a record from its samples.
///
/// # Errors
/// Names the first number that differs, or the first sample without a summary row.
pub fn check(record: &Record) -> Result<()> {
    let ratios = by_point(&record.ratios);
    for (point, rows, recomputed, expected) in recompute(record)? {
        for (stored, expected) in rows.iter().zip(&recomputed) {
            check_row(record, stored, expected)?;
        }
        check_ratios(record, point, ratios.get(point).map_or(&[][..], Vec::as_slice), &expected)?;
    }
    Ok(())
}

/// A point, its summary rows, the same recomputed, and its ratios recomputed.
type Recomputed<'a> = (&'a str, Vec<SummaryRow>, Vec<SummaryRow>, Vec<RatioRow>);

fn recompute(record: &Record) -> Result<Vec<Recomputed<'_>>> {
    let samples = by_point(&record.samples);
    let points = by_point(&record.summary).into_iter().map(|(point, rows)| {
        let mut recomputed = rows.clone();
        let own = samples.get(point).map_or(&[][..], Vec::as_slice);
        let ratios = fill(&mut recomputed, own).map_err(|e| differs::<Sample>(record, &e.to_string()))?;
        Ok((point, rows, recomputed, ratios))
    });
    points.collect()
}

/// Share of a sample's wall clock from which its delay counts as contention.
const DISTURBED: f64 = 0.1;

/// Number of samples, all of one contender at one point, during which other work kept this process from running: its
/// threads waited for processors for more than 10 % of the sample's time, summed over threads.
///
/// On a machine at rest a thread that wakes finds a free processor and the sum is next to nothing; where all processors
/// are used, a task from elsewhere adds about as much as it runs. Waits may overlap, so a contended sample need not be 10 %
/// slower. The limit is absolute, not above the usual, because a machine that is always busy is no better than one that
/// is busy now and then. `None` without samples, or if one has no delay.
pub fn contended<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> Option<u64> {
    let beyond = |s: &Sample| Some(s.delay_ns? as f64 > DISTURBED * s.wall_ns as f64);
    let beyond: Vec<bool> = samples.into_iter().map(beyond).collect::<Option<_>>()?;
    (!beyond.is_empty()).then(|| beyond.iter().filter(|beyond| **beyond).count() as u64)
}

/// Median over samples of (wall − device)/wall, the share of the time that the host spent on its own; `None` if no
/// sample has a device time. A device clock ahead of the host's counts as no share.
pub fn host_bound<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> Option<f64> {
    let share = |s: &Sample| Some(s.wall_ns.saturating_sub(s.device_ns?) as f64 / s.wall_ns.max(1) as f64);
    let shares: Vec<f64> = samples.into_iter().filter_map(share).collect();
    (!shares.is_empty()).then(|| median(&shares))
}

/// Share of contended samples from which on a record warns, and a number is [marked](super::marks).
pub(super) const CROWDED: f64 = 0.05;

/// A sentence for the record if many of its samples are contended; controls, which have no rows, are not counted.
pub fn contention(record: &Record) -> Option<String> {
    let told = record.summary.iter().filter_map(|row| Some((row.contended?, row.n as u64)));
    let (contended, n) = told.fold((0, 0), |(a, b), (c, n)| (a + c, b + n));
    (contended as f64 > CROWDED * n as f64).then(|| {
        format!(
            "contended: during {contended} of {n} samples ({:.0} %) other work kept this process from running; \
             none was left out; end other work and run again",
            100.0 * contended as f64 / n as f64
        )
    })
}

/// Instance and wall time by round.
type Times = BTreeMap<u32, (u32, u64)>;

fn by_contender<'a>(rows: &[SummaryRow], samples: &'a [Sample]) -> Result<BTreeMap<&'a str, Times>> {
    let listed: BTreeSet<&str> = rows.iter().map(|row| row.contender.as_str()).collect();
    let mut times: BTreeMap<&str, Times> = BTreeMap::new();
    for sample in samples {
        let (point, id, round) = (&sample.point, sample.contender.as_str(), sample.round);
        if !listed.contains(id.strip_suffix(CONTROL).unwrap_or(id)) {
            return Err(Error::Invalid(format!(
                "samples of `{id}` at point `{point}`, which has no summary row"
            )));
        }
        if times.entry(id).or_default().insert(round, (sample.instance, sample.wall_ns)).is_some() {
            return Err(Error::Invalid(format!("two samples of `{id}` at point `{point}` in round {round}")));
        }
    }
    Ok(times)
}

fn fill_row(row: &mut SummaryRow, times: &Times) {
    let ns: Vec<u64> = times.values().map(|(_, ns)| *ns).collect();
    // All zero without samples.
    let spread = Spread::of(&ns).unwrap_or(Spread { min: 0, q1: 0, median: 0, q3: 0, mad: 0 });
    // Exact below 2^53 ns, 104 days.
    let interval = median_ci(&ns.iter().map(|&t| t as f64).collect::<Vec<_>>(), LEVEL);
    let interval = interval.map(|(low, high)| (low as u64, high as u64));
    row.n = ns.len();
    (row.min_ns, row.q1_ns, row.median_ns) = (spread.min, spread.q1, spread.median);
    (row.q3_ns, row.mad_ns) = (spread.q3, spread.mad);
    (row.median_low_ns, row.median_high_ns) = interval.unwrap_or((0, 0));
}

fn ratio(point: &str, (contender, a): (&str, &Times), (baseline, b): (&str, &Times)) -> Option<RatioRow> {
    let paired = ratio_over_instances(&rounds(a, b))?;
    let (low, high) = paired.interval().unzip();
    Some(RatioRow {
        point: point.to_owned(),
        contender: contender.to_owned(),
        baseline: baseline.to_owned(),
        ratio: paired.ratio,
        low,
        high,
        pairs: paired.pairs,
        instances: paired.instances,
        freedom: paired.freedom,
    })
}

/// The rounds that both have, by instance.
fn rounds(a: &Times, b: &Times) -> Vec<Rounds> {
    // A clock too coarse to see a difference must not make a ratio of zero or infinity.
    let time = |ns: u64| ns.max(1) as f64;
    let mut instances: BTreeMap<u32, Rounds> = BTreeMap::new();
    for (round, &(instance, own)) in a {
        if let Some(&(_, other)) = b.get(round) {
            let (a, b) = instances.entry(instance).or_default();
            a.push(time(own));
            b.push(time(other));
        }
    }
    instances.into_values().collect()
}

pub(super) fn by_point<R: Row + Clone>(rows: &[R]) -> BTreeMap<&str, Vec<R>> {
    let mut points: BTreeMap<&str, Vec<R>> = BTreeMap::new();
    for row in rows {
        points.entry(row.point()).or_default().push(row.clone());
    }
    points
}

fn check_row(record: &Record, stored: &SummaryRow, expected: &SummaryRow) -> Result<()> {
    let columns = |row: &SummaryRow| {
        [
            ("n", row.n as u64),
            ("min_ns", row.min_ns),
            ("q1_ns", row.q1_ns),
            ("median_ns", row.median_ns),
            ("q3_ns", row.q3_ns),
            ("mad_ns", row.mad_ns),
            ("median_low_ns", row.median_low_ns),
            ("median_high_ns", row.median_high_ns),
        ]
    };
    let refuse = |name: &str, found: String, samples: String| {
        let place = format!("point `{}`, contender `{}`", stored.point, stored.contender);
        let problem = format!("{place}: {name} is {found}, but the samples give {samples}");
        Err(differs::<SummaryRow>(record, &problem))
    };
    let mut pairs = columns(stored).into_iter().zip(columns(expected));
    if let Some(((name, found), (_, samples))) = pairs.find(|(stored, expected)| stored != expected) {
        return refuse(name, found.to_string(), samples.to_string());
    }
    let show = |value: Option<String>| value.unwrap_or_else(|| "absent".to_owned());
    if stored.contended != expected.contended {
        let text = |row: &SummaryRow| show(row.contended.map(|n| n.to_string()));
        return refuse("contended", text(stored), text(expected));
    }
    let equal = match (stored.host_bound, expected.host_bound) {
        (Some(a), Some(b)) => (a - b).abs() <= SAME * b.abs(),
        (a, b) => a.is_none() && b.is_none(),
    };
    if !equal {
        let text = |row: &SummaryRow| show(row.host_bound.map(|share| share.to_string()));
        return refuse("host_bound", text(stored), text(expected));
    }
    Ok(())
}

fn check_ratios(record: &Record, point: &str, stored: &[RatioRow], expected: &[RatioRow]) -> Result<()> {
    if stored.len() != expected.len() {
        let counts = format!("{} rows, but the samples give {}", stored.len(), expected.len());
        return Err(differs::<RatioRow>(record, &format!("point `{point}`: {counts}")));
    }
    let close = |a: f64, b: f64| (a - b).abs() <= SAME * b.abs();
    let same = |a: Option<f64>, b: Option<f64>| match (a, b) {
        (Some(a), Some(b)) => close(a, b),
        (a, b) => a.is_none() && b.is_none(),
    };
    for (found, samples) in stored.iter().zip(expected) {
        let numbers = |row: &RatioRow| (row.pairs, row.instances, row.freedom);
        let equal = (&found.contender, &found.baseline, numbers(found))
            == (&samples.contender, &samples.baseline, numbers(samples))
            && close(found.ratio, samples.ratio)
            && same(found.low, samples.low)
            && same(found.high, samples.high);
        if !equal {
            let show = |row: &RatioRow| {
                let RatioRow { contender, baseline, ratio, pairs, .. } = row;
                let interval = row.low.zip(row.high).map_or(String::new(), |(l, h)| format!(" [{l}, {h}]"));
                let of = format!(" of {} instances", row.instances);
                let freedom = row.freedom.map_or(String::new(), |f| format!(" with {f} degrees of freedom"));
                format!("{contender} to {baseline} {ratio}{interval} from {pairs} pairs{of}{freedom}")
            };
            let problem = format!("point `{point}`: {}, but the samples give {}", show(found), show(samples));
            return Err(differs::<RatioRow>(record, &problem));
        }
    }
    Ok(())
}

fn differs<R: Row>(record: &Record, problem: &str) -> Error {
    Error::content(&record.dir.join(R::FILE), problem)
}

#[cfg(test)]
#[path = "summarise_tests.rs"]
mod tests;
