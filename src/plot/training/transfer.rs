//! Loss after training over learning rate and step size, as heat maps side by side: do the best ones stay where they are as networks grow?

use std::path::Path;

use serde::Serialize;

use crate::plot::axes::{drawable, Axis, Spread};
use crate::plot::drawing::{csv_text, Drawing, Drawn};
use crate::plot::legend::{self, Entry};
use crate::plot::panels::{Layout, Panels};
use crate::plot::plot_area::PlotArea;
use crate::plot::scene::Scene;
use crate::plot::style::{self, viridis, Marker, Rgb, Style, INK, PAPER};
use crate::plot::{canvas, colour_bar, filenames, number};
use crate::record::learned::{grids, RateGrid};
use crate::record::Record;
use crate::Result;

const FIGURE: &str = "transfer";
/// Half of the draws or more diverged.
const BROKEN: Rgb = (255, 190, 200);
const PANEL: (f64, f64) = (290.0, 130.0);
/// Losses above this many times the least one of a figure have its colour: what a run lost beyond that tells nothing of the others.
const MOST: f64 = 10.0;
/// Ring around the least loss.
const BEST: Style = Style { color: INK, marker: Marker::Circle, dash: &[] };

/// One line of a figure's CSV.
#[derive(Debug, Serialize)]
struct Row<'a> {
    contender: &'a str,
    parameterisation: &'a str,
    depth: usize,
    width: usize,
    learning_rate: f64,
    step_size: f64,
    median: Option<f64>,
    draws: usize,
    failed: usize,
    best: bool,
}

