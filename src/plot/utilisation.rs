//! Achieved FLOP/s of matrix products against depth, beside the ceiling and the reference rate measured in the same run.

use std::path::Path;

use serde::Serialize;

use super::axes::{drawable, Axis, Spread};
use super::chart::{Chart, Dot, Level, Second, Series};
use super::drawing::{csv_text, Drawing, Drawn};
use super::group::{groups, Group};
use super::legend::Entry;
use super::style::SOFT;
use super::time_vs_depth::{dot, words};
use super::{canvas, number};
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
    reference_flops_per_second: Option<f64>,
    share_of_reference: Option<f64>,
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
        let rows = || group.series.iter().flat_map(|s| s.rows.iter()).filter(|r| r.gemm_flops > 0);
        if rows().map(|r| r.depth).min() == rows().map(|r| r.depth).max() {
            out.skip(FIGURE, format!("`{}` has counted products at fewer than two depths", group.stem));
            continue;
        }
        let limits = Limits::of(record, group);
        let Some(chart) = chart(record, group, limits) else {
            out.skip(FIGURE, format!("`{}` has no finite rate", group.stem));
            continue;
        };
        let table: Vec<Row<'_>> = rows()
            .map(|r| {
                let rate = rate(r);
                let (ceiling, reference) = (record.ceiling(r), record.reference_rate(r));
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
                    ceiling_flops_per_second: ceiling.map(|c| c.per_second),
                    share_of_ceiling: ceiling.map(|c| rate.y / c.per_second),
                    reference_flops_per_second: reference.map(|c| c.per_second),
                    share_of_reference: reference.map(|c| rate.y / c.per_second),
                }
            })
            .collect();
        let stem = format!("{FIGURE}.{}", group.stem);
        let files = canvas::save(folder, &stem, &csv_text(&table)?, || chart.scene())?;
        let about = about(limits);
        out.drawn.push(Drawn { figure: FIGURE, stem, title: chart.title, about, files });
    }
    Ok(out)
}

/// What is drawn across the figure: the rates at the run's own thread count, else the highest.
#[derive(Debug, Clone, Copy)]
struct Limits<'a> {
    /// Multiply-adds between registers, which no product exceeds.
    ceiling: Option<&'a Ceiling>,
    /// Good matrix products.
    reference: Option<&'a Ceiling>,
}

impl<'a> Limits<'a> {
    fn of(record: &'a Record, group: &Group<'_>) -> Self {
        let best = |quantity: &str| {
            let fits = |c: &&Ceiling| {
                let same = c.quantity == quantity && c.dtype == group.dtype && c.device == group.device;
                same && drawable(c.per_second)
            };
            record.run.ceilings.iter().filter(fits).max_by(|a, b| {
                let own = |c: &Ceiling| c.threads == record.run.threads;
                own(a).cmp(&own(b)).then(a.per_second.total_cmp(&b.per_second))
            })
        };
        let rows = || group.series.iter().flat_map(|contender| contender.rows.iter());
        let own =
            rows().filter_map(|row| record.reference_rate(row)).find(|c| c.threads == record.run.threads);
        Self { ceiling: best("fma"), reference: own.or_else(|| best("gemm")) }
    }

    /// What shares are stated of, and its name.
    fn unit(self) -> Option<(&'a Ceiling, &'static str)> {
        self.ceiling.map(|c| (c, "ceiling")).or(self.reference.map(|c| (c, "reference rate")))
    }
}

fn about(limits: Limits<'_>) -> String {
    let mut about =
        "FLOPs of all counted matrix products divided by the median wall time of the whole update, so that \
                     element-wise work and launches count against a contender."
            .to_owned();
    if limits.ceiling.is_some() {
        about += " The dashed line is the ceiling: multiply-adds between registers in the same run, which no product can exceed.";
    }
    if limits.reference.is_some() {
        about += " The dotted line is the reference rate that matrix products reached in the same run; better ones exceed it.";
    }
    if let Some((_, name)) = limits.unit() {
        about += &format!(" The right axis is the share of the {name}.");
    }
    about
}

