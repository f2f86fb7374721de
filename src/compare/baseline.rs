//! `results/<machine class>/baseline.toml`: the measurement that later ones are held against.
//!
//! It holds summaries rather than samples, which is all that a [change](crate::stats::change) is computed from:
//! estimate and 95 % interval of every ratio, in full digits, and how far its control lay from 1.

mod choice;
mod entry;
mod file;

use serde::{Deserialize, Serialize};

use super::build::Build;
use super::side::{Entry, Side};
use crate::record::Record;
use crate::{stats, Error, Result};

pub use choice::{choose, Choice};
pub use entry::EntryWire;
use entry::{from_wire, to_wire};

/// File name within the folder of a machine class.
pub const FILE: &str = "baseline.toml";

/// Version of the format.
pub const SCHEMA: u32 = 2;

/// Half-width, as a factor minus one, from which on a ratio is too vague to notice a change of a few per cent.
pub const VAGUE: f64 = 0.02;

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
    /// Names of the folders of the records that it was made from.
    pub records: Vec<String>,
    /// Start of the first, RFC 3339 UTC.
    pub started: String,
    /// Commit that was measured.
    pub rev: String,
    /// Whether the built tree differed from that commit.
    pub dirty: bool,
    /// Data sets, one line each.
    pub data: Vec<String>,
    /// SIMD extensions of the machine and compiler of the program, on which counts of instructions hang; empty if unknown.
    #[serde(default)]
    pub build: Build,
    /// One per point and contender.
    #[serde(default)]
    pub entry: Vec<EntryWire>,
}

impl Baseline {
    /// The summaries of a record.
    ///
    /// # Errors
    /// If a contender failed, was measured for too short, or nothing was timed: a gate against that would be open.
    pub fn of(record: &Record) -> Result<Self> {
        let side = Side::of(record)?;
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
        let vague = |e: &&Entry| e.ratio.or(e.time).is_none_or(|r| r.interval().is_none());
        if let Some(short) = side.entries.iter().find(vague) {
            let problem = format!(
                "cannot be a baseline: {} at {} has fewer rounds than the {} that an interval takes",
                short.contender,
                short.point,
                stats::FEWEST_FOR_INTERVAL
            );
            return Err(Error::content(&record.dir, problem));
        }
        Ok(Self {
            schema: SCHEMA,
            machine_class: side.class,
            cpu: record.machine.cpu.clone(),
            threads: side.threads,
            suite: record.run.suite.clone(),
            records: vec![record.dir.file_name().unwrap_or_default().to_string_lossy().into_owned()],
            started: record.run.started.clone(),
            rev: record.run.rev.clone(),
            dirty: record.run.dirty,
            data: side.data,
            build: side.build,
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

    /// What it measured, called `name`.
    pub fn side(&self, name: String) -> Side {
        Side {
            name,
            class: self.machine_class.clone(),
            threads: self.threads,
            build: self.build.clone(),
            data: self.data.clone(),
            entries: self.entry.iter().map(from_wire).collect(),
        }
    }
}

#[cfg(test)]
#[path = "baseline_tests.rs"]
mod tests;
