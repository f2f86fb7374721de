//! What each rung of the fused engine on a card takes per call, as CSV on standard output.
//!
//! Narrow: width 128, batch 64, depth 8 to 128, sPC (T = L), ePC (T = 8) and BP in f32 on every rung. Wide: width 4096,
//! batch 1024, beside the rate of one cuBLAS product of the same shape measured right before. `refused` says why a rung
//! does not run. Times are medians of repetitions after warming up: `device_ns` between two events of the stream,
//! `wall_ns` from a device at rest to a device at rest. Numbers are drawn from a seed; none of them is zero.

use std::io::Write;
use std::time::Instant;

use candle_core::{DType, Device, Result, Tensor};
use pcnbench_kernels::card::{self, Stopwatch};
use pcnbench_kernels::launch::{plan, Ask, Precision, Task};
use pcnbench_kernels::stack::{Activation, LayerSpec, Loss, LossKind};
use pcnbench_kernels::tune::{Card, Rung};
use pcnbench_kernels::{Fused, Operands, Optimiser, Rule, Schedule, Stack};

/// Seconds that one row may take; its repetitions are as many as fit, within bounds.
const SECONDS: f64 = 0.25;
const REPETITIONS: std::ops::RangeInclusive<usize> = 5..=200;

fn main() {
    // cargo's own test of benches
    let quick = std::env::args().any(|argument| argument == "--test");
    let device = match card::open(0) {
        Ok(device) => device,
        Err(error) => {
            eprintln!("error: device `cuda` is not available: {error}");
            std::process::exit(if quick { 0 } else { 1 });
        }
    };
    if let Err(error) = ladder(&device, quick, &mut std::io::stdout().lock()) {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn ladder(device: &Device, quick: bool, out: &mut dyn Write) -> Result<()> {
    let said = |error: std::io::Error| candle_core::Error::Msg(format!("standard output: {error}"));
    writeln!(
        out,
        "rung,rule,width,batch,depth,steps,repetitions,device_ns,wall_ns,flops,flops_per_s,of_cublas,refused"
    )
    .map_err(said)?;
    let rules = |depth: usize| {
        [
            ("spc", Rule::Spc { light_cone: true, deviation: false }, depth),
            ("epc", Rule::Epc, 8),
            ("bp", Rule::Bp, 0),
        ]
    };
    let depths: &[usize] = if quick { &[8] } else { &[8, 16, 32, 64, 128] };
    let (wide, batch) = if quick { (256, 64) } else { (4096, 1024) };
    for (width, batch, depths) in [(128, 64, depths), (wide, batch, &[8][..])] {
        let rate = cublas(device, width, batch)?;
        for depth in depths {
            for (name, rule, steps) in rules(*depth) {
                for rung in Rung::ALL {
                    let row = row(device, rung, rule, steps, (width, batch, *depth));
                    let head = format!("{},{name},{width},{batch},{depth},{steps}", rung.name());
                    match row {
                        Ok((repetitions, of_device, wall, flops)) => {
                            let per_second = flops / (of_device as f64 * 1e-9);
                            let share = per_second / rate;
                            writeln!(
                                out,
                                "{head},{repetitions},{of_device},{wall},{flops:e},{per_second:.4e},{share:.4},"
                            )
                        }
                        Err(error) => writeln!(out, "{head},0,,,,,,\"{}\"", error.to_string().replace('"', "'")),
                    }
                    .and_then(|()| out.flush())
                    .map_err(said)?;
                }
            }
        }
    }
    Ok(())
}

/// Median nanoseconds of device and wall of one training call.
fn row(
    device: &Device,
    rung: Rung,
    rule: Rule,
    steps: usize,
    (width, batch, depth): (usize, usize, usize),
) -> Result<(usize, u64, u64, f64)> {
    let layer = LayerSpec {
        inputs: width,
        outputs: width,
        act_in: Activation::Tanh,
        act_out: Activation::Identity,
        scale: 1.0,
        skip: false,
        bias: false,
    };
    let stack = Stack::new(vec![layer; depth]).map_err(candle_core::Error::wrap)?;
    let schedule = Schedule { rule, steps: vec![0.1; steps] };
    let loss = Loss { kind: LossKind::HalfSquaredError, weight: 1.0 / batch as f64 };
    let optimiser = Optimiser::Sgd { rate: 1e-6 };
    let ask = Ask {
        stack: &stack,
        schedule: &schedule,
        loss,
        batch,
        task: Task::Train(optimiser),
        precision: Precision::F32,
        operands: Operands::F32,
        card: Card { processors: 1, cooperative: None },
        products: false,
    };
    let flops = plan(&ask)?.flops();
    let mut numbers = Numbers(7);
    let theta = numbers.tensor(&[stack.parameters()], 1.0 / (width as f64).sqrt(), device)?;
    let (x, y) =
        (numbers.tensor(&[batch, width], 1.0, device)?, numbers.tensor(&[batch, width], 1.0, device)?);
    let engine = Fused::new(stack, 1).map_err(candle_core::Error::wrap)?;
    engine.on_rung(Some(rung));
    let call = || {
        let done = engine.train(&schedule, loss, optimiser, &theta, (&x, &y));
        done.map_err(candle_core::Error::wrap)
    };
    let (repetitions, of_device, wall) = median(device, &call)?;
    let sum = theta.abs()?.sum_all()?.to_scalar::<f32>()?;
    if !sum.is_finite() {
        return Err(candle_core::Error::Msg("the parameters have become NaN or infinite".into()));
    }
    Ok((repetitions, of_device, wall, flops))
}

/// FLOP/s of one product `[batch, width]` by `[width, width]` of Candle, which is cuBLAS's.
fn cublas(device: &Device, width: usize, batch: usize) -> Result<f64> {
    let mut numbers = Numbers(9);
    let a = numbers.tensor(&[batch, width], 1.0, device)?;
    let b = numbers.tensor(&[width, width], 1.0, device)?;
    const CALLS: usize = 20;
    let (_, of_device, _) = median(device, &|| (0..CALLS).try_for_each(|_| a.matmul(&b).map(|_| ())))?;
    Ok(2.0 * (batch * width * width * CALLS) as f64 / (of_device as f64 * 1e-9))
}

/// How often, and the median nanoseconds of the device and of the wall clock.
fn median(device: &Device, work: &dyn Fn() -> Result<()>) -> Result<(usize, u64, u64)> {
    let once = || -> Result<(u64, u64)> {
        let watch = Stopwatch::of(device)?;
        device.synchronize()?;
        let start = Instant::now();
        watch.start()?;
        work()?;
        watch.stop()?;
        device.synchronize()?;
        let wall = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Ok((watch.elapsed_ns()?.unwrap_or(wall), wall))
    };
    // the first loads modules and allocates, the next ones bring the clock up
    for _ in 0..3 {
        once()?;
    }
    let (_, wall) = once()?;
    let fitting = (SECONDS / (wall as f64 * 1e-9).max(1e-9)) as usize;
    let repetitions = fitting.clamp(*REPETITIONS.start(), *REPETITIONS.end());
    let mut times = (0..repetitions).map(|_| once()).collect::<Result<Vec<_>>>()?;
    times.sort_unstable();
    let of_device = times[repetitions / 2].0;
    times.sort_unstable_by_key(|(_, wall)| *wall);
    Ok((repetitions, of_device, times[repetitions / 2].1))
}

/// Numbers between −1 and 1 from a seed (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn tensor(&mut self, shape: &[usize], scale: f64, device: &Device) -> Result<Tensor> {
        let mut next = || {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            (scale * ((z >> 11) as f64 / (1u64 << 52) as f64 - 1.0)) as f32
        };
        let numbers: Vec<f32> = (0..shape.iter().product()).map(|_| next()).collect();
        Tensor::from_vec(numbers, shape, &Device::Cpu)?.to_dtype(DType::F32)?.to_device(device)
    }
}