/// FLOP/s with the interval of the median time.
fn rate(row: &SummaryRow) -> Dot {
    let flops = row.gemm_flops as f64;
    let time = dot(row, row.depth as f64);
    let per_second = |ns: f64| flops / (ns * 1e-9);
    Dot { y: per_second(time.y), low: per_second(time.high), high: per_second(time.low), ..time }
}

fn chart(record: &Record, group: &Group<'_>, limits: Limits<'_>) -> Option<Chart> {
    let mut series = Vec::new();
    let mut legend = Vec::new();
    for contender in &group.series {
        let dots: Vec<Dot> = contender.rows.iter().filter(|r| r.gemm_flops > 0).map(|r| rate(r)).collect();
        let style = contender.style();
        let best = dots.iter().map(|d| d.y).fold(0.0, f64::max);
        let own = contender.rows.first().and_then(|r| match limits.ceiling {
            Some(_) => record.ceiling(r),
            None => record.reference_rate(r),
        });
        let note = match (own, limits.unit()) {
            (Some(c), Some((_, name))) if best > 0.0 => {
                let share = number::percent(best / c.per_second);
                match c.threads {
                    n if n == record.run.threads => format!("best: {share} of {name}"),
                    1 => format!("best: {share} of that of 1 thread"),
                    n => format!("best: {share} of that of {n} threads"),
                }
            }
            _ => String::new(),
        };
        let note = contender.note(Some(note).filter(|note| !note.is_empty()));
        legend.push(Entry::series(&contender.printed(), &note, style));
        series.push(Series { style, dots, counted: false });
    }
    let values = || series.iter().flat_map(|s| s.dots.iter().flat_map(|d| [d.low, d.high]));
    let (low, high) = values().fold((f64::INFINITY, 0.0), |(l, h), v| (f64::min(l, v), f64::max(h, v)));
    let lines = || [limits.ceiling, limits.reference].into_iter().flatten().map(|c| c.per_second);
    let top = lines().fold(high, f64::max);
    // Shares read best from zero; a contender below a twentieth of the top would be a line on the floor.
    let label = "achieved rate of matrix products";
    let y = if low < top / 20.0 {
        Axis::log(label, values().chain([top]), number::flops)?
    } else {
        Axis::linear(label, 0.0, 1.08 * top, number::flops)?
    };
    let x =
        Axis::depth(&group.depth_label(), group.series.iter().flat_map(|s| s.rows.iter().map(|r| r.depth)))?;
    let mut levels = Vec::new();
    let mut second = None;
    let mut across = |limit: Option<&Ceiling>, name: &str, place: &str, dash: &'static [f64]| {
        if let Some(limit) = limit {
            let note = format!("{} {place} {}", number::flops(limit.per_second), limit.at);
            legend.push(Entry::line(name, &note, SOFT, dash));
            levels.push(Level { y: limit.per_second, label: String::new(), dash });
        }
    };
    across(limits.ceiling, "ceiling: multiply-adds", "with", &[5.0, 3.0]);
    across(limits.reference, "reference: matrix products", "at", &[1.5, 3.0]);
    if let Some((unit, name)) = limits.unit() {
        second = Some(Second { ticks: shares(&y, unit.per_second), label: format!("share of {name}") });
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

/// Round percentages of a rate inside the range of the axis.
fn shares(y: &Axis, unit: f64) -> Vec<(f64, String)> {
    let shares: Vec<f64> = match y.spread {
        Spread::Linear => {
            (0..).map(|i| 0.2 * f64::from(i)).take_while(|s| s * unit <= y.high).take(12).collect()
        }
        Spread::Log => {
            let steps = (-9..=0).flat_map(|k| [1.0, 2.0, 5.0].map(|d| d * 10f64.powi(k)));
            let all: Vec<f64> = steps.filter(|s| *s < 1.5 && y.share(s * unit).is_some()).collect();
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
        .map(|s| (s * unit, number::percent(s)))
        .filter(|(v, _)| y.share(*v).is_some())
        .collect()
}
