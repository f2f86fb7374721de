//! Time per call of each strategy of the fused engine on a GPU, as CSV on standard output.
//!
//! Narrow: width 128, batch 64, depth 8 to 128, sPC (T = L), ePC (T = 8) and BP in f32 on every strategy. Wide: width
//! 4096, batch 1024, T = 4. Every math mode with products on tensor cores is timed: narrow on `persistent`, wide on
//! `cublas`. `refused` is the reason why a strategy does not run. `--first` is a short run for a new GPU: depths 8, 32
//! and 128, strategies `graph` and `persistent`, 0.1 s a row, and nothing wide. Numbers are drawn from a seed; none of
//! them is zero.
//!
//! The samples of all rows of one width, depth and rule are interleaved (`sampler`), with one cuBLAS product of the
//! same shape in f32 among them. A sample is one pair of events around `calls` calls: at least ten and a millisecond,
//! fewer only where ten would not leave time for five samples. Of the `samples` there are median and quartiles, in
//! nanoseconds of one call: `device_ns` between the events, `wall_ns` from an idle device to an idle device over the
//! calls of a sample. `sm_mhz` is the median clock of the multiprocessors right after samples of the row; empty without
//! NVML. `of_cublas` is the share of that product's rate in the same rounds. `epilogue_bytes` are the bytes that the
//! launches besides the products of `cublas` read and write, counted (`Plan::epilogue_bytes`).

#[path = "common/mod.rs"]
mod common;

use std::io::Write;

use candle_core::{Device, Result};
use common::{measure, median_mhz, said, Call, Net, Numbers, OnDevice, OPTIMISER};
use pcnbench_kernels::device;
use pcnbench_kernels::launch::{plan, Ask, Plan, Precision, Task};
use pcnbench_kernels::sampler::{Sampler, Samples, Work};
use pcnbench_kernels::tune::{DeviceLimits, Strategy};
use pcnbench_kernels::{MathMode, OutputError, Rule, Schedule};

fn main() {
    // cargo's own test of benches
    let asked = |option: &str| std::env::args().any(|argument| argument == option);
    let quick = asked("--test");
    let extent = match (quick, asked("--first")) {
        (true, _) => Extent::Quick,
        (false, true) => Extent::First,
        (false, false) => Extent::Whole,
    };
    let device = match device::open(0) {
        Ok(device) => device,
        Err(error) => {
            eprintln!("error: device `cuda` is not available: {error}");
            std::process::exit(if quick { 0 } else { 1 });
        }
    };
    if let Err(error) = ladder(&device, extent, &mut std::io::stdout().lock()) {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

/// How many rows are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// A test whether the bench works.
    Quick,
    /// The rows of `--first`.
    First,
    Whole,
}

impl Extent {
    fn depths(self) -> &'static [usize] {
        match self {
            Self::Quick => &[8],
            Self::First => &[8, 32, 128],
            Self::Whole => &[8, 16, 32, 64, 128],
        }
    }

    fn takes(self, strategy: Strategy) -> bool {
        self != Self::First || matches!(strategy, Strategy::Graph | Strategy::Persistent)
    }

    /// Of one row.
    fn seconds(self) -> f64 {
        match self {
            Self::First => 0.1,
            Self::Quick | Self::Whole => 0.2,
        }
    }
}

const HEADER: &str = "strategy,operands,rule,width,batch,depth,steps,samples,calls,device_ns,device_ns_q1,device_ns_q3,\
                      wall_ns,wall_ns_q1,wall_ns_q3,sm_mhz,flops,flops_per_s,of_cublas,epilogue_bytes,refused";

fn ladder(device: &Device, extent: Extent, out: &mut dyn Write) -> Result<()> {
    let failed = |error: std::io::Error| candle_core::Error::Msg(format!("standard output: {error}"));
    writeln!(out, "{HEADER}").map_err(failed)?;
    let mut sampler = common::sampler(device)?;
    let (wide, batch) = if extent == Extent::Quick { (256, 64) } else { (4096, 1024) };
    let sizes = [(128, 64, extent.depths()), (wide, batch, &[8][..])];
    for (width, batch, depths) in sizes.into_iter().take(if extent == Extent::First { 1 } else { 2 }) {
        for depth in depths {
            // drawn and uploaded once: at the widest it is half a gigabyte
            let net = Net::draw(device, (width, batch, *depth), false)?;
            let narrow = width == 128;
            let (spc, epc) = if narrow { (*depth, 8) } else { (4, 4) };
            for (name, rule, steps) in [
                ("spc", Rule::Spc { light_cone: true, deviation: false }, spc),
                ("epc", Rule::Epc, epc),
                ("bp", Rule::Bp, 0),
            ] {
                let kinds: Vec<_> = kinds(narrow).filter(|kind| extent.takes(kind.0)).collect();
                let schedule = Schedule::new(rule, vec![0.1; steps]);
                let of = Group { net: &net, kinds: &kinds, schedule: &schedule, seconds: extent.seconds() };
                for ((strategy, math), row) in kinds.iter().zip(rows(&mut sampler, device, &of)?) {
                    writeln!(out, "{},{math},{name},{width},{batch},{depth},{steps},{row}", strategy.name())
                        .map_err(failed)?;
                }
                out.flush().map_err(failed)?;
            }
        }
    }
    Ok(())
}

