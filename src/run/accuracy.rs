//! Whether what is timed learns: test accuracy after a few updates.

use candle_core::Device;

use crate::contender::{Contender, ContenderSpec};
use crate::data::{Batches, Dataset};
use crate::net::architecture::mlp::X;
use crate::Result;

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
    // as many samples at a time as an update has, so that memory suffices for both
    let (mut correct, mut from) = (0.0, 0);
    for part in data.test.in_order(p.point.batch) {
        let own = &labels[from..from + part.rows];
        let [x, _] = p.shaped(part.to_tensors(p.point.dtype, device)?)?;
        correct += (contender.accuracy(&x, own)? * own.len() as f64).round();
        from += part.rows;
    }
    Ok(Some(correct / labels.len().max(1) as f64))
}
