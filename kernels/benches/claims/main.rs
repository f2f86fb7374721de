//! What is claimed of the fused engine on a card, each claim measured and judged in one run, as CSV on standard output.
//!
//! Width 128, batch 64 and f32 where nothing else is said; medians after warming up. Times of an inference step are
//! differences of two numbers of steps, so that what a call costs besides falls out. `refused` says why a line is missing.
//! The exit code says whether everything was measured; whether it holds is said in the column, and in sum on standard error.

#[path = "../common/mod.rs"]
mod common;
mod plain;

use std::io::Write;

use candle_core::{Device, Error, Result, Tensor};
use common::{median, Numbers, SECONDS};
use pcnbench_kernels::card;
use pcnbench_kernels::cuda::Graph;
use pcnbench_kernels::tune::Strategy;
use pcnbench_kernels::{Activation, Fused, LayerSpec, Loss, LossKind, Optimiser, Rule, Schedule, Stack};
use plain::Plain;

const SPC: Rule = Rule::Spc { light_cone: true, deviation: false };
const WIDTH: usize = 128;
const BATCH: usize = 64;
/// g.
const STEP: f64 = 0.1;

/// Sizes; those of cargo's own test of benches are small.
struct Sizes {
    shallow: usize,
    deep: usize,
    /// Steps that are compared: few and many.
    few: usize,
    many: usize,
    /// Depth, and T, beside one operation after another.
    reference: usize,
    /// Width and batch beside cuBLAS.
    wide: (usize, usize),
}

const FULL: Sizes = Sizes { shallow: 8, deep: 128, few: 128, many: 384, reference: 64, wide: (4096, 1024) };
const QUICK: Sizes = Sizes { shallow: 2, deep: 4, few: 4, many: 8, reference: 4, wide: (64, 32) };

enum Bound {
    AtMost(f64),
    AtLeast(f64),
    /// For the reader.
    None,
}

struct Line {
    what: String,
    value: f64,
    bound: Bound,
}

fn line(what: impl Into<String>, value: f64, bound: Bound) -> Line {
    Line { what: what.into(), value, bound }
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--test");
    let device = match card::open(0) {
        Ok(device) => device,
        Err(error) => {
            eprintln!("error: device `cuda` is not available: {error}");
            std::process::exit(if quick { 0 } else { 1 });
        }
    };
    let sizes = if quick { &QUICK } else { &FULL };
    match claims(&device, sizes, &mut std::io::stdout().lock()) {
        Ok(true) => {}
        Ok(false) => std::process::exit(1),
        Err(error) => {
            eprintln!("error: standard output: {error}");
            std::process::exit(1);
        }
    }
}

/// Whether everything was measured.
fn claims(device: &Device, sizes: &Sizes, out: &mut dyn Write) -> std::io::Result<bool> {
    type Part = fn(&Device, &Sizes) -> Result<Vec<Line>>;
    let parts: [(&str, Part); 5] = [
        ("depth", depth),
        ("reference", reference),
        ("epc", epc),
        ("wide", wide),
        // last: what an operation of Candle does while it is recorded is Candle's and cuBLAS's own affair
        ("captured", captured),
    ];
    writeln!(out, "claim,what,value,bound,holds,refused")?;
    let (mut held, mut judged, mut all) = (0, 0, true);
    for (claim, part) in parts {
        match part(device, sizes) {
            Ok(lines) => {
                for Line { what, value, bound } in lines {
                    let (bound, holds) = match bound {
                        Bound::AtMost(most) => (format!("<= {most}"), Some(value <= most)),
                        Bound::AtLeast(least) => (format!(">= {least}"), Some(value >= least)),
                        Bound::None => (String::new(), None),
                    };
                    judged += usize::from(holds.is_some());
                    held += usize::from(holds == Some(true));
                    let word = holds.map_or("", |holds| if holds { "yes" } else { "no" });
                    writeln!(out, "{claim},{what},{value:.4},{bound},{word},")?;
                }
            }
            Err(error) => {
                all = false;
                let said = error.to_string();
                let said = said.lines().next().unwrap_or_default().replace('"', "'");
                writeln!(out, "{claim},,,,,\"{said}\"")?;
            }
        }
        out.flush()?;
    }
    let rest = if all { "" } else { "; not everything was measured" };
    eprintln!("# {held} of {judged} bounds hold{rest}");
    Ok(all)
}

/// A training call, ready to be repeated.
struct Call {
    engine: Fused,
    schedule: Schedule,
    loss: Loss,
    theta: Tensor,
    x: Tensor,
    y: Tensor,
}

