//! Cosine of a rule's descent direction to that of backpropagation, against inference steps in units of the depth.

use std::path::Path;

use serde::Serialize;

use super::axes::Axis;
use super::direction::{along, dash, distance, fields, law_share, ContenderSeries, Field, Point};
use super::drawing::{csv_text, Drawing, Drawn};
use super::legend::{self, Entry};
use super::panels::{Layout, Panels};
use super::plot_area::PlotArea;
use super::scene::{Scene, Spot};
use super::style::{Marker, Rgb, GUIDE, INK};
use super::{canvas, number};
use crate::record::Record;
use crate::Result;

const FIGURE: &str = "alignment";
const PANEL: (f64, f64) = (250.0, 220.0);
/// Steps at which the law is drawn; between them it is straight to the eye.
const LAW_POINTS: usize = 160;

/// One line of the figure's CSV.
#[derive(Debug, Serialize)]
pub(super) struct Row<'a> {
    contender: &'a str,
    rule: &'a str,
    parameterisation: &'a str,
    depth: usize,
    steps: usize,
    step_size: f64,
    steps_per_depth: f64,
    layer: usize,
    cosine: f64,
    norm_ratio: f64,
    distance: Option<f64>,
    law_cosine: Option<f64>,
}

/// Draws one figure per benchmark and fixed axes.
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
        let shown: Vec<&ContenderSeries<'_>> =
            field.series.iter().filter(|r| dots(r).next().is_some()).collect();
        let axes = axes(&shown);
        let Some((x, y)) = axes else {
            out.skip(
                FIGURE,
                format!("`{}` has no finite cosine of a contender with inference steps", field.stem),
            );
            continue;
        };
        let stem = format!("{FIGURE}.{}", field.stem);
        let title = "Cosine of the weight update to that of backpropagation".to_owned();
        let files =
            canvas::save(folder, &stem, &csv_text(&table(field))?, || scene(&title, field, &shown, &x, &y))?;
        let arrives = "The dotted line is T = L, the first step at which the output error can have reached every layer under \
                       sPC and FPA.";
        let chain = field.series.iter().all(on_chains);
        let about = format!(
            "Cosine between the descent direction of a rule and that of backpropagation, all layers together, on the same batch \
             and parameters, against inference steps T in units of the depth L. {}",
            if chain { arrives } else { "The dotted line is T = L." }
        );
        let law = if shown.iter().any(|r| follows_law(r)) {
            " Thin black lines are the law of FPA, which has no free parameter: layer ℓ moves by P[Binomial(T, λ) ≥ L − ℓ] \
             times its BP gradient."
        } else {
            ""
        };
        out.drawn.push(Drawn { figure: FIGURE, stem, title, about: format!("{about}{law}"), files });
    }
    Ok(out)
}

/// The rule whose direction is known in closed form.
pub(super) fn follows_law(series: &ContenderSeries<'_>) -> bool {
    series.name() == "fpa" && on_chains(series)
}

/// Whether its networks are chains of layers.
pub(super) fn on_chains(series: &ContenderSeries<'_>) -> bool {
    series.points.iter().all(|point| point.row.is_chain())
}

/// Steps per depth and cosine of the points that can be drawn.
fn dots<'r>(series: &'r ContenderSeries<'_>) -> impl Iterator<Item = (f64, f64)> + 'r {
    series.points.iter().filter_map(dot)
}

fn dot(point: &Point<'_>) -> Option<(f64, f64)> {
    let cosine = point.whole?.cosine;
    let steps = point.row.steps as f64 / point.row.depth as f64;
    // Rounding brings a cosine a few units in the last place beyond its range; more than that is damage.
    let sound = steps > 0.0 && cosine.abs() <= 1.0 + 1e-4;
    sound.then_some((steps, cosine.clamp(-1.0, 1.0)))
}

