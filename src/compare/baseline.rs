//! `results/<machine class>/baseline.toml`: the measurement that later ones are held against.
//!
//! It holds summaries rather than samples, which is all that a [change](crate::stats::change) is computed from:
//! estimate and 95 % interval of every ratio, in full digits, and how far its control lay from 1.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::side::{Entry, Side, Work};
use crate::record::{slug, Record};
use crate::stats::PairedRatio;
use crate::text::{one_line, read_text};
use crate::{Error, Result};

/// File name within the folder of a machine class.
pub const FILE: &str = "baseline.toml";

/// Version of the format; a reader refuses any other.
pub const SCHEMA: u32 = 1;

/// Half-width, as a factor minus one, from which on a ratio is too vague to notice a change of a few per cent.
pub const VAGUE: f64 = 0.02;

/// A baseline holds a few hundred bytes per contender and point.
const LIMIT: u64 = 8 << 20;

/// The file, key by key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// [`SCHEMA`] of the writer.
    pub schema: u32,
    /// Machine class it was measured on.
    pub machine_class: String,
    /// CPU model name, for people.
    pub cpu: String,
    /// Worker threads.
    pub threads: usize,
    /// Suite.
    pub suite: String,
    /// Names of the folders of the records that it was made from, one per session.
    pub records: Vec<String>,
    /// Start of the first, RFC 3339 UTC.
    pub started: String,
    /// Commit that was measured.
    pub rev: String,
    /// Whether the built tree differed from that commit.
    pub dirty: bool,
    /// Data sets, one line each.
    pub data: Vec<String>,
    /// One per point and contender.
    #[serde(default)]
    pub entry: Vec<EntryWire>,
}

/// One contender at one point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryWire {
    /// Point id.
    pub point: String,
    /// Contender id.
    pub contender: String,
    /// Contender that the ratio is to.
    pub baseline: String,
    /// L.
    pub depth: usize,
    /// T.
    pub steps: usize,
    /// Hash of what was measured: see [`Entry::facts`].
    pub definition_sha256: String,
    /// Counted matrix products.
    pub gemms: u64,
    /// Their FLOPs.
    pub gemm_flops: u64,
    /// Counted element-wise operations.
    pub elementwise_flops: u64,
    /// Counted bytes.
    pub bytes: u64,
    /// Sequential matrix products.
    pub critical_path: u64,
    /// Median wall time; judged only on the machine class and thread count that made it.
    pub median_ns: f64,
    /// Lower end of its 95 % interval.
    pub median_low_ns: f64,
    /// Upper end of its 95 % interval.
    pub median_high_ns: f64,
    /// Samples.
    pub n: usize,
    /// What the fastest tenth of them stay below (see [`QUIET`](crate::stats::QUIET)).
    pub quiet_ns: f64,
    /// exp(median over rounds of ln(t_contender / t_baseline)); absent for a baseline, as the four after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// Lower end of its 95 % interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// Upper end of its 95 % interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// Rounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pairs: Option<usize>,
    /// `quiet_ns` in units of the baseline's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet_ratio: Option<f64>,
    /// How far from 1 the control may lie, as a factor minus one; absent without a control.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise_floor: Option<f64>,
}

impl Baseline {
    /// The summaries of the sessions of one suite.
    ///
    /// # Errors
    /// If there is none, a contender failed, or nothing was timed: a gate against that would be open.
    pub fn of(records: &[Record]) -> Result<Self> {
        let side = Side::pooled(records)?;
        let Some(record) = records.first() else {
            return Err(Error::Invalid("there is no record to make a baseline of".into()));
        };
        if let Some(failed) = side.entries.iter().find(|e| !e.err.is_empty()) {
            let problem = format!(
                "cannot be a baseline: {} failed at {} ({})",
                failed.contender, failed.point, failed.err
            );
            return Err(Error::content(&record.dir, problem));
        }
        if side.entries.is_empty() {
            return Err(Error::content(&record.dir, "cannot be a baseline: it holds no timed point"));
        }
        Ok(Self {
            schema: SCHEMA,
            machine_class: side.class,
            cpu: record.machine.cpu.clone(),
            threads: side.threads,
            suite: record.run.suite.clone(),
            records: records
                .iter()
                .map(|r| r.dir.file_name().unwrap_or_default().to_string_lossy().into_owned())
                .collect(),
            started: record.run.started.clone(),
            rev: record.run.rev.clone(),
            dirty: record.run.dirty,
            data: side.data,
            entry: side.entries.into_iter().map(to_wire).collect(),
        })
    }

