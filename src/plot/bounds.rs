//! What a weight update costs at one depth over its own lower bound, and what other machines are predicted to take.

use std::path::Path;

use serde::Serialize;

use super::axes::{drawable, Axis, Spread};
use super::drawing::{csv_text, Drawing, Drawn};
use super::font;
use super::group::{groups, DepthSeries, Group};
use super::legend::{self, Entry};
use super::panels::{Layout, Panels};
use super::plot_area::{PlotArea, NOTE, TICK};
use super::scene::{Anchor, Scene};
use super::style::{Marker, Rgb, Style, GRID, INK, SOFT};
use super::time_vs_depth::{dot, words};
use super::{canvas, number};
use crate::record::{Record, SummaryRow};
use crate::Result;

const FIGURE: &str = "bounds";
/// Height of a contender's row, with one line for this machine and one for predictions of others.
const ROW: f64 = 46.0;
/// Room for names, and height of a line of them.
const NAMES: (f64, f64) = (230.0, 15.0);
const WIDTH: f64 = 520.0;
const PREDICTED: Rgb = (120, 120, 120);

/// What arXiv 2304.02658 claims, and of what it does not speak.
const THEOREM: &str = "The theorem of arXiv 2304.02658 says that FPA and Z-IL take at least as long as BP to converge, even with a \
                       processor per layer. Its unit is the VJP of a layer, and parameter gradients are left out on both sides, so it \
                       bounds no whole update; of sPC at fixed T, ePC, SeqIL, iPC and AR it says nothing.\n";

/// One contender; also a line of the figure's CSV. Times over the bound of the contender's own result.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Row<'a> {
    contender: &'a str,
    depth: usize,
    steps: usize,
    median_ns: u64,
    bound_ns: f64,
    measured: f64,
    measured_low: f64,
    measured_high: f64,
    /// Counted FLOPs over the least.
    counted: Option<f64>,
    /// Products on the critical path over the least.
    critical_path: Option<f64>,
    /// Inference on a processor per layer over the same on one.
    layer_parallel: Option<f64>,
    contended: bool,
    trained_layers: Option<usize>,
}

impl Row<'_> {
    /// What a reader should know beside the name and the number, a line each.
    fn notes(&self) -> impl Iterator<Item = String> {
        let part = self.trained_layers.filter(|trained| *trained < self.depth);
        let part = part.map(|trained| format!("trains {trained} of {} layers", self.depth));
        part.into_iter().chain(self.contended.then(|| "contended".to_owned()))
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        let measured = [self.measured, self.measured_low, self.measured_high].into_iter();
        measured.chain([self.counted, self.critical_path, self.layer_parallel].into_iter().flatten())
    }
}

/// Draws one figure per group, at its largest depth.
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
        let depth = group.series.iter().flat_map(|s| s.rows.iter().map(|r| r.depth)).max().unwrap_or(0);
        let rows: Vec<(&DepthSeries<'_>, Row<'_>)> = group
            .series
            .iter()
            .filter_map(|series| Some((series, series.rows.iter().find(|r| r.depth == depth)?)))
            .filter_map(|(series, row)| Some((series, over_bound(record, row)?)))
            .collect();
        let Some(x) = axis(group, &rows) else {
            out.skip(
                FIGURE,
                format!("`{}` has no ceiling of multiply-adds, so no bound is known", group.stem),
            );
            continue;
        };
        let stem = format!("{FIGURE}.{}", group.stem);
        let table: Vec<_> = rows.iter().map(|(_, row)| row).collect();
        let title = format!("Time of a {} over its lower bound, L = {depth}", words(group.model));
        let files = canvas::save(folder, &stem, &csv_text(&table)?, || scene(&title, group, &rows, &x))?;
        let about = format!(
            "Each contender at the largest depth. The bound is the least time in which any program can compute its result on \
             this machine: the products that the rule cannot do without, at the rate of multiply-adds between registers on as \
             many threads, measured in the same run. Nothing measured may lie left of it. The ring is the counted work of the \
             contender's own schedule at that rate. Squares and diamonds are predictions for other machines, on which products \
             take the time of their FLOPs and nothing else takes any. {}",
            THEOREM.trim_end()
        );
        out.drawn.push(Drawn { figure: FIGURE, stem, title, about, files });
    }
    Ok(out)
}

