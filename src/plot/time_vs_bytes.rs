//! Median wall time against the counted bytes, as a table.

use std::path::Path;

use serde::Serialize;

use super::axes::Axis;
use super::chart::Chart;
use super::group::groups;
use super::legend::Entry;
use super::time_vs_depth::{series, time_axis};
use super::{canvas, csv_text, number, Drawing, Drawn};
use crate::record::Record;
use crate::Result;

const FIGURE: &str = "time-vs-bytes";

#[derive(Debug, Serialize)]
struct Row<'a> {
    contender: &'a str,
    bytes: u64,
    median_ns: u64,
}

/// Draws one figure per group.
///
/// # Errors
/// As [`super::draw_all`].
pub fn draw(record: &Record, folder: &Path) -> Result<Drawing> {
    let mut out = Drawing::default();
    for group in &groups(record) {
        let lines = series(group, |row| row.bytes as f64);
        let counts = lines.iter().flat_map(|line| line.dots.iter().map(|dot| dot.x));
        let Some((x, y)) = Axis::log("bytes per update (counted)", counts, number::count)
            .zip(time_axis(group, &lines))
        else {
            out.skip(FIGURE, format!("`{}` has no finite time", group.stem));
            continue;
        };
        let rows = group.series.iter().flat_map(|s| s.rows.iter());
        let table: Vec<Row<'_>> = rows
            .map(|r| Row { contender: &r.contender, bytes: r.bytes, median_ns: r.median_ns })
            .collect();
        let legend =
            group.series.iter().map(|s| Entry::series(&s.printed(), &s.note(None), s.style())).collect();
        let (title, caption) = ("Time against counted bytes".to_owned(), group.facts.clone());
        let chart = Chart {
            title: title.clone(),
            x,
            y,
            series: lines,
            guides: vec![],
            levels: vec![],
            second: None,
            legend,
            caption,
        };
        let stem = format!("{FIGURE}.{}", group.stem);
        let files = canvas::save(folder, &stem, &csv_text(&table)?, || chart.scene())?;
        let about = "Median wall time against counted bytes, on logarithmic axes.".into();
        out.drawn.push(Drawn { figure: FIGURE, stem, title, about, files });
    }
    Ok(out)
}
