//! What a comparison says.

use crate::stats::{Change, PairedRatio, Verdict};
use crate::suite::axis::Settings;

/// What a row compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// Time in units of the baseline's, from paired rounds.
    Ratio,
    /// Absolute wall time.
    Time,
}

impl Measure {
    /// The word used in tables and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ratio => "ratio",
            Self::Time => "time",
        }
    }
}

/// Which side lacks a contender at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Only the new side has it.
    Base,
    /// Only the base side has it.
    New,
}

/// One quantity on both sides.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Point id.
    pub point: String,
    /// Contender id.
    pub contender: String,
    /// Contender that the ratio is to.
    pub baseline: String,
    /// What the contender ran with.
    pub settings: Settings,
    /// What is compared.
    pub measure: Measure,
    /// The base side's estimate, where it has one.
    pub base: Option<PairedRatio>,
    /// The new side's estimate, where it has one.
    pub new: Option<PairedRatio>,
    /// New over base; absent if the two do not compare.
    pub change: Option<Change>,
    /// What was tolerated, as a factor minus one.
    pub tolerance: f64,
    /// The verdict.
    pub verdict: Verdict,
    /// Whether one side does not have it.
    pub missing: Option<Missing>,
    /// Whether it says what one engine gains over another, on two machines: that is not asked there.
    pub between_engines: bool,
    /// Why, where the numbers alone do not say it; one clause per reason.
    pub reason: String,
}

impl Row {
    /// Whether the comparison says less than it was asked to; what only the new side has was not asked about, nor are
    /// engines on another machine.
    pub fn is_inconclusive(&self) -> bool {
        let asked = self.missing != Some(Missing::Base) && !self.between_engines;
        asked && matches!(self.verdict, Verdict::Ambiguous | Verdict::Invalid)
    }
}

/// What comparing two sides gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Name of the base side.
    pub base: String,
    /// Name of the new side.
    pub new: String,
    /// In the order of the new side; what only the base side has comes last.
    pub rows: Vec<Row>,
    /// Counted work that differs, a sentence each.
    pub work: Vec<String>,
    /// Contenders that were found wrong or failed on the new side only, a sentence each.
    pub broken: Vec<String>,
    /// What the reader should know about the comparison as a whole.
    pub notes: Vec<String>,
}

impl Comparison {
    /// Rows with a verdict.
    pub fn with(&self, verdict: Verdict) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.verdict == verdict)
    }

    /// How many of the intervals of change hold 1, and how many there are. Of two runs of one program 95 in 100 should.
    pub fn holding_one(&self) -> (usize, usize) {
        // what is inferred from other rows has no estimates of its own
        let own = self.rows.iter().filter(|row| row.base.is_some() && row.new.is_some());
        let changes: Vec<&Change> = own.filter_map(|row| row.change.as_ref()).collect();
        (changes.iter().filter(|c| c.low <= 1.0 && c.high >= 1.0).count(), changes.len())
    }

    /// Rows that say less than they were asked to.
    pub fn inconclusive(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.is_inconclusive())
    }
}
