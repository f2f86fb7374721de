//! Cost in units of the baseline against depth: measured in paired rounds, and counted in matrix products.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use serde::Serialize;

use super::axes::{drawable, Axis};
use super::chart::{Chart, Dot, Level, Series};
use super::group::{contender_name, groups, Group};
use super::legend::Entry;
use super::time_vs_depth::words;
use super::{canvas, csv_text, number, style, Drawing, Drawn};
use crate::record::{RatioRow, Record, SummaryRow};
use crate::Result;

const FIGURE: &str = "cost-ratio";

/// One line of the figure's CSV.
#[derive(Debug, Clone, Serialize)]
struct Row<'a> {
    contender: &'a str,
    baseline: &'a str,
    rule: &'a str,
    engine: &'a str,
    depth: usize,
    steps: usize,
    pairs: usize,
    ratio: f64,
    ratio_low: f64,
    ratio_high: f64,
    gemm_ratio: Option<f64>,
}

/// Draws one figure per group and baseline with at least two depths.
///
/// # Errors
/// As [`super::draw_all`].
pub fn draw(record: &Record, folder: &Path) -> Result<Drawing> {
    let mut out = Drawing::default();
    let gemms: HashMap<(&str, &str), u64> =
        record.summary.iter().map(|r| ((&*r.point, &*r.contender), r.gemms)).collect();
    let mut ratios: HashMap<(&str, &str), Vec<&RatioRow>> = HashMap::new();
    for ratio in record.ratios.iter().filter(|r| usable(r)) {
        ratios.entry((&ratio.point, &ratio.contender)).or_default().push(ratio);
    }
    for group in &groups(record) {
        let rows: Vec<(usize, Row<'_>)> = group
            .lanes
            .iter()
            .enumerate()
            .flat_map(|(lane, l)| l.rows.iter().map(move |row| (lane, *row)))
            .flat_map(|(lane, row)| {
                let found = ratios.get(&(&*row.point, &*row.contender)).into_iter().flatten();
                found.map(|ratio| (lane, joined(row, ratio, &gemms))).collect::<Vec<_>>()
            })
            .collect();
        let baselines: BTreeSet<&str> = rows.iter().map(|(_, r)| r.baseline).collect();
        for baseline in &baselines {
            let mine: Vec<&(usize, Row<'_>)> = rows.iter().filter(|(_, r)| r.baseline == *baseline).collect();
            let depths = || mine.iter().map(|(_, row)| row.depth);
            if depths().min() == depths().max() {
                out.skip(FIGURE, format!("`{}` has ratios at a single depth", group.stem));
                continue;
            }
            let Some(chart) = chart(group, baseline, &mine) else { continue };
            // One baseline per suite is the rule; a second one must not overwrite the first.
            let suffix =
                if baselines.len() > 1 { format!(".{}", super::stem::slug(baseline)) } else { String::new() };
            let stem = format!("{FIGURE}.{}{suffix}", group.stem);
            let table: Vec<Row<'_>> = mine.into_iter().map(|(_, row)| row.clone()).collect();
            let files = canvas::save(folder, &stem, &csv_text(&table)?, || chart.scene())?;
            let about = "Time of each contender in units of its baseline: median of the paired log-ratios of the same \
                         rounds with 95 % block-bootstrap intervals (filled markers). Hollow markers are the ratio of \
                         counted matrix products: what the cost would be if only products took time.";
            out.drawn.push(Drawn { figure: FIGURE, stem, title: chart.title, about: about.into(), files });
        }
    }
    if out.drawn.is_empty() && out.skipped.is_empty() {
        out.skip(FIGURE, "no contender was paired with a baseline");
    }
    Ok(out)
}

fn usable(ratio: &RatioRow) -> bool {
    let values = [ratio.ratio, ratio.low, ratio.high];
    values.into_iter().all(drawable) && ratio.contender != ratio.baseline
}

fn joined<'a>(row: &'a SummaryRow, ratio: &'a RatioRow, gemms: &HashMap<(&str, &str), u64>) -> Row<'a> {
    let base = gemms.get(&(&*ratio.point, &*ratio.baseline)).copied().unwrap_or(0);
    Row {
        contender: &row.contender,
        baseline: &ratio.baseline,
        rule: &row.rule,
        engine: &row.engine,
        depth: row.depth,
        steps: row.steps,
        pairs: ratio.pairs,
        ratio: ratio.ratio,
        ratio_low: ratio.low,
        ratio_high: ratio.high,
        gemm_ratio: (base > 0 && row.gemms > 0).then(|| row.gemms as f64 / base as f64),
    }
}

fn chart(group: &Group<'_>, baseline: &str, rows: &[&(usize, Row<'_>)]) -> Option<Chart> {
    let (mut measured, mut counted, mut legend) = (Vec::new(), Vec::new(), Vec::new());
    for (index, lane) in group.lanes.iter().enumerate() {
        let own = || rows.iter().filter(|(l, _)| *l == index).map(|(_, row)| row);
        let look = style::look(lane.rule, lane.engine);
        let dots: Vec<Dot> = own()
            .map(|r| {
                let (low, high) = (r.ratio_low.min(r.ratio), r.ratio_high.max(r.ratio));
                Dot { x: r.depth as f64, y: r.ratio, low, high }
            })
            .collect();
        let Some(deepest) = own().next_back() else { continue };
        let note = format!("{}× at L = {}", number::short(deepest.ratio, 3), deepest.depth);
        legend.push(Entry::series(&lane.name(), &note, look));
        measured.push(Series { look, dots, counted: false });
        let work = own().filter_map(|r| {
            let y = r.gemm_ratio?;
            Some(Dot { x: r.depth as f64, y, low: y, high: y })
        });
        let dots: Vec<Dot> = work.collect();
        // The baseline's own rule on another engine counts the same: a line of ones says nothing.
        if dots.iter().any(|d| d.y != 1.0) {
            counted.push(Series { look, dots, counted: true });
        }
    }
    let series: Vec<Series> = counted.into_iter().chain(measured).collect();
    let values = series.iter().flat_map(|s| s.dots.iter().flat_map(|d| [d.low, d.high]));
    let (rule, engine) = baseline.split_once('/').unwrap_or((baseline, ""));
    let name = if engine.is_empty() { baseline.to_owned() } else { contender_name(rule, engine) };
    let times = |v: f64| format!("{}×", number::short(v, 3));
    let label = format!("cost of a {} in units of {name}", words(group.model));
    let y = Axis::log(&label, values.chain([1.0]), times)?;
    let x = Axis::depth("depth L (weight layers)", rows.iter().map(|(_, row)| row.depth))?;
    if series.iter().any(|s| s.counted) {
        legend.push(Entry::hollow("counted matrix products", "ratio of counts; equal ones coincide"));
    }
    let levels = vec![Level { y: 1.0, label: style::rule_name(rule).to_owned() }];
    let title = format!("Cost of a {} relative to {name}", words(group.model));
    let caption = group.facts.clone();
    Some(Chart { title, x, y, series, guides: Vec::new(), levels, second: None, legend, caption })
}
