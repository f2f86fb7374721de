//! Studies of inference: each contender of a point, one after another, in f64 by the reference engine.

mod budget;
mod conditioning;
mod convergence;
mod cosines;
mod crossing;
mod equivalence;
mod landscape;
mod trust_region;

use candle_core::Tensor;

use crate::contender::{Contender, ContenderSpec, State};
use crate::engine::curvature::{Coordinates, Curvature, Matrix};
use crate::engine::reference::Reference;
use crate::net::Graph;
use crate::record::{PointResult, QuantityRow};
use crate::rule::{Rule, Steps};
use crate::suite::Study;
use crate::verify::preflight;
use crate::{Error, Result};

use super::device_health;
use super::job::Observer;
use super::point::Prepared;
use super::resources::Resources;

/// Relative residual at which an end of a spectrum has settled; the error of the value is of the order of its square.
const SETTLED: f64 = 1e-4;

/// Products of a search for an end of a spectrum at most.
const PRODUCTS: usize = 500;

/// A contender at its start, and the batch.
struct Subject<'a> {
    spec: &'a ContenderSpec,
    graph: Graph,
    state: State,
    data: Vec<Tensor>,
    seed: u64,
    /// Weight updates, of a study that trains.
    updates: u64,
    /// Whether curves are kept: of the first draw alone, so that a record of many draws stays small.
    curves: bool,
}

/// Numbers found: quantity, `at`, value.
type Found = Vec<(&'static str, f64, f64)>;

/// Studies every contender of a point on one batch, from the network's start.
pub(super) fn study(
    study: Study,
    seed: u64,
    p: &Prepared<'_>,
    resources: &mut Resources<'_>,
    observer: &mut dyn Observer,
) -> Result<PointResult> {
    let (device, health_check) = (resources.device(p.point.device)?, resources.health_check());
    let [batch] = p.batches(resources)?;
    let mut result = PointResult::default();
    for spec in &p.specs {
        observer.at(&p.point.id, &spec.id.to_string());
        let mut row = p.row(spec)?;
        let found = preflight::check(spec, seed, &device).and_then(|share| {
            row.verify = Some(share);
            let subject = Subject {
                spec,
                graph: spec.graph()?,
                state: Contender::new(spec, seed, &device)?.state()?,
                data: batch.to_vec(),
                seed,
                updates: p.benchmark.accuracy_updates,
                curves: p.point.draw == 0,
            };
            match study {
                Study::Convergence => convergence::converge(&subject),
                Study::Conditioning => conditioning::condition(&subject),
                Study::Equivalence => equivalence::compare(&subject),
                Study::Budget => budget::spend(&subject),
                Study::Landscape => landscape::escape(&subject),
                Study::TrustRegion => trust_region::compare(&subject),
            }
        });
        let found = found.and_then(|found| match found.iter().find(|(.., value)| !value.is_finite()) {
            Some((name, at, value)) => Err(Error::Invalid(format!("`{name}` at {at} is {value}"))),
            None => Ok(found),
        });
        match found {
            Ok(found) => {
                result.quantities.extend(found.into_iter().map(|(quantity, at, value)| QuantityRow {
                    point: p.point.id.clone(),
                    contender: spec.id.to_string(),
                    quantity: quantity.to_owned(),
                    at,
                    value,
                }))
            }
            Err(e) => (row.status, row.err) = device_health::row(e, &device, health_check)?,
        }
        result.summary.push(row);
    }
    Ok(result)
}

impl Subject<'_> {
    fn engine(&self) -> Reference<'_> {
        self.state.bind(&self.graph, &self.data)
    }

    /// What the rule's inference moves.
    fn coordinates(&self) -> Result<Coordinates> {
        self.spec.rule.coordinates().ok_or_else(|| {
            Error::Invalid(format!("rule {} descends no energy; use spc or epc, say", self.spec.rule.name()))
        })
    }

    /// λ_max and λ_min in the rule's coordinates at the forward pass.
    fn ends(&self) -> Result<(f64, f64)> {
        let curvature = Curvature::at_forward(self.engine(), self.coordinates()?)?;
        let largest = curvature.largest(Matrix::GaussNewton, SETTLED, PRODUCTS)?.value;
        Ok((largest, curvature.smallest(SETTLED, PRODUCTS)?.value))
    }

    /// The rule with a step of this share of 2/`largest`, and what its method asks of the spectrum.
    fn in_shares(&self, share: f64, largest: f64, smallest: f64) -> Result<(Rule, Steps)> {
        let steps = self.spec.rule.steps().ok_or_else(|| {
            Error::Invalid(format!("rule {} has no inference steps", self.spec.rule.name()))
        })?;
        let steps = Steps { size: share, ..steps }.found(2.0 / largest, smallest);
        Ok((self.spec.rule.with_steps(steps), steps))
    }

    /// FLOPs of products of a whole update of the rule with T = `count`.
    fn flops(&self, rule: Rule, steps: Steps, count: usize) -> Result<f64> {
        let spec = ContenderSpec { rule: rule.with_steps(Steps { count, ..steps }), ..self.spec.clone() };
        Ok(spec.counted(self.data[0].dim(0)?)?.work.gemm_flops as f64)
    }
}