    /// How many ratios are known to no better than ±[`VAGUE`], of how many: a baseline made on a busy machine leaves
    /// everything held against it ambiguous, or worse.
    pub fn vague(&self) -> (usize, usize) {
        let ratios: Vec<(f64, f64)> = self.entry.iter().filter_map(|e| e.low.zip(e.high)).collect();
        let vague = ratios.iter().filter(|(low, high)| high / low > (1.0 + VAGUE).powi(2));
        (vague.count(), ratios.len())
    }

    /// Reads a file.
    ///
    /// # Errors
    /// Names the file, and the key or line that is missing, unknown or out of range.
    pub fn read(path: &Path) -> Result<Self> {
        let text = read_text("read the baseline", path, LIMIT)?;
        let refused = |e: toml::de::Error| {
            let before = e.span().and_then(|s| text.get(..s.start)).unwrap_or_default();
            let line = 1 + before.matches('\n').count();
            Error::content(path, format!("line {line}: {}", one_line(e.message())))
        };
        let value: toml::Table = toml::from_str(&text).map_err(refused)?;
        match value.get("schema").and_then(toml::Value::as_integer) {
            Some(found) if found == i64::from(SCHEMA) => {}
            Some(found) => {
                let problem = format!(
                    "schema {found}, but this version reads schema {SCHEMA}; make it again with `gate --update-baseline`"
                );
                return Err(Error::content(path, problem));
            }
            None => {
                return Err(Error::content(
                    path,
                    "key `schema` is missing or no number, so this is no baseline",
                ))
            }
        }
        let baseline: Self = toml::from_str(&text).map_err(refused)?;
        baseline.check(path)?;
        Ok(baseline)
    }

    /// Writes the file, all or nothing, into a folder that is made if there is none.
    ///
    /// # Errors
    /// If the file or its folder cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(|e| Error::io("create the folder", folder, e))?;
        }
        let body = toml::to_string(self).map_err(|e| {
            Error::content(path, format!("cannot be written as TOML: {}", one_line(&e.to_string())))
        })?;
        let head =
            "# Written by `pcnbench gate --update-baseline`; later measurements are held against it.\n";
        crate::record::replace(path, format!("{head}{body}").as_bytes())
    }

    /// What it measured, called `name`.
    pub fn side(&self, name: String) -> Side {
        Side {
            name,
            class: self.machine_class.clone(),
            threads: self.threads,
            data: self.data.clone(),
            entries: self.entry.iter().map(|e| from_wire(e, self.records.len())).collect(),
        }
    }

    /// Numbers that no measurement gives.
    fn check(&self, path: &Path) -> Result<()> {
        if self.records.is_empty() {
            return Err(Error::content(path, "key `records` is empty; expected one name per session"));
        }
        let mut seen = std::collections::HashSet::new();
        for e in &self.entry {
            let place = format!("entry `{}` at `{}`", e.contender, e.point);
            let refuse = |problem: &str| Err(Error::content(path, format!("{place}: {problem}")));
            let ordered =
                |low: f64, mid: f64, high: f64| 0.0 < low && low <= mid && mid <= high && high.is_finite();
            if !seen.insert((&e.point, &e.contender)) {
                return refuse("stands twice; one is allowed");
            }
            if !ordered(e.median_low_ns, e.median_ns, e.median_high_ns) {
                return refuse(
                    "keys `median_low_ns`, `median_ns`, `median_high_ns` are not positive and in order",
                );
            }
            let given = [e.ratio.is_some(), e.low.is_some(), e.high.is_some(), e.pairs.is_some()];
            if given.iter().any(|g| *g != e.quiet_ratio.is_some()) {
                let keys = "of the keys `ratio`, `low`, `high`, `pairs`, `quiet_ratio` some are missing";
                return refuse(&format!("{keys}; give all or none"));
            }
            if let (Some(low), Some(ratio), Some(high)) = (e.low, e.ratio, e.high) {
                if !ordered(low, ratio, high) {
                    return refuse("keys `low`, `ratio`, `high` are not positive and in order");
                }
            }
            let positive = |x: f64| x.is_finite() && x > 0.0;
            if !positive(e.quiet_ns) || !e.quiet_ratio.is_none_or(positive) {
                return refuse("key `quiet_ns` or `quiet_ratio` is not positive");
            }
            if e.noise_floor.is_some_and(|w| !w.is_finite() || w < 0.0) {
                return refuse("key `noise_floor` is negative or not finite");
            }
        }
        Ok(())
    }
}

