//! Losses at the end of training runs over learning rates and step sizes.

use std::collections::BTreeMap;

use crate::record::{Record, SummaryRow};
use crate::stats::median;
use crate::suite::axis;

/// The runs of a contender on networks of one size, over learning rates and step sizes.
#[derive(Debug, Clone)]
pub struct RateGrid<'a> {
    /// The first of them, which has what all share.
    pub first: &'a SummaryRow,
    /// Learning rates, rising.
    pub rates: Vec<f64>,
    /// Step sizes, rising; 0 alone for a rule without.
    pub step_sizes: Vec<f64>,
    /// By place of the learning rate and of the step size; a run that was not made has none.
    pub cells: BTreeMap<(usize, usize), Cell>,
}

/// The runs at one learning rate and step size, which differ in their draw.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cell {
    /// Test loss per sample at the end, of every draw that got there with a finite loss.
    pub losses: Vec<f64>,
    /// Draws that diverged or failed.
    pub failed: usize,
}

impl Cell {
    /// The median over draws, in which a draw that failed is worse than any other; `None` where it is such a draw.
    pub fn median(&self) -> Option<f64> {
        let failed = std::iter::repeat_n(f64::INFINITY, self.failed);
        let all: Vec<f64> = self.losses.iter().copied().chain(failed).collect();
        (!all.is_empty()).then(|| median(&all)).filter(|median| median.is_finite())
    }
}

impl RateGrid<'_> {
    /// The place of the least median; of equals the first.
    pub fn best(&self) -> Option<(usize, usize)> {
        let medians = self.cells.iter().filter_map(|(place, cell)| Some((*place, cell.median()?)));
        medians.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(place, _)| place)
    }

    /// Median loss at a place.
    pub fn median(&self, place: (usize, usize)) -> Option<f64> {
        self.cells.get(&place).and_then(Cell::median)
    }
}

/// Every benchmark and contender that was trained at several learning rates, by parameterisation, depth and width, in the order of the
/// record.
pub fn grids(record: &Record) -> Vec<RateGrid<'_>> {
    let rate = |row: &SummaryRow| row.axis(&axis::LEARNING_RATE).number().ok().filter(|&rate| rate > 0.0);
    let kind = |row: &SummaryRow| {
        let one = (row.benchmark.clone(), row.contender.clone(), row.parameterisation.clone());
        (one, (row.depth, row.width, row.batch, row.steps))
    };
    let mut rows: Vec<(_, Vec<(&SummaryRow, f64)>)> = Vec::new();
    for row in record.summary.iter().filter(|row| row.model == "training") {
        let Some(rate) = rate(row) else { continue };
        let kind = kind(row);
        match rows.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, own)) => own.push((row, rate)),
            None => rows.push((kind, vec![(row, rate)])),
        }
    }
    let mut ends: BTreeMap<(&str, &str), f64> = BTreeMap::new();
    for row in &record.training {
        // of several rows the last one stays; a run that diverged ends with a row without a loss
        ends.insert((&row.point, &row.contender), row.test_loss.unwrap_or(f64::NAN));
    }
    rows.into_iter().filter_map(|(_, own)| grid(own, &ends)).collect()
}

fn grid<'a>(rows: Vec<(&'a SummaryRow, f64)>, ends: &BTreeMap<(&str, &str), f64>) -> Option<RateGrid<'a>> {
    let rising = |mut all: Vec<f64>| {
        all.sort_by(f64::total_cmp);
        all.dedup();
        all
    };
    let rates = rising(rows.iter().map(|(_, rate)| *rate).collect());
    let step_sizes = rising(rows.iter().map(|(row, _)| row.step_size).collect());
    let first = rows.first()?.0;
    let mut cells: BTreeMap<(usize, usize), Cell> = BTreeMap::new();
    for (row, rate) in rows {
        let place = |all: &[f64], own: f64| all.iter().position(|&value| value == own);
        let cell = cells.entry((place(&rates, rate)?, place(&step_sizes, row.step_size)?)).or_default();
        let loss = ends.get(&(&*row.point, &*row.contender)).copied();
        match loss.filter(|loss| row.err.is_empty() && loss.is_finite()) {
            Some(loss) => cell.losses.push(loss),
            None => cell.failed += 1,
        }
    }
    (rates.len() > 1).then_some(RateGrid { first, rates, step_sizes, cells })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_that_failed_is_worse_than_any_other() {
        let cell = |losses: &[f64], failed| Cell { losses: losses.to_vec(), failed };
        assert_eq!(cell(&[3.0, 1.0, 2.0], 0).median(), Some(2.0));
        assert_eq!(cell(&[1.0, 2.0], 1).median(), Some(2.0));
        assert_eq!(cell(&[1.0], 2).median(), None);
        assert_eq!(cell(&[1.0, 2.0], 2).median(), None);
        assert_eq!(cell(&[], 0).median(), None);
    }
}
