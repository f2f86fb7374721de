//! Studies of inference: each contender of a point, one after another, in f64 by the reference engine.

mod budget;
mod conditioning;
mod convergence;
mod cosines;
mod crossing;
mod equivalence;
mod flat;
mod landscape;
mod subject;
mod trust_region;

use crate::contender::Contender;
use crate::record::{PointResult, QuantityRow};
use crate::suite::Study;
use crate::verify::preflight;
use crate::{Error, Result};

use super::device_health;
use super::job::Observer;
use super::point::Prepared;
use super::resources::Resources;
use subject::Subject;

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
    let deepest = p.benchmark.points.iter().map(|point| point.depth).max();
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
                curves: p.point.draw == 0
                    && (study.curves_at_every_depth() || Some(p.point.depth) == deepest),
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
