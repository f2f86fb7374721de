//! Signal decay: the energy of every layer after every inference step, untimed.

use crate::contender::Contender;
use crate::engine::Shown;
use crate::record::{PointResult, SignalRow};
use crate::verify::preflight;
use crate::{Error, Result};

use super::device_health;
use super::job::Observer;
use super::point::Prepared;
use super::resources::Resources;

/// Traces every contender of a point on one batch, from the network's start.
pub(super) fn trace(
    seed: u64,
    p: &Prepared<'_>,
    resources: &mut Resources<'_>,
    observer: &mut dyn Observer,
) -> Result<PointResult> {
    let (device, health_check) = (resources.device(p.point.device)?, resources.health_check());
    let [batch] = match p.rows_on_upload_failure(p.batches(resources), &device, health_check)? {
        Ok(batch) => batch,
        Err(refused) => return Ok(refused),
    };
    let mut result = PointResult::default();
    for spec in &p.specs {
        observer.at(&p.point.id, &spec.id.to_string());
        let mut row = p.row(spec)?;
        let mut traced = Vec::new();
        let outcome = preflight::check(spec, seed, &device).and_then(|share| {
            row.verify = Some(share);
            let contender = Contender::new(spec, seed, &device)?;
            let state = contender.state()?;
            let engine = state.bind(contender.graph(), &batch);
            contender.watch(&batch, &mut |Shown { step, errors, outputs, .. }| {
                for (i, energy) in engine.energies(errors, outputs)?.into_iter().enumerate() {
                    if !energy.is_finite() {
                        return Err(Error::Diverged {
                            rule: spec.rule.name().into(),
                            quantity: format!("the energy of layer {}", i + 1),
                            steps: step,
                            step_size: row.step_size,
                        });
                    }
                    traced.push(SignalRow {
                        point: p.point.id.clone(),
                        contender: spec.id.to_string(),
                        step,
                        layer: i + 1,
                        energy,
                    });
                }
                Ok(())
            })?;
            Ok(())
        });
        match outcome {
            Ok(()) => result.signals.extend(traced),
            Err(e) => (row.status, row.err) = device_health::row(e, &device, health_check)?,
        }
        result.summary.push(row);
    }
    Ok(result)
}
