//! Numbers of a record by benchmark, contender and size.

use std::collections::BTreeMap;

use crate::record::{Record, SummaryRow};
use crate::stats::median;

/// Values over draws.
#[derive(Debug, Clone, Default)]
pub(super) struct Draws(pub(super) Vec<f64>);

impl Draws {
    pub(super) fn median(&self) -> Option<f64> {
        (!self.0.is_empty()).then(|| median(&self.0))
    }

    pub(super) fn least(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    pub(super) fn greatest(&self) -> f64 {
        self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    /// Median and range, with this many digits after the point.
    pub(super) fn words(&self, digits: usize) -> Option<String> {
        let text = |value: f64| format!("{value:.digits$}");
        let (low, high) = (self.least(), self.greatest());
        Some(format!("{} [{}, {}]", text(self.median()?), text(low), text(high)))
    }
}

/// Rows of a benchmark, or of all for an empty name, that did not fail.
pub(super) fn rows<'a>(record: &'a Record, benchmark: &'a str) -> impl Iterator<Item = &'a SummaryRow> {
    let own =
        move |row: &&SummaryRow| row.err.is_empty() && (benchmark.is_empty() || row.benchmark == benchmark);
    record.summary.iter().filter(own)
}

/// Depths of a benchmark, rising.
pub(super) fn depths(record: &Record, benchmark: &str) -> Vec<usize> {
    let mut depths: Vec<usize> = rows(record, benchmark).map(|row| row.depth).collect();
    depths.sort_unstable();
    depths.dedup();
    depths
}

/// A quantity of a contender at a depth, by point, which has one draw each.
pub(super) fn quantity(
    record: &Record,
    (benchmark, contender, depth): (&str, &str, usize),
    (quantity, at): (&str, f64),
) -> BTreeMap<usize, f64> {
    let draw = |point: &str| {
        let draw = point.split([',', '@']).find_map(|part| part.strip_prefix("draw="));
        draw.and_then(|draw| draw.parse().ok()).unwrap_or(0)
    };
    let here = |row: &&SummaryRow| row.contender == contender && row.depth == depth;
    let mut found = BTreeMap::new();
    for row in rows(record, benchmark).filter(here) {
        let own = |q: &&crate::record::QuantityRow| {
            q.point == row.point && q.contender == contender && q.quantity == quantity && q.at == at
        };
        if let Some(q) = record.quantities.iter().find(own) {
            found.insert(draw(&row.point), q.value);
        }
    }
    found
}

/// The last test accuracies of a contender's curves at a depth, in per cent, and after `update` where one is given.
pub(super) fn accuracies(
    record: &Record,
    (benchmark, contender, depth): (&str, &str, usize),
    update: Option<u64>,
) -> Draws {
    let here = |row: &&SummaryRow| row.contender == contender && row.depth == depth;
    let of = |row: &SummaryRow| {
        let own = record.training.iter().rfind(|t| {
            t.point == row.point && t.contender == contender && update.is_none_or(|update| t.update == update)
        });
        own.and_then(|t| t.test_accuracy)
    };
    Draws(rows(record, benchmark).filter(here).filter_map(of).map(|share| 100.0 * share).collect())
}

/// The most layers that do not learn at the end of a contender's curves at a depth, and all layers.
pub(super) fn silent(
    record: &Record,
    (benchmark, contender, depth): (&str, &str, usize),
) -> Option<(usize, usize)> {
    let here = |row: &&SummaryRow| row.contender == contender && row.depth == depth;
    let of = |row: &SummaryRow| {
        let own = record.training.iter().rfind(|t| t.point == row.point && t.contender == contender)?;
        Some((own.silent_layers?, own.layers?))
    };
    rows(record, benchmark).filter(here).filter_map(of).max()
}
