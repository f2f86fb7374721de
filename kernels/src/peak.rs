//! The peak rate of the arithmetic units of this processor, which no product of matrices can exceed, and the rate of
//! the fused engine's products without the rest of a layer.

use std::hint::black_box;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use candle_core::DType;

use crate::cpu::peak::{additions, vectors, Chain, Done, OnVectors, Plain};
use crate::cpu::rate::Layer;
use crate::cpu::{Pool, Real};
use crate::{Error, Result};

/// The best rate of multiply-adds that was seen, and where.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    /// Of all threads together, two FLOPs per multiply-add.
    pub flops_per_second: f64,
    /// The vectors that were fastest: `avx512f`, `avx2`, `neon`, or `plain` for what every processor of the
    /// architecture has.
    pub vectors: &'static str,
    /// The highest clock that a thread saw meanwhile; none on architectures where nothing is known to take one cycle.
    pub clock_hz: Option<f64>,
}

/// Shortest time of a burst: long against the start of a thread, short against what interrupts it.
const BURST: Duration = Duration::from_micros(500);
/// The same for the clock.
const TICKS: Duration = Duration::from_micros(50);

/// Best rate of multiply-adds of `dtype` on `threads` threads at once, over `budget`.
///
/// All threads begin a burst together; its rate is the sum of their own rates, each over its own time, so that waiting
/// for one another is no part of it. The best burst counts: other work and lower clocks only make others slower. A
/// product of matrices needs a multiplication for each of its multiply-adds, and there is no other instruction here
/// that makes more of them per cycle; units that multiply whole matrices are not used by anything in this project.
///
/// # Errors
/// [`Error::Unsupported`] for other numbers than f32 and f64, [`Error::Threads`] if there are no more threads.
pub fn multiply_adds(dtype: DType, threads: usize, budget: Duration) -> Result<Peak> {
    match dtype {
        DType::F32 => best::<f32>(threads, budget),
        DType::F64 => best::<f64>(threads, budget),
        other => Err(Error::Unsupported(format!(
            "multiply-adds of {} are not measured; ask for f32 or f64",
            other.as_str()
        ))),
    }
}

fn best<T: Real>(threads: usize, budget: Duration) -> Result<Peak>
where
    Chain<T>: Plain,
{
    let pool = Pool::new(threads)?;
    let kinds = vectors::<T>();
    let mut peak = Peak { flops_per_second: 0.0, vectors: "", clock_hz: None };
    for (name, run) in &kinds {
        let steps = long_enough(*run);
        let begin = Instant::now();
        loop {
            let seen = Mutex::new(None);
            let rate = together(&pool, threads, |_| {
                let rate = rate(*run, steps);
                let clock = clock();
                let mut seen = locked(&seen);
                *seen = higher(*seen, clock);
                rate
            })?;
            let clock = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
            if rate > peak.flops_per_second {
                (peak.flops_per_second, peak.vectors) = (rate, name);
            }
            peak.clock_hz = higher(peak.clock_hz, clock);
            if begin.elapsed() >= budget / kinds.len() as u32 {
                break;
            }
        }
    }
    Ok(peak)
}

/// Best rate in FLOP/s of the engine's products with a layer of `width` units on as many, on a batch of `batch`: W h or
/// Wᵀ d, 2·batch·width² FLOPs each; on `threads` threads that each have a layer of their own, over `budget`.
///
/// # Errors
/// As for [`multiply_adds`].
pub fn products(dtype: DType, batch: usize, width: usize, threads: usize, budget: Duration) -> Result<f64> {
    match dtype {
        DType::F32 => best_product::<f32>(batch, width, threads, budget),
        DType::F64 => best_product::<f64>(batch, width, threads, budget),
        other => Err(Error::Unsupported(format!(
            "products of {} are not measured; ask for f32 or f64",
            other.as_str()
        ))),
    }
}

fn best_product<T: Real>(batch: usize, width: usize, threads: usize, budget: Duration) -> Result<f64> {
    let pool = Pool::new(threads)?;
    let layers: Vec<_> = (0..threads).map(|_| Mutex::new(Layer::<T>::new(batch, width))).collect();
    let own = |i: usize| locked(&layers[i]);
    let once = own(0).rate(false, 1);
    let calls =
        (BURST.as_secs_f64() * once / (2.0 * (batch * width * width) as f64)).clamp(1.0, 1e6) as usize;
    best_burst(&pool, threads, budget, |index, backward| own(index).rate(backward, calls))
}

/// The best burst of either kind, over `budget`, where a thread sees `rate(index, backward)`.
fn best_burst(
    pool: &Pool,
    threads: usize,
    budget: Duration,
    rate: impl Fn(usize, bool) -> f64 + Sync,
) -> Result<f64> {
    let (mut best, begin) = (0.0, Instant::now());
    loop {
        for backward in [false, true] {
            best = f64::max(best, together(pool, threads, |index| rate(index, backward))?);
        }
        if begin.elapsed() >= budget {
            return Ok(best);
        }
    }
}

