//! What a direction costs and how far it is from that of backpropagation: one curve per contender over its steps.

use std::collections::HashMap;
use std::path::Path;

use serde::Serialize;

use super::axes::{drawable, Axis};
use super::chart::guide_entry;
use super::decay_heatmap::decade;
use super::direction::{distance, fields, ContenderSeries, Field, Point};
use super::drawing::{csv_text, Drawing, Drawn};
use super::label_placement;
use super::legend::{self, Entry};
use super::panels::{Layout, Panels};
use super::plot_area::PlotArea;
use super::scene::{Scene, Spot};
use super::style::{Style, GUIDE, INK, PAPER};
use super::{canvas, number};
use crate::record::{Record, SummaryRow};
use crate::Result;

const FIGURE: &str = "fidelity";

/// One point of the plane; also a line of the figure's CSV.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Place<'a> {
    contender: &'a str,
    depth: usize,
    steps: usize,
    step_size: f64,
    gemms: u64,
    bp_gemms: u64,
    gemm_ratio: f64,
    cosine: f64,
    norm_ratio: f64,
    distance: f64,
}

/// Draws one figure per benchmark and fixed axes, at the largest depth, with one panel per step size.
///
/// # Errors
/// As [`super::draw_all`].
pub fn draw(record: &Record, folder: &Path) -> Result<Drawing> {
    let mut out = Drawing::default();
    let fields = fields(record);
    if fields.is_empty() {
        out.skip(FIGURE, "no direction was compared with that of backpropagation");
    }
    let base = base_counts(record);
    for field in &fields {
        let depth = field.depths().last().copied().unwrap_or(0);
        let panels: Vec<Panel<'_, '_>> =
            field.choices(depth).into_iter().map(|size| Panel::new(field, depth, size, &base)).collect();
        let Some((x, y)) = axes(&panels) else {
            out.skip(FIGURE, format!("`{}` has no counted direction at depth {depth}", field.stem));
            continue;
        };
        let stem = format!("{FIGURE}.{}", field.stem);
        let title = format!("Cost and fidelity of a weight update, L = {depth}");
        let table: Vec<_> =
            panels.iter().flat_map(|p| p.curves.iter().flat_map(|(_, places)| places)).collect();
        let files =
            canvas::save(folder, &stem, &csv_text(&table)?, || scene(&title, field, &panels, &x, &y))?;
        let about = "Distance of a rule's direction g from that of backpropagation b, ‖g − b‖/‖b‖ over all layers on the \
                     same batch and parameters, against the matrix products it takes in units of BP's. Each curve runs over \
                     the number of inference steps T, named at its ends. Further down is closer to BP, further left is \
                     cheaper; 1 is the distance of a direction of zero. The row below the break holds exact equality.";
        out.drawn.push(Drawn { figure: FIGURE, stem, title, about: about.into(), files });
    }
    Ok(out)
}

/// Counted products of backpropagation by point and parameterisation.
fn base_counts(record: &Record) -> HashMap<(&str, &str), u64> {
    let bp = record.summary.iter().filter(|r| r.rule == "bp" && r.gemms > 0);
    bp.map(|r| ((&*r.point, &*r.parameterisation), r.gemms)).collect()
}

/// Products of BP at a point: as counted there, else 3L − 1, which it always is.
fn bp_gemms(row: &SummaryRow, base: &HashMap<(&str, &str), u64>) -> u64 {
    let counted = base.get(&(&*row.point, &*row.parameterisation)).copied();
    counted.unwrap_or((row.depth as u64).saturating_mul(3).saturating_sub(1))
}

/// The curves at one step size.
struct Panel<'f, 'a> {
    size: Option<f64>,
    curves: Vec<(&'f ContenderSeries<'a>, Vec<Place<'a>>)>,
}

impl<'f, 'a> Panel<'f, 'a> {
    fn new(field: &'f Field<'a>, depth: usize, size: Option<f64>, base: &HashMap<(&str, &str), u64>) -> Self {
        let curve = |series: &'f ContenderSeries<'a>| {
            let places = series.at(depth, size).into_iter().filter_map(|p| place(p, base)).collect();
            (series, places)
        };
        let others = field.series.iter().filter(|r| !["bp", "mupc-bp"].contains(&r.name()));
        let curves: Vec<(_, Vec<Place<'_>>)> = others.map(curve).collect();
        Self { size, curves: curves.into_iter().filter(|(_, places)| !places.is_empty()).collect() }
    }

    fn heading(&self) -> String {
        self.size.map_or(String::new(), |s| format!("step size λ = {}", number::short(s, 4)))
    }
}

fn place<'a>(point: &Point<'a>, base: &HashMap<(&str, &str), u64>) -> Option<Place<'a>> {
    let (row, whole) = (point.row, point.whole?);
    let bp_gemms = bp_gemms(row, base);
    let gemm_ratio = row.gemms as f64 / bp_gemms as f64;
    let distance = distance(whole).filter(|d| *d == 0.0 || drawable(*d))?;
    drawable(gemm_ratio).then_some(Place {
        contender: &row.contender,
        depth: row.depth,
        steps: row.steps,
        step_size: row.step_size,
        gemms: row.gemms,
        bp_gemms,
        gemm_ratio,
        cosine: whole.cosine,
        norm_ratio: whole.norm_ratio,
        distance,
    })
}

fn axes(panels: &[Panel<'_, '_>]) -> Option<(Axis, Plane)> {
    let all = || panels.iter().flat_map(|p| p.curves.iter().flat_map(|(_, places)| places));
    let times = |v: f64| format!("{}×", number::short(v, 3));
    let x = Axis::log("matrix products in units of BP's (counted)", all().map(|p| p.gemm_ratio), times)?;
    let label = "relative distance from BP's direction";
    let positive = all().map(|p| p.distance).filter(|d| *d > 0.0);
    let y = Axis::log(label, positive.chain([1.0]), decade)?;
    Some((x, Plane::new(y, all().any(|p| p.distance == 0.0))))
}

