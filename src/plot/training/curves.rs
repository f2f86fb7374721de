//! Training runs: test error against updates, seconds and FLOPs, and how far each layer moved.
//!
//! A line is a contender with its steps; where it was trained from several draws the line is their median and the band reaches from the least to the
//! greatest. Times of a row are the median of its draws' times.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::plot::axes::Axis;
use crate::plot::chart::{Chart, Dot, Series};
use crate::plot::drawing::{csv_text, Drawing, Drawn};
use crate::plot::legend::Entry;
use crate::plot::style::Style;
use crate::plot::{canvas, direction, filenames, number, style};
use crate::record::learned::grids;
use crate::record::{Mark, Record, SummaryRow};
use crate::stats::median;
use crate::suite::{axis, WEIGHT_CHANGE};
use crate::Result;

/// What runs along a figure's axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    Updates,
    Seconds,
    Flops,
    Layers,
}

/// The figures: name, title, the label below it, and what it shows.
const FIGURES: [(Over, &str, &str, &str, &str); 4] = [
    (
        Over::Updates,
        "learning-updates",
        "Test error against weight updates",
        "weight updates",
        "Share of the test rows that a forward pass of the trained network classifies wrongly, against the number of weight updates.",
    ),
    (
        Over::Seconds,
        "learning-seconds",
        "Test error against time",
        "seconds of training",
        "The same against the time of these updates, without evaluation.",
    ),
    (
        Over::Flops,
        "learning-flops",
        "Test error against work",
        "FLOPs of matrix products",
        "The same against the counted FLOPs of their matrix products.",
    ),
    (
        Over::Layers,
        "weight-change",
        "Relative change of each layer's weights",
        "layer",
        "How far the parameters of each layer have gone from their start, in units of its length, at the end of training.",
    ),
];

/// A line.
#[derive(Debug)]
struct Line<'a> {
    contender: &'a str,
    steps: usize,
    step_size: f64,
    /// By row of the curve, or layer: x and y of every draw.
    points: BTreeMap<u64, Vec<(f64, f64)>>,
}

/// One line of a figure's CSV.
#[derive(Debug, Serialize)]
struct Row<'a> {
    contender: &'a str,
    steps: usize,
    step_size: f64,
    x: f64,
    median: f64,
    least: f64,
    greatest: f64,
    draws: usize,
}

/// Draws the figures of every benchmark of training runs, one per kind of network: draws, numbers of steps and step sizes of
/// one stand together. A benchmark of several learning rates has a map of them instead.
pub(super) fn draw(record: &Record, folder: &Path) -> Result<Drawing> {
    let mut out = Drawing::default();
    let mut places: Vec<(String, &SummaryRow)> = Vec::new();
    let mapped: Vec<(&str, &str)> =
        grids(record).iter().map(|grid| (&*grid.first.benchmark, &*grid.first.contender)).collect();
    let own =
        |row: &&SummaryRow| row.model == "training" && !mapped.contains(&(&*row.benchmark, &*row.contender));
    for row in record.summary.iter().filter(own) {
        let place = place(row);
        if !places.iter().any(|(known, _)| *known == place) {
            places.push((place, row));
        }
    }
    let mut stems: Vec<String> = places.iter().map(|(_, row)| stem(row, &places)).collect();
    filenames::unique(stems.iter_mut());
    for ((place, first), stem) in places.iter().zip(stems) {
        for (over, figure, title, label, about) in FIGURES {
            let lines = lines(record, place, over);
            let Some(chart) = chart(record, first, (over, title, label), &lines) else {
                out.skip(figure, format!("`{stem}` has no number that its axes can hold"));
                continue;
            };
            let stem = format!("{figure}.{stem}");
            let files = canvas::save(folder, &stem, &csv_text(&rows(&lines))?, || chart.scene())?;
            out.drawn.push(Drawn { figure, stem, title: chart.title, about: about.into(), files });
        }
    }
    Ok(out)
}

/// The point without what runs along its figures or tells their lines apart.
fn place(row: &SummaryRow) -> String {
    let told = [&axis::DRAW, &axis::STEPS, &axis::STEP_SIZE].map(|axis| format!("{}=", axis.name));
    let kept = row.point.split([',', '@']).filter(|part| !told.iter().any(|told| part.starts_with(told)));
    kept.collect::<Vec<_>>().join(",")
}

/// The benchmark, and the sizes that tell its places apart.
fn stem(row: &SummaryRow, places: &[(String, &SummaryRow)]) -> String {
    let own = || places.iter().map(|(_, other)| other).filter(|other| other.benchmark == row.benchmark);
    let mut parts = vec![filenames::slug(&row.benchmark)];
    for (name, of) in [
        ("depth", (|row: &SummaryRow| row.depth) as fn(&SummaryRow) -> usize),
        ("width", |row| row.width),
        ("batch", |row| row.batch),
    ] {
        if own().any(|other| of(other) != of(row)) {
            parts.push(format!("{name}-{}", of(row)));
        }
    }
    if own().any(|other| other.parameterisation != row.parameterisation) {
        parts.push(filenames::slug(&row.parameterisation));
    }
    parts.join(".")
}