fn axes(series: &[&ContenderSeries<'_>]) -> Option<(Axis, Axis)> {
    let all = || series.iter().flat_map(|r| dots(r));
    let chain = series.iter().all(|r| on_chains(r));
    let label = if chain { "inference steps per layer, T/L" } else { "inference steps over depth, T/L" };
    let x = Axis::doublings(label, all().map(|d| d.0))?;
    let least = all().map(|d| d.1).fold(f64::INFINITY, f64::min);
    Some((x, cosine_axis("cosine to BP", least)?))
}

/// An axis from the least cosine to a little above 1; from 0 unless the least one is near 1 or negative.
pub(super) fn cosine_axis(label: &str, least: f64) -> Option<Axis> {
    let low = match least {
        l if l < -0.02 => l - 0.05,
        l if l < 0.6 => -0.03,
        l => l - 0.12 * (1.0 - l).max(0.02),
    };
    Axis::linear(label, low, 1.0 + 0.04 * (1.0 - low), |v| number::short(v, 4))
}

/// Cosine of FPA's direction by the binomial law, given the norms of backpropagation's direction in layers 1..=L.
fn law(norms: &[f64], step_size: f64, steps: usize) -> Option<f64> {
    let (mut dot, mut own, mut base) = (0.0, 0.0, 0.0);
    for (d, norm) in norms.iter().rev().enumerate() {
        let (share, square) = (law_share(step_size, d, steps)?, norm * norm);
        dot += share * square;
        own += share * share * square;
        base += square;
    }
    Some(dot / (own * base).sqrt()).filter(|c| c.is_finite())
}

fn table<'a>(field: &'a Field<'_>) -> Vec<Row<'a>> {
    let points = field.series.iter().flat_map(|r| r.points.iter().map(move |p| (r, p)));
    let rows = points.filter_map(|(series, point)| {
        let norms = point.bp_norms().filter(|_| follows_law(series));
        let law = norms.and_then(|n| law(&n, point.row.step_size, point.row.steps));
        Some(Row { law_cosine: law, ..line(point, point.whole?) })
    });
    rows.collect()
}

/// A row of the CSV of this and the layers' figure.
pub(super) fn line<'a>(point: &Point<'a>, row: &'a crate::record::AlignmentRow) -> Row<'a> {
    let facts = point.row;
    Row {
        contender: &facts.contender,
        rule: &facts.rule,
        parameterisation: &facts.parameterisation,
        depth: facts.depth,
        steps: facts.steps,
        step_size: facts.step_size,
        steps_per_depth: facts.steps as f64 / facts.depth as f64,
        layer: row.layer,
        cosine: row.cosine,
        norm_ratio: row.norm_ratio,
        distance: distance(row),
        law_cosine: None,
    }
}

fn scene(
    title: &str,
    field: &Field<'_>,
    shown: &[&ContenderSeries<'_>],
    x: &Axis,
    y: &Axis,
) -> Result<Scene> {
    let (depths, sizes) = (field.depths(), field.sizes());
    let color = |depth: usize| along(depths.iter().position(|d| *d == depth).unwrap_or(0), depths.len());
    let mut entries: Vec<Entry> =
        depths.iter().map(|&d| Entry::line(&format!("L = {d}"), "", color(d), &[])).collect();
    for &size in &sizes {
        let name = format!("step size λ = {}", number::short(size, 4));
        entries.push(Entry::line(&name, "", INK, dash(size, &sizes)));
    }
    if shown.iter().any(|r| follows_law(r)) {
        entries.push(Entry::thin("law", "of FPA (points: measured)", INK));
    }
    let headings: Vec<String> = shown.iter().map(|r| r.printed.clone()).collect();
    let facts: Vec<String> = field.facts.iter().cloned().chain(stepless(field)).collect();
    let columns = if shown.len() == 4 { 2 } else { 3 };
    let mut panels = Panels::new(&Layout {
        title,
        headings: &headings,
        columns,
        panel: PANEL,
        y: &[y],
        beside: legend::size(&entries),
        facts: &facts,
    });
    for (index, series) in shown.iter().enumerate() {
        let plot_area = panels.plot_area(index, x.clone(), y.clone());
        plot_area.draw_grid(&mut panels.scene);
        if x.share(1.0).is_some() {
            let ends = [plot_area.at(1.0, y.low)?, plot_area.at(1.0, y.high)?];
            panels.scene.dashed(&ends, 1.3, GUIDE, &[2.0, 2.5]);
        }
        // Runs of equal depth and step size are neighbours.
        for run in series.points.chunk_by(|a, b| same_line(a, b)) {
            let row = run[0].row;
            let style = (color(row.depth), dash(row.step_size, &sizes));
            let spots =
                run.iter().filter_map(dot).map(|(x, y)| plot_area.at(x, y)).collect::<Result<Vec<Spot>>>()?;
            // Where theory has a line, measurements are points.
            let theory = follows_law(series) && law_line(&mut panels.scene, &plot_area, run, style.1);
            if !theory {
                panels.scene.dashed(&spots, 1.7, style.0, style.1);
            }
            discs(&mut panels.scene, &spots, if theory { 2.9 } else { 2.3 }, style.0);
        }
        plot_area.draw_axes(&mut panels.scene);
    }
    let at = panels.beside();
    legend::draw(&mut panels.scene, at, &entries);
    Ok(panels.scene)
}

fn same_line(a: &Point<'_>, b: &Point<'_>) -> bool {
    a.row.depth == b.row.depth && a.row.step_size == b.row.step_size
}

/// What contenders without inference steps reach, for the caption.
fn stepless(field: &Field<'_>) -> Option<String> {
    let told = field.series.iter().filter_map(|series| {
        let points = series.points.iter().filter(|p| p.row.steps == 0);
        let cosines = points.filter_map(|p| Some(p.whole?.cosine).filter(|c| c.is_finite()));
        let (low, high) = cosines.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), c| (l.min(c), h.max(c)));
        let (low, high) = (number::short(low, 6), number::short(high, 6));
        match (series.name(), low == high) {
            _ if low == "not finite" => None,
            // Backpropagation beside itself is no news.
            ("bp" | "mupc-bp", _) => None,
            (_, true) => Some(format!("{}: {low}", series.printed)),
            (_, false) => Some(format!("{}: {low} to {high}", series.printed)),
        }
    });
    let told: Vec<String> = told.collect();
    (!told.is_empty()).then(|| format!("cosine without inference steps: {}", told.join(", ")))
}

