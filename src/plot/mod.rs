//! Figures and the report page, drawn from a record alone: nothing here measures or recomputes a time.
//!
//! One file per figure. Each makes one picture per benchmark and set of fixed axes (see [`group`]), as
//! `<figure>.<benchmark>[.<axes>].{svg,png,csv}`; the CSV holds exactly what is drawn. The same record
//! gives the same bytes: nothing in a figure depends on the clock, the machine it is drawn on, or chance.
//!
//! ```
//! # fn draw(record: &pcnbench::record::Record) -> pcnbench::Result<()> {
//! use pcnbench::plot;
//! let folder = record.dir.join("figures");
//! let drawing = plot::draw_all(record, &folder, &|_points| None)?;
//! plot::report::write(record, &drawing, &record.dir.join("index.html"))?;
//! # Ok(())
//! # }
//! ```

mod agreement;
pub mod alignment;
pub mod alignment_layers;
pub mod arrival;
mod arrival_lines;
pub mod axes;
pub mod bounds;
pub mod canvas;
pub mod caption;
pub mod chart;
pub mod cost_ratio;
pub mod decay_curves;
pub mod decay_heatmap;
pub mod direction;
mod direction_point;
pub mod fidelity;
pub mod filenames;
pub mod font;
pub mod group;
pub mod label_placement;
pub mod legend;
pub mod number;
pub mod panels;
pub mod plot_area;
pub mod raster;
pub mod report;
pub mod scene;
pub mod signal;
mod split;
pub mod style;
pub mod tables;
pub mod time_vs_depth;
pub mod time_vs_gemms;
pub mod utilisation;

#[cfg(test)]
mod arrival_tests;
#[cfg(test)]
pub(crate) mod synthetic;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::record::Record;
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
}

impl Drawing {
    pub(crate) fn skip(&mut self, figure: &'static str, reason: impl Into<String>) {
        self.skipped.push(Skipped { figure, reason: reason.into() });
    }
}

/// Draws every figure the record has rows for into `folder`, which is created if need be.
///
/// # Errors
/// [`Error::Io`] if a file cannot be written; [`Error::Invalid`] if a figure cannot be painted.
pub fn draw_all(record: &Record, folder: &Path, fit: &Fitter<'_>) -> Result<Drawing> {
    let parts = [
        time_vs_depth::draw(record, folder, fit)?,
        time_vs_gemms::draw(record, folder)?,
        cost_ratio::draw(record, folder)?,
        bounds::draw(record, folder)?,
        utilisation::draw(record, folder)?,
        fidelity::draw(record, folder)?,
        alignment::draw(record, folder)?,
        alignment_layers::draw(record, folder)?,
        decay_heatmap::draw(record, folder)?,
        decay_curves::draw(record, folder)?,
        arrival::draw(record, folder)?,
    ];
    let mut all = Drawing::default();
    for part in parts {
        all.drawn.extend(part.drawn);
        all.skipped.extend(part.skipped);
    }
    Ok(all)
}

/// Rows as CSV text with a header line.
fn csv_text<T: Serialize>(rows: &[T]) -> Result<String> {
    let failed =
        |problem: String| Error::Invalid(format!("the table of a figure cannot be written: {problem}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).map_err(|e| failed(e.to_string()))?;
    }
    let bytes = writer.into_inner().map_err(|e| failed(e.to_string()))?;
    String::from_utf8(bytes).map_err(|e| failed(e.to_string()))
}
