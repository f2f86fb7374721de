//! Rates that this machine shows in this run: a ceiling that no product of matrices can exceed, and reference rates of
//! products and of moving memory.
//!
//! Utilisation is stated against these rather than against data sheets, which know nothing of the clock,
//! the threads or the library at hand. Inputs are random: zeros draw less power and let a GPU clock
//! higher than real work would.

use std::hint::black_box;
use std::time::{Duration, Instant};

use candle_core::{DType, Device, Tensor};

use super::{affinity, clock};
use crate::engine::threads::limit;
use crate::record::{product_size, Ceiling, Machine};
use crate::{Error, Result};

/// Square sizes, up to where a CPU's rate no longer grows.
const SIZES: [usize; 7] = [128, 256, 384, 512, 768, 1024, 1536];
/// Sizes added on a GPU, which the others do not fill.
const LARGE: [usize; 2] = [2048, 4096];
/// Time for one rate; the best of what fits counts, since other work can only slow a run down.
const BUDGET: Duration = Duration::from_millis(400);
/// Of that time, the part for a first look at each size of a product; the best ones share the rest.
const LOOK: f64 = 0.05;
/// Sizes that are looked at again: neighbours' rates differ by less than one look can tell.
const BEST: usize = 2;
/// Time for each way of making a product of a layer.
const PRODUCT: Duration = Duration::from_millis(100);
/// Bytes read, and as many written, by one copy: beyond most caches, and quick to fill.
const COPY_BYTES: usize = 256 << 20;
/// Shortest time worth reading off the clock.
const READING: Duration = Duration::from_millis(1);

/// The ceiling of every product on the CPU in FLOP/s: multiply-adds from registers to registers on `threads` threads,
/// measured for as long as `budget`, with the clock that was seen.
///
/// # Errors
/// If `dtype` is neither f32 nor f64, or there are no more threads.
pub fn fma_ceiling(dtype: DType, threads: usize, budget: Duration) -> Result<Ceiling> {
    let _pinned = affinity::pin_current_thread();
    let peak = pcnbench_kernels::peak::multiply_adds(dtype, threads, budget)?;
    let at = peak.vectors.to_owned();
    let found = ceiling("fma", dtype, &Device::Cpu, at, peak.flops_per_second);
    Ok(Ceiling { threads, clock_hz: peak.clock_hz, ..found })
}

/// Best rate of square matrix products in FLOP/s, 2n³ FLOPs each, through Candle; on the CPU on `threads` of the run's
/// threads. Other products can exceed it.
///
/// # Errors
/// If `dtype` is neither f32 nor f64, or the device fails.
pub fn gemm_rate(dtype: DType, device: &Device, threads: usize) -> Result<Ceiling> {
    let large: &[usize] = if device.is_cpu() { &[] } else { &LARGE };
    gemm_over(SIZES.iter().chain(large).copied(), dtype, device, threads, &mut on_threads(device))
}

/// Best rate in FLOP/s that we know to make of the products of a layer of `width` units on as many, on a batch of
/// `batch`, each 2·batch·width² FLOPs: through Candle, X Wᵀ, D W and Dᵀ X with X and D `[batch, width]`, one after
/// another on `threads` of the run's threads; and on the CPU by the fused engine, W h and Wᵀ d, each thread its own,
/// without what it does in the same breath.
///
/// # Errors
/// If `dtype` is neither f32 nor f64, or the device fails.
pub fn product_rate(
    dtype: DType,
    device: &Device,
    threads: usize,
    (batch, width): (usize, usize),
) -> Result<Ceiling> {
    let fused = pcnbench_kernels::peak::products;
    product_over(dtype, device, threads, (batch, width), &mut on_threads(device), fused)
}

/// Best rate of a copy in bytes/s, read plus written, f32, into memory that is already allocated: on the
/// CPU by all worker threads at once, on a GPU within its own memory.
///
/// # Errors
/// If the device fails.
pub fn copy_rate(device: &Device) -> Result<Ceiling> {
    copy_over(block_bytes(), device, |work| shortest(BUDGET, device, work))
}

/// Best rate at which all worker threads together read main memory, in bytes/s.
///
/// # Errors
/// If a thread ends early.
pub fn read_rate() -> Result<Ceiling> {
    read_over(block_bytes(), |work| shortest(BUDGET, &Device::Cpu, work))
}

