//! Median wall time against the counted number of matrix products: does time follow the work?

use std::path::Path;

use serde::Serialize;

use super::axes::Axis;
use super::chart::{guide_entry, Chart, Guide};
use super::drawing::{csv_text, Drawing, Drawn};
use super::group::{groups, DepthSeries, Group};
use super::legend::Entry;
use super::time_vs_depth::{series, time_axis, words};
use super::{canvas, number};
use crate::record::Record;
use crate::Result;

const FIGURE: &str = "time-vs-gemms";

/// One line of the figure's CSV.
#[derive(Debug, Serialize)]
struct Row<'a> {
    contender: &'a str,
    rule: &'a str,
    engine: &'a str,
    depth: usize,
    steps: usize,
    gemms: u64,
    gemm_flops: u64,
    median_ns: u64,
    median_low_ns: Option<u64>,
    median_high_ns: Option<u64>,
    contended: bool,
    trained_layers: Option<usize>,
}

/// Draws one figure per group in which some contender has two different counts.
///
/// # Errors
/// As [`super::draw_all`].
pub fn draw(record: &Record, folder: &Path) -> Result<Drawing> {
    let mut out = Drawing::default();
    let groups = groups(record);
    if groups.is_empty() {
        out.skip(FIGURE, "no contender was timed without error");
    }
    for group in &groups {
        let rows = || group.series.iter().flat_map(|s| s.rows.iter()).filter(|r| r.gemms > 0);
        let line = |contender: &DepthSeries<'_>| {
            let counts = || contender.rows.iter().map(|r| r.gemms).filter(|g| *g > 0);
            counts().min() < counts().max()
        };
        if !group.series.iter().any(line) {
            out.skip(FIGURE, format!("`{}` has no contender with two counts of matrix products", group.stem));
            continue;
        }
        let Some(chart) = chart(group) else {
            out.skip(FIGURE, format!("`{}` has no finite time", group.stem));
            continue;
        };
        let table: Vec<Row<'_>> = rows()
            .map(|r| Row {
                contender: &r.contender,
                rule: &r.rule,
                engine: &r.engine,
                depth: r.depth,
                steps: r.steps,
                gemms: r.gemms,
                gemm_flops: r.gemm_flops,
                median_ns: r.median_ns,
                median_low_ns: r.median_interval().map(|(low, _)| low),
                median_high_ns: r.median_interval().map(|(_, high)| high),
                contended: r.mark().contended,
                trained_layers: r.trained_layers,
            })
            .collect();
        let stem = format!("{FIGURE}.{}", group.stem);
        let files = canvas::save(folder, &stem, &csv_text(&table)?, || chart.scene())?;
        let about = "Median wall time against the number of matrix products, counted by running each rule's schedule, \
                     on logarithmic axes. A contender parallel to the grey line spends a constant time per product; \
                     one above it pays for something else. Bands and bars are 95 % confidence intervals.";
        out.drawn.push(Drawn { figure: FIGURE, stem, title: chart.title, about: about.into(), files });
    }
    Ok(out)
}

fn chart(group: &Group<'_>) -> Option<Chart> {
    let series = series(group, |row| row.gemms as f64);
    let counts = series.iter().flat_map(|s| s.dots.iter().map(|d| d.x));
    let x =
        Axis::log(&format!("matrix products per {} (counted)", words(group.model)), counts, number::count)?;
    let y = time_axis(group, &series)?;
    let mut legend = Vec::new();
    for (contender, line) in group.series.iter().zip(&series) {
        let each = line.dots.last().map(|d| format!("{} per product", number::time(d.y / d.x)));
        legend.push(Entry::series(&contender.printed(), &contender.note(each), contender.style()));
    }
    legend.push(Entry::text("per product: at the largest count"));
    // Through the baseline where it does most work; the first line stands in where BP was not measured.
    let through = series.iter().find_map(|s| s.dots.last()).map(|d| (d.x, d.y));
    let guides: Vec<Guide> =
        through.into_iter().map(|through| Guide { through, exponent: 1.0, label: "O(n)".into() }).collect();
    if !guides.is_empty() {
        legend.push(guide_entry("O(n)", "time proportional to products"));
    }
    let title = format!("Time per {} against counted work", words(group.model));
    let caption = group.facts.clone();
    Some(Chart { title, x, y, series, guides, levels: Vec::new(), second: None, legend, caption })
}
