//! What the training runs of a record came to.

use std::collections::BTreeMap;

use super::grid::{Cell, Grid};
use super::label::labels;
use super::studied::place;
use crate::plot::number;
use crate::record::{Record, SummaryRow, TrainingRow};
use crate::stats::median;

/// A point without its draw, and a contender.
type Place<'a> = (String, &'a str);

/// A contender at a point, and the last row of its curve.
type Ended<'a> = (&'a SummaryRow, &'a TrainingRow);

/// One row per contender and point without its draw: medians over draws at the last row of their curves, ranges of the accuracy.
pub(super) fn table(record: &Record) -> Grid {
    let mut grid = Grid::new(vec![
        ("benchmark", "benchmark"),
        ("contender", "contender"),
        ("draws", "draws"),
        ("updates", "updates"),
        ("rate", "learning_rate"),
        ("step", "step_size"),
        ("seconds", "seconds"),
        ("FLOPs", "gemm_flops"),
        ("test accuracy", "test_accuracy"),
        ("least", "least_accuracy"),
        ("greatest", "greatest_accuracy"),
        ("regime at the end", "regime"),
    ])
    .optional(&["step_size"]);
    let rows: BTreeMap<(&str, &str), &SummaryRow> =
        record.summary.iter().map(|row| ((&*row.point, &*row.contender), row)).collect();
    let places: Vec<String> = record.summary.iter().map(place).collect();
    let short = labels(places.iter().map(String::as_str), &[]);
    let mut ends: BTreeMap<(&str, &str), &TrainingRow> = BTreeMap::new();
    for row in &record.training {
        ends.insert((&row.point, &row.contender), row);
    }
    let mut groups: Vec<(Place<'_>, Vec<Ended<'_>>)> = Vec::new();
    for row in record.summary.iter().filter(|row| row.model == "training") {
        let (Some(end), Some(row)) =
            (ends.get(&(&*row.point, &*row.contender)), rows.get(&(&*row.point, &*row.contender)))
        else {
            continue;
        };
        let key = (place(row), &*row.contender);
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, own)) => own.push((row, end)),
            None => groups.push((key, vec![(row, end)])),
        }
    }
    for ((place, contender), own) in groups {
        // a run that diverged has no place in a median; it is counted
        let all = own.len();
        let own: Vec<_> = own.into_iter().filter(|(row, _)| row.err.is_empty()).collect();
        let middle = |of: &dyn Fn(&(&SummaryRow, &TrainingRow)) -> Option<f64>| {
            let values: Vec<f64> = own.iter().filter_map(of).collect();
            (!values.is_empty()).then(|| median(&values))
        };
        let cell = |value: Option<f64>, digits| {
            value.map_or_else(Cell::empty, |value| Cell::new(number::short(value, digits), value))
        };
        let accuracies: Vec<f64> = own.iter().filter_map(|(_, end)| end.test_accuracy).collect();
        let percent = |value: Option<f64>| {
            value.map_or_else(Cell::empty, |value| Cell::new(format!("{:.2} %", 100.0 * value), value))
        };
        let regime = own.iter().find_map(|(_, end)| end.regime());
        grid.push(vec![
            short.get(place.as_str()).map_or(place.as_str(), String::as_str).into(),
            contender.into(),
            if own.len() < all {
                Cell::new(format!("{} of {all}", own.len()), own.len())
            } else {
                all.into()
            },
            cell(middle(&|(_, end)| Some(end.update as f64)), 6),
            cell(middle(&|(_, end)| Some(end.learning_rate)), 3),
            cell(middle(&|(_, end)| end.step_size), 3),
            cell(middle(&|(_, end)| Some(end.seconds)), 4),
            cell(middle(&|(row, end)| Some(end.update as f64 * row.gemm_flops as f64)), 3),
            percent((!accuracies.is_empty()).then(|| median(&accuracies))),
            percent(accuracies.iter().copied().reduce(f64::min)),
            percent(accuracies.iter().copied().reduce(f64::max)),
            regime.as_deref().unwrap_or("").into(),
        ]);
    }
    grid
}
