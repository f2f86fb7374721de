//! Direction of each layer beside that of backpropagation, in the deepest network: cosine above, ratio of norms below.

use std::path::Path;

use super::alignment::{cosine_axis, discs, follows_law, line, on_chains};
use super::axes::{drawable, Axis, Spread};
use super::decay_heatmap::decade;
use super::direction::{along, fields, law_share, some_of, ContenderSeries, Field, Point};
use super::drawing::{csv_text, Drawing, Drawn};
use super::legend::{self, Entry};
use super::panels::{Layout, Panels};
use super::plot_area::PlotArea;
use super::scene::{Scene, Spot};
use super::style::{Rgb, GUIDE, INK, SOFT};
use super::{canvas, filenames, number};
use crate::record::{AlignmentRow, Record};
use crate::Result;

const FIGURE: &str = "alignment-layers";
const PANEL: (f64, f64) = (178.0, 130.0);
const MOST_COLUMNS: usize = 4;

/// Draws one figure per benchmark, fixed axes and step size, at the largest depth.
///
/// # Errors
/// As [`super::draw_all`].
pub fn draw(record: &Record, folder: &Path) -> Result<Drawing> {
    let mut out = Drawing::default();
    let fields = fields(record);
    if fields.is_empty() {
        out.skip(FIGURE, "no direction was compared with that of backpropagation");
    }
    for field in &fields {
        let depth = field.depths().last().copied().unwrap_or(0);
        let choices = field.choices(depth);
        for size in &choices {
            let view = View::new(field, depth, *size);
            let suffix =
                size.map_or(String::new(), |s| format!(".{}", filenames::slug(&format!("step-{s}"))));
            let stem = format!("{FIGURE}.{}{suffix}", field.stem);
            let Some(axes) = view.axes() else {
                out.skip(FIGURE, format!("`{}` has no layer to draw at depth {depth}", field.stem));
                continue;
            };
            let title = format!("Each layer's update beside that of backpropagation, L = {depth}");
            let points = view.series.iter().flat_map(|(_, points)| points);
            let table: Vec<_> = points.flat_map(|p| p.layers.values().map(|r| line(p, r))).collect();
            let files = canvas::save(folder, &stem, &csv_text(&table)?, || view.scene(&title, field, &axes))?;
            let about = "Cosine and norm of the update of each layer relative to those of backpropagation, at the largest \
                         depth, after different numbers of inference steps T. A layer whose update is exactly zero has \
                         neither; a norm ratio near or below the rounding of the dtype is noise, whatever its cosine. \
                         Thin black lines, on chains of layers alone, are the law of FPA, P[Binomial(T, λ) ≥ L − ℓ]. Layers of \
                         other networks are groups of parameters, in the order in which they are first used.";
            out.drawn.push(Drawn { figure: FIGURE, stem, title, about: about.into(), files });
        }
    }
    Ok(out)
}

/// What one figure shows.
struct View<'f, 'a> {
    depth: usize,
    size: Option<f64>,
    /// Numbers of steps that have a line.
    steps: Vec<usize>,
    /// Half a unit in the last place of 1.
    rounding: Option<f64>,
    series: Vec<(&'f ContenderSeries<'a>, Vec<&'f Point<'a>>)>,
}

struct Axes {
    layer: Axis,
    cosine: Axis,
    norm: Axis,
}

fn cosine(row: &AlignmentRow) -> Option<f64> {
    Some(row.cosine).filter(|c| c.abs() <= 1.0 + 1e-4).map(|c| c.clamp(-1.0, 1.0))
}

fn norm(row: &AlignmentRow) -> Option<f64> {
    Some(row.norm_ratio).filter(|r| drawable(*r))
}

