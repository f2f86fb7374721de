//! What a run would do, without doing it: counts, closed formulas, bounds and simulated makespans.

use std::path::Path;

use crate::contender::ContenderSpec;
use crate::engine::counting::Totals;
use crate::record::SummaryRow;
use crate::rule::{Bp, Rule};
use crate::suite::Suite;
use crate::theory::analysis::Analysis;
use crate::theory::cost::RuleCost;
use crate::{Error, Result};

use super::resources::Resources;
use super::{device_health, point, size};

/// A contender at a point that has not been measured.
#[derive(Debug)]
pub struct Planned {
    /// The contender.
    pub spec: ContenderSpec,
    /// Counted work; no measurements.
    pub row: SummaryRow,
    /// The closed formula for the same work, and counts, bounds and predictions of the rule on its network; `None` where
    /// that is no chain of dense layers.
    pub closed: Option<(RuleCost, Analysis)>,
    /// Work of its schedule, counted; the row has the search for a step besides.
    pub counted: Totals,
    /// Backpropagation's work on its network, counted.
    pub backpropagation: Totals,
    /// Threads it would be measured on.
    pub threads: usize,
    /// Its schedule on the given number of processors, if one was given.
    pub makespan: Option<Makespan>,
}

/// The schedule on P processors, parameter gradients included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Makespan {
    /// When its last product ends, in FLOPs.
    pub flops: u64,
    /// The same for backpropagation on its network.
    pub backpropagation: u64,
}

/// Counts every contender at every point of a suite, and simulates it on `processors` if given.
///
/// # Errors
/// As for [`super::run`], before anything is measured; and for 0 processors.
pub fn plan(suite: &Suite, data: Option<&Path>, processors: Option<usize>) -> Result<Vec<Planned>> {
    if processors == Some(0) {
        return Err(Error::Invalid("--simulate needs at least 1 processor, got 0".into()));
    }
    let mut resources = Resources::new(suite, data, &device_health::synchronise)?;
    let mut planned = Vec::new();
    let prepared = point::prepare(suite, &mut resources)?;
    if processors.is_some() {
        for (p, spec) in prepared.iter().flat_map(|p| p.specs.iter().map(move |spec| (p, spec))) {
            size::check_simulation(spec, p.point, resources.memory())?;
        }
    }
    for p in prepared {
        for spec in &p.specs {
            let batch = p.point.batch;
            let net = spec.net_cost(batch)?;
            let backpropagation = ContenderSpec { rule: Rule::Bp(Bp::default()), ..spec.clone() };
            let makespan = |rule: Rule, processors: usize| -> Result<u64> {
                let spec = ContenderSpec { rule, ..spec.clone() };
                Ok(spec.task_graph(p.point.batch)?.schedule(processors)?.makespan)
            };
            let both = |n: usize| -> Result<Makespan> {
                let backpropagation = makespan(Rule::Bp(Bp::default()), n)?;
                Ok(Makespan { flops: makespan(spec.rule, n)?, backpropagation })
            };
            planned.push(Planned {
                spec: spec.clone(),
                row: p.row(spec)?,
                closed: net.map(|net| (spec.rule.cost(&net), spec.rule.analysis(&net))),
                counted: spec.counted(batch)?,
                backpropagation: backpropagation.counted(batch)?,
                threads: spec.id.threads.unwrap_or_else(crate::measure::threads),
                makespan: processors.map(both).transpose()?,
            });
        }
    }
    Ok(planned)
}
