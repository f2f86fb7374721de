//! What the test accuracy that a definition asks for took.

use std::collections::BTreeMap;

use crate::record::{Record, SummaryRow};
use crate::suite::wire::SuiteWire;
use crate::suite::JOULES;

/// A training run and the first row of its curve at or above the target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reached<'a> {
    /// The run.
    pub row: &'a SummaryRow,
    /// What it took; none where no row got there, or the run diverged.
    pub cost: Option<Cost>,
}

/// What the updates up to a row of a curve took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Weight updates.
    pub updates: f64,
    /// Seconds of training.
    pub seconds: f64,
    /// FLOPs of their matrix products.
    pub flops: f64,
    /// Energy, where a counter could be read.
    pub joules: Option<f64>,
}

/// Target accuracies, by benchmark that has one.
pub fn targets(record: &Record) -> BTreeMap<String, f64> {
    let suite = toml::from_str::<SuiteWire>(&record.run.definition).ok();
    let benchmarks = suite.into_iter().flat_map(|suite| suite.benchmark);
    benchmarks.filter_map(|b| Some((b.name, b.training.target?))).collect()
}

/// The runs of a benchmark, and what each took to a test accuracy of `target`.
pub fn reached<'a>(record: &'a Record, benchmark: &str, target: f64) -> Vec<Reached<'a>> {
    let own = |row: &&SummaryRow| row.model == "training" && row.benchmark == benchmark;
    let of = |row: &'a SummaryRow| {
        let mut curve =
            record.training.iter().filter(|t| t.point == row.point && t.contender == row.contender);
        let first = curve.find(|t| t.test_accuracy.is_some_and(|accuracy| accuracy >= target));
        let joules = |update: u64| {
            let here = |q: &&crate::record::QuantityRow| {
                q.point == row.point
                    && q.contender == row.contender
                    && q.quantity == JOULES.name
                    && q.at == update as f64
            };
            record.quantities.iter().find(here).map(|q| q.value)
        };
        let cost = first.map(|t| Cost {
            updates: t.update as f64,
            seconds: t.seconds,
            flops: t.update as f64 * row.gemm_flops as f64,
            joules: joules(t.update),
        });
        Reached { row, cost }
    };
    record.summary.iter().filter(own).map(of).collect()
}
