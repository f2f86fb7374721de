//! Oracles: FLOPs and bytes by hand over invented times; and times of this machine, which only a wrong unit can miss.

use super::*;

const SHORT: Duration = Duration::from_millis(5);

/// Times as they come, and on how many threads and in which time each was asked for; what they are of is done once.
struct Clock<'a> {
    times: std::slice::Iter<'a, f64>,
    asked: Vec<(usize, Duration)>,
}

impl<'a> Clock<'a> {
    fn of(times: &'a [f64]) -> Self {
        Self { times: times.iter(), asked: vec![] }
    }

    fn read(&mut self, threads: usize, budget: Duration, work: Work<'_>) -> Result<f64> {
        work()?;
        self.asked.push((threads, budget));
        Ok(*self.times.next().unwrap())
    }
}

/// 2·6·10² FLOPs in 4, 2 and 8 µs by Candle: the best is 600 MFLOP/s.
#[test]
fn the_rate_of_a_layer_is_its_flops_over_the_shortest_time() {
    for (fused, best, by) in [(5e8, 6e8, "candle"), (7e8, 7e8, "fused")] {
        let mut clock = Clock::of(&[4e-6, 2e-6, 8e-6]);
        let mut asked = None;
        let product = product_over(
            DType::F64,
            &Device::Cpu,
            3,
            (6, 10),
            &mut |threads, budget, work| clock.read(threads, budget, work),
            |dtype, batch, width, threads, budget| {
                asked = Some((dtype, batch, width, threads, budget));
                Ok(fused)
            },
        );
        let product = product.unwrap();
        assert!((product.per_second / best - 1.0).abs() < 1e-12, "{product:?}");
        assert_eq!((product.by.as_deref(), product.threads, &product.at[..]), (Some(by), 3, "6x10x10"));
        assert_eq!((clock.asked, asked), (vec![(3, PRODUCT); 3], Some((DType::F64, 6, 10, 3, PRODUCT))));
    }
}

/// 2·8³, 2·16³ and 2·32³ FLOPs at 1, 3 and 2 GFLOP/s; of the two best the smaller one then shows 2.5 and the larger one 4.
#[test]
fn the_rate_of_squares_is_that_of_the_best_size() {
    let flops = |n: i32| 2.0 * f64::from(n).powi(3);
    let times = [flops(8) / 1e9, flops(16) / 3e9, flops(32) / 2e9, flops(16) / 2.5e9, flops(32) / 4e9];
    let seen = |times: &[f64]| {
        let mut clock = Clock::of(times);
        let read = &mut |threads, budget, work: Work<'_>| clock.read(threads, budget, work);
        let found = gemm_over([8, 16, 32], DType::F32, &Device::Cpu, 2, read).unwrap();
        assert_eq!(clock.times.len(), 0, "each is looked at once, and the two best again");
        let (look, again) = (BUDGET.mul_f64(LOOK), BUDGET / 2);
        assert_eq!(clock.asked, [(2, look), (2, look), (2, look), (2, again), (2, again)]);
        (found.per_second / 1e9, found.at, found.threads)
    };
    let (rate, at, threads) = seen(&times);
    assert!((rate - 4.0).abs() < 1e-9, "{rate}");
    assert_eq!((at.as_str(), threads), ("32x32x32", 2));
    // a first look counts too
    let [first, second, third, again, _] = times;
    let (rate, at, _) = seen(&[first, second, third, again, flops(32) / 2.9e9]);
    assert!((rate - 3.0).abs() < 1e-9 && at == "16x16x16", "{rate} {at}");
}

/// 8 MiB in half a second: read at 16 MiB/s; read and written, and so copied at 32 MiB/s.
#[test]
fn a_copy_reads_and_writes() {
    let mib = f64::from(1 << 20);
    let timed = |work: Work<'_>| work().map(|()| 0.5);
    let copy = copy_over(8 << 20, &Device::Cpu, timed).unwrap();
    let read = read_over(8 << 20, timed).unwrap();
    // but for what cannot be shared out evenly
    assert!((copy.per_second / (32.0 * mib) - 1.0).abs() < 1e-3, "{copy:?}");
    assert!((read.per_second / (16.0 * mib) - 1.0).abs() < 1e-3, "{read:?}");
    assert_eq!((copy.device.as_str(), read.device.as_str()), ("cpu", "cpu"));
}

/// Calls of 100 µs are read by tens; the fastest ten took half of that each.
#[test]
fn the_shortest_call_is_per_call() {
    let micros = Duration::from_micros;
    let (mut times, mut calls) = ([100, 900, 500, 700].into_iter(), Vec::new());
    let found = least(SHORT, |n| {
        calls.push(n);
        Ok(micros(times.next().unwrap_or(2000)))
    });
    assert!((found.unwrap() - 50e-6).abs() < 1e-12);
    assert!(calls.len() > 4 && calls[0] == 1 && calls[1..].iter().all(|n| *n == 10), "{calls:?}");
    // one that takes longer than a reading is read alone
    let found = least(Duration::ZERO, |n| Ok(micros(u64::from(n) * 3000))).unwrap();
    assert!((found - 3e-3).abs() < 1e-12);
}

/// Five, which nothing else here asks for: the number is one of the process, and tests run beside one another.
#[test]
fn candle_is_timed_on_the_threads_that_were_asked_for() {
    let mut seen = Vec::new();
    for _ in 0..100 {
        let mut work = || {
            seen.push(candle_core::utils::get_num_threads());
            Ok(())
        };
        on_threads(&Device::Cpu)(5, Duration::ZERO, &mut work).unwrap();
    }
    assert!(seen.contains(&5), "{seen:?}");
}

/// Bounds that only a wrong unit can miss: a CPU makes between 10⁷ and 10¹⁴.
#[test]
fn rates_of_this_machine() {
    let cpu = &Device::Cpu;
    let mut quickly = |threads, _, work: Work<'_>| on_threads(cpu)(threads, SHORT, work);
    for dtype in [DType::F32, DType::F64] {
        let gemm = gemm_over([128, 192], dtype, cpu, 1, &mut quickly).unwrap();
        assert!((1e7..1e14).contains(&gemm.per_second), "{gemm:?}");
        assert_eq!((gemm.quantity.as_str(), gemm.dtype.as_str()), ("gemm", dtype.as_str()));
    }
    let copy = copy_over(8 << 20, cpu, |work| shortest(SHORT, cpu, work)).unwrap();
    assert!((1e7..1e14).contains(&copy.per_second), "{copy:?}");
    let product = product_rate(DType::F32, cpu, 1, (8, 24)).unwrap();
    assert!((1e6..1e13).contains(&product.per_second), "{product:?}");
    assert_eq!((product.quantity.as_str(), product.at.as_str(), product.threads), ("product", "8x24x24", 1));
}

#[test]
fn other_dtypes_are_refused() {
    let refused = gemm_over([8], DType::F16, &Device::Cpu, 1, &mut |_, _, _| Ok(1.0)).unwrap_err();
    assert_eq!(refused.to_string(), "unknown dtype of a ceiling `f16`; expected one of: f32, f64");
}
