//! Whether what is timed learns: test accuracy after a few updates.

use candle_core::Device;

use crate::contender::{Contender, ContenderSpec};
use crate::data::{Batches, Dataset};
use crate::net::architecture::mlp::X;
use crate::{Error, Result};

use super::point::Prepared;

/// Test accuracy after the benchmark's number of updates from the start; `None` without classes, and of a network whose output
/// is no class.
pub(super) fn accuracy(
    spec: &ContenderSpec,
    seed: u64,
    data: &Dataset,
    p: &Prepared<'_>,
    device: &Device,
) -> Result<Option<f64>> {
    let Some(labels) = data.test.labels() else { return Ok(None) };
    let mut contender = Contender::new(spec, seed, device)?;
    let graph = contender.graph();
    let target = graph.losses()[0].target;
    if target == X || graph.data()[target].shape != [data.outputs] {
        return Ok(None);
    }
    let updates = usize::try_from(p.benchmark.accuracy_updates).unwrap_or(usize::MAX);
    {
        let _limit = contender.limit_threads();
        for batch in Batches::new(&data.train, p.point.batch, seed)?.endless().take(updates) {
            contender.update(&p.shaped(batch.to_tensors(p.point.dtype, device)?)?)?;
        }
    }
    contender.checksum()?;
    let all = data.test.in_order(data.test.rows().max(1)).next();
    let all = all.ok_or_else(|| Error::Invalid(format!("{} has no test rows", data.name)))?;
    let [x, _] = p.shaped(all.to_tensors(p.point.dtype, device)?)?;
    Ok(Some(contender.accuracy(&x, labels)?))
}