fn lines<'a>(record: &'a Record, place: &str, over: Over) -> Vec<Line<'a>> {
    let here =
        |row: &&'a SummaryRow| row.model == "training" && row.err.is_empty() && self::place(row) == place;
    let members: BTreeMap<(&str, &str), &SummaryRow> =
        record.summary.iter().filter(here).map(|row| ((&*row.point, &*row.contender), row)).collect();
    let mut lines: Vec<Line<'a>> = Vec::new();
    let mut add = |row: &'a SummaryRow, place: u64, x: f64, y: f64| {
        let same = |line: &Line<'_>| {
            (line.contender, line.steps, line.step_size) == (&*row.contender, row.steps, row.step_size)
        };
        let at = lines.iter().position(same).unwrap_or_else(|| {
            let (contender, points) = (&*row.contender, BTreeMap::new());
            lines.push(Line { contender, steps: row.steps, step_size: row.step_size, points });
            lines.len() - 1
        });
        lines[at].points.entry(place).or_default().push((x, y));
    };
    if over == Over::Layers {
        for q in record.quantities.iter().filter(|q| q.quantity == WEIGHT_CHANGE.name) {
            if let Some(row) = members.get(&(&*q.point, &*q.contender)) {
                add(row, q.at as u64, q.at, q.value);
            }
        }
    } else {
        for t in record.training.iter().filter(|t| t.update > 0) {
            let Some(row) = members.get(&(&*t.point, &*t.contender)) else { continue };
            let x = match over {
                Over::Seconds => t.seconds,
                Over::Flops => t.update as f64 * row.gemm_flops as f64,
                _ => t.update as f64,
            };
            if let Some(accuracy) = t.test_accuracy {
                add(row, t.update, x, 1.0 - accuracy);
            }
        }
    }
    lines.sort_by_key(|line| style::order(line.contender));
    lines
}

fn dot(draws: &[(f64, f64)]) -> Dot {
    let side = |of: fn(&(f64, f64)) -> f64| draws.iter().map(of).collect::<Vec<f64>>();
    let (x, y) = (side(|d| d.0), side(|d| d.1));
    let low = y.iter().copied().fold(f64::INFINITY, f64::min);
    let high = y.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Dot { x: median(&x), y: median(&y), low, high, mark: Mark::default() }
}

fn rows<'a>(lines: &[Line<'a>]) -> Vec<Row<'a>> {
    let each = lines.iter().flat_map(|line| line.points.values().map(move |draws| (line, draws)));
    each.map(|(line, draws)| {
        let Dot { x, y, low, high, .. } = dot(draws);
        let &Line { contender, steps, step_size, .. } = line;
        Row { contender, steps, step_size, x, median: y, least: low, greatest: high, draws: draws.len() }
    })
    .collect()
}

fn chart(
    record: &Record,
    first: &SummaryRow,
    (over, title, label): (Over, &str, &str),
    lines: &[Line<'_>],
) -> Option<Chart> {
    let (mut series, mut legend, mut draws) = (Vec::new(), Vec::new(), 0);
    for line in lines {
        let points = &line.points;
        let siblings: Vec<&Line<'_>> =
            lines.iter().filter(|other| other.contender == line.contender).collect();
        let (name, engine) = style::split(line.contender);
        let mut label = style::printed_name(name);
        if siblings.iter().any(|other| other.step_size != line.step_size) {
            label += &format!(", step {}", number::short(line.step_size, 3));
        }
        if siblings.iter().any(|other| other.steps != line.steps) {
            label += &format!(", T = {}", line.steps);
        }
        let place = siblings.iter().position(|other| std::ptr::eq(*other, line)).unwrap_or(0);
        let own = style::of(name, engine);
        let style = match siblings.len() {
            1 => own,
            count => Style { color: direction::along(place, count), ..own },
        };
        let dots: Vec<Dot> =
            points.values().map(|draws| dot(draws)).filter(|d| d.x > 0.0 && d.low > 0.0).collect();
        draws = points.values().map(Vec::len).max().unwrap_or(0).max(draws);
        let last = dots.last().map(|d| match over {
            Over::Layers => format!("{} at the top", number::short(d.y, 2)),
            _ => format!("{} % at the end", number::short(100.0 * d.y, 3)),
        });
        if !dots.is_empty() {
            legend.push(Entry::series(&label, last.as_deref().unwrap_or(""), style));
            series.push(Series { style, dots, counted: false });
        }
    }
    let dots = || series.iter().flat_map(|s: &Series| &s.dots);
    let x = match over {
        Over::Layers => Axis::depth("layer", dots().map(|d| d.x as usize)),
        _ => Axis::log(label, dots().map(|d| d.x), |v| number::short(v, 4)),
    }?;
    let y = match over {
        Over::Layers => {
            Axis::log("‖θ − θ₀‖ / ‖θ₀‖", dots().flat_map(|d| [d.low, d.high]), |v| {
                number::short(v, 4)
            })
        }
        _ => Axis::log("test error", dots().flat_map(|d| [d.low, d.high]), |v| {
            format!("{} %", number::short(100.0 * v, 3))
        }),
    }?;
    let failed =
        |row: &&SummaryRow| row.model == "training" && !row.err.is_empty() && place(row) == place(first);
    let failed = record.summary.iter().filter(failed).count();
    let mut caption = filenames::machine_facts(record, &first.device);
    if failed > 0 {
        caption.push(format!("{failed} runs diverged or failed and are left out"));
    }
    caption.push(format!(
        "depth {}, width {}, batch {}, {}, {}",
        first.depth, first.width, first.batch, first.activation, first.parameterisation
    ));
    if draws > 1 {
        caption.push(format!("median and range of {draws} draws"));
    }
    caption.extend(filenames::run_facts(record, &first.benchmark));
    let title = title.into();
    Some(Chart { title, x, y, series, guides: Vec::new(), levels: Vec::new(), second: None, legend, caption })
}
