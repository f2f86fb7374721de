//! The rates that a run's points are held against.

use std::time::Duration;

use candle_core::DType;

use crate::measure;
use crate::record::{product_size, Ceiling, Store};
use crate::suite::{DeviceKind, Model};
use crate::Result;

use super::job::Observer;
use super::point::Prepared;
use super::resources::Resources;

/// For the multiply-adds of one dtype on one number of threads: when a run begins, and after each of its points.
const FIRST: Duration = Duration::from_millis(150);
const AGAIN: Duration = Duration::from_millis(15);

/// Measures all rates that the points need, unless an earlier part of the run has.
pub(super) fn measure_all(
    store: &mut Store,
    prepared: &[Prepared<'_>],
    resources: &mut Resources<'_>,
    observer: &mut dyn Observer,
) -> Result<()> {
    let all = measure::threads();
    let mut found = store.run().ceilings.clone();
    for (dtype, kind, threads, sizes) in wanted(prepared) {
        let known = |quantity: &str, dtype: &str, threads: usize| {
            let same = |c: &&Ceiling| c.device == kind.name() && c.dtype == dtype && c.threads == threads;
            found.iter().filter(same).any(|c| c.quantity == quantity)
        };
        let cpu = kind == DeviceKind::Cpu;
        let (fma, gemm) =
            (cpu && !known("fma", dtype.as_str(), threads), !known("gemm", dtype.as_str(), threads));
        let (copy, read) = (!known("copy", "f32", all), cpu && !known("read", "f32", all));
        let device = resources.device(kind)?;
        if fma {
            observer.at("ceilings", &format!("{} multiply-adds, threads: {threads}", dtype.as_str()));
            found.push(measure::fma_ceiling(dtype, threads, FIRST)?);
        }
        if gemm {
            observer.at("ceilings", &format!("{} matrix products, threads: {threads}", dtype.as_str()));
            found.push(measure::gemm_rate(dtype, &device, threads)?);
        }
        for (batch, width) in sizes {
            let at = product_size(batch, width);
            let same = |c: &Ceiling| {
                let same = (c.quantity.as_str(), c.device.as_str(), c.dtype.as_str(), c.at.as_str());
                same == ("product", kind.name(), dtype.as_str(), at.as_str()) && c.threads == threads
            };
            if !found.iter().any(same) {
                observer.at("ceilings", &format!("{} products {at}, threads: {threads}", dtype.as_str()));
                found.push(measure::product_rate(dtype, &device, threads, (batch, width))?);
            }
        }
        if copy {
            observer.at("ceilings", "copy");
            found.push(measure::copy_rate(&device)?);
        }
        if read {
            observer.at("ceilings", "read");
            found.push(measure::read_rate()?);
        }
    }
    store.update_run(|run| run.ceilings = found)
}

/// Measures the multiply-adds once more and keeps what is higher: a clock that rises during the run raises the ceiling
/// with it, so that no contender can exceed what the beginning showed.
pub(super) fn raise(store: &mut Store) -> Result<()> {
    let mut found = store.run().ceilings.clone();
    for ceiling in found.iter_mut().filter(|c| c.quantity == "fma") {
        let dtype = if ceiling.dtype == "f64" { DType::F64 } else { DType::F32 };
        let again = measure::fma_ceiling(dtype, ceiling.threads, AGAIN)?;
        let clock_hz = [ceiling.clock_hz, again.clock_hz].into_iter().flatten().reduce(f64::max);
        if again.per_second > ceiling.per_second {
            *ceiling = again;
        }
        ceiling.clock_hz = clock_hz;
    }
    store.update_run(|run| run.ceilings = found)
}

/// Dtype, device, threads, and the sizes (batch, width) of what is timed on these.
type Wanted = (DType, DeviceKind, usize, Vec<(usize, usize)>);

/// With all threads, with one, and with as many as some contender asks for.
fn wanted(prepared: &[Prepared<'_>]) -> Vec<Wanted> {
    let all = measure::threads();
    let mut wanted: Vec<Wanted> = Vec::new();
    for p in prepared.iter().filter(|p| p.benchmark.model == Model::WeightUpdate) {
        // threads of the host make no difference to a GPU
        let asked = p.specs.iter().filter_map(|spec| spec.id.threads).filter(|&n| n <= all);
        let fewer = asked.chain([1]).filter(|_| p.point.device == DeviceKind::Cpu);
        let size = (p.point.batch, p.point.width);
        for threads in [all].into_iter().chain(fewer) {
            let one = (p.point.dtype, p.point.device, threads);
            match wanted.iter_mut().find(|(dtype, kind, n, _)| (*dtype, *kind, *n) == one) {
                Some((.., sizes)) if sizes.contains(&size) => {}
                Some((.., sizes)) => sizes.push(size),
                None => wanted.push((one.0, one.1, one.2, vec![size])),
            }
        }
    }
    wanted
}
