//! What a weight update costs at one depth: measured, counted, and bounded, all in units of BP on the same network.

use std::collections::HashMap;
use std::path::Path;

use serde::Serialize;

use super::axes::{drawable, Axis, Spread};
use super::cost_ratio::{is_unit, unit, Unit};
use super::font;
use super::frame::{Frame, NOTE, TICK};
use super::group::{groups, Group, Lane};
use super::legend::{self, Entry};
use super::panels::{Layout, Panels};
use super::scene::{Anchor, Scene};
use super::style::{Look, Marker, Rgb, GRID, INK, SOFT};
use super::time_vs_depth::words;
use super::{canvas, csv_text, number, Drawing, Drawn};
use crate::record::{Mark, RatioRow, Record, SummaryRow};
use crate::Result;

const FIGURE: &str = "bounds";
/// Height of a contender's row, with one line for a serial machine and one for a layer-parallel one.
const ROW: f64 = 46.0;
/// Room for names, and height of a line of them.
const NAMES: (f64, f64) = (230.0, 15.0);
const WIDTH: f64 = 520.0;
const SERIAL: Rgb = INK;
const PARALLEL: Rgb = (150, 150, 150);

/// One contender; also a line of the figure's CSV.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Row<'a> {
    contender: &'a str,
    baseline: &'a str,
    depth: usize,
    steps: usize,
    ratio: Option<f64>,
    ratio_low: Option<f64>,
    ratio_high: Option<f64>,
    gemm_ratio: Option<f64>,
    critical_path_ratio: Option<f64>,
    bound_serial: Option<f64>,
    bound_parallel: Option<f64>,
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
        let measured = [self.ratio, self.ratio_low, self.ratio_high];
        let derived = [self.gemm_ratio, self.critical_path_ratio, self.bound_serial, self.bound_parallel];
        measured.into_iter().chain(derived).flatten()
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
    let facts: HashMap<(&str, &str), &SummaryRow> =
        record.summary.iter().map(|r| ((&*r.point, &*r.contender), r)).collect();
    let ratios: HashMap<(&str, &str, &str), &RatioRow> =
        record.ratios.iter().map(|r| ((&*r.point, &*r.contender, &*r.baseline), r)).collect();
    for group in &groups {
        let depth = group.lanes.iter().flat_map(|l| l.rows.iter().map(|r| r.depth)).max().unwrap_or(0);
        let rows: Vec<(&Lane<'_>, Row<'_>)> = group
            .lanes
            .iter()
            .filter_map(|lane| Some((lane, lane.rows.iter().find(|r| r.depth == depth)?)))
            .filter(|(_, row)| row.contender != row.baseline && !is_unit(row))
            .map(|(lane, row)| (lane, joined(row, &facts, &ratios)))
            .filter(|(_, row)| row.values().next().is_some())
            .collect();
        let Some(x) = axis(group, &rows) else {
            out.skip(FIGURE, format!("`{}` has no contender beside its baseline", group.stem));
            continue;
        };
        let stem = format!("{FIGURE}.{}", group.stem);
        let table: Vec<_> = rows.iter().map(|(_, row)| row).collect();
        let bounded = rows.iter().any(|(_, r)| r.bound_serial.or(r.bound_parallel).is_some());
        let what = if bounded { " and its bounds" } else { ", measured and counted" };
        let title = format!("Cost of a {}{what}, L = {depth}", words(group.model));
        let files = canvas::save(folder, &stem, &csv_text(&table)?, || scene(&title, group, &rows, &x))?;
        let about = "Each contender at the largest depth, in units of BP on the same network. Upper line: measured time and \
                     counted matrix products. Lower line: counted products on the critical path, as on a machine with one \
                     processor per layer.";
        let bound =
            " Flags are the bounds for either machine. They leave parameter gradients out on both sides, as the \
             literature does; times and counts include them, which draws them towards 1. The layer-parallel \
             bound waits for every inference step to end; the critical path does not.";
        let about = format!("{about}{}", if bounded { bound } else { "" });
        out.drawn.push(Drawn { figure: FIGURE, stem, title, about, files });
    }
    Ok(out)
}

