//! A run to be done, and who hears of its events.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::record::Shard;
use crate::suite::Suite;

/// Whether to begin a record or go on with one.
#[derive(Debug, Clone)]
pub enum Target {
    /// A new record under the results folder, or in exactly this folder.
    New(Option<PathBuf>),
    /// The record in this folder.
    Resume(PathBuf),
    /// The latest unfinished record of this suite on this machine.
    ResumeLatest,
}

/// A run to be done.
#[derive(Debug)]
pub struct Job<'a> {
    /// What.
    pub suite: &'a Suite,
    /// Folder of image files that replaces the digits.
    pub data: Option<&'a Path>,
    /// The folder of all records.
    pub results: &'a Path,
    /// Where.
    pub target: Target,
    /// Command line as typed.
    pub argv: Vec<String>,
    /// Measure only these of the suite's points.
    pub shard: Option<Shard>,
    /// Measure even in a debug build; the record says so.
    pub allow_debug: bool,
    /// Measure ceilings and reference rates too; without them nothing is stated in units of them.
    pub ceilings: bool,
    /// Wait until other processes leave the processors alone, at most for this time, before anything is measured.
    pub wait_quiet: Option<Duration>,
}

/// Receives the events of a run, for progress bars.
pub trait Observer {
    /// Nothing is measured yet, because other processes use the processors: a sentence about them, now and then.
    fn waiting(&mut self, sentence: &str);
    /// The run has this many points, of which some were finished earlier.
    fn planned(&mut self, points: usize, finished: usize);
    /// A point starts, or has reached another stage.
    fn at(&mut self, point: &str, stage: &str);
    /// A point is on disk.
    fn finished(&mut self, point: &str);
    /// Whether nothing else of this process may run for a moment, because what it asks of the heap would be counted too.
    fn alone(&mut self, _alone: bool) {}
}
