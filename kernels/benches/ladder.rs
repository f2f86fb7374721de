//! What each strategy of the fused engine on a card takes per call, as CSV on standard output.
//!
//! Narrow: width 128, batch 64, depth 8 to 128, sPC (T = L), ePC (T = 8) and BP in f32 on every strategy. Wide: width 4096,
//! batch 1024, T = 4, beside the rate of one cuBLAS product of the same shape in f32 measured right before. Products read every
//! kind of operands that there are products for on tensor cores: narrow on `persistent`, wide on `cublas`. `refused` says why a strategy does
//! not run. `--first` is for a first look at a card: depths 8, 32 and 128, strategies `graph` and `persistent`, 0.1 s a row,
//! and nothing wide. Times are medians of repetitions after warming up: `device_ns` between two events of the stream,
//! `wall_ns` from a device at rest to a device at rest. Numbers are drawn from a seed; none of them is zero.

#[path = "common/mod.rs"]
mod common;

use std::io::Write;

use candle_core::{Device, Result, Tensor};
use common::{median, Numbers, SECONDS};
use pcnbench_kernels::card;
use pcnbench_kernels::launch::{plan, Ask, Precision, Task};
use pcnbench_kernels::stack::{Activation, LayerSpec, Loss, LossKind};
use pcnbench_kernels::tune::{Card, Strategy};
use pcnbench_kernels::{Fused, Operands, Optimiser, Rule, Schedule, Stack};

fn main() {
    // cargo's own test of benches
    let asked = |option: &str| std::env::args().any(|argument| argument == option);
    let quick = asked("--test");
    let extent = match (quick, asked("--first")) {
        (true, _) => Extent::Quick,
        (false, true) => Extent::First,
        (false, false) => Extent::Whole,
    };
    let device = match card::open(0) {
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

/// How much of the ladder is climbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Whether it works at all.
    Quick,
    /// What a first look needs.
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
            Self::Quick | Self::Whole => SECONDS,
        }
    }
}

fn ladder(device: &Device, extent: Extent, out: &mut dyn Write) -> Result<()> {
    let said = |error: std::io::Error| candle_core::Error::Msg(format!("standard output: {error}"));
    writeln!(
        out,
        "strategy,operands,rule,width,batch,depth,steps,repetitions,device_ns,wall_ns,flops,flops_per_s,of_cublas,refused"
    )
    .map_err(said)?;
    let rules = |spc: usize, epc: usize| {
        [
            ("spc", Rule::Spc { light_cone: true, deviation: false }, spc),
            ("epc", Rule::Epc, epc),
            ("bp", Rule::Bp, 0),
        ]
    };
    let (wide, batch) = if extent == Extent::Quick { (256, 64) } else { (4096, 1024) };
    let sizes = [(128, 64, extent.depths()), (wide, batch, &[8][..])];
    for (width, batch, depths) in sizes.into_iter().take(if extent == Extent::First { 1 } else { 2 }) {
        let rate = cublas(device, extent.seconds(), width, batch)?;
        for depth in depths {
            // drawn and brought once: at the widest it is half a gigabyte
            let theta = Numbers(7).tensor(&[depth * width * width], 1.0 / (width as f64).sqrt(), device)?;
            let narrow = width == 128;
            let (spc, epc) = if narrow { (*depth, 8) } else { (4, 4) };
            for (name, rule, steps) in rules(spc, epc) {
                for (strategy, operands) in kinds(narrow).filter(|(strategy, _)| extent.takes(*strategy)) {
                    let sizes = (width, batch, *depth);
                    let kind = (strategy, operands, extent.seconds());
                    let row = row(device, kind, rule, steps, sizes, &theta.copy()?);
                    let head =
                        format!("{},{operands},{name},{width},{batch},{depth},{steps}", strategy.name());
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

/// Strategies with operands. Where the host has nothing to do, `grouped` and `graph` are the same, and neither is quick; operands
/// other than f32 cost what f32 costs on both, and on `cublas` are for products that a library is quick at.
fn kinds(narrow: bool) -> impl Iterator<Item = (Strategy, Operands)> {
    let cores = if narrow { Strategy::Persistent } else { Strategy::Cublas };
    let strategies =
        Strategy::ALL.into_iter().filter(move |strategy| narrow || *strategy != Strategy::Grouped);
    strategies.flat_map(move |strategy| {
        let kernels: &[Operands] = if narrow { &Operands::RESIDENT } else { &Operands::ALL };
        let all = kernels.iter().copied().filter(move |kind| strategy == cores || *kind == Operands::F32);
        all.map(move |kind| (strategy, kind))
    })
}

/// Median nanoseconds of device and wall of one training call.
fn row(
    device: &Device,
    (strategy, operands, seconds): (Strategy, Operands, f64),
    rule: Rule,
    steps: usize,
    (width, batch, depth): (usize, usize, usize),
    theta: &Tensor,
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
        operands,
        card: Card { processors: 1, cooperative: None },
        products: false,
    };
    let flops = plan(&ask)?.flops();
    let mut numbers = Numbers(8);
    let (x, y) =
        (numbers.tensor(&[batch, width], 1.0, device)?, numbers.tensor(&[batch, width], 1.0, device)?);
    let engine = Fused::new(stack, 1).map_err(candle_core::Error::wrap)?.with_operands(operands);
    engine.set_strategy(Some(strategy));
    let call = || {
        let done = engine.train(&schedule, loss, optimiser, theta, (&x, &y));
        done.map_err(candle_core::Error::wrap)
    };
    let (repetitions, of_device, wall) = median(device, seconds, &call)?;
    let sum = theta.abs()?.sum_all()?.to_scalar::<f32>()?;
    if !sum.is_finite() {
        return Err(candle_core::Error::Msg("the parameters have become NaN or infinite".into()));
    }
    Ok((repetitions, of_device, wall, flops))
}

/// FLOP/s of one product `[batch, width]` by `[width, width]` of Candle, which is cuBLAS's.
fn cublas(device: &Device, seconds: f64, width: usize, batch: usize) -> Result<f64> {
    let mut numbers = Numbers(9);
    let a = numbers.tensor(&[batch, width], 1.0, device)?;
    let b = numbers.tensor(&[width, width], 1.0, device)?;
    const CALLS: usize = 20;
    let (_, of_device, _) =
        median(device, seconds, &|| (0..CALLS).try_for_each(|_| a.matmul(&b).map(|_| ())))?;
    Ok(2.0 * (batch * width * width * CALLS) as f64 / (of_device as f64 * 1e-9))
}