fn over_bound<'a>(record: &Record, row: &'a SummaryRow) -> Option<Row<'a>> {
    let bound_ns = record.bound_ns(row).filter(|bound| drawable(*bound))?;
    let sound = |value: f64| Some(value).filter(|v| drawable(*v));
    let time = dot(row, 1.0);
    let share = |a: Option<u64>, b: Option<u64>| sound(a? as f64 / b? as f64);
    Some(Row {
        contender: &row.contender,
        depth: row.depth,
        steps: row.steps,
        median_ns: row.median_ns,
        bound_ns,
        measured: time.y / bound_ns,
        measured_low: time.low / bound_ns,
        measured_high: time.high / bound_ns,
        counted: share(Some(row.gemm_flops), row.least_gemm_flops),
        critical_path: share(Some(row.critical_path), row.least_gemms),
        layer_parallel: row.parallel_over_bp.zip(row.inference_over_bp).and_then(|(p, all)| sound(p / all)),
        contended: row.mark().contended,
        trained_layers: row.trained_layers,
    })
}

fn axis(group: &Group<'_>, rows: &[(&DepthSeries<'_>, Row<'_>)]) -> Option<Axis> {
    if rows.is_empty() {
        return None;
    }
    let label = format!("time of a {} over its own bound", words(group.model));
    let values = || rows.iter().flat_map(|(_, r)| r.values()).chain([1.0]);
    let highest = values().fold(1.0, f64::max);
    // Room for the number to the right of the last symbol.
    let span = (highest / values().fold(1.0, f64::min)).max(2.0);
    Axis::log(&label, values().chain([highest * span.powf(0.12)]), |v| format!("{}×", number::short(v, 3)))
}

fn scene(title: &str, group: &Group<'_>, rows: &[(&DepthSeries<'_>, Row<'_>)], x: &Axis) -> Result<Scene> {
    let place = |index: usize| (rows.len() - index) as f64 - 0.5;
    let wrap = |text: String| font::wrap(&text, TICK.size, TICK.bold, NAMES.0);
    let name = |series: &DepthSeries<'_>, row: &Row<'_>| {
        [series.printed()].into_iter().chain(row.notes()).flat_map(wrap).collect()
    };
    let names: Vec<Vec<String>> = rows.iter().map(|(series, row)| name(series, row)).collect();
    let lines = names.iter().map(Vec::len).max().unwrap_or(1);
    let row_height = ROW.max(NAMES.1 * lines as f64 + 8.0);
    let high = rows.len() as f64;
    let ticks = names.iter().flatten().map(|line| (0.5, line.clone())).collect();
    // Only as wide as the names; they are drawn below, for a tick is one line of text.
    let wide = Axis { spread: Spread::Linear, low: 0.0, high, ticks, minor: vec![], label: String::new() };
    let entries = entries(rows);
    let facts: Vec<String> = [THEOREM.to_owned()].into_iter().chain(group.facts.iter().cloned()).collect();
    let mut page = Panels::new(&Layout {
        title,
        headings: &[String::new()],
        columns: 1,
        panel: (WIDTH, row_height * high),
        y: &[&wide],
        beside: legend::size(&entries),
        facts: &facts,
    });
    let plot_area = page.plot_area(0, x.clone(), Axis { ticks: Vec::new(), ..wide });
    plot_area.draw_grid(&mut page.scene);
    for index in 1..rows.len() {
        let y = plot_area.top + row_height * index as f64;
        page.scene.line([(plot_area.left, y), (plot_area.right, y)], 1.0, GRID);
    }
    let (one, _) = plot_area.at(1.0, 0.0)?;
    let below = [
        (plot_area.left, plot_area.top),
        (one, plot_area.top),
        (one, plot_area.bottom),
        (plot_area.left, plot_area.bottom),
    ];
    page.scene.area(below, SOFT, 0.08);
    page.scene.line([(one, plot_area.top), (one, plot_area.bottom)], 2.2, INK);
    for (index, (series, row)) in rows.iter().enumerate() {
        draw_row(&mut page.scene, &plot_area, series, row, place(index))?;
        let (x, y) = (plot_area.left - 9.0, plot_area.top + row_height * (index as f64 + 0.5));
        let first = y - NAMES.1 * (names[index].len() as f64 - 1.0) / 2.0;
        for (i, line) in names[index].iter().enumerate() {
            page.scene.text((x, first + NAMES.1 * i as f64), line.clone(), TICK, Anchor::End);
        }
    }
    plot_area.draw_axes(&mut page.scene);
    let at = page.beside();
    legend::draw(&mut page.scene, at, &entries);
    Ok(page.scene)
}