/// Bytes of a block that is copied or read.
fn block_bytes() -> usize {
    match Machine::detect(None).memory_bytes {
        // Unknown.
        0 => COPY_BYTES,
        // Two such blocks must not press a small machine into its swap.
        memory => COPY_BYTES.min(usize::try_from(memory / 16).unwrap_or(COPY_BYTES)),
    }
}

/// Worker threads there are: fewer than were wanted where the system refused some.
fn workers() -> usize {
    super::threads().min(rayon::current_num_threads())
}

/// What is timed.
type Work<'a> = &'a mut dyn FnMut() -> Result<()>;

/// Seconds of a piece of work on a number of threads, measured within a budget of time.
type Seconds<'a> = &'a mut dyn FnMut(usize, Duration, Work<'_>) -> Result<f64>;

/// The seconds of its shortest call, with Candle's products on that number of threads.
fn on_threads(device: &Device) -> impl FnMut(usize, Duration, Work<'_>) -> Result<f64> + '_ {
    |threads, budget, work| {
        let _limit = limit(Some(threads));
        shortest(budget, device, work)
    }
}

fn read_over(bytes: usize, seconds: impl FnOnce(Work<'_>) -> Result<f64>) -> Result<Ceiling> {
    let words = vec![1u64; (bytes / size_of::<u64>()).max(1)];
    let parts: Vec<&[u64]> = words.chunks(words.len().div_ceil(workers())).collect();
    let sum = |words: &[u64]| words.iter().fold(0u64, |sum, word| sum.wrapping_add(*word));
    let seconds = seconds(&mut || {
        // on the workers that are there: to make threads takes time, and may be refused
        rayon::broadcast(|worker| parts.get(worker.index()).map(|own| black_box(sum(own))));
        Ok(())
    })?;
    let bytes = size_of_val(&words[..]);
    let at = format!("{} MiB", bytes >> 20);
    Ok(ceiling("read", DType::F32, &Device::Cpu, at, bytes as f64 / seconds))
}

fn gemm_over(
    sizes: impl IntoIterator<Item = usize>,
    dtype: DType,
    device: &Device,
    threads: usize,
    seconds: Seconds<'_>,
) -> Result<Ceiling> {
    let mut rate = |n: usize, budget: Duration| -> Result<(f64, usize)> {
        let (a, b) = (normal((n, n), dtype, device)?, normal((n, n), dtype, device)?);
        let mut product = || {
            a.matmul(&b)?;
            Ok(())
        };
        Ok((2.0 * (n as f64).powi(3) / seconds(threads, budget, &mut product)?, n))
    };
    let descending = |rates: &mut Vec<(f64, usize)>| rates.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut looks = sizes.into_iter().map(|n| rate(n, BUDGET.mul_f64(LOOK))).collect::<Result<Vec<_>>>()?;
    descending(&mut looks);
    let best = looks.iter().take(BEST).map(|&(_, n)| rate(n, BUDGET / BEST as u32));
    let mut rates = best.chain(looks.iter().copied().map(Ok)).collect::<Result<Vec<_>>>()?;
    descending(&mut rates);
    let (per_second, n) = rates[0];
    Ok(Ceiling { threads, ..ceiling("gemm", dtype, device, format!("{n}x{n}x{n}"), per_second) })
}

/// By Candle in the time that `seconds` reads, and by the fused engine at the rate `fused` of dtype, batch, width,
/// threads and the time there is.
fn product_over(
    dtype: DType,
    device: &Device,
    threads: usize,
    (batch, width): (usize, usize),
    seconds: Seconds<'_>,
    fused: impl FnOnce(DType, usize, usize, usize, Duration) -> pcnbench_kernels::Result<f64>,
) -> Result<Ceiling> {
    let [x, d] = [(), ()].map(|()| normal((batch, width), dtype, device));
    let (x, d, w) = (x?, d?, normal((width, width), dtype, device)?);
    let mut shortest = f64::INFINITY;
    for (a, b) in [(&x, &w.t()?), (&d, &w), (&d.t()?, &x)] {
        let mut product = || {
            a.matmul(b)?;
            Ok(())
        };
        shortest = shortest.min(seconds(threads, PRODUCT, &mut product)?);
    }
    let mut best = (2.0 * batch as f64 * (width as f64).powi(2) / shortest, "candle");
    // Each thread has a layer of its own. Layers too large for all of them to have one need no product but Candle's.
    let bytes =
        [threads, 2, width, width + batch, dtype.size_in_bytes()].into_iter().fold(1, usize::saturating_mul);
    if device.is_cpu() && bytes <= block_bytes() {
        let _pinned = affinity::pin_current_thread();
        let own = fused(dtype, batch, width, threads, PRODUCT)?;
        if own > best.0 {
            best = (own, "fused");
        }
    }
    let found = ceiling("product", dtype, device, product_size(batch, width), best.0);
    Ok(Ceiling { threads, by: Some(best.1.to_owned()), ..found })
}

fn copy_over(
    bytes: usize,
    device: &Device,
    seconds: impl FnOnce(Work<'_>) -> Result<f64>,
) -> Result<Ceiling> {
    let dtype = DType::F32;
    // One engine copies on a GPU; one thread of a CPU does not fill its memory channels.
    let parts = if device.is_cpu() { workers() } else { 1 };
    let elements = (bytes / dtype.size_in_bytes() / parts).max(1);
    // Drawing every number would take longer than copying them; repeats are as good here.
    let block = normal(elements.min(1 << 16), dtype, device)?;
    let source =
        || block.repeat(elements.div_ceil(block.elem_count()))?.narrow(0, 0, elements)?.force_contiguous();
    let pairs = (0..parts)
        .map(|_| Ok((source()?, source()?)))
        .collect::<candle_core::Result<Vec<(Tensor, Tensor)>>>()?;
    let seconds = seconds(&mut || match &pairs[..] {
        [(from, to)] => Ok(to.slice_set(from, 0, 0)?),
        // on the workers that are there: to make threads takes time, and may be refused
        pairs => rayon::broadcast(|worker| match pairs.get(worker.index()) {
            Some((from, to)) => Ok(to.slice_set(from, 0, 0)?),
            None => Ok(()),
        })
        .into_iter()
        .collect(),
    })?;
    let copied = parts * elements * dtype.size_in_bytes();
    let at = format!("{} MiB", copied >> 20);
    Ok(ceiling("copy", dtype, device, at, 2.0 * copied as f64 / seconds))
}

/// Seconds of the shortest call of `work`, among as many as fit into `budget`, but at least one after a
/// first one that is not counted.
fn shortest(budget: Duration, device: &Device, work: Work<'_>) -> Result<f64> {
    least(budget, |calls| clock::time(device, || (0..calls).try_for_each(|_| work())))
}

/// Seconds of one call by the shortest `time` of as many at once as can be read off the clock.
fn least(budget: Duration, mut time: impl FnMut(u32) -> Result<Duration>) -> Result<f64> {
    let first = time(1)?;
    // Several at a time where one would drown in the cost of synchronising.
    let calls = (READING.as_nanos() / first.as_nanos().max(1)).clamp(1, 100) as u32;
    let begin = Instant::now();
    let mut best = f64::INFINITY;
    loop {
        // A clock that saw no time pass has seen less than its own step.
        best = best.min(time(calls)?.as_secs_f64().max(1e-9) / f64::from(calls));
        if begin.elapsed() >= budget {
            return Ok(best);
        }
    }
}

fn normal(shape: impl Into<candle_core::Shape>, dtype: DType, device: &Device) -> Result<Tensor> {
    match dtype {
        DType::F32 => Ok(Tensor::randn(0f32, 1.0, shape, device)?),
        DType::F64 => Ok(Tensor::randn(0f64, 1.0, shape, device)?),
        other => Err(Error::unknown("dtype of a ceiling", other.as_str(), ["f32", "f64"])),
    }
}

fn ceiling(quantity: &str, dtype: DType, device: &Device, at: String, per_second: f64) -> Ceiling {
    let device = match device {
        Device::Cpu => "cpu",
        Device::Cuda(_) => "cuda",
        Device::Metal(_) => "metal",
    };
    Ceiling {
        quantity: quantity.to_owned(),
        dtype: dtype.as_str().to_owned(),
        device: device.to_owned(),
        threads: super::threads(),
        at,
        per_second,
        clock_hz: None,
        by: None,
    }
}

#[cfg(test)]
#[path = "peak_tests.rs"]
mod tests;
