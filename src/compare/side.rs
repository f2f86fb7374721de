//! One side of a comparison.

use std::collections::{BTreeMap, HashMap};

use super::exact::Build;
use super::facts::{facts, hash};
use crate::measure::exact::Exact;
use crate::record::{summarise, RatioRow, Record, SummaryRow};
use crate::stats::{median, median_ci, noise_floor, paired_ratio, quantile, PairedRatio, QUIET};
use crate::suite::wire::SuiteWire;
use crate::{Error, Result};

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
    /// L.
    pub depth: usize,
    /// T.
    pub steps: usize,
    /// SHA-256, in hex, of the facts that define what was measured: see [`Entry::facts`].
    pub definition_sha256: String,
    /// Those facts by name; empty where only their hash was kept.
    ///
    /// The hash of a whole suite would be too coarse: two suites that share a point measure the same there, and a
    /// change of the sampling limits or of a neighbouring benchmark moves nothing. So only these count: model and
    /// clock, seed, data, network, loss, placement, optimiser and learning rates of contender and baseline, steps,
    /// step size, dtype, device and its set-up. How long it was sampled, and what was said about it, do not.
    pub facts: BTreeMap<String, String>,
    /// Time in units of the baseline's, from paired rounds; absent for baselines and failures.
    pub ratio: Option<PairedRatio>,
    /// How far from 1 the control of its baseline may lie at this point (see [`noise_floor`]).
    pub noise_floor: Option<f64>,
    /// Median wall time in nanoseconds with its interval, in the fields of a ratio to 1 ns; absent for failures.
    pub time: Option<PairedRatio>,
    /// [`QUIET`] quantile of wall time in nanoseconds; absent for failures.
    pub quiet_ns: Option<f64>,
    /// That in units of the baseline's; absent for baselines and failures.
    pub quiet_ratio: Option<f64>,
    /// Share of the time for which other programs kept this one from running while it measured, if that was too much for
    /// a change to be believed; absent if nobody watched, as for a record.
    ///
    /// Contention does not slow all contenders alike: long updates are interrupted more often than short ones, and those
    /// that stream through memory lose more of a shared cache.
    pub waited: Option<f64>,
    /// Sessions that the samples are from: contenders built anew, each time measured for a while.
    pub sessions: usize,
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
        // Intervals of an older schema are narrower; sides are to be compared by one measure.
        let ratios = summarise::ratios(record)?;
        let ratios: HashMap<_, _> =
            ratios.iter().map(|r| ((r.point.as_str(), r.contender.as_str()), r)).collect();
        // A definition that this version does not read any more still has its hash.
        let suite = toml::from_str::<SuiteWire>(&record.run.definition).ok();
        let timed = record.summary.iter().filter(|row| row.model == "weight-update");
        let mut entries: Vec<Entry> = timed.map(|row| entry(record, row, &ratios, suite.as_ref())).collect();
        let times = [times(record)];
        entries.iter_mut().for_each(|e| set_quiet(e, &times));
        Ok(Self {
            name: record.dir.display().to_string(),
            class: record.machine.class.clone(),
            threads: record.run.threads,
            build: Build::of(record),
            data: record.run.data.clone(),
            entries,
        })
    }

    /// Several sessions of the same suite as one measurement: their rounds, one session after the other, as one series.
    ///
    /// # Errors
    /// As for [`of`](Self::of), or if there is no record or they do not hold the same points and contenders.
    pub fn pooled(records: &[Record]) -> Result<Self> {
        let sides = records.iter().map(Self::of).collect::<Result<Vec<_>>>()?;
        let Some(first) = sides.first() else {
            return Err(Error::Invalid("there is no record to take a side from".into()));
        };
        let mut pooled = first.clone();
        let sessions: Vec<Times<'_>> = records.iter().map(times).collect();
        for e in &mut pooled.entries {
            let mut counts = Vec::new();
            for (side, record) in sides.iter().zip(records) {
                let Some(other) = side.get(&e.point, &e.contender) else {
                    let problem =
                        format!("has no {} at {}, which the sessions before it have", e.contender, e.point);
                    return Err(Error::content(&record.dir, problem));
                };
                if e.err.is_empty() {
                    e.err.clone_from(&other.err);
                }
                counts.push(other.exact);
            }
            e.exact = Exact::typical(&counts);
            e.sessions = records.len();
            pool(e, &sessions);
        }
        Ok(pooled)
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

/// Wall times of one session by point, contender and round.
type Times<'a> = HashMap<(&'a str, &'a str), BTreeMap<u32, u64>>;

fn times(record: &Record) -> Times<'_> {
    let mut times = Times::new();
    for s in &record.samples {
        times.entry((s.point.as_str(), s.contender.as_str())).or_default().insert(s.round, s.wall_ns);
    }
    times
}

