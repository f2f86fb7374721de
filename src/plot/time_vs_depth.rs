//! Median wall time of a weight update against depth, with fitted exponents beside the orders of counted work.

use std::collections::HashMap;
use std::path::Path;

use serde::Serialize;

use super::axes::Axis;
use super::chart::{guide_entry, Chart, Dot, Guide, Series};
use super::drawing::{csv_text, Drawing, Drawn, Fitter, Slope};
use super::group::{groups, DepthSeries, Group};
use super::legend::Entry;
use super::{canvas, number};
use crate::record::{Record, SummaryRow};
use crate::Result;

const FIGURE: &str = "time-vs-depth";

/// One line of the figure's CSV.
#[derive(Debug, Serialize)]
struct Row<'a> {
    contender: &'a str,
    rule: &'a str,
    engine: &'a str,
    parameterisation: &'a str,
    depth: usize,
    width: usize,
    batch: usize,
    steps: usize,
    step_size: f64,
    dtype: &'a str,
    device: &'a str,
    n: usize,
    median_ns: u64,
    median_low_ns: Option<u64>,
    median_high_ns: Option<u64>,
    exponent: Option<f64>,
    exponent_low: Option<f64>,
    exponent_high: Option<f64>,
    contended: bool,
    trained_layers: Option<usize>,
}

/// Draws one figure per group with at least two depths.
///
/// # Errors
/// As [`super::draw_all`].
pub fn draw(record: &Record, folder: &Path, fit: &Fitter<'_>) -> Result<Drawing> {
    let mut out = Drawing::default();
    let samples = samples(record);
    let groups = groups(record);
    if groups.is_empty() {
        out.skip(FIGURE, "no contender was timed without error");
    }
    for group in &groups {
        let depths: Vec<usize> = group.series.iter().flat_map(|s| s.rows.iter().map(|r| r.depth)).collect();
        if depths.iter().min() == depths.iter().max() {
            let depth = depths.first().copied().unwrap_or(0);
            out.skip(FIGURE, format!("`{}` has a single depth, L = {depth}", group.stem));
            continue;
        }
        let slopes: Vec<Option<Slope>> =
            group.series.iter().map(|contender| slope(contender, &samples, fit)).collect();
        let Some(chart) = chart(group, &slopes) else {
            out.skip(FIGURE, format!("`{}` has no finite time", group.stem));
            continue;
        };
        let stem = format!("{FIGURE}.{}", group.stem);
        let rows: Vec<Row<'_>> = group
            .series
            .iter()
            .zip(&slopes)
            .flat_map(|(contender, s)| contender.rows.iter().map(move |r| row(r, *s)))
            .collect();
        let files = canvas::save(folder, &stem, &csv_text(&rows)?, || chart.scene())?;
        let about = "Median wall time against the depth L, on logarithmic axes. Bands and bars are \
                     95 % confidence intervals of the median; p is the exponent fitted in t = a + b·Lᵖ. Grey lines, \
                     on chains of layers alone, pass through the deepest measured point and show how the counted work of a rule grows.";
        out.drawn.push(Drawn { figure: FIGURE, stem, title: chart.title, about: about.into(), files });
    }
    Ok(out)
}

/// Wall times of each point and contender.
fn samples(record: &Record) -> HashMap<(&str, &str), Vec<f64>> {
    let mut times: HashMap<(&str, &str), Vec<f64>> = HashMap::new();
    for sample in &record.samples {
        times.entry((&sample.point, &sample.contender)).or_default().push(sample.wall_ns as f64);
    }
    times
}

fn slope(
    contender: &DepthSeries<'_>,
    samples: &HashMap<(&str, &str), Vec<f64>>,
    fit: &Fitter<'_>,
) -> Option<Slope> {
    let points: Vec<(f64, Vec<f64>)> = contender
        .rows
        .iter()
        .filter_map(|r| Some((r.depth as f64, samples.get(&(&*r.point, &*r.contender))?.clone())))
        .collect();
    fit(&points).filter(|s| s.p.is_finite() && s.low.is_finite() && s.high.is_finite())
}

fn row<'a>(row: &'a SummaryRow, slope: Option<Slope>) -> Row<'a> {
    Row {
        contender: &row.contender,
        rule: &row.rule,
        engine: &row.engine,
        parameterisation: &row.parameterisation,
        depth: row.depth,
        width: row.width,
        batch: row.batch,
        steps: row.steps,
        step_size: row.step_size,
        dtype: &row.dtype,
        device: &row.device,
        n: row.n,
        median_ns: row.median_ns,
        median_low_ns: row.median_interval().map(|(low, _)| low),
        median_high_ns: row.median_interval().map(|(_, high)| high),
        exponent: slope.map(|s| s.p),
        exponent_low: slope.map(|s| s.low),
        exponent_high: slope.map(|s| s.high),
        contended: row.mark().contended,
        trained_layers: row.trained_layers,
    }
}

