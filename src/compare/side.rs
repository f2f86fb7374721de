//! One side of a comparison.

use std::collections::{BTreeMap, HashMap};

use super::build::Build;
use super::compatibility::{facts, hash};
use crate::measure::exact::Exact;
use crate::record::{summarise, RatioRow, Record, SummaryRow};
use crate::stats::{noise_floor, quantile, quiet_ratio, ratio_over_instances, PairedRatio, Rounds, QUIET};
use crate::suite::axis::Settings;
use crate::suite::wire::SuiteWire;
use crate::Result;

/// Everything timed in a measurement, with what it takes to judge whether it compares.
#[derive(Debug, Clone, PartialEq)]
pub struct Side {
    /// What to call it: the folder of the record, or the baseline file.
    pub name: String,
    /// Machine class.
    pub class: String,
    /// Worker threads.
    pub threads: usize,
    /// What counts of instructions hang on besides the code.
    pub build: Build,
    /// Data sets, one line each (see [`Run::data`](crate::record::Run::data)).
    pub data: Vec<String>,
    /// One per timed point and contender, in the order of the record.
    pub entries: Vec<Entry>,
}

/// One contender at one point.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Point id.
    pub point: String,
    /// Contender id.
    pub contender: String,
    /// Contender that the ratio is to; its own id if it is a baseline itself.
    pub baseline: String,
    /// What the contender ran with; in a baseline file, which keeps depth and steps only, the point's where it does not
    /// say.
    pub settings: Settings,
    /// SHA-256, in hex, of the facts that define what was measured: see [`Entry::facts`].
    pub definition_sha256: String,
    /// Those facts by name; empty where only their hash was kept.
    ///
    /// The hash of a whole suite would be too coarse: two suites that share a point measure the same there, and a
    /// change of the sampling limits or of a neighbouring benchmark moves nothing. So only these count: model and
    /// clock, seed, data, architecture, network, loss, placement, optimiser and learning rates of contender and baseline, steps,
    /// step size, dtype, device and its set-up. How long it was sampled, and what was said about it, do not.
    pub facts: BTreeMap<String, String>,
    /// Time in units of the baseline's, from paired rounds; absent for baselines and failures.
    pub ratio: Option<PairedRatio>,
    /// How far from 1 the control of its baseline may lie at this point (see [`noise_floor`]).
    pub noise_floor: Option<f64>,
    /// Median wall time in nanoseconds, in the fields of a ratio to 1 ns, with the interval that its instances give;
    /// absent for failures.
    pub time: Option<PairedRatio>,
    /// [`QUIET`] quantile of wall time in nanoseconds; absent for failures.
    pub quiet_ns: Option<f64>,
    /// The ratio in quiet rounds ([`quiet_ratio`]); absent for baselines and failures.
    pub quiet_ratio: Option<f64>,
    /// Share of the time for which other programs kept this one from running while it measured, if that was too much for
    /// a change to be believed; absent if it was not measured, as for a record.
    ///
    /// Contention does not slow all contenders alike: long updates are interrupted more often than short ones, and those
    /// that stream through memory lose more of a shared cache.
    pub waited: Option<f64>,
    /// Counted work.
    pub work: Work,
    /// What one update was counted to ask of the machine.
    pub exact: Exact,
    /// Why there is no result; empty on success.
    pub err: String,
}

/// Work of one weight update, counted exactly: see [`SummaryRow`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Matrix products.
    pub gemms: u64,
    /// Their FLOPs.
    pub gemm_flops: u64,
    /// Element-wise operations.
    pub elementwise_flops: u64,
    /// Bytes.
    pub bytes: u64,
    /// Sequential matrix products.
    pub critical_path: u64,
}

impl Work {
    /// Names and values.
    pub fn columns(&self) -> [(&'static str, u64); 5] {
        [
            ("gemms", self.gemms),
            ("gemm_flops", self.gemm_flops),
            ("elementwise_flops", self.elementwise_flops),
            ("bytes", self.bytes),
            ("critical_path", self.critical_path),
        ]
    }
}

impl Side {
    /// The timed part of a record.
    ///
    /// # Errors
    /// If the summaries of the record are not those of its samples: what is compared is what was measured.
    pub fn of(record: &Record) -> Result<Self> {
        summarise::check(record)?;
        let ratios: HashMap<_, _> =
            record.ratios.iter().map(|r| ((r.point.as_str(), r.contender.as_str()), r)).collect();
        // A definition that this version does not read any more still has its hash.
        let suite = toml::from_str::<SuiteWire>(&record.run.definition).ok();
        let timed = record.summary.iter().filter(|row| row.model == "weight-update");
        let mut entries: Vec<Entry> = timed.map(|row| entry(record, row, &ratios, suite.as_ref())).collect();
        let times = times(record);
        entries.iter_mut().for_each(|e| set_times(e, &times));
        Ok(Self {
            name: record.dir.display().to_string(),
            class: record.machine.class.clone(),
            threads: record.run.threads,
            build: Build::of(record),
            data: record.run.data.clone(),
            entries,
        })
    }

    /// This side, known to have been kept waiting for this share of the time, which is too much (see [`Entry::waited`]).
    pub fn having_waited(mut self, share: Option<f64>) -> Self {
        self.entries.iter_mut().for_each(|e| e.waited = share);
        self
    }

    /// The entry of a contender at a point.
    pub fn get(&self, point: &str, contender: &str) -> Option<&Entry> {
        self.entries.iter().find(|e| e.point == point && e.contender == contender)
    }
}

/// Wall times by point and contender, then by instance and round.
type Times<'a> = HashMap<(&'a str, &'a str), BTreeMap<(u32, u32), f64>>;

fn times(record: &Record) -> Times<'_> {
    let mut times = Times::new();
    for s in &record.samples {
        let of_contender = times.entry((s.point.as_str(), s.contender.as_str())).or_default();
        of_contender.insert((s.instance, s.round), s.wall_ns.max(1) as f64);
    }
    times
}