/// The rate of all threads of one burst, which they begin together: the sum of their own.
fn together(pool: &Pool, threads: usize, rate: impl Fn(usize) -> f64 + Sync) -> Result<f64> {
    let sum = Mutex::new(0.0);
    pool.run(threads, 1, |worker| {
        worker.meet();
        let rate = rate(worker.index);
        *locked(&sum) += rate;
    })?;
    Ok(sum.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// The guarded value is valid even if another thread has panicked with the lock.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Steps of a chain that take a burst.
fn long_enough<T: Real>(run: OnVectors<T>) -> usize {
    let mut steps = 1024;
    loop {
        let begin = Instant::now();
        once(run, steps);
        if begin.elapsed() >= BURST {
            return steps;
        }
        steps *= 2;
    }
}

/// One burst on this thread; its FLOPs per second, two of each multiply-add.
fn rate<T: Real>(run: OnVectors<T>, steps: usize) -> f64 {
    let begin = Instant::now();
    let done = once(run, steps);
    2.0 * done.multiply_adds as f64 / seconds(begin)
}

fn once<T: Real>(run: OnVectors<T>, steps: usize) -> Done {
    // x stays near 1, so there are no denormal numbers
    let chain = Chain { steps, start: T::ONE, factor: T::of(0.5), summand: T::of(0.5) };
    let done = run(black_box(chain));
    // the compiler would leave out a computation whose result is unused
    black_box(done.sum);
    done
}

/// Cycles per second of this core.
fn clock() -> Option<f64> {
    let mut rounds = 1 << 12;
    loop {
        let begin = Instant::now();
        if !additions(rounds) {
            return None;
        }
        if begin.elapsed() >= TICKS {
            return Some(16.0 * rounds as f64 / seconds(begin));
        }
        rounds *= 2;
    }
}

fn higher(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    [a, b].into_iter().flatten().reduce(f64::max)
}

/// Seconds since then, never 0, which a coarse clock could give.
fn seconds(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64().max(1e-9)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A core makes a whole number of vectors of multiply-adds per cycle, from one to four, and f32 has twice as many
    /// lanes as f64: FLOPs per cycle, two per multiply-add, reveal a wrong count of lanes, sums, threads or FLOPs.
    ///
    /// Without optimisation sums do not stay in registers; `.ci/run` asks the same of the program that users get.
    #[cfg(not(debug_assertions))]
    #[test]
    fn flops_per_cycle_are_those_of_vector_units() {
        let peak = |dtype, threads| multiply_adds(dtype, threads, Duration::from_millis(60)).unwrap();
        let (single, double) = (peak(DType::F32, 1), peak(DType::F64, 1));
        let lanes = |p: &Peak| match p.vectors {
            "avx512f" => 16.0,
            "avx2" => 8.0,
            _ => 4.0,
        };
        if let Some(clock) = single.clock_hz {
            let vectors = single.flops_per_second / clock / (2.0 * lanes(&single));
            assert!((0.8..4.2).contains(&vectors), "{vectors} vectors per cycle: {single:?}");
        }
        let twice = single.flops_per_second / double.flops_per_second;
        assert!((1.5..2.7).contains(&twice), "{twice}: {single:?} {double:?}");
    }

    /// Of the same order as a machine can do, and no more than its multiply-adds.
    #[cfg(not(debug_assertions))]
    #[test]
    fn products_stay_below_the_ceiling() {
        let time = Duration::from_millis(60);
        for dtype in [DType::F32, DType::F64] {
            let peak = multiply_adds(dtype, 1, time).unwrap().flops_per_second;
            let rate = products(dtype, 64, 128, 1, time).unwrap();
            assert!((0.2..1.02).contains(&(rate / peak)), "{rate} of {peak}");
        }
        assert!(products(DType::U8, 1, 1, 1, time).is_err());
    }

    /// Two FLOPs for each of a chain's multiply-adds, whose number has a test of its own, in the time that passed: a
    /// clock that is read before and after shows as much or, if something interrupts the thread in between, more.
    #[test]
    fn a_multiply_add_is_two_flops() {
        for (name, run) in vectors::<f32>() {
            let steps = 8 * long_enough(run);
            let flops = 2.0 * once(run, steps).multiply_adds as f64;
            let counted = (0..20).map(|_| {
                let begin = Instant::now();
                rate(run, steps) * begin.elapsed().as_secs_f64() / flops
            });
            let least = counted.fold(f64::INFINITY, f64::min);
            assert!((1.0 - 1e-9..1.1).contains(&least), "{name}: {least}");
        }
    }

    /// Rates by hand: thread i of three sees 4ⁱ, 10 times as much backwards.
    #[test]
    fn a_burst_is_the_sum_of_its_threads_and_the_best_one_counts() {
        let pool = Pool::new(3).unwrap();
        let of = |index: usize| 4.0_f64.powi(index as i32);
        assert_eq!(together(&pool, 3, of).unwrap(), 21.0);
        assert_eq!(together(&pool, 2, of).unwrap(), 5.0);
        let best = |budget: Duration, rate: &(dyn Fn(usize, bool) -> f64 + Sync)| {
            best_burst(&pool, 3, budget, rate).unwrap()
        };
        assert_eq!(
            best(Duration::ZERO, &|index, backward| if backward { 10.0 } else { 1.0 } * of(index)),
            210.0
        );
        assert_eq!(
            best(Duration::ZERO, &|index, backward| if backward { 0.1 } else { 1.0 } * of(index)),
            21.0
        );
        // the third burst of all is the best
        let bursts = [AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0)];
        let third = best(Duration::from_millis(100), &|index, _| {
            let burst = bursts[index].fetch_add(1, Ordering::Relaxed);
            if burst == 2 {
                3.0
            } else {
                1.0
            }
        });
        assert!(bursts[0].load(Ordering::Relaxed) > 4, "{bursts:?}");
        assert_eq!(third, 9.0);
    }

    #[test]
    fn other_numbers_are_refused() {
        let said = multiply_adds(DType::U8, 1, Duration::ZERO).unwrap_err().to_string();
        assert!(said.contains("u8") && said.contains("f32 or f64"), "{said}");
    }
}