pub(super) fn discs(scene: &mut Scene, spots: &[Spot], radius: f64, color: Rgb) {
    for (x, y) in spots {
        let disc = Marker::Circle.outline().into_iter().map(|(dx, dy)| (x + radius * dx, y + radius * dy));
        scene.area(disc.collect::<Vec<Spot>>(), color, 1.0);
    }
}

/// The law through all whole numbers of steps between those measured, or a selection of them; whether there is one.
fn law_line(scene: &mut Scene, plot_area: &PlotArea, run: &[Point<'_>], dash: &[f64]) -> bool {
    let Some(norms) = run.iter().find_map(Point::bp_norms) else { return false };
    let steps = || run.iter().filter(|p| dot(p).is_some()).map(|p| p.row.steps);
    let (Some(first), Some(last)) = (steps().min(), steps().max()) else { return false };
    let (depth, size) = (norms.len() as f64, run[0].row.step_size);
    let growth = (last as f64 / first as f64).powf(1.0 / LAW_POINTS as f64);
    let mut at: Vec<usize> = if last - first <= LAW_POINTS {
        (first..=last).collect()
    } else {
        (0..=LAW_POINTS).map(|i| (first as f64 * growth.powf(i as f64)).round() as usize).collect()
    };
    at.dedup();
    let spot = |t: usize| plot_area.at(t as f64 / depth, law(&norms, size, t)?).ok();
    let spots: Vec<Spot> = at.into_iter().filter_map(spot).collect();
    scene.dashed(&spots, 0.9, INK, dash);
    !spots.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand for L = 2, λ = ½, T = 1: shares ½ and 1, norms 1 and 2.
    #[test]
    fn the_law_by_hand_and_at_its_ends() {
        let expected = (0.5 + 4.0) / ((0.25f64 + 4.0).sqrt() * 5.0f64.sqrt());
        assert!((law(&[1.0, 2.0], 0.5, 1).unwrap() - expected).abs() < 1e-15);
        assert!((law(&[1.0, 2.0, 3.0], 1.0, 2).unwrap() - 1.0).abs() < 1e-15, "step 1 and T = L − 1 is BP");
        assert!((law(&[3.0, 4.0], 0.3, 0).unwrap() - 0.8).abs() < 1e-15, "only the output layer moves");
        assert_eq!(law(&[1.0], 1.5, 3), None);
        assert_eq!(law(&[0.0, 0.0], 0.5, 3), None);
    }
}
