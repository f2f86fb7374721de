//! Energy of selected layers over the inference steps, as lines on a logarithmic axis.

use std::path::Path;

use super::axes::{drawable, Axis};
use super::canvas;
use super::decay_heatmap::decade;
use super::drawing::{csv_text, Drawing, Drawn};
use super::legend::{self, Entry};
use super::panels::{Layout, Panels};
use super::plot_area::PlotArea;
use super::scene::{Scene, Spot};
use super::signal::{traces, Panel, Trace};
use super::style::{viridis, Marker, Rgb};
use crate::record::Record;
use crate::Result;

const FIGURE: &str = "decay-curves";
const PANEL: (f64, f64) = (270.0, 280.0);
/// More lines than this cannot be told apart.
const MOST_LINES: usize = 8;

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
        let layers = selected(trace.layers);
        let shown =
            trace.panels.iter().flat_map(|p| p.energy.iter()).filter(|(key, _)| layers.contains(&key.1));
        let axis = Axis::log("energy ½‖ε‖², sum over the batch", shown.map(|(_, e)| *e), decade);
        let Some(y) = axis else {
            out.skip(FIGURE, format!("`{}` has no positive energy", trace.stem));
            continue;
        };
        let stem = format!("{FIGURE}.{}", trace.stem);
        let title = "Energy of selected layers during inference".to_owned();
        let files =
            canvas::save(folder, &stem, &csv_text(&trace.table())?, || scene(&title, trace, &layers, &y))?;
        let about = "Energy of some layers (the loss at the output layer L) over the inference steps, on a logarithmic \
                     axis shared by all panels; dark lines are near the input, light ones near the output. A line \
                     starts where its energy is first above zero: exact zeros have no place on this axis.";
        out.drawn.push(Drawn { figure: FIGURE, stem, title, about: about.into(), files });
    }
    Ok(out)
}

/// Up to [`MOST_LINES`] layers at even distances, the first and the last among them.
fn selected(layers: usize) -> Vec<usize> {
    let last = layers.max(1);
    let count = last.min(MOST_LINES);
    if count < 2 {
        return vec![1];
    }
    let mut chosen: Vec<usize> = (0..count)
        .map(|i| 1 + ((last - 1) as f64 * i as f64 / (count - 1) as f64).round() as usize)
        .collect();
    chosen.dedup();
    chosen
}

/// Colour along depth; the lightest end of viridis is left out, since lines stand on white.
fn color(layer: usize, layers: usize) -> Rgb {
    viridis(0.88 * (layer.saturating_sub(1)) as f64 / (layers.saturating_sub(1)).max(1) as f64)
}

fn scene(title: &str, trace: &Trace<'_>, layers: &[usize], y: &Axis) -> Result<Scene> {
    let mut entries: Vec<Entry> = layers
        .iter()
        .rev()
        .map(|&layer| {
            let note = if layer == trace.layers { " (loss)" } else { "" };
            Entry::line(&format!("layer {layer}{note}"), "", color(layer, trace.layers), &[])
        })
        .collect();
    let never: Vec<String> = layers
        .iter()
        .filter(|&&layer| {
            !trace.panels.iter().any(|p| p.energy.iter().any(|(k, e)| k.1 == layer && drawable(*e)))
        })
        .map(usize::to_string)
        .collect();
    if !never.is_empty() {
        entries.push(Entry::text(&format!("always 0: layer {}", never.join(", "))));
    }
    let mut facts = trace.facts.clone();
    if trace.energies().any(|e| e == 0.0) {
        facts.push("exact zeros not drawn".to_owned());
    }
    let headings: Vec<String> = trace.panels.iter().map(Panel::title).collect();
    let mut panels = Panels::new(&Layout {
        title,
        headings: &headings,
        columns: 3,
        panel: PANEL,
        y: &[y],
        beside: legend::size(&entries),
        facts: &facts,
    });
    for (index, panel) in trace.panels.iter().enumerate() {
        let steps = Axis::integers("inference step t", 0, panel.steps, 5);
        let plot_area = panels.plot_area(index, steps, y.clone());
        plot_area.draw_grid(&mut panels.scene);
        for &layer in layers {
            line(&mut panels.scene, &plot_area, panel, layer, color(layer, trace.layers))?;
        }
        plot_area.draw_axes(&mut panels.scene);
    }
    let at = panels.beside();
    legend::draw(&mut panels.scene, at, &entries);
    Ok(panels.scene)
}

/// One line per run of steps with a positive energy; a run of a single step becomes a dot.
fn line(scene: &mut Scene, plot_area: &PlotArea, panel: &Panel<'_>, layer: usize, color: Rgb) -> Result<()> {
    let mut run: Vec<Spot> = Vec::new();
    let mut flush = |run: &mut Vec<Spot>| {
        let run = std::mem::take(run);
        if let [(x, y)] = run[..] {
            let disc: Vec<Spot> =
                Marker::Circle.outline().iter().map(|(dx, dy)| (x + 2.0 * dx, y + 2.0 * dy)).collect();
            scene.area(disc, color, 1.0);
        } else if !run.is_empty() {
            scene.line(run, 1.8, color);
        }
    };
    for (&(step, _), &energy) in panel.energy.iter().filter(|(key, _)| key.1 == layer) {
        if drawable(energy) {
            run.push(plot_area.at(step as f64, energy)?);
        } else {
            flush(&mut run);
        }
    }
    flush(&mut run);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_and_last_layer_are_always_among_the_lines() {
        for layers in [1, 2, 3, 8, 9, 20, 128] {
            let chosen = selected(layers);
            assert_eq!((chosen.first(), chosen.last()), (Some(&1), Some(&layers)));
            assert!(chosen.len() <= MOST_LINES && chosen.windows(2).all(|w| w[0] < w[1]));
        }
    }
}