impl<'f, 'a> View<'f, 'a> {
    fn new(field: &'f Field<'a>, depth: usize, size: Option<f64>) -> Self {
        let here = |r: &'f ContenderSeries<'a>| (r, r.at(depth, size));
        let others = field.series.iter().filter(|r| !["bp", "mupc-bp"].contains(&r.name()));
        let series: Vec<_> = others.map(here).collect();
        let counts = series.iter().flat_map(|(_, points)| points.iter().map(|p| p.row.steps));
        let mut counts: Vec<usize> = counts.filter(|t| *t > 0).collect();
        counts.sort_unstable();
        counts.dedup();
        let mut steps = some_of(&counts);
        // T = L is what published runs use: it takes the place of its neighbour.
        if counts.contains(&depth) && !steps.contains(&depth) {
            let nearest = (1..steps.len().saturating_sub(1)).min_by_key(|&i| steps[i].abs_diff(depth));
            nearest.into_iter().for_each(|i| steps[i] = depth);
        }
        let drawn = |p: &&Point<'_>| {
            (p.row.steps == 0 || steps.contains(&p.row.steps))
                && p.layers.values().any(|r| cosine(r).or(norm(r)).is_some())
        };
        let series =
            series.into_iter().map(|(r, points)| (r, points.into_iter().filter(drawn).collect::<Vec<_>>()));
        let series: Vec<(_, Vec<&Point<'_>>)> = series.filter(|(_, points)| !points.is_empty()).collect();
        let dtype = series.iter().flat_map(|(_, points)| points).map(|p| &*p.row.dtype).next();
        let rounding = match dtype {
            Some("f32") => Some(f64::from(f32::EPSILON) / 2.0),
            Some("f64") => Some(f64::EPSILON / 2.0),
            _ => None,
        };
        Self { depth, size, steps, rounding, series }
    }

    fn axes(&self) -> Option<Axes> {
        let rows =
            || self.series.iter().flat_map(|(_, points)| points.iter().flat_map(|p| p.layers.values()));
        let last = rows().map(|r| r.layer).max()?;
        let least = rows().filter_map(|r| cosine(r)).fold(1.0, f64::min);
        let norm = Axis::log("norm in units of BP's", rows().filter_map(|r| norm(r)).chain([1.0]), decade)?;
        let chain = self.series.iter().all(|(series, _)| on_chains(series));
        let label = if chain { "layer ℓ" } else { "group of parameters" };
        let (layer, cosine) = (Axis::integers(label, 1, last, 4), cosine_axis("cosine to BP", least)?);
        Some(Axes { layer, cosine, norm })
    }

    fn color(&self, steps: usize) -> Rgb {
        self.steps.iter().position(|t| *t == steps).map_or(SOFT, |i| along(i, self.steps.len()))
    }

    fn entries(&self) -> Vec<Entry> {
        let line = |t: usize| {
            let note = if t == self.depth { " = L" } else { "" };
            Entry::line(&format!("T = {t}{note}"), "", self.color(t), &[])
        };
        let mut entries: Vec<Entry> = self.steps.iter().map(|&t| line(t)).collect();
        if self.series.iter().any(|(_, points)| points.iter().any(|p| p.row.steps == 0)) {
            entries.push(Entry::line("no steps", "", SOFT, &[]));
        }
        if self.rounding.is_some() {
            let note = if self.rounding < Some(1e-12) { "of f64, 2⁻⁵³" } else { "of f32, 2⁻²⁴" };
            entries.push(Entry::line("rounding", note, GUIDE, &[2.0, 2.5]));
        }
        if self.series.iter().any(|(r, _)| follows_law(r)) {
            entries.push(Entry::thin("law", "of FPA, no fit", INK));
        }
        entries
    }

