//! The table of a comparison, and the exit code it comes to.

use super::exit::Exit;
use super::grid::{Cell, Grid};
use super::label::labels;
use crate::compare::gate::{self, GateOutcome};
use crate::compare::{Comparison, Measure, Row};
use crate::stats::PairedRatio;
use crate::suite::axis;

/// One row per point, contender and measure.
pub fn table(comparison: &Comparison, full: bool) -> Grid {
    let mut columns = vec![
        ("benchmark", "benchmark"),
        ("L", "depth"),
        ("T", "steps"),
        ("contender", "contender"),
        ("measure", "measure"),
        ("base", "base"),
        ("new", "new"),
        ("new / base [95 % CI]", "change"),
        ("tolerance", "tolerance"),
        ("verdict", "verdict"),
        ("reason", "reason"),
    ];
    if full {
        columns.extend([
            ("change low", "change_low"),
            ("change high", "change_high"),
            ("base low", "base_low"),
            ("base high", "base_high"),
            ("base n", "base_n"),
            ("new low", "new_low"),
            ("new high", "new_high"),
            ("new n", "new_n"),
            ("baseline", "baseline"),
            ("point", "point"),
        ]);
    }
    let mut grid = Grid::new(columns).optional(&["tolerance", "measure", "steps"]);
    let short = labels(comparison.rows.iter().map(|row| row.point.as_str()), &["depth"]);
    for row in &comparison.rows {
        let number = |value: Option<f64>| value.map_or_else(Cell::empty, |x| Cell::new(format!("{x:.4}"), x));
        let ends = |e: Option<PairedRatio>| e.and_then(|e| e.interval());
        let count = |e: Option<PairedRatio>| e.map_or_else(Cell::empty, |e| e.pairs.into());
        let benchmark = row.point.split('@').next().unwrap_or_default();
        let mut cells = vec![
            Cell::new(short[row.point.as_str()].as_str(), benchmark),
            row.settings.get(&axis::DEPTH).into(),
            row.settings.get(&axis::STEPS).into(),
            row.contender.as_str().into(),
            row.measure.name().into(),
            estimate(row, row.base),
            estimate(row, row.new),
            row.change.map_or_else(Cell::empty, |c| Cell::new(gate::interval(row), c.ratio)),
            match row.change {
                Some(_) => Cell::new(format!("{:.1} %", 100.0 * row.tolerance), row.tolerance),
                None => Cell::empty(),
            },
            row.verdict.name().into(),
            row.reason.as_str().into(),
        ];
        if full {
            cells.extend([
                number(row.change.map(|c| c.low)),
                number(row.change.map(|c| c.high)),
                number(ends(row.base).map(|(low, _)| low)),
                number(ends(row.base).map(|(_, high)| high)),
                count(row.base),
                number(ends(row.new).map(|(low, _)| low)),
                number(ends(row.new).map(|(_, high)| high)),
                count(row.new),
                row.baseline.as_str().into(),
                row.point.as_str().into(),
            ]);
        }
        grid.push(cells);
    }
    grid
}

fn estimate(row: &Row, estimate: Option<PairedRatio>) -> Cell {
    estimate.map_or_else(Cell::empty, |e| match row.measure {
        Measure::Ratio => Cell::new(format!("{:.3}", e.ratio), e.ratio),
        Measure::Time => Cell::new(super::results::duration(e.ratio), e.ratio),
    })
}

/// What is not in the table: counts, changed work, failures, notes; a line each.
pub fn remarks(comparison: &Comparison) -> Vec<String> {
    let work = comparison.work.iter().map(|s| format!("counted work changed: {s}"));
    let broken = comparison.broken.iter().map(|s| format!("failed: {s}"));
    let notes = comparison.notes.iter().map(|s| format!("note: {s}"));
    let (holding, all) = comparison.holding_one();
    let held = (all > 0).then(|| format!("{holding} of {all} intervals of change hold 1"));
    broken.chain(work).chain(notes).chain([gate::counts(comparison)]).chain(held).collect()
}

/// The exit code of an outcome.
pub fn exit(outcome: GateOutcome) -> Exit {
    match outcome {
        GateOutcome::Passed => Exit::Clean,
        GateOutcome::Changed(what) => Exit::Wrong(what),
        GateOutcome::Regressed(what) => Exit::Regressed(format!("regressed: {what}")),
        GateOutcome::Inconclusive(what) => Exit::Inconclusive(format!("inconclusive: {what}")),
    }
}