impl Call {
    fn new(
        device: &Device,
        (width, batch, depth): (usize, usize, usize),
        strategy: Option<Strategy>,
    ) -> Result<Self> {
        let layer = LayerSpec {
            inputs: width,
            outputs: width,
            act_in: Activation::Tanh,
            act_out: Activation::Identity,
            scale: 1.0,
            skip: false,
            bias: true,
        };
        let stack = Stack::new(vec![layer; depth]).map_err(Error::wrap)?;
        let mut numbers = Numbers(7);
        let theta = numbers.tensor(&[stack.parameters()], 1.0 / (width as f64).sqrt(), device)?;
        let x = numbers.tensor(&[batch, width], 1.0, device)?;
        let y = numbers.tensor(&[batch, width], 1.0, device)?;
        let engine = Fused::new(stack, 1).map_err(Error::wrap)?;
        engine.set_strategy(strategy);
        let loss = Loss { kind: LossKind::HalfSquaredError, weight: 1.0 / batch as f64 };
        Ok(Self { engine, schedule: Schedule { rule: SPC, steps: vec![] }, loss, theta, x, y })
    }

    fn set(&mut self, rule: Rule, steps: usize) {
        self.schedule = Schedule { rule, steps: vec![STEP; steps] };
    }

    fn train(&self) -> Result<()> {
        // so small that no number of calls takes the parameters anywhere
        let optimiser = Optimiser::Sgd { rate: 1e-9 };
        let done = self.engine.train(&self.schedule, self.loss, optimiser, &self.theta, (&self.x, &self.y));
        done.map_err(Error::wrap)
    }

    /// Nanoseconds of device and wall.
    fn time(&mut self, device: &Device, rule: Rule, steps: usize) -> Result<(f64, f64)> {
        self.set(rule, steps);
        let (_, of_device, wall) = median(device, SECONDS, &|| self.train())?;
        let sum = self.theta.abs()?.sum_all()?.to_scalar::<f32>()?;
        if !sum.is_finite() {
            return Err(Error::Msg("the parameters have become NaN or infinite".into()));
        }
        Ok((of_device as f64, wall as f64))
    }
}

/// Nanoseconds of one sPC step once every layer takes part.
fn step(device: &Device, sizes: &Sizes, batch: usize, depth: usize) -> Result<f64> {
    let mut call = Call::new(device, (WIDTH, batch, depth), None)?;
    let (few, _) = call.time(device, SPC, sizes.few)?;
    let (many, _) = call.time(device, SPC, sizes.many)?;
    Ok((many - few) / (sizes.many - sizes.few) as f64)
}

/// A step takes as long whatever the depth. A shallow net leaves most of a card idle, so that its batch can be cut into more
/// and smaller tiles: beside it stands one with as many blocks of the same tile as the deep one has.
fn depth(device: &Device, sizes: &Sizes) -> Result<Vec<Line>> {
    let Sizes { shallow, deep, .. } = *sizes;
    let same_blocks = BATCH * (deep / shallow);
    let (of_shallow, of_deep) = (step(device, sizes, BATCH, shallow)?, step(device, sizes, BATCH, deep)?);
    let of_many = step(device, sizes, same_blocks, shallow)?;
    Ok(vec![
        line(format!("ns per step at depth {shallow}"), of_shallow, Bound::None),
        line(format!("ns per step at depth {deep}"), of_deep, Bound::None),
        line(format!("ns per step at depth {shallow} and batch {same_blocks}"), of_many, Bound::None),
        line(format!("step at depth {deep} over depth {shallow}"), of_deep / of_shallow, Bound::AtMost(1.3)),
        line(format!("the same with batch {same_blocks} below"), of_deep / of_many, Bound::AtMost(1.3)),
    ])
}

/// The same network for both, and how far apart their directions are.
fn beside(device: &Device, sizes: &Sizes) -> Result<(Call, Plain)> {
    let depth = sizes.reference;
    let mut call = Call::new(device, (WIDTH, BATCH, depth), None)?;
    call.set(SPC, depth);
    let plain = Plain::new(&call.theta, (WIDTH, depth), (&call.x, &call.y), call.loss.weight)?;
    let learned = call.engine.learn(&call.schedule, call.loss, &call.theta, (&call.x, &call.y), false);
    let fused = learned.map_err(Error::wrap)?.theta;
    agree(&flat(&plain.spc(depth, STEP)?)?, &fused)?;
    Ok((call, plain))
}

fn flat(directions: &[Tensor]) -> Result<Tensor> {
    Tensor::cat(&directions.iter().map(Tensor::flatten_all).collect::<Result<Vec<_>>>()?, 0)
}

/// Two ways to the same directions must end at the same place before either is timed.
fn agree(expected: &Tensor, got: &Tensor) -> Result<()> {
    let norm = |t: Tensor| t.sqr()?.sum_all()?.to_scalar::<f32>();
    let apart = (norm((got - expected)?)? / norm(expected.clone())?).sqrt();
    if apart.is_nan() || apart > 1e-3 {
        return Err(Error::Msg(format!(
            "directions are {apart:.1e} apart, relatively; expected at most 1e-3"
        )));
    }
    Ok(())
}

/// One call against one operation after another, on the wall clock, whose host is part of it.
fn reference(device: &Device, sizes: &Sizes) -> Result<Vec<Line>> {
    let depth = sizes.reference;
    let (mut call, plain) = beside(device, sizes)?;
    let (_, fused) = call.time(device, SPC, depth)?;
    let (_, _, plainly) = median(device, SECONDS, &|| plain.spc(depth, STEP).map(drop))?;
    Ok(vec![
        line(format!("ns per update of sPC at depth {depth} and T = L"), fused, Bound::None),
        line("ns of one operation after another", plainly as f64, Bound::None),
        line("one operation after another over fused", plainly as f64 / fused, Bound::AtLeast(100.0)),
    ])
}