/// Quiet times, and the interval of the median time.
fn set_times(e: &mut Entry, times: &Times<'_>) {
    let own = times.get(&(e.point.as_str(), e.contender.as_str())).filter(|_| e.err.is_empty());
    let other = times.get(&(e.point.as_str(), e.baseline.as_str())).filter(|_| e.contender != e.baseline);
    let mut instances = BTreeMap::<u32, Rounds>::new();
    for ((instance, _), wall) in own.into_iter().flatten() {
        let (walls, units) = instances.entry(*instance).or_default();
        walls.push(*wall);
        units.push(1.0);
    }
    let walls: Vec<Rounds> = instances.into_values().collect();
    let quiet_ns = own.map(|own| quantile(&own.values().copied().collect::<Vec<_>>(), QUIET));
    let quiet_ratio = own.zip(other).and_then(|(own, other)| {
        let pairs: Vec<_> = own.iter().filter_map(|(at, a)| Some((*a, *other.get(at)?))).collect();
        quiet_ratio(&pairs)
    });
    // About the median of all samples, which is the time that a record states.
    let about = |median: f64, r: PairedRatio| PairedRatio {
        ratio: median,
        low: median * (r.low / r.ratio),
        high: median * (r.high / r.ratio),
        ..r
    };
    e.time = e.time.zip(ratio_over_instances(&walls)).map(|(time, r)| about(time.ratio, r));
    (e.quiet_ns, e.quiet_ratio) = (quiet_ns.filter(|q| q.is_finite()), quiet_ratio);
}

fn entry(
    record: &Record,
    row: &SummaryRow,
    ratios: &HashMap<(&str, &str), &RatioRow>,
    suite: Option<&SuiteWire>,
) -> Entry {
    let paired = |contender: &str| {
        let r = ratios.get(&(row.point.as_str(), contender))?;
        Some(PairedRatio {
            ratio: r.ratio,
            low: r.low.unwrap_or(0.0),
            high: r.high.unwrap_or(f64::INFINITY),
            pairs: r.pairs,
            instances: r.instances,
            freedom: r.freedom,
        })
    };
    let benchmark = suite.and_then(|s| s.benchmark.iter().find(|b| b.name == row.benchmark));
    let facts = facts(record, row, benchmark);
    let control = paired(&format!("{}{}", row.baseline, summarise::CONTROL));
    // A benchmark controls one baseline; contenders against another one are as noisy as that.
    let any = || {
        let mut controls = ratios.values().filter(|r| r.point == row.point);
        let found = controls.find(|r| r.contender.ends_with(summarise::CONTROL))?;
        paired(&found.contender)
    };
    // Its interval comes from the samples.
    let time = (row.n > 0 && row.err.is_empty())
        .then(|| PairedRatio { ratio: row.median_ns.max(1) as f64, ..PairedRatio::UNKNOWN });
    Entry {
        point: row.point.clone(),
        contender: row.contender.clone(),
        baseline: row.baseline.clone(),
        settings: Settings::new(|axis| row.axis(axis)),
        definition_sha256: hash(&facts),
        facts,
        ratio: paired(&row.contender).filter(|_| row.contender != row.baseline),
        noise_floor: control.or_else(any).and_then(|c| noise_floor(&c)),
        time,
        quiet_ns: None,
        quiet_ratio: None,
        waited: None,
        work: Work {
            gemms: row.gemms,
            gemm_flops: row.gemm_flops,
            elementwise_flops: row.elementwise_flops,
            bytes: row.bytes,
            critical_path: row.critical_path,
        },
        exact: row.exact(),
        err: row.err.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    /// In 9 rounds of 36 both are quiet and sPC takes 3 times as long; in the others, which are slower on one side or
    /// on both, it takes 7 or 28 times or a quarter. Rounds of which one side is missing do not count, and those after
    /// them are not paired with the next one instead.
    #[test]
    fn quiet_ratios_are_of_a_contender_to_its_baseline_in_one_round() {
        let mut times = Times::new();
        let mut put = |contender: &'static str, round: u32, wall: f64| {
            times.entry(("p", contender)).or_default().insert((round % 2, round), wall);
        };
        put("bp/reference", 0, 1.0);
        put("bp/reference", 1, 1.0);
        for round in 4..40 {
            let (own, other) = match round % 4 {
                0 => (30.0, 10.0),
                1 => (700.0, 100.0),
                2 => (140.0, 5.0),
                _ => (25.0, 100.0),
            };
            // a speed of its own for each round, so that pairs across rounds have other ratios
            let speed = 1.0 + 0.01 * f64::from(round - 4);
            put("spc/reference", round, own * speed);
            put("bp/reference", round, other * speed);
        }
        put("spc/reference", 100, 1.0);
        let of = |contender: &str, err: &str| {
            let mut e = Entry { err: err.into(), ..fixture::entry("p", contender, 3.0, 0.3) };
            set_times(&mut e, &times);
            (e.quiet_ratio, e.quiet_ns)
        };
        let (ratio, quiet) = of("spc/reference", "");
        assert!((ratio.unwrap() - 3.0).abs() < 1e-12, "{ratio:?}");
        // of 37 samples a tenth is between the fourth and the fifth of 1, 25·1.03, 25·1.07, 25·1.11 and 25·1.15
        assert!((25.0 * 1.11..25.0 * 1.15).contains(&quiet.unwrap()), "{quiet:?}");
        assert_eq!(of("bp/reference", "").0, None, "a baseline has no ratio");
        assert_eq!(of("spc/reference", "diverged"), (None, None));
    }
}
