//! Energy of every layer after every inference step, as a heat map: how far an error has travelled.

use std::path::Path;

use super::axes::Axis;
use super::drawing::{csv_text, Drawing, Drawn};
use super::legend::{self, Entry};
use super::panels::{Layout, Panels};
use super::plot_area::PlotArea;
use super::scene::{Scene, Spot};
use super::signal::{traces, Panel, Trace};
use super::style::{viridis, Rgb, INK, PAPER};
use super::{canvas, colour_bar, number, style};
use crate::record::Record;
use crate::Result;

const FIGURE: &str = "decay-heatmap";

/// Layers with an error of exactly zero: a grey that viridis does not contain.
const ZERO: Rgb = (205, 205, 205);
/// Not a number or infinite: the run diverged.
const BROKEN: Rgb = (255, 190, 200);
const PANEL: (f64, f64) = (270.0, 280.0);
/// More columns than this are less than a pixel wide in print; the CSV keeps every step.
const MOST_COLUMNS: usize = 200;
/// Names of contenders whose error moves down one layer per step from a feed-forward start.
const WAVES: [&str; 3] = ["spc", "mupc", "fpa"];

/// Whether a contender's error moves so; on a network that is no chain layers have no such order.
fn is_wave(panel: &Panel<'_>) -> bool {
    let chain = panel.summary.is_none_or(crate::record::SummaryRow::is_chain);
    chain && WAVES.contains(&style::split(panel.contender).0)
}

/// Draws one figure per traced point.
///
/// # Errors
/// As [`super::draw_all`].
pub fn draw(record: &Record, folder: &Path) -> Result<Drawing> {
    let mut out = Drawing::default();
    let traces = traces(record);
    if traces.is_empty() {
        out.skip(FIGURE, "no signal was traced");
    }
    for trace in &traces {
        let Some(scale) = Axis::log("energy ½‖ε‖², sum over the batch", trace.energies(), decade)
        else {
            out.skip(FIGURE, format!("`{}` has no positive energy", trace.stem));
            continue;
        };
        let stem = format!("{FIGURE}.{}", trace.stem);
        let title = "Energy of each layer during inference".to_owned();
        let files = canvas::save(folder, &stem, &csv_text(&trace.table())?, || scene(&title, trace, &scale))?;
        let about = "Energy of each layer (the loss at the output layer L) after each inference step, on a logarithmic \
                     colour scale shared by all panels. Grey cells are exactly zero: no error has arrived, or it is \
                     lost to rounding. The dashed line is the earliest possible arrival, one layer per step.";
        out.drawn.push(Drawn { figure: FIGURE, stem, title, about: about.into(), files });
    }
    Ok(out)
}

pub(super) fn decade(value: f64) -> String {
    let exponent = value.log10();
    let whole = (exponent - exponent.round()).abs() < 1e-9;
    if whole {
        number::power_of_ten(exponent.round() as i32)
    } else {
        number::short(value, 3)
    }
}

fn scene(title: &str, trace: &Trace<'_>, scale: &Axis) -> Result<Scene> {
    let entries = entries(trace);
    let (legend_width, legend_height) = legend::size(&entries);
    let bar = PANEL.1 * 0.72;
    let beside = (f64::max(legend_width, colour_bar::width(scale)), bar + 22.0 + legend_height);
    let layers = Axis::integers("layer ℓ", 1, trace.layers, 6);
    let mut facts = trace.facts.clone();
    let stride = |panel: &Panel<'_>| panel.steps.saturating_add(1).div_ceil(MOST_COLUMNS);
    if let Some(widest) = trace.panels.iter().map(stride).max().filter(|s| *s > 1) {
        facts.push(format!("long traces: one step in {widest} drawn"));
    }
    let headings: Vec<String> = trace.panels.iter().map(Panel::title).collect();
    let mut panels = Panels::new(&Layout {
        title,
        headings: &headings,
        columns: 3,
        panel: PANEL,
        y: &[&layers],
        beside,
        facts: &facts,
    });
    for (index, panel) in trace.panels.iter().enumerate() {
        let steps = Axis::integers("inference step t", 0, panel.steps, 5);
        let plot_area = panels.plot_area(index, steps, layers.clone());
        cells(&mut panels.scene, &plot_area, panel, scale, stride(panel))?;
        if is_wave(panel) {
            first_arrival(&mut panels.scene, &plot_area, trace.layers, panel.steps)?;
        }
        plot_area.draw_axes(&mut panels.scene);
    }
    let at = panels.beside();
    let bottom = colour_bar::draw(&mut panels.scene, at, bar, scale);
    legend::draw(&mut panels.scene, (at.0, bottom + 22.0), &entries);
    Ok(panels.scene)
}

fn entries(trace: &Trace<'_>) -> Vec<Entry> {
    let mut entries = Vec::new();
    if trace.energies().any(|e| e == 0.0) {
        entries.push(Entry::swatch("exactly 0", ZERO));
    }
    if trace.energies().any(|e| !e.is_finite()) {
        entries.push(Entry::swatch("not finite", BROKEN));
    }
    if trace.panels.iter().any(is_wave) {
        entries.push(Entry::line("first arrival", "ℓ = L − t", INK, &[5.0, 3.0]));
    }
    entries
}

fn color(energy: f64, scale: &Axis) -> Rgb {
    if energy == 0.0 {
        ZERO
    } else if !energy.is_finite() || energy < 0.0 {
        BROKEN
    } else {
        viridis(scale.unclipped(energy))
    }
}

/// One rectangle per run of equal colours along a layer; a step lasts until the next one drawn.
fn cells(
    scene: &mut Scene,
    plot_area: &PlotArea,
    panel: &Panel<'_>,
    scale: &Axis,
    stride: usize,
) -> Result<()> {
    let layers = (plot_area.y.low + 0.5) as usize..=(plot_area.y.high - 0.5) as usize;
    let drawn: Vec<usize> = (0..=panel.steps).step_by(stride.max(1)).collect();
    let end = |i: usize| drawn.get(i + 1).map_or(plot_area.x.high, |&next| next as f64 - 0.5);
    for layer in layers {
        let mut open: Option<(f64, f64, Rgb)> = None;
        let mut runs = Vec::new();
        for (i, &step) in drawn.iter().enumerate() {
            let here = panel.energy.get(&(step, layer)).map(|&energy| color(energy, scale));
            open = match (open, here) {
                (Some((from, _, old)), Some(new)) if old == new => Some((from, end(i), old)),
                (old, here) => {
                    runs.extend(old);
                    here.map(|color| (step as f64 - 0.5, end(i), color))
                }
            };
        }
        for (from, to, color) in runs.into_iter().chain(open) {
            let (low, high) = (layer as f64 - 0.5, layer as f64 + 0.5);
            scene.cell(plot_area.at(from, high)?, plot_area.at(to, low)?, color);
        }
    }
    Ok(())
}

/// ℓ = L − t from the output layer down to layer 1 or the last step; black on white, to be seen on any colour.
fn first_arrival(scene: &mut Scene, plot_area: &PlotArea, layers: usize, steps: usize) -> Result<()> {
    let last = steps.min(layers.saturating_sub(1));
    let line: [Spot; 2] =
        [plot_area.at(0.0, layers as f64)?, plot_area.at(last as f64, (layers - last) as f64)?];
    scene.line(line, 3.2, PAPER);
    scene.dashed(&line, 1.4, INK, &[5.0, 3.0]);
    Ok(())
}