/// Median and interval of a row at `x`; an interval that misses its own median is widened to hold it.
pub(super) fn dot(row: &SummaryRow, x: f64) -> Dot {
    let y = row.median_ns as f64;
    let (low, high) = row.median_interval().map_or((y, y), |(low, high)| (low as f64, high as f64));
    let low = if low == 0.0 { y } else { low.min(y) };
    Dot { x, y, low, high: high.max(y), mark: row.mark() }
}

/// The lines of a group, with x from `x`; rows without a positive x are left out.
pub(super) fn series(group: &Group<'_>, x: impl Fn(&SummaryRow) -> f64) -> Vec<Series> {
    let line = |contender: &DepthSeries<'_>| {
        let mut dots: Vec<Dot> = contender.rows.iter().map(|r| dot(r, x(r))).filter(|d| d.x > 0.0).collect();
        dots.sort_by(|a, b| a.x.total_cmp(&b.x));
        Series { style: contender.style(), dots, counted: false }
    };
    group.series.iter().map(line).collect()
}

/// The vertical axis of both time figures.
pub(super) fn time_axis(group: &Group<'_>, series: &[Series]) -> Option<Axis> {
    let times = series.iter().flat_map(|s| s.dots.iter().flat_map(|d| [d.low, d.high]));
    Axis::log(&format!("median wall time per {}", words(group.model)), times, number::time)
}

/// The name of a model or a quantity in running text.
pub(super) fn words(name: &str) -> String {
    name.replace('-', " ")
}

fn chart(group: &Group<'_>, slopes: &[Option<Slope>]) -> Option<Chart> {
    let series = series(group, |row| row.depth as f64);
    let x =
        Axis::depth(&group.depth_label(), group.series.iter().flat_map(|s| s.rows.iter().map(|r| r.depth)))?;
    let y = time_axis(group, &series)?;
    let mut legend = Vec::new();
    for (contender, slope) in group.series.iter().zip(slopes) {
        let note = slope.map(|s| format!("p = {:.2} [{:.2}, {:.2}]", s.p, s.low, s.high).replace('-', "−"));
        legend.push(Entry::series(&contender.printed(), &contender.note(note), contender.style()));
    }
    if slopes.iter().any(Option::is_some) {
        legend.push(Entry::text("p: exponent of t = a + b·Lᵖ, 95 % CI"));
    }
    let (guides, entries) = guides(group);
    legend.extend(entries);
    let title = format!("Time per {} against depth", words(group.model));
    let caption = group.facts.clone();
    Some(Chart { title, x, y, series, guides, levels: Vec::new(), second: None, legend, caption })
}

/// Names of contenders whose serial cost is a number of sweeps over all layers, hence O(T·L): Z-IL visits each layer
/// once and iPC updates the weights in every step.
const SWEEPING: [&str; 7] = ["spc", "epc", "mupc", "mupc-epc", "fpa", "seqil", "ar"];

/// The orders in which counted work grows as grey lines, each through the deepest point of a contender of that order,
/// where fixed costs matter least.
fn guides(group: &Group<'_>) -> (Vec<Guide>, Vec<Entry>) {
    let deepest =
        |contender: &DepthSeries<'_>| contender.rows.last().map(|r| (r.depth as f64, r.median_ns as f64));
    if group.series.iter().flat_map(|series| &series.rows).any(|row| !row.is_chain()) {
        // what depth is differs from kind to kind
        return (Vec::new(), Vec::new());
    }
    let base = ["bp", "mupc-bp"].into_iter().find_map(|name| group.series.iter().find(|s| s.name == name));
    let sweeping = || group.series.iter().filter(|contender| SWEEPING.contains(&contender.name));
    let slowest = |policy: fn(&str) -> bool| {
        let points = sweeping().filter(|s| policy(&s.policy)).filter_map(deepest);
        points.max_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)))
    };
    let square = slowest(|policy| policy == "T = L");
    let fixed = slowest(|policy| policy.starts_with("T = ") && policy != "T = L");
    let (mut guides, mut entries) = (Vec::new(), Vec::new());
    let mut add = |through: Option<(f64, f64)>, exponent: f64, label: &str, note: &str| {
        if let Some(through) = through {
            guides.push(Guide { through, exponent, label: label.to_owned() });
            entries.push(guide_entry(label, note));
        }
    };
    add(base.and_then(deepest), 1.0, "O(L)", "counted work of BP");
    add(square, 2.0, "O(L²)", "counted work of PC with T = L");
    add(fixed, 1.0, "O(T·L)", "counted work of PC with fixed T");
    (guides, entries)
}