/// All wall times of a contender at a point, session after session.
fn walls(sessions: &[Times<'_>], point: &str, contender: &str) -> Vec<f64> {
    let of_sessions = sessions.iter().filter_map(|s| s.get(&(point, contender)));
    of_sessions.flat_map(|rounds| rounds.values().map(|&t| t.max(1) as f64)).collect()
}

fn set_quiet(e: &mut Entry, sessions: &[Times<'_>]) {
    let quiet = |id: &str| Some(quantile(&walls(sessions, &e.point, id), QUIET)).filter(|q| q.is_finite());
    let own = quiet(&e.contender).filter(|_| e.err.is_empty());
    let other = quiet(&e.baseline).filter(|_| e.contender != e.baseline);
    (e.quiet_ns, e.quiet_ratio) = (own, own.zip(other).map(|(own, other)| own / other));
}

/// Estimates from the rounds of all sessions.
fn pool(e: &mut Entry, sessions: &[Times<'_>]) {
    let paired = |contender: &str, baseline: &str| {
        let mut pairs: Vec<(f64, f64)> = Vec::new();
        for session in sessions {
            let (a, b) =
                (session.get(&(e.point.as_str(), contender))?, session.get(&(e.point.as_str(), baseline))?);
            let shared = a.iter().filter_map(|(round, &a)| Some((a, *b.get(round)?)));
            pairs.extend(shared.map(|(a, b)| (a.max(1) as f64, b.max(1) as f64)));
        }
        let (a, b): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
        paired_ratio(&a, &b)
    };
    let controlled = |id: &str| paired(&format!("{id}{}", summarise::CONTROL), id).map(|c| noise_floor(&c));
    // Whoever is controlled, as in a single record.
    let any = || {
        let mut names = sessions.first()?.keys().filter(|(point, _)| *point == e.point);
        names.find_map(|(_, id)| controlled(id.strip_suffix(summarise::CONTROL)?))
    };
    let noise = controlled(&e.baseline).or_else(any);
    let ratio = if e.contender == e.baseline { None } else { paired(&e.contender, &e.baseline) };
    let walls = walls(sessions, &e.point, &e.contender);
    let (low, high) = median_ci(&walls, 0.95);
    // Whole nanoseconds, as in a summary.
    let time = PairedRatio { ratio: median(&walls).round_ties_even(), low, high, pairs: walls.len() };
    let sound = e.err.is_empty();
    set_quiet(e, sessions);
    e.noise_floor = noise;
    e.ratio = ratio.filter(|_| sound);
    e.time = Some(time).filter(|_| sound && !walls.is_empty());
}

fn entry(
    record: &Record,
    row: &SummaryRow,
    ratios: &HashMap<(&str, &str), &RatioRow>,
    suite: Option<&SuiteWire>,
) -> Entry {
    let paired = |contender: &str| {
        let r = ratios.get(&(row.point.as_str(), contender))?;
        Some(PairedRatio { ratio: r.ratio, low: r.low, high: r.high, pairs: r.pairs })
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
    let time = (row.n > 0 && row.err.is_empty()).then(|| PairedRatio {
        ratio: row.median_ns.max(1) as f64,
        low: row.median_low_ns.max(1) as f64,
        high: row.median_high_ns.max(1) as f64,
        pairs: row.n,
    });
    Entry {
        point: row.point.clone(),
        contender: row.contender.clone(),
        baseline: row.baseline.clone(),
        depth: row.depth,
        steps: row.steps,
        definition_sha256: hash(&facts),
        facts,
        ratio: paired(&row.contender).filter(|_| row.contender != row.baseline),
        noise_floor: control.or_else(any).map(|c| noise_floor(&c)),
        time,
        quiet_ns: None,
        quiet_ratio: None,
        waited: None,
        sessions: 1,
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
