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
mod colour_bar;
pub mod cost_ratio;
pub mod decay_curves;
pub mod decay_heatmap;
pub mod direction;
mod direction_point;
mod drawing;
pub mod fidelity;
pub mod filenames;
pub mod font;
pub mod group;
pub mod label_placement;
pub mod layers_table;
mod legend;
pub mod number;
pub mod panels;
pub mod plot_area;
mod points;
pub mod raster;
pub mod report;
pub mod rules_table;
pub mod scene;
pub mod signal;
mod split;
pub mod study;
pub mod style;
pub mod tables;
pub mod time_vs_depth;
pub mod time_vs_gemms;
pub mod training;
pub mod utilisation;

#[cfg(test)]
mod arrival_tests;
#[cfg(test)]
mod direction_tests;
#[cfg(test)]
mod group_tests;
#[cfg(test)]
pub(crate) mod synthetic;
#[cfg(test)]
mod tests;

use std::path::Path;

use crate::record::Record;
use crate::Result;

pub use drawing::{Drawing, Drawn, Files, Fitter, Picture, Skipped, Slope};

/// Draws every figure the record has rows for into `folder`, which is created if need be.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) if a file cannot be written; [`Error::Invalid`](crate::Error::Invalid) if a figure cannot be painted.
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
        study::draw(record, folder)?,
        training::draw(record, folder)?,
    ];
    let mut all = Drawing::default();
    for part in parts {
        all.drawn.extend(part.drawn);
        all.skipped.extend(part.skipped);
    }
    Ok(all)
}
