//! What a test accuracy took: updates, seconds, FLOPs and joules, side by side.

use std::path::Path;

use serde::Serialize;

use crate::plot::axes::{Axis, Spread};
use crate::plot::drawing::{csv_text, Drawing, Drawn};
use crate::plot::panels::{Layout, Panels};
use crate::plot::plot_area::{PlotArea, NOTE};
use crate::plot::scene::{Anchor, Scene};
use crate::plot::style::{self, Style};
use crate::plot::{canvas, filenames, number};
use crate::record::learned::{reached, targets, Cost, Reached};
use crate::record::Record;
use crate::stats::median;
use crate::Result;

const FIGURE: &str = "time-to-accuracy";
const WIDTH: f64 = 210.0;
/// Height of a contender.
const LINE: f64 = 30.0;

/// One of the numbers of a cost.
type Number = fn(&Cost) -> Option<f64>;

/// What runs along a panel.
const PANELS: [(&str, Number); 4] = [
    ("weight updates", |cost| Some(cost.updates)),
    ("seconds of training", |cost| Some(cost.seconds)),
    ("FLOPs of matrix products", |cost| Some(cost.flops)),
    ("joules", |cost| cost.joules),
];

/// A contender of a benchmark, and its runs.
type Runs<'a> = (&'a str, Vec<Reached<'a>>);

/// One line of a figure's CSV.
#[derive(Debug, Serialize)]
struct Row<'a> {
    point: &'a str,
    contender: &'a str,
    target: f64,
    updates: Option<f64>,
    seconds: Option<f64>,
    flops: Option<f64>,
    joules: Option<f64>,
}

/// Draws one figure per benchmark that has a target.
pub(super) fn draw(record: &Record, folder: &Path) -> Result<Drawing> {
    let mut out = Drawing::default();
    for (benchmark, target) in targets(record) {
        let all = reached(record, &benchmark, target);
        let mut runs: Vec<Runs<'_>> = Vec::new();
        for run in &all {
            match runs.iter_mut().find(|(known, _)| *known == run.row.contender) {
                Some((_, own)) => own.push(*run),
                None => runs.push((&run.row.contender, vec![*run])),
            }
        }
        runs.sort_by_key(|(contender, _)| style::order(contender));
        let title = format!("What {} % of test accuracy took", number::short(100.0 * target, 4));
        let table: Vec<Row<'_>> = all.iter().map(|run| row(run, target)).collect();
        let stem = format!("{FIGURE}.{}", filenames::slug(&benchmark));
        if all.iter().all(|run| run.cost.is_none()) {
            out.skip(FIGURE, format!("no run of `{benchmark}` reached its target"));
            continue;
        }
        let files =
            canvas::save(folder, &stem, &csv_text(&table)?, || scene(record, &title, &benchmark, &runs))?;
        let about = "The first row of each training curve whose test accuracy is at or above the target, by what the updates up to it took. A \
                     bar reaches from the least to the greatest draw, its marker is the median; contenders with draws that did not get \
                     there say so, and their bar is of those that did. Rows lie some updates apart, so that a number is at most one \
                     distance too high.";
        out.drawn.push(Drawn { figure: FIGURE, stem, title, about: about.into(), files });
    }
    Ok(out)
}

fn row<'a>(run: &Reached<'a>, target: f64) -> Row<'a> {
    let of = |of: fn(&Cost) -> f64| run.cost.as_ref().map(of);
    Row {
        point: &run.row.point,
        contender: &run.row.contender,
        target,
        updates: of(|cost| cost.updates),
        seconds: of(|cost| cost.seconds),
        flops: of(|cost| cost.flops),
        joules: run.cost.and_then(|cost| cost.joules),
    }
}

fn scene(record: &Record, title: &str, benchmark: &str, runs: &[Runs<'_>]) -> Result<Scene> {
    let names: Vec<(f64, String)> = (1..=runs.len())
        .rev()
        .zip(runs)
        .map(|(place, (contender, own))| {
            let got_there = own.iter().filter(|run| run.cost.is_some()).count();
            let share =
                if got_there < own.len() { format!(", {got_there} of {}", own.len()) } else { String::new() };
            (place as f64, format!("{}{share}", style::printed(contender)))
        })
        .collect();
    let high = runs.len() as f64 + 0.5;
    let y = Axis {
        spread: Spread::Linear,
        low: 0.5,
        high,
        ticks: names,
        minor: Vec::new(),
        label: String::new(),
    };
    let values =
        |of: Number| runs.iter().flat_map(|(_, own)| own).filter_map(move |run| of(run.cost.as_ref()?));
    let shown: Vec<(Axis, Number)> = PANELS
        .into_iter()
        .filter_map(|(label, of)| Some((Axis::log(label, values(of), |v| number::short(v, 3))?, of)))
        .collect();
    let device = runs.first().map_or("cpu", |(_, own)| &own[0].row.device);
    let mut facts = filenames::machine_facts(record, device);
    if let Some((_, own)) = runs.first() {
        let first = own[0].row;
        facts.push(format!(
            "depth {}, width {}, batch {}, {}",
            first.depth, first.width, first.batch, first.activation
        ));
        facts.push(format!("{} draws", own.len()));
    }
    facts.extend(filenames::run_facts(record, benchmark));
    let panel = (WIDTH, LINE * runs.len() as f64 + 10.0);
    // contenders stand to the left of every panel's row, so that all panels share one row
    let headings = vec![String::new(); shown.len()];
    let layout = Layout {
        title,
        headings: &headings,
        columns: shown.len(),
        panel,
        y: &[&y],
        beside: (0.0, 0.0),
        facts: &facts,
    };
    let mut panels = Panels::new(&layout);
    for (index, (x, of)) in shown.iter().enumerate() {
        let own = if index == 0 { y.clone() } else { Axis { ticks: Vec::new(), ..y.clone() } };
        let area = panels.plot_area(index, x.clone(), own);
        area.draw_grid(&mut panels.scene);
        bars(&mut panels.scene, &area, runs, *of)?;
        area.draw_axes(&mut panels.scene);
    }
    Ok(panels.scene)
}

fn bars(scene: &mut Scene, area: &PlotArea, runs: &[Runs<'_>], of: Number) -> Result<()> {
    for (place, (contender, own)) in (1..=runs.len()).rev().zip(runs) {
        let values: Vec<f64> = own.iter().filter_map(|run| of(run.cost.as_ref()?)).collect();
        let y = place as f64;
        if values.is_empty() {
            let at = ((area.left + area.right) / 2.0, area.at(area.x.low, y)?.1);
            scene.text(at, "not reached", NOTE, Anchor::Middle);
            continue;
        }
        let (name, engine) = style::split(contender);
        let style: Style = style::of(name, engine);
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        scene.line([area.at(low, y)?, area.at(high, y)?], 7.0, style.color);
        scene.marker(area.at(median(&values), y)?, 6.0, style, false);
    }
    Ok(())
}
