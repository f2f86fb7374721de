//! What the studies of a record found, in numbers: curves are figures.

use std::collections::BTreeMap;

use super::grid::{Cell, Grid};
use super::label::labels;
use crate::plot::number;
use crate::record::{Record, SummaryRow};
use crate::stats::median;
use crate::suite::{axis, Model};

/// A number of a study: point without its draw, contender, quantity, and the bits of `at`.
type Number<'a> = (String, &'a str, &'a str, u64);

/// One row per contender and number: median and range over the draws of a point.
pub(super) fn table(record: &Record) -> Grid {
    let mut grid = Grid::new(vec![
        ("benchmark", "benchmark"),
        ("contender", "contender"),
        ("quantity", "quantity"),
        ("at", "at"),
        ("median", "median"),
        ("least", "least"),
        ("greatest", "greatest"),
        ("draws", "draws"),
    ])
    .optional(&["at"]);
    let models: BTreeMap<&str, Model> = Model::all().map(|model| (model.name(), model)).collect();
    let rows: BTreeMap<(&str, &str), &SummaryRow> =
        record.summary.iter().map(|row| ((&*row.point, &*row.contender), row)).collect();
    // draws of one point make one row
    let places: Vec<String> = record.summary.iter().map(place).collect();
    let short = labels(places.iter().map(String::as_str), &[]);
    let mut found: Vec<(Number<'_>, Vec<f64>)> = Vec::new();
    let mut at_of: BTreeMap<Number<'_>, usize> = BTreeMap::new();
    for q in &record.quantities {
        let Some(row) = rows.get(&(&*q.point, &*q.contender)) else { continue };
        let Some(model) = models.get(&*row.model) else { continue };
        let known = model.quantities().iter().find(|known| known.name == q.quantity);
        if known.is_none_or(|known| known.is_curve()) {
            continue;
        }
        let key = (place(row), &*q.contender, &*q.quantity, q.at.to_bits());
        let index = *at_of.entry(key.clone()).or_insert_with(|| {
            found.push((key, Vec::new()));
            found.len() - 1
        });
        found[index].1.push(q.value);
    }
    for ((place, contender, quantity, at), values) in found {
        let at = f64::from_bits(at);
        let cell = |value: f64| Cell::new(number::short(value, 4), value);
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        grid.push(vec![
            short.get(place.as_str()).map_or(place.as_str(), String::as_str).into(),
            contender.into(),
            quantity.into(),
            if at == 0.0 { Cell::empty() } else { cell(at) },
            cell(median(&values)),
            cell(least),
            cell(greatest),
            values.len().into(),
        ]);
    }
    grid
}

/// The point without its draw.
pub(super) fn place(row: &SummaryRow) -> String {
    let (name, list) = row.point.split_once('@').unwrap_or((&row.point, ""));
    let kept: Vec<&str> =
        list.split(',').filter(|pair| !pair.starts_with(&format!("{}=", axis::DRAW.name))).collect();
    format!("{name}@{}", kept.join(","))
}
