//! Figures of studies: one per sheet of a table, drawn from `quantities.csv` alone.
//!
//! A line is a contender under a parameterisation, at one depth or width where these do not run along the axis. Where a point was
//! measured at several draws the line is their median, and its band and bars reach from the least to the greatest; a point that some
//! draw does not have is left out, and the caption says so.

mod lines;
mod sheets;
#[cfg(test)]
mod tests;

use std::path::Path;

use serde::Serialize;

use super::axes::Axis;
use super::chart::{guide_entry, Chart, Dot, Guide, Level, Series};
use super::drawing::{csv_text, Drawing, Drawn};
use super::legend::Entry;
use super::style::Style;
use super::{alignment, canvas, direction, filenames, number, style};
use crate::record::{Mark, Record};
use crate::suite::Study;
use crate::Result;
use lines::{figures, Exponent, Figure, Line};
use sheets::{Over, Scale, Sheet, SHEETS};

/// One line of a figure's CSV.
#[derive(Debug, Serialize)]
struct Row<'a> {
    line: &'a str,
    contender: &'a str,
    parameterisation: &'a str,
    depth: usize,
    width: usize,
    x: f64,
    median: f64,
    least: f64,
    greatest: f64,
    draws: usize,
}

/// Draws every sheet that the record has numbers for.
///
/// # Errors
/// As [`super::draw_all`].
pub fn draw(record: &Record, folder: &Path) -> Result<Drawing> {
    let mut out = Drawing::default();
    let studied = |study: Study| record.summary.iter().any(|row| row.model == study.name());
    for sheet in SHEETS.iter().filter(|sheet| studied(sheet.study)) {
        let figures = figures(record, sheet);
        if figures.is_empty() {
            let beside = sheet.relative_to.map(|base| format!(" beside one of {base}")).unwrap_or_default();
            out.skip(sheet.figure, format!("no contender has `{}`{beside} here", sheet.quantity));
        }
        for figure in figures {
            let stem = format!("{}.{}", sheet.figure, figure.stem);
            let Some(chart) = chart(record, sheet, &figure) else {
                out.skip(sheet.figure, format!("`{}` has nothing that its axes can hold", figure.stem));
                continue;
            };
            let files = canvas::save(folder, &stem, &csv_text(&rows(&figure))?, || chart.scene())?;
            let about = format!("{} {}", sheet.about, sheet.claim);
            out.drawn.push(Drawn { figure: sheet.figure, stem, title: chart.title, about, files });
        }
    }
    Ok(out)
}

fn rows<'a>(figure: &'a Figure<'_>) -> Vec<Row<'a>> {
    let each = figure.lines.iter().flat_map(|line| line.points.iter().map(move |point| (line, point)));
    let row = |(line, point): (&'a Line<'_>, &'a lines::Point)| Row {
        line: &line.label,
        contender: line.contender,
        parameterisation: line.parameterisation,
        depth: point.depth,
        width: point.width,
        x: point.x,
        median: point.median(),
        least: point.least(),
        greatest: point.greatest(),
        draws: point.values.len(),
    };
    each.map(row).collect()
}