/// Strategies with math modes. Where the host has little to do, `grouped` and `graph` take the same time, and neither
/// is fast. Math modes other than f32 cost the same as f32 on both; on `cublas` they are for products at which a
/// library is fast.
fn kinds(narrow: bool) -> impl Iterator<Item = (Strategy, MathMode)> {
    let cores = if narrow { Strategy::Persistent } else { Strategy::Cublas };
    let strategies =
        Strategy::ALL.into_iter().filter(move |strategy| narrow || *strategy != Strategy::Grouped);
    strategies.flat_map(move |strategy| {
        let kernels: &[MathMode] = if narrow { &MathMode::RESIDENT } else { &MathMode::ALL };
        let all = kernels.iter().copied().filter(move |kind| strategy == cores || *kind == MathMode::F32);
        all.map(move |kind| (strategy, kind))
    })
}

/// A group of contenders whose samples are interleaved.
struct Group<'a> {
    net: &'a Net,
    kinds: &'a [(Strategy, MathMode)],
    schedule: &'a Schedule,
    seconds: f64,
}

/// The columns after the steps, one line for each strategy and math mode.
fn rows(sampler: &mut Sampler<OnDevice>, device: &Device, of: &Group<'_>) -> Result<Vec<String>> {
    let call = |kind: &(Strategy, MathMode)| Call::new(of.net, (Some(kind.0), kind.1), of.schedule.clone());
    let calls: Vec<Result<Call>> = of.kinds.iter().map(call).collect();
    // Candle's product is cuBLAS's
    let (batch, width) = of.net.x.dims2()?;
    let mut numbers = Numbers(9);
    let a = numbers.tensor(&[batch, width], 1.0, device)?;
    let b = numbers.tensor(&[width, width], 1.0, device)?;
    let product: Box<Work<'_>> = Box::new(|| a.matmul(&b).map(drop));
    let flops = 2.0 * (batch * width * width) as f64;
    let mut results = measure(sampler, of.seconds, &calls, vec![product]);
    let cublas = results.pop().and_then(Result::ok);
    let rows = of.kinds.iter().zip(results).map(|(kind, result)| {
        let row = result.and_then(|samples| {
            let planned = planned(of, *kind, batch)?;
            let share = cublas.as_ref().map(|cublas| {
                let ratio = cublas.device.over(&samples.device).spread().median;
                planned.flops() / flops * ratio
            });
            Ok(row(&samples, &planned, share))
        });
        row.unwrap_or_else(|error| format!("0,,,,,,,,,,,,,\"{}\"", said(&error)))
    });
    Ok(rows.collect())
}

fn row(samples: &Samples, plan: &Plan, share: Option<f64>) -> String {
    let (device, wall) = (samples.device.spread(), samples.wall.spread());
    let flops = plan.flops();
    let share = share.map_or(String::new(), |share| format!("{share:.4}"));
    let counts = format!("{},{}", samples.device.rounds().len(), samples.calls);
    let times = [device.median, device.low, device.high, wall.median, wall.low, wall.high];
    let times = times.map(|ns| format!("{ns:.0}")).join(",");
    let (mhz, per_second) = (median_mhz(&samples.mhz), flops / (device.median * 1e-9));
    format!("{counts},{times},{mhz},{flops:e},{per_second:.4e},{share},{},", plan.epilogue_bytes())
}

/// The plan of a call, for counting.
fn planned(of: &Group<'_>, (strategy, math): (Strategy, MathMode), batch: usize) -> Result<Plan> {
    plan(&Ask {
        stack: of.net.stack(),
        schedule: of.schedule,
        output: OutputError { weight: 1.0 / batch as f64, softmax: false },
        batch,
        task: Task::Train(OPTIMISER),
        precision: Precision::F32,
        math,
        device: DeviceLimits { processors: 1, cooperative: None },
        products: strategy == Strategy::Cublas,
    })
}