fn entries(rows: &[(&DepthSeries<'_>, Row<'_>)]) -> Vec<Entry> {
    let has = |value: fn(&Row<'_>) -> Option<f64>| rows.iter().any(|(_, r)| value(r).is_some());
    let style = |marker, color| Style { color, marker, dash: &[] };
    let disc = style(Marker::Circle, INK);
    [
        (true, Entry::line("bound, any program", "nothing measured lies left of it", INK, &[])),
        (true, Entry::marker("measured time", "median, 95 % interval", disc, false)),
        (has(|r| r.counted), Entry::marker("count", "products of its schedule at the ceiling", disc, true)),
        (
            has(|r| r.critical_path),
            Entry::marker(
                "prediction: critical path",
                "unlimited processors, products over the bound's",
                style(Marker::Square, PREDICTED),
                true,
            ),
        ),
        (
            has(|r| r.layer_parallel),
            Entry::marker(
                "prediction: layer-parallel",
                "a processor per layer, inference alone, over one processor",
                style(Marker::Diamond, PREDICTED),
                true,
            ),
        ),
    ]
    .into_iter()
    .filter_map(|(shown, entry)| shown.then_some(entry))
    .collect()
}

fn draw_row(
    scene: &mut Scene,
    plot_area: &PlotArea,
    series: &DepthSeries<'_>,
    row: &Row<'_>,
    place: f64,
) -> Result<()> {
    let style = Style { marker: Marker::Circle, dash: &[], ..series.style() };
    let (one, middle) = plot_area.at(1.0, place)?;
    let (upper, lower) = (middle - 9.0, middle + 10.0);
    let at = |value: f64| plot_area.at(value, place).map(|(x, _)| x);
    let predicted = [(row.critical_path, Marker::Square), (row.layer_parallel, Marker::Diamond)];
    for (value, marker) in predicted.into_iter().filter_map(|(value, marker)| Some((value?, marker))) {
        scene.dashed(&[(one, lower), (at(value)?, lower)], 1.0, PREDICTED, &[2.0, 3.0]);
        scene.marker((at(value)?, lower), 3.8, Style { color: PREDICTED, marker, dash: &[] }, true);
    }
    // The stem from 1: how many times the bound.
    scene.line([(one, upper), (at(row.measured)?, upper)], 1.4, style.color);
    let (low, high) = (at(row.measured_low)?, at(row.measured_high)?);
    if high - low > 12.0 {
        scene.line([(low, upper), (high, upper)], 3.0, style.color);
    }
    if let Some(count) = row.counted {
        scene.marker((at(count)?, upper), 5.6, style, true);
    }
    scene.marker((at(row.measured)?, upper), 3.4, style, false);
    let last = row.counted.into_iter().fold(row.measured_high, f64::max);
    let text = format!("{}×", number::short(row.measured, 3));
    scene.text((at(last.max(1.0))? + 13.0, upper), text, NOTE, Anchor::Start);
    Ok(())
}