fn joined<'a>(
    row: &'a SummaryRow,
    facts: &HashMap<(&str, &str), &SummaryRow>,
    ratios: &HashMap<(&str, &str, &str), &RatioRow>,
) -> Row<'a> {
    let base = facts.get(&(&*row.point, &*row.baseline));
    let sound = |value: f64| Some(value).filter(|v| drawable(*v));
    let counted =
        |count: fn(&SummaryRow) -> u64| base.and_then(|b| sound(count(row) as f64 / count(b) as f64));
    let measured = ratios.get(&(&*row.point, &*row.contender, &*row.baseline));
    let measured = measured
        .filter(|r| sound(r.ratio).is_some() && r.interval().is_none_or(|(l, h)| drawable(l) && drawable(h)));
    let mark = row.mark().beside(base.map_or_else(Mark::default, |base| base.mark()));
    Row {
        contender: &row.contender,
        baseline: &row.baseline,
        depth: row.depth,
        steps: row.steps,
        ratio: measured.map(|r| r.ratio),
        ratio_low: measured.and_then(|r| Some(r.interval()?.0.min(r.ratio))),
        ratio_high: measured.and_then(|r| Some(r.interval()?.1.max(r.ratio))),
        gemm_ratio: counted(|r| r.gemms),
        critical_path_ratio: counted(|r| r.critical_path),
        // Bounds are per weight update; times and counts are per sample, which may hold several.
        bound_serial: row.bound_serial.and_then(|b| sound(b * row.updates as f64)),
        bound_parallel: row.bound_parallel.and_then(|b| sound(b * row.updates as f64)),
        contended: mark.contended,
        trained_layers: row.trained_layers,
    }
}

fn axis(group: &Group<'_>, rows: &[(&Lane<'_>, Row<'_>)]) -> Option<Axis> {
    if rows.is_empty() {
        return None;
    }
    let Unit { name, .. } = unit(rows.iter().map(|(_, r)| (r.contender, r.baseline)));
    let label = format!("cost of a {} in units of {name}", words(group.model));
    let values = || rows.iter().flat_map(|(_, r)| r.values()).chain([1.0]);
    let highest = values().fold(1.0, f64::max);
    // Room for the number to the right of the last symbol.
    let span = (highest / values().fold(1.0, f64::min)).max(2.0);
    Axis::log(&label, values().chain([highest * span.powf(0.12)]), |v| format!("{}×", number::short(v, 3)))
}

fn scene(title: &str, group: &Group<'_>, rows: &[(&Lane<'_>, Row<'_>)], x: &Axis) -> Result<Scene> {
    let place = |index: usize| (rows.len() - index) as f64 - 0.5;
    let wrap = |text: String| font::wrap(&text, TICK.size, TICK.bold, NAMES.0);
    let name = |lane: &Lane<'_>, row: &Row<'_>| {
        [lane.printed()].into_iter().chain(row.notes()).flat_map(wrap).collect()
    };
    let names: Vec<Vec<String>> = rows.iter().map(|(lane, row)| name(lane, row)).collect();
    let lines = names.iter().map(Vec::len).max().unwrap_or(1);
    let row_height = ROW.max(NAMES.1 * lines as f64 + 8.0);
    let high = rows.len() as f64;
    let ticks = names.iter().flatten().map(|line| (0.5, line.clone())).collect();
    // Only as wide as the names; they are drawn below, for a tick is one line of text.
    let wide = Axis { spread: Spread::Linear, low: 0.0, high, ticks, minor: vec![], label: String::new() };
    let entries = entries(rows);
    let Unit { note, .. } = unit(rows.iter().map(|(_, r)| (r.contender, r.baseline)));
    let facts: Vec<String> = group.facts.iter().cloned().chain([note]).collect();
    let mut page = Panels::new(&Layout {
        title,
        headings: &[String::new()],
        columns: 1,
        panel: (WIDTH, row_height * high),
        y: &[&wide],
        beside: legend::size(&entries),
        facts: &facts,
    });
    let frame = page.frame(0, x.clone(), Axis { ticks: Vec::new(), ..wide });
    frame.draw_grid(&mut page.scene);
    for index in 1..rows.len() {
        let y = frame.top + row_height * index as f64;
        page.scene.line([(frame.left, y), (frame.right, y)], 1.0, GRID);
    }
    let (one, _) = frame.at(1.0, 0.0)?;
    page.scene.dashed(&[(one, frame.top), (one, frame.bottom)], 1.3, SOFT, &[5.0, 3.0]);
    for (index, (lane, row)) in rows.iter().enumerate() {
        draw_row(&mut page.scene, &frame, lane, row, place(index))?;
        let (x, y) = (frame.left - 9.0, frame.top + row_height * (index as f64 + 0.5));
        let first = y - NAMES.1 * (names[index].len() as f64 - 1.0) / 2.0;
        for (i, line) in names[index].iter().enumerate() {
            page.scene.text((x, first + NAMES.1 * i as f64), line.clone(), TICK, Anchor::End);
        }
    }
    frame.draw_axes(&mut page.scene);
    let at = page.beside();
    legend::draw(&mut page.scene, at, &entries);
    Ok(page.scene)
}

