//! Oracle: the number format. The product of 1e-20 and 3e-20 is 3e-40, below the least normal f32 (1.2e-38): a denormal
//! number, or zero where those are flushed.

use std::hint::black_box;
use std::sync::mpsc;

use candle_core::{Device, Tensor};
use pcnbench_kernels::denormals::{flushed, Flush, SUPPORTED};
use pcnbench_kernels::{Dense, Fused, Loss, Rule, Schedule, Stack};

/// One test, because the switch is that of all threads of a pool.
#[test]
fn denormals_are_zeros_on_every_thread_while_they_are_flushed() {
    let pool = rayon::current_num_threads();
    let other = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    for _ in 0..2 {
        everything_is(true, pool);
        std::thread::scope(|scope| {
            // before: a thread begins in the mode of the thread that makes it
            let (go, begin) = mpsc::channel();
            let another = scope.spawn(move || begin.recv().is_ok() && fused(1) && fused(pool + 1));
            let _flush = Flush::new();
            everything_is(!SUPPORTED, pool);
            // other threads flush nothing, nor does what they call
            go.send(()).unwrap();
            assert!(another.join().unwrap());
        });
        // a caller that is a thread of another pool
        other.install(|| {
            assert!(fused(pool + 1));
            let _flush = Flush::new();
            assert_eq!(fused(pool + 1), !SUPPORTED);
        });
    }
    everything_is(true, pool);
}

/// Denormals are kept, or all are zeros: on all threads, in Candle's products, and in calls of the fused engine on the
/// caller's thread, on those of the pool, and on those of a pool apart.
fn everything_is(kept: bool, pool: usize) {
    assert_eq!(flushed(), !kept);
    assert_eq!(on_threads(), vec![[kept; 3]; pool]);
    assert_eq!(product(), kept);
    assert_eq!([1, pool, pool + 1].map(fused), [kept; 3]);
}

/// On each thread of the pool: whether a denormal result, a denormal operand and one of f64 are kept.
fn on_threads() -> Vec<[bool; 3]> {
    let denormal = f32::from_bits(1000);
    rayon::broadcast(|_| {
        [
            black_box(1e-20_f32) * black_box(3e-20_f32) != 0.0,
            black_box(denormal) * black_box(1e30_f32) != 0.0,
            black_box(1e-200_f64) * black_box(1e-110_f64) != 0.0,
        ]
    })
}

/// Whether all elements are kept (true) or all are zero (false).
fn kept(t: &Tensor) -> bool {
    let values = t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let zeros = values.iter().filter(|v| **v == 0.0).count();
    assert!(zeros == 0 || zeros == values.len(), "{zeros} of {} are zero", values.len());
    zeros == 0
}

/// Candle's product, large enough for all threads.
fn product() -> bool {
    let n = 512;
    let full = |value: f32| Tensor::full(value, (n, n), &Device::Cpu).unwrap();
    kept(&full(1e-21).matmul(&full(1e-20)).unwrap())
}

/// The output of one layer of equal weights, by the fused engine on `threads` threads, large enough for all of them.
fn fused(threads: usize) -> bool {
    let (n, batch) = (512, 64 * threads);
    let engine = Fused::new(Stack::new(vec![Dense::linear(n, n)]).unwrap(), threads).unwrap();
    let full = |value: f32, shape: &[usize]| Tensor::full(value, shape, &Device::Cpu).unwrap();
    let (theta, x, y) = (full(1e-21, &[n * n]), full(1e-20, &[batch, n]), full(1.0, &[batch, n]));
    let schedule = Schedule::new(Rule::Bp, vec![]);
    let loss = Loss::HALF_SQUARED_ERROR;
    kept(&engine.learn(&schedule, loss, &theta, (&x, &y), false).unwrap().output)
}