    fn scene(&self, title: &str, field: &Field<'_>, axes: &Axes) -> Result<Scene> {
        let entries = self.entries();
        // Full rows rather than one long and one short.
        let blocks = self.series.len().div_ceil(MOST_COLUMNS).max(1);
        let columns = self.series.len().div_ceil(blocks);
        let mut headings = Vec::new();
        for block in self.series.chunks(columns.max(1)) {
            headings.extend(block.iter().map(|(series, points)| self.heading(series, points)));
            headings.resize(headings.len().next_multiple_of(columns) + block.len(), String::new());
            headings.resize(headings.len().next_multiple_of(columns), String::new());
        }
        let mut facts = field.facts.clone();
        facts.extend(self.size.map(|s| format!("step size λ = {}", number::short(s, 4))));
        facts.push("zeros not drawn".to_owned());
        let mut panels = Panels::new(&Layout {
            title,
            headings: &headings,
            columns,
            panel: PANEL,
            y: &[&axes.cosine, &axes.norm],
            beside: legend::size(&entries),
            facts: &facts,
        });
        for (index, (series, points)) in self.series.iter().enumerate() {
            let above = 2 * (index / columns) * columns + index % columns;
            let unnamed = Axis { label: String::new(), ..axes.layer.clone() };
            let upper = panels.plot_area(above, unnamed, axes.cosine.clone());
            let lower = panels.plot_area(above + columns, axes.layer.clone(), axes.norm.clone());
            let theory = follows_law(series);
            let scene = &mut panels.scene;
            for (plot_area, value) in [(&upper, cosine as fn(&AlignmentRow) -> Option<f64>), (&lower, norm)] {
                plot_area.draw_grid(scene);
                if let Some(rounding) = self
                    .rounding
                    .filter(|r| plot_area.y.share(*r).is_some() && plot_area.y.spread == Spread::Log)
                {
                    let ends =
                        [plot_area.at(plot_area.x.low, rounding)?, plot_area.at(plot_area.x.high, rounding)?];
                    scene.dashed(&ends, 1.3, GUIDE, &[2.0, 2.5]);
                }
                for (rank, point) in points.iter().enumerate() {
                    let color = self.color(point.row.steps);
                    let spots = point.layers.values().map(|r| Some((r.layer as f64, value(r)?)));
                    // Later lines are thinner, so that of lines that coincide a rim of each is seen.
                    let width = 1.4 + 1.6 * (1.0 - (rank + 1) as f64 / points.len() as f64);
                    curve(scene, plot_area, spots, if theory { 2.8 } else { width }, color)?;
                }
            }
            if theory {
                points.iter().try_for_each(|p| law(scene, &lower, p))?;
            }
            upper.draw_axes(scene);
            lower.draw_axes(scene);
        }
        let at = panels.beside();
        legend::draw(&mut panels.scene, at, &entries);
        Ok(panels.scene)
    }

    /// The contender, and its step size if the whole figure does not have it.
    fn heading(&self, series: &ContenderSeries<'_>, points: &[&Point<'_>]) -> String {
        let own = points.iter().find(|p| p.row.steps > 0).map(|p| p.row.step_size);
        match own.filter(|own| self.size != Some(*own)) {
            Some(own) => format!("{}, λ = {}", series.printed, number::short(own, 4)),
            None => series.printed.clone(),
        }
    }
}

/// The share of BP's gradient that the law gives each layer.
fn law(scene: &mut Scene, plot_area: &PlotArea, point: &Point<'_>) -> Result<()> {
    let row = point.row;
    let shares = point.layers.keys().map(|&layer| {
        let share = law_share(row.step_size, row.depth.checked_sub(layer)?, row.steps)?;
        plot_area.y.share(share).map(|_| (layer as f64, share))
    });
    curve(scene, plot_area, shares, 0.8, INK)
}

/// A line through the values there are, broken where one is missing; a value between two gaps becomes a dot.
fn curve(
    scene: &mut Scene,
    plot_area: &PlotArea,
    values: impl Iterator<Item = Option<(f64, f64)>>,
    width: f64,
    color: Rgb,
) -> Result<()> {
    let mut run: Vec<Spot> = Vec::new();
    for value in values.chain([None]) {
        match value {
            Some((x, y)) => run.push(plot_area.at(x, y)?),
            None => match run[..] {
                [] => {}
                [(x, y)] => {
                    discs(scene, &[(x, y)], 1.9, color);
                    run.clear();
                }
                _ => scene.line(std::mem::take(&mut run), width, color),
            },
        }
    }
    Ok(())
}