/// The logarithmic axis of distances, with a row for exact zeros below a break if there are any.
struct Plane {
    y: Axis,
    /// Stands for 0, and the place of the break.
    zero: Option<(f64, f64)>,
}

impl Plane {
    fn new(mut y: Axis, zeros: bool) -> Self {
        if !zeros {
            return Self { y, zero: None };
        }
        let span = y.high.ln() - y.low.ln();
        let below = |share: f64| (y.low.ln() - share * span).exp().max(1e-307);
        let (cut, zero, low) = (below(0.035), below(0.09), below(0.14));
        y.low = low;
        y.ticks.insert(0, (zero, "0".to_owned()));
        Self { y, zero: Some((zero, cut)) }
    }

    fn value(&self, distance: f64) -> f64 {
        match self.zero {
            Some((zero, _)) if distance == 0.0 => zero,
            _ => distance,
        }
    }
}

fn scene(title: &str, field: &Field<'_>, panels: &[Panel<'_, '_>], x: &Axis, plane: &Plane) -> Result<Scene> {
    let size = match panels.len() {
        1 => (560.0, 460.0),
        2 | 4 => (380.0, 420.0),
        _ => (285.0, 420.0),
    };
    let mut entries: Vec<Entry> = Vec::new();
    for series in &field.series {
        if panels.iter().any(|p| p.curves.iter().any(|(r, _)| std::ptr::eq(*r, series))) {
            entries.push(Entry::series(&series.printed, "", series.style()));
        }
    }
    entries.push(guide_entry("1", "nothing moves, g = 0"));
    let headings: Vec<String> = panels.iter().map(Panel::heading).collect();
    let mut facts = field.facts.clone();
    facts.extend(own_sizes(panels));
    facts.push("distance ‖g − b‖/‖b‖, b the direction of BP".to_owned());
    let columns = if panels.len() == 4 { 2 } else { 3 };
    let beside = legend::size(&entries);
    let y = [&plane.y];
    let layout = Layout { title, headings: &headings, columns, panel: size, y: &y, beside, facts: &facts };
    let mut page = Panels::new(&layout);
    for (index, panel) in panels.iter().enumerate() {
        let plot_area = page.plot_area(index, x.clone(), plane.y.clone());
        draw_panel(&mut page.scene, &plot_area, panel, plane)?;
    }
    let at = page.beside();
    legend::draw(&mut page.scene, at, &entries);
    Ok(page.scene)
}

/// Step sizes that no heading names, for the caption.
fn own_sizes(panels: &[Panel<'_, '_>]) -> Option<String> {
    let mut told: Vec<String> = Vec::new();
    for panel in panels {
        for (series, places) in &panel.curves {
            let own = places.iter().find(|p| p.steps > 0).map(|p| p.step_size);
            let text = own
                .filter(|own| panel.size != Some(*own))
                .map(|own| (number::short(own, 4), &series.printed));
            let text = text.map(|(size, who)| format!("{size} ({who})"));
            told.extend(text.filter(|t| !told.contains(t)));
        }
    }
    let mut sizes: Vec<&str> = told.iter().filter_map(|t| t.split(' ').next()).collect();
    sizes.dedup();
    match sizes[..] {
        [] => None,
        [one] if panels.len() == 1 => Some(format!("step size λ = {one}")),
        _ => Some(format!("step size λ = {}", told.join(", "))),
    }
}

fn draw_panel(scene: &mut Scene, plot_area: &PlotArea, panel: &Panel<'_, '_>, plane: &Plane) -> Result<()> {
    plot_area.draw_grid(scene);
    let still = [plot_area.at(plot_area.x.low, 1.0)?, plot_area.at(plot_area.x.high, 1.0)?];
    scene.line(still, 1.6, GUIDE);
    let mut curves: Vec<(Style, Vec<(usize, Spot)>)> = Vec::new();
    for (series, places) in &panel.curves {
        let spot = |p: &Place<'_>| Ok((p.steps, plot_area.at(p.gemm_ratio, plane.value(p.distance))?));
        curves.push((series.style(), places.iter().map(spot).collect::<Result<_>>()?));
    }
    // As in the line charts: what lies below is larger, so that of curves that coincide a rim of each is seen.
    let rank = |index: usize| index as f64 / curves.len().saturating_sub(1).max(3) as f64;
    for (index, (style, places)) in curves.iter().enumerate().rev() {
        let line: Vec<Spot> = places.iter().map(|(_, spot)| *spot).collect();
        scene.dashed(&line, 1.5 + 1.1 * rank(index), style.color, style.dash);
    }
    for (index, (style, places)) in curves.iter().enumerate().rev() {
        places.iter().for_each(|(_, spot)| scene.marker(*spot, 3.2 + 2.2 * rank(index), *style, false));
    }
    label_placement::at_ends(scene, plot_area, &curves, &[still]);
    plot_area.draw_axes(scene);
    if let Some((_, cut)) = plane.zero {
        let (x, y) = plot_area.at(plot_area.x.low, cut)?;
        let slash = |dy: f64| [(x - 5.0, y + dy + 3.0), (x + 5.0, y + dy - 3.0)];
        scene.area(
            [(x - 2.0, y - 2.5), (x + 2.0, y - 3.5), (x + 2.0, y + 2.5), (x - 2.0, y + 3.5)],
            PAPER,
            1.0,
        );
        scene.line(slash(-3.0), 1.2, INK);
        scene.line(slash(3.0), 1.2, INK);
    }
    Ok(())
}
