//! Achieved FLOP/s of matrix products against depth, beside the ceiling measured in the same run.

use std::path::Path;

use serde::Serialize;

use super::axes::{drawable, Axis, Spread};
use super::chart::{Chart, Dot, Level, Second, Series};
use super::group::{groups, Group};
use super::legend::Entry;
use super::style::SOFT;
use super::time_vs_depth::{dot, words};
use super::{canvas, csv_text, number, Drawing, Drawn};
use crate::record::{Ceiling, Record, SummaryRow};
use crate::Result;

const FIGURE: &str = "utilisation";

/// One line of the figure's CSV.
#[derive(Debug, Serialize)]
struct Row<'a> {
    contender: &'a str,
    rule: &'a str,
    engine: &'a str,
    depth: usize,
    gemm_flops: u64,
    median_ns: u64,
    flops_per_second: f64,
    flops_per_second_low: f64,
    flops_per_second_high: f64,
    ceiling_flops_per_second: Option<f64>,
    share_of_ceiling: Option<f64>,
}

/// Draws one figure per group with at least two depths and counted products.
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
        let rows = || group.lanes.iter().flat_map(|l| l.rows.iter()).filter(|r| r.gemm_flops > 0);
        if rows().map(|r| r.depth).min() == rows().map(|r| r.depth).max() {
            out.skip(FIGURE, format!("`{}` has counted products at fewer than two depths", group.stem));
            continue;
        }
        let ceiling = ceiling(record, group);
        let Some(chart) = chart(record, group, ceiling) else {
            out.skip(FIGURE, format!("`{}` has no finite rate", group.stem));
            continue;
        };
        let table: Vec<Row<'_>> = rows()
            .map(|r| {
                let (rate, own) = (rate(r), record.gemm_ceiling(r).or(ceiling));
                Row {
                    contender: &r.contender,
                    rule: &r.rule,
                    engine: &r.engine,
                    depth: r.depth,
                    gemm_flops: r.gemm_flops,
                    median_ns: r.median_ns,
                    flops_per_second: rate.y,
                    flops_per_second_low: rate.low,
                    flops_per_second_high: rate.high,
                    ceiling_flops_per_second: own.map(|c| c.per_second),
                    share_of_ceiling: own.map(|c| rate.y / c.per_second),
                }
            })
            .collect();
        let stem = format!("{FIGURE}.{}", group.stem);
        let files = canvas::save(folder, &stem, &csv_text(&table)?, || chart.scene())?;
        let about = "FLOPs of all counted matrix products divided by the median wall time of the whole update, so \
                     that element-wise work and launches count against a contender. The dashed line is the best rate \
                     a plain matrix product reached on this machine in the same run; the right axis is the share of it.";
        out.drawn.push(Drawn { figure: FIGURE, stem, title: chart.title, about: about.into(), files });
    }
    Ok(out)
}

/// The ceiling of products in this dtype on this device: at the run's own thread count, else the highest.
fn ceiling<'a>(record: &'a Record, group: &Group<'_>) -> Option<&'a Ceiling> {
    let fits = |c: &&Ceiling| {
        let same = c.quantity == "gemm" && c.dtype == group.dtype && c.device == group.device;
        same && drawable(c.per_second)
    };
    record.run.ceilings.iter().filter(fits).max_by(|a, b| {
        let own = |c: &Ceiling| c.threads == record.run.threads;
        own(a).cmp(&own(b)).then(a.per_second.total_cmp(&b.per_second))
    })
}

/// FLOP/s with the interval of the median time.
fn rate(row: &SummaryRow) -> Dot {
    let flops = row.gemm_flops as f64;
    let time = dot(row, row.depth as f64);
    let per_second = |ns: f64| flops / (ns * 1e-9);
    Dot { y: per_second(time.y), low: per_second(time.high), high: per_second(time.low), ..time }
}

fn chart(record: &Record, group: &Group<'_>, ceiling: Option<&Ceiling>) -> Option<Chart> {
    let mut series = Vec::new();
    let mut legend = Vec::new();
    for lane in &group.lanes {
        let dots: Vec<Dot> = lane.rows.iter().filter(|r| r.gemm_flops > 0).map(|r| rate(r)).collect();
        let look = lane.look();
        let best = dots.iter().map(|d| d.y).fold(0.0, f64::max);
        let own = lane.rows.first().and_then(|r| record.gemm_ceiling(r)).or(ceiling);
        let note = match own {
            Some(c) if best > 0.0 => {
                let share = number::percent(best / c.per_second);
                match c.threads {
                    n if n == record.run.threads => format!("best: {share} of ceiling"),
                    1 => format!("best: {share} of that of 1 thread"),
                    n => format!("best: {share} of that of {n} threads"),
                }
            }
            _ => String::new(),
        };
        let note = lane.note(Some(note).filter(|note| !note.is_empty()));
        legend.push(Entry::series(&lane.printed(), &note, look));
        series.push(Series { look, dots, counted: false });
    }
    let values = || series.iter().flat_map(|s| s.dots.iter().flat_map(|d| [d.low, d.high]));
    let (low, high) = values().fold((f64::INFINITY, 0.0), |(l, h), v| (f64::min(l, v), f64::max(h, v)));
    let top = ceiling.map_or(high, |c| c.per_second.max(high));
    // Shares read best from zero; a contender below a twentieth of the top would be a line on the floor.
    let label = "achieved rate of matrix products";
    let y = if low < top / 20.0 {
        Axis::log(label, values().chain([top]), number::flops)?
    } else {
        Axis::linear(label, 0.0, 1.08 * top, number::flops)?
    };
    let x = Axis::depth(
        "depth L (weight layers)",
        group.lanes.iter().flat_map(|l| l.rows.iter().map(|r| r.depth)),
    )?;
    let mut levels = Vec::new();
    let mut second = None;
    if let Some(ceiling) = ceiling {
        let note = format!("{} at {}", number::flops(ceiling.per_second), ceiling.at);
        legend.push(Entry::line("GEMM ceiling, measured", &note, SOFT, &[5.0, 3.0]));
        levels.push(Level { y: ceiling.per_second, label: String::new() });
        second =
            Some(Second { ticks: shares(&y, ceiling.per_second), label: "share of GEMM ceiling".into() });
    }
    let title = format!("Utilisation during a {}", words(group.model));
    Some(Chart {
        title,
        x,
        y,
        series,
        guides: Vec::new(),
        levels,
        second,
        legend,
        caption: group.facts.clone(),
    })
}

/// Round percentages of the ceiling inside the range of the axis.
fn shares(y: &Axis, ceiling: f64) -> Vec<(f64, String)> {
    let shares: Vec<f64> = match y.spread {
        Spread::Linear => {
            (0..).map(|i| 0.2 * f64::from(i)).take_while(|s| s * ceiling <= y.high).take(12).collect()
        }
        Spread::Log => {
            let steps = (-9..=0).flat_map(|k| [1.0, 2.0, 5.0].map(|d| d * 10f64.powi(k)));
            let all: Vec<f64> = steps.filter(|s| *s < 1.5 && y.share(s * ceiling).is_some()).collect();
            let whole = |s: &f64| (s.log10() - s.log10().round()).abs() < 1e-9;
            if all.len() > 9 {
                all.into_iter().filter(whole).collect()
            } else {
                all
            }
        }
    };
    shares
        .into_iter()
        .map(|s| (s * ceiling, number::percent(s)))
        .filter(|(v, _)| y.share(*v).is_some())
        .collect()
}