fn entries(rows: &[(&Lane<'_>, Row<'_>)]) -> Vec<Entry> {
    let has = |value: fn(&Row<'_>) -> Option<f64>| rows.iter().any(|(_, r)| value(r).is_some());
    let (disc, square) = symbols(INK);
    [
        (has(|r| r.ratio), Entry::marker("measured time", "filled: median, 95 % interval", disc, false)),
        (has(|r| r.gemm_ratio), Entry::marker("matrix products", "counted", disc, true)),
        (has(|r| r.bound_serial), Entry::bar("bound, serial", "", SERIAL)),
        (
            has(|r| r.critical_path_ratio),
            Entry::marker("critical path", "counted, in matrix products", square, true),
        ),
        (has(|r| r.bound_parallel), Entry::bar("bound, layer-parallel", "one processor per layer", PARALLEL)),
    ]
    .into_iter()
    .filter_map(|(shown, entry)| shown.then_some(entry))
    .collect()
}

/// The symbols of the counts in a contender's colour: products, and the critical path.
fn symbols(color: Rgb) -> (Look, Look) {
    let look = |marker| Look { color, marker, dash: &[] };
    (look(Marker::Circle), look(Marker::Square))
}

fn draw_row(scene: &mut Scene, frame: &Frame, lane: &Lane<'_>, row: &Row<'_>, place: f64) -> Result<()> {
    let look = lane.look();
    let (disc, square) = symbols(look.color);
    let (one, middle) = frame.at(1.0, place)?;
    let (upper, lower) = (middle - 9.0, middle + 10.0);
    let at = |value: f64| frame.at(value, place).map(|(x, _)| x);
    // The stem from 1: how many times BP.
    for (values, y) in [([row.ratio, row.gemm_ratio], upper), ([row.critical_path_ratio, None], lower)] {
        for value in values.into_iter().flatten() {
            scene.line([(one, y), (at(value)?, y)], 1.4, look.color);
        }
    }
    for (bound, y, color) in [(row.bound_serial, upper, SERIAL), (row.bound_parallel, lower, PARALLEL)] {
        if let Some(bound) = bound {
            legend::bar(scene, (at(bound)?, y), color);
        }
    }
    if let (Some(low), Some(high)) = (row.ratio_low, row.ratio_high) {
        let (low, high) = (at(low)?, at(high)?);
        if high - low > 12.0 {
            scene.line([(low, upper), (high, upper)], 3.0, look.color);
        }
    }
    // The count around the measurement: where they agree they make a ring.
    if let Some(count) = row.gemm_ratio {
        scene.marker((at(count)?, upper), 5.6, disc, true);
    }
    if let Some(count) = row.critical_path_ratio {
        scene.marker((at(count)?, lower), 3.8, square, true);
    }
    if let Some(ratio) = row.ratio {
        scene.marker((at(ratio)?, upper), 3.4, look, false);
        let last =
            [row.gemm_ratio, row.bound_serial, row.ratio_high].into_iter().flatten().fold(ratio, f64::max);
        let text = format!("{}×", number::short(ratio, 3));
        scene.text((at(last.max(1.0))? + 13.0, upper), text, NOTE, Anchor::Start);
    }
    Ok(())
}