/// Which file to compare with, and why that one.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The file.
    pub path: PathBuf,
    /// What it holds.
    pub baseline: Baseline,
    /// Why, if it is not the machine's own.
    pub why: Option<String>,
}

/// The baseline of this machine class under `results`; otherwise the nearest of another class: of the same kind (CPU
/// or card), with the nearest number of threads, the most recent first.
///
/// # Errors
/// If a file that would be used cannot be read. `None` if there is no baseline at all.
pub fn choose(results: &Path, class: &str, threads: usize) -> Result<Option<Choice>> {
    let own = results.join(slug(class)).join(FILE);
    if own.is_file() {
        return Ok(Some(Choice { baseline: Baseline::read(&own)?, path: own, why: None }));
    }
    let Ok(folders) = fs::read_dir(results) else { return Ok(None) };
    let mut files: Vec<PathBuf> =
        folders.filter_map(|e| Some(e.ok()?.path().join(FILE))).filter(|path| path.is_file()).collect();
    files.sort();
    let mut found = files
        .into_iter()
        .map(|path| Ok((Baseline::read(&path)?, path)))
        .collect::<Result<Vec<(Baseline, PathBuf)>>>()?;
    let is_cpu = |class: &str| class.starts_with("cpu-");
    // Stable: among equals the most recent, which the first sort brings to the front.
    found.sort_by(|(a, _), (b, _)| b.started.cmp(&a.started));
    found.sort_by_key(|(b, _)| (is_cpu(&b.machine_class) != is_cpu(class), b.threads.abs_diff(threads)));
    Ok(found.into_iter().next().map(|(baseline, path)| {
        let why = format!(
            "there is no {} of machine class `{class}`, so this one of `{}` with {} threads stands in: the nearest of \
             those committed",
            own.display(),
            baseline.machine_class,
            baseline.threads
        );
        Choice { path, baseline, why: Some(why) }
    }))
}

fn to_wire(e: Entry) -> EntryWire {
    let time = e.time.unwrap_or(PairedRatio { ratio: 0.0, low: 0.0, high: 0.0, pairs: 0 });
    EntryWire {
        point: e.point,
        contender: e.contender,
        baseline: e.baseline,
        depth: e.depth,
        steps: e.steps,
        definition_sha256: e.definition_sha256,
        gemms: e.work.gemms,
        gemm_flops: e.work.gemm_flops,
        elementwise_flops: e.work.elementwise_flops,
        bytes: e.work.bytes,
        critical_path: e.work.critical_path,
        median_ns: time.ratio,
        median_low_ns: time.low,
        median_high_ns: time.high,
        n: time.pairs,
        quiet_ns: e.quiet_ns.unwrap_or(0.0),
        quiet_ratio: e.quiet_ratio,
        ratio: e.ratio.map(|r| r.ratio),
        low: e.ratio.map(|r| r.low),
        high: e.ratio.map(|r| r.high),
        pairs: e.ratio.map(|r| r.pairs),
        noise_floor: e.noise_floor,
    }
}

fn from_wire(e: &EntryWire, sessions: usize) -> Entry {
    let ratio = || Some(PairedRatio { ratio: e.ratio?, low: e.low?, high: e.high?, pairs: e.pairs? });
    Entry {
        point: e.point.clone(),
        contender: e.contender.clone(),
        baseline: e.baseline.clone(),
        depth: e.depth,
        steps: e.steps,
        definition_sha256: e.definition_sha256.clone(),
        facts: Default::default(),
        ratio: ratio(),
        noise_floor: e.noise_floor,
        time: Some(PairedRatio {
            ratio: e.median_ns,
            low: e.median_low_ns,
            high: e.median_high_ns,
            pairs: e.n,
        }),
        quiet_ns: Some(e.quiet_ns),
        quiet_ratio: e.quiet_ratio,
        waited: None,
        sessions,
        work: Work {
            gemms: e.gemms,
            gemm_flops: e.gemm_flops,
            elementwise_flops: e.elementwise_flops,
            bytes: e.bytes,
            critical_path: e.critical_path,
        },
        err: String::new(),
    }
}

#[cfg(test)]
#[path = "baseline_tests.rs"]
mod tests;