fn chart(record: &Record, sheet: &Sheet, figure: &Figure<'_>) -> Option<Chart> {
    let drawable =
        |x: f64, y: f64| x > 0.0 && x.is_finite() && y.is_finite() && (y > 0.0 || sheet.scale != Scale::Log);
    let mut series = Vec::new();
    let (mut legend, mut exponents) = (Vec::new(), false);
    for line in &figure.lines {
        let style = line_style(figure, line);
        let dots: Vec<Dot> = line
            .points
            .iter()
            .filter(|point| drawable(point.x, point.least()))
            .map(|point| Dot {
                x: point.x,
                y: point.median(),
                low: point.least(),
                high: point.greatest(),
                mark: Mark::default(),
            })
            .collect();
        let fitted = line.exponent().filter(|_| sheet.exponent && !figure.widths);
        let note = fitted.map(|Exponent { p, interval, over: (first, last) }| {
            let interval = interval.map(|(low, high)| format!(" [{low:.2}, {high:.2}]")).unwrap_or_default();
            format!("p = {p:.2}{interval}, L = {first} to {last}").replace('-', "−")
        });
        exponents |= note.is_some();
        if !dots.is_empty() {
            legend.push(Entry::series(&line.label, note.as_deref().unwrap_or(""), style));
            series.push(Series { style, dots, counted: false });
        }
    }
    if series.is_empty() {
        return None;
    }
    if exponents {
        legend.push(Entry::text("p: slope in log-log; 95 % CI over draws"));
    }
    for published in
        sheet.published.iter().filter(|own| own.activation == figure.activation && !figure.widths)
    {
        let own = style::of(published.contender, "reference");
        let style = Style { color: own.color, marker: own.marker, dash: &[2.0, 3.0] };
        let dot = |&(x, y): &(f64, f64)| Dot { x, y, low: y, high: y, mark: Mark::default() };
        series.push(Series { style, dots: published.points.iter().map(dot).collect(), counted: true });
        legend.push(Entry::marker(published.name, published.source, style, true));
    }
    let (x, y) = axes(sheet, figure.widths, &series)?;
    let guides: Vec<Guide> =
        sheet.guide.iter().filter(|_| !figure.widths).filter_map(|guide| through(guide, &series)).collect();
    legend.extend(guides.iter().map(|guide| guide_entry(&guide.label, "")));
    let level = |&(at, label): &(f64, &str)| Level { y: at, label: label.into(), dash: &[2.0, 3.0] };
    let levels = sheet.level.iter().map(level).filter(|level| y.share(level.y).is_some()).collect();
    let mut caption = filenames::machine_facts(record, "cpu");
    caption.extend(figure.facts.iter().cloned());
    caption.extend(filenames::run_facts(record, figure.benchmark));
    Some(Chart { title: sheet.title.into(), x, y, series, guides, levels, second: None, legend, caption })
}

fn axes(sheet: &Sheet, widths: bool, series: &[Series]) -> Option<(Axis, Axis)> {
    let dots = || series.iter().flat_map(|s| &s.dots);
    let x = match sheet.over {
        Over::Size if widths => Axis::depth("width N", dots().map(|d| d.x as usize)),
        Over::Size => Axis::depth("depth L (weight layers)", dots().map(|d| d.x as usize)),
        Over::At(label) => Axis::log(label, dots().map(|d| d.x), |v| number::short(v, 4)),
    }?;
    let ends = || dots().flat_map(|d| [d.low, d.high]);
    let least = ends().fold(f64::INFINITY, f64::min);
    let greatest = ends().fold(f64::NEG_INFINITY, f64::max);
    let y = match sheet.scale {
        Scale::Log => {
            Axis::log(sheet.label, ends().chain(sheet.level.map(|(at, _)| at)), |v| number::short(v, 4))
        }
        Scale::Cosine => alignment::cosine_axis(sheet.label, least),
        Scale::Linear => {
            let (low, high) = (least.min(0.0), greatest.max(0.0));
            let room = 0.06 * (high - low).max(1e-12);
            Axis::linear(sheet.label, low - room, high + room, |v| number::short(v, 4))
        }
    }?;
    Some((x, y))
}

/// A power law through the last point of those lines that reach farthest, the highest of them.
fn through(&(exponent, label): &(f64, &str), series: &[Series]) -> Option<Guide> {
    let last = |s: &Series| s.dots.last().filter(|_| !s.counted).map(|d| (d.x, d.y));
    let through =
        series.iter().filter_map(last).max_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)))?;
    Some(Guide { through, exponent, label: label.into() })
}

/// Lengths of strokes and gaps: solid first.
const DASHES: [&[f64]; 6] = [&[], &[7.0, 3.0], &[2.0, 2.6], &[8.0, 3.0, 1.8, 3.0], &[4.0, 2.0], &[12.0, 3.0]];

/// Contenders by their own colours; where one has several lines, what sets these apart by a scale from dark to light.
fn line_style(figure: &Figure<'_>, line: &Line<'_>) -> Style {
    let (name, engine) = style::split(line.contender);
    // all are of one engine, so that dashes are free to tell the variants of a rule apart
    let own = Style { dash: DASHES[line.sibling % DASHES.len()], ..style::of(name, engine) };
    match figure.several {
        false => own,
        true => Style { color: direction::along(line.variant, figure.variants), ..own },
    }
}
