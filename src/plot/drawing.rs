//! Figures that were drawn or left out, and what their functions are given.

use std::path::PathBuf;

use serde::Serialize;

use crate::{Error, Result};

/// Exponent of t = a + b·Lᵖ with its 95 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slope {
    /// The exponent.
    pub p: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end of its interval.
    pub high: f64,
}

/// Fits the exponent of one contender: given each depth with its wall times in nanoseconds, ordered by
/// depth; `None` where nothing can be fitted.
pub type Fitter<'a> = dyn Fn(&[(f64, Vec<f64>)]) -> Option<Slope> + 'a;

/// The files of one figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// Vector picture.
    pub svg: PathBuf,
    /// Bitmap at twice the nominal size.
    pub png: PathBuf,
    /// The numbers drawn.
    pub csv: PathBuf,
}

/// One figure that was drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawn {
    /// Kind of figure, e.g. `time-vs-depth`.
    pub figure: &'static str,
    /// File name without ending.
    pub stem: String,
    /// Heading.
    pub title: String,
    /// What the figure shows and how to read it.
    pub about: String,
    /// Where it is.
    pub files: Files,
}

/// A figure the record has no data for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Kind of figure.
    pub figure: &'static str,
    /// Why there is none.
    pub reason: String,
}

/// What became of the figures of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drawing {
    /// Figures on disk.
    pub drawn: Vec<Drawn>,
    /// Figures left out.
    pub skipped: Vec<Skipped>,
    /// Networks with a schedule, for the page alone.
    pub networks: Vec<Picture>,
}

/// A picture that only the page holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// What it shows.
    pub title: String,
    /// An SVG document.
    pub svg: String,
}

impl Drawing {
    pub(crate) fn skip(&mut self, figure: &'static str, reason: impl Into<String>) {
        self.skipped.push(Skipped { figure, reason: reason.into() });
    }
}

/// Rows as CSV text with a header line.
pub(super) fn csv_text<T: Serialize>(rows: &[T]) -> Result<String> {
    let failed =
        |problem: String| Error::Invalid(format!("the table of a figure cannot be written: {problem}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).map_err(|e| failed(e.to_string()))?;
    }
    let bytes = writer.into_inner().map_err(|e| failed(e.to_string()))?;
    String::from_utf8(bytes).map_err(|e| failed(e.to_string()))
}