/// The same operations recorded once and replayed, without the host between them.
fn captured(device: &Device, sizes: &Sizes) -> Result<Vec<Line>> {
    let Device::Cuda(card) = device else { return Err(Error::Msg("a card is needed".into())) };
    let depth = sizes.reference;
    let (mut call, plain) = beside(device, sizes)?;
    // brings the shapes of operations to the card, which keeps them, as it does for `reference`: none is brought in a replay
    let expected = flat(&plain.spc(depth, STEP)?)?;
    let record = |on: &mut (Plain, Vec<Tensor>)| {
        on.1 = on.0.spc(depth, STEP)?;
        Ok(())
    };
    // SAFETY: the operations read the network and the batch, which the graph keeps; everything they make is allocated
    // within the recording.
    let mut graph = unsafe { Graph::capture(card, (plain, vec![]), record) }?;
    graph.replay()?;
    agree(&expected, &flat(&graph.on().1)?)?;
    let replay = std::cell::RefCell::new(graph);
    let (_, _, replayed) = median(device, SECONDS, &|| replay.borrow_mut().replay())?;
    let (_, fused) = call.time(device, SPC, depth)?;
    Ok(vec![
        line("ns of the recorded operations", replayed as f64, Bound::None),
        line("recorded operations over fused", replayed as f64 / fused, Bound::AtLeast(20.0)),
    ])
}

/// An iteration of ePC is one way down and one way up, as backpropagation is one way up and one down. With times of calls
/// E(T) and B: an iteration is E(T) per T, and of B the part that only moves parameters is taken off, which is
/// E(1) − E(0) less an iteration, as without a step only the last layer learns.
fn epc(device: &Device, sizes: &Sizes) -> Result<Vec<Line>> {
    let mut lines = vec![];
    for depth in [sizes.reference, sizes.deep] {
        let mut call = Call::new(device, (WIDTH, BATCH, depth), None)?;
        let mut time = |rule, steps| Ok::<_, Error>(call.time(device, rule, steps)?.0);
        let (none, one) = (time(Rule::Epc, 0)?, time(Rule::Epc, 1)?);
        let (few, many) = (time(Rule::Epc, 4)?, time(Rule::Epc, 20)?);
        let whole = time(Rule::Bp, 0)?;
        let iteration = (many - few) / 16.0;
        let learning = (one - none - iteration).max(0.0);
        let sweep = whole - learning;
        lines.extend([
            line(format!("ns per iteration of ePC at depth {depth}"), iteration, Bound::None),
            line(format!("ns of forward and backward of BP at depth {depth}"), sweep, Bound::None),
            line(
                format!("iteration of ePC over forward and backward at depth {depth}"),
                iteration / sweep,
                Bound::AtMost(1.2),
            ),
        ]);
    }
    Ok(lines)
}

/// FLOP/s of a call in layers that do not fit on chip, over those of cuBLAS on one such product.
fn wide(device: &Device, sizes: &Sizes) -> Result<Vec<Line>> {
    let ((width, batch), depth, steps) = (sizes.wide, 4, 4);
    let mut call = Call::new(device, (width, batch, depth), Some(Strategy::Cublas))?;
    let mut numbers = Numbers(9);
    let a = numbers.tensor(&[batch, width], 1.0, device)?;
    let w = numbers.tensor(&[width, width], 1.0, device)?;
    let product = 2.0 * (batch * width * width) as f64;
    const CALLS: usize = 10;
    let rate = |right: &Tensor| {
        let (_, ns, _) = median(device, SECONDS, &|| (0..CALLS).try_for_each(|_| a.matmul(right).map(drop)))?;
        Ok::<_, Error>(CALLS as f64 * product / ns as f64)
    };
    // in GFLOP/s; the better of the two ways in which a layer uses its weights
    let cublas = f64::max(rate(&w)?, rate(&w.t()?)?);
    let mut lines = vec![line("TFLOP/s of cuBLAS", cublas / 1e3, Bound::None)];
    let relaxed = 2 * depth + 2 * steps * (depth - 1);
    for (name, rule, steps, products) in [
        ("BP", Rule::Bp, 0, 3 * depth - 1),
        ("sPC", SPC_FULL, steps, relaxed),
        ("ePC", Rule::Epc, steps, relaxed),
    ] {
        let (ns, _) = call.time(device, rule, steps)?;
        let share = products as f64 * product / ns / cublas;
        lines.push(line(
            format!("{name} over cuBLAS at width {width} and batch {batch}"),
            share,
            Bound::AtLeast(0.8),
        ));
    }
    Ok(lines)
}

/// Without the light cone the number of products is easily told.
const SPC_FULL: Rule = Rule::Spc { light_cone: false, deviation: false };