/// Draws one figure per benchmark and contender that was trained at several learning rates.
pub(super) fn draw(record: &Record, folder: &Path) -> Result<Drawing> {
    let mut out = Drawing::default();
    let mut figures: Vec<(String, Vec<RateGrid<'_>>)> = Vec::new();
    for grid in grids(record) {
        let (name, engine) = style::split(&grid.first.contender);
        let stem = filenames::slug(&format!("{FIGURE} {} {name} {engine}", grid.first.benchmark));
        match figures.iter_mut().find(|(known, _)| *known == stem) {
            Some((_, own)) => own.push(grid),
            None => figures.push((stem, vec![grid])),
        }
    }
    for (stem, grids) in figures {
        let losses = || grids.iter().flat_map(|grid| grid.cells.values().filter_map(|cell| cell.median()));
        let least = losses().filter(|&loss| drawable(loss)).fold(f64::INFINITY, f64::min);
        let shown = losses().map(|loss| loss.min(MOST * least));
        let Some(scale) = Axis::log("test loss per sample", shown, |v| number::short(v, 3)) else {
            out.skip(FIGURE, format!("`{stem}` has no finite loss"));
            continue;
        };
        let title = format!(
            "Test loss of {} over learning rate and step size",
            style::printed(&grids[0].first.contender)
        );
        let files =
            canvas::save(folder, &stem, &csv_text(&rows(&grids))?, || scene(record, &title, &grids, &scale))?;
        let about = "Loss on the test rows after training, at every learning rate and step size of a grid, median over draws, on one \
                     logarithmic colour scale that ends at ten times the least of them. The ring marks the least loss of a panel. Where rates transfer, rings stay at one place \
                     from panel to panel of a row.";
        out.drawn.push(Drawn { figure: FIGURE, stem, title, about: about.into(), files });
    }
    Ok(out)
}

fn rows<'a>(grids: &'a [RateGrid<'_>]) -> Vec<Row<'a>> {
    let mut rows = Vec::new();
    for grid in grids {
        for (place, cell) in &grid.cells {
            rows.push(Row {
                contender: &grid.first.contender,
                parameterisation: &grid.first.parameterisation,
                depth: grid.first.depth,
                width: grid.first.width,
                learning_rate: grid.rates[place.0],
                step_size: grid.step_sizes[place.1],
                median: cell.median(),
                draws: cell.losses.len() + cell.failed,
                failed: cell.failed,
                best: grid.best() == Some(*place),
            });
        }
    }
    rows
}

/// An axis with a place for each of these values.
fn places(label: &str, values: &[f64]) -> Axis {
    let ticks = values.iter().enumerate().map(|(k, &value)| (k as f64, number::short(value, 2))).collect();
    let high = values.len() as f64 - 0.5;
    Axis { spread: Spread::Linear, low: -0.5, high, ticks, minor: Vec::new(), label: label.into() }
}

fn scene(record: &Record, title: &str, grids: &[RateGrid<'_>], scale: &Axis) -> Result<Scene> {
    let first = grids[0].first;
    // one row of panels per parameterisation, as long as the longest of them
    let columns = |p: &str| grids.iter().filter(|grid| grid.first.parameterisation == p).count();
    let columns = grids.iter().map(|grid| columns(&grid.first.parameterisation)).max().unwrap_or(1);
    let varied = |of: fn(&RateGrid<'_>) -> usize| grids.iter().any(|grid| of(grid) != of(&grids[0]));
    let widths = varied(|grid| grid.first.width);
    let heading = |grid: &RateGrid<'_>| {
        let size = match widths {
            true => format!("N = {}", grid.first.width),
            false => format!("L = {}", grid.first.depth),
        };
        format!("{}, {size}", grid.first.parameterisation)
    };
    let headings: Vec<String> = grids.iter().map(heading).collect();
    let entries = entries(grids);
    let (legend_width, legend_height) = legend::size(&entries);
    let bar = PANEL.1 * 0.9;
    let beside = (f64::max(legend_width, colour_bar::width(scale)), bar + 22.0 + legend_height);
    let mut facts = filenames::machine_facts(record, &first.device);
    facts.push(match widths {
        true => format!("depth {}, batch {}, {}", first.depth, first.batch, first.activation),
        false => format!("width {}, batch {}, {}", first.width, first.batch, first.activation),
    });
    let draws =
        grids.iter().flat_map(|grid| grid.cells.values().map(|cell| cell.losses.len() + cell.failed)).max();
    let updates = grids.iter().filter_map(|grid| grid.first.train_updates).max();
    facts.extend(updates.map(|updates| format!("{updates} updates")));
    facts.extend(draws.map(|draws| format!("median of {draws} draws")));
    facts.extend(filenames::run_facts(record, &first.benchmark));
    let steps: Vec<Axis> = grids.iter().map(|grid| places("step size", &grid.step_sizes)).collect();
    let y: Vec<&Axis> = steps.iter().collect();
    let mut panels = Panels::new(&Layout {
        title,
        headings: &headings,
        columns,
        panel: PANEL,
        y: &y,
        beside,
        facts: &facts,
    });
    for (index, (grid, steps)) in grids.iter().zip(&steps).enumerate() {
        let area = panels.plot_area(index, places("learning rate", &grid.rates), steps.clone());
        cells(&mut panels.scene, &area, grid, scale)?;
        area.draw_axes(&mut panels.scene);
    }
    let at = panels.beside();
    let bottom = colour_bar::draw(&mut panels.scene, at, bar, scale);
    legend::draw(&mut panels.scene, (at.0, bottom + 22.0), &entries);
    Ok(panels.scene)
}

fn entries(grids: &[RateGrid<'_>]) -> Vec<Entry> {
    let mut entries = vec![Entry::marker("least loss of the panel", "", BEST, true)];
    if grids.iter().flat_map(|grid| grid.cells.values()).any(|cell| cell.median().is_none()) {
        entries.push(Entry::swatch("half of the draws or more diverged", BROKEN));
    }
    entries
}

fn cells(scene: &mut Scene, area: &PlotArea, grid: &RateGrid<'_>, scale: &Axis) -> Result<()> {
    for (&(rate, step), cell) in &grid.cells {
        let color = match cell.median().filter(|&loss| drawable(loss)) {
            Some(loss) => viridis(scale.unclipped(loss)), // the end colour above the scale
            None => BROKEN,
        };
        let (x, y) = (rate as f64, step as f64);
        scene.cell(area.at(x - 0.5, y + 0.5)?, area.at(x + 0.5, y - 0.5)?, color);
    }
    if let Some((rate, step)) = grid.best() {
        let (x, y) = area.at(rate as f64, step as f64)?;
        let ring = |radius: f64| -> Vec<(f64, f64)> {
            let turn = |k: u32| f64::from(k) * std::f64::consts::TAU / 24.0;
            (0..=25).map(|k| (x + radius * turn(k).cos(), y + radius * turn(k).sin())).collect()
        };
        // dark on light, to be seen on any colour
        scene.line(ring(8.0), 4.0, PAPER);
        scene.line(ring(8.0), 2.0, INK);
    }
    Ok(())
}
