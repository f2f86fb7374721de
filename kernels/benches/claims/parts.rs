//! The claims, one after another.

use candle_core::{Device, Error, Result, Tensor};
use pcnbench_kernels::cuda::Graph;
use pcnbench_kernels::sampler::{Samples, Work};
use pcnbench_kernels::tune::Strategy;
use pcnbench_kernels::{MathMode, Rule, Schedule};

use crate::common::{measure, Call, Net, Numbers};
use crate::measured::{device, each, marginal, over, quickest, wall, Outcome};
use crate::plain::Plain;
use crate::{line, Bench, Bound, Line};

const SPC: Rule = Rule::Spc { light_cone: true, deviation: false };
/// Without the light cone the number of products is easily counted.
const SPC_FULL: Rule = Rule::Spc { light_cone: false, deviation: false };
const WIDTH: usize = 128;
const BATCH: usize = 64;
/// g.
const STEP: f64 = 0.1;
/// Seconds of each contender; more for contenders with calls of many milliseconds.
const SECONDS: f64 = 0.5;
const LONG: f64 = 2.0;

fn schedule(rule: Rule, steps: usize) -> Schedule {
    Schedule::new(rule, vec![STEP; steps])
}

/// A step takes at most 10 µs, at every depth. Its time is a difference between many and few steps, where `few` is at
/// least the number of layers, so that every layer takes part in the steps in between:
///
/// step = (t(many) − t(few)) / (many − few).
///
/// 3×tf32 is as accurate as f32, and the faster of both is compared with the 10 µs. A shallow net leaves most of a GPU
/// idle, so its batch can be cut into more and smaller tiles; a second line has as many blocks of the same tile as the
/// deep net.
pub fn depth(bench: &mut Bench) -> Result<Vec<Line>> {
    let sizes = bench.sizes;
    let (few, many) = (sizes.few, sizes.many);
    let kinds = [MathMode::F32, MathMode::Tf32x3];
    let (shallow, deep) = (sizes.steps[0], sizes.steps[sizes.steps.len() - 1]);
    let same_blocks = BATCH * (deep / shallow);
    let mut calls = vec![];
    let mut add = |batch, depth, kinds: &[MathMode]| -> Result<()> {
        let net = Net::draw(&bench.device, (WIDTH, batch, depth), true)?;
        for math in kinds {
            calls.extend([few, many].map(|steps| Call::new(&net, (None, *math), schedule(SPC, steps))));
        }
        Ok(())
    };
    for depth in sizes.steps {
        add(BATCH, *depth, &kinds)?;
    }
    add(same_blocks, shallow, &kinds[..1])?;
    let results = measure(&mut bench.sampler, SECONDS, &calls, vec![]);
    let steps: Vec<Outcome> =
        results.chunks(2).map(|pair| marginal(&device(&pair[1]), &device(&pair[0]), many - few)).collect();
    let mut lines = vec![];
    for (depth, pair) in sizes.steps.iter().zip(steps.chunks(2)) {
        for (math, step) in kinds.iter().zip(pair) {
            lines.push(line(format!("ns per step at depth {depth} in {math}"), step.clone(), Bound::None));
        }
        let best = quickest(pair);
        lines.push(line(format!("ns per step at depth {depth}; the quicker"), best, Bound::AtMost(10_000.0)));
    }
    let (of_shallow, of_deep) = (&steps[0], &steps[2 * (sizes.steps.len() - 1)]);
    let of_many = &steps[2 * sizes.steps.len()];
    let what = format!("ns per step at depth {shallow} and batch {same_blocks} in f32");
    lines.extend([
        line(what, of_many.clone(), Bound::None),
        line(
            format!("step at depth {deep} over depth {shallow}"),
            over(of_deep, of_shallow),
            Bound::AtMost(1.3),
        ),
        line(format!("the same with batch {same_blocks} below"), over(of_deep, of_many), Bound::AtMost(1.3)),
    ]);
    Ok(lines)
}

/// The same network for both contenders, whose directions must agree.
fn beside(bench: &Bench) -> Result<(Call, Plain)> {
    let depth = bench.sizes.reference;
    let net = Net::draw(&bench.device, (WIDTH, BATCH, depth), true)?;
    let call = Call::new(&net, (None, MathMode::F32), schedule(SPC, depth))?;
    let plain =
        Plain::new(&call.theta, (WIDTH, depth), (&call.x, &call.y), call.loss.weight(BATCH, BATCH * WIDTH))?;
    let learned = call.engine.learn(&call.schedule, call.loss, &call.theta, (&call.x, &call.y), false);
    let fused = learned.map_err(Error::wrap)?.theta;
    agree(&flat(&plain.spc(depth, STEP)?)?, &fused)?;
    Ok((call, plain))
}

fn flat(directions: &[Tensor]) -> Result<Tensor> {
    Tensor::cat(&directions.iter().map(Tensor::flatten_all).collect::<Result<Vec<_>>>()?, 0)
}

/// Two ways to compute the same directions must agree before either is timed.
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

/// One call against one operation after another, on the wall clock, which includes the host.
pub fn reference(bench: &mut Bench) -> Result<Vec<Line>> {
    let depth = bench.sizes.reference;
    let (call, plain) = beside(bench)?;
    let other: Box<Work<'_>> = Box::new(|| plain.spc(depth, STEP).map(drop));
    let [fused, plainly] = &two(measure(&mut bench.sampler, LONG, &[Ok(call)], vec![other]))?;
    let what = format!("ns per update of sPC at depth {depth} and T = L");
    Ok(vec![
        line(what, fused.clone(), Bound::None),
        line("ns of one operation after another", plainly.clone(), Bound::None),
        line("one operation after another over fused", over(plainly, fused), Bound::AtLeast(100.0)),
    ])
}

/// The same operations recorded once and replayed, without the host between them.
pub fn captured(bench: &mut Bench) -> Result<Vec<Line>> {
    let Device::Cuda(cuda) = bench.device.clone() else { return Err(Error::Msg("a GPU is needed".into())) };
    let depth = bench.sizes.reference;
    let (call, plain) = beside(bench)?;
    // uploads the shapes of operations to the GPU, which keeps them, as it does for `reference`: a replay uploads none
    let expected = flat(&plain.spc(depth, STEP)?)?;
    let record = |on: &mut (Plain, Vec<Tensor>)| {
        on.1 = on.0.spc(depth, STEP)?;
        Ok(())
    };
    // SAFETY: the operations read the network and the batch, which the graph keeps; everything they make is allocated
    // within the recording.
    let mut graph = unsafe { Graph::capture(&cuda, (plain, vec![]), record) }?;
    graph.replay()?;
    agree(&expected, &flat(&graph.on().1)?)?;
    let other: Box<Work<'_>> = Box::new(move || graph.replay());
    let [fused, replayed] = &two(measure(&mut bench.sampler, LONG, &[Ok(call)], vec![other]))?;
    Ok(vec![
        line("ns per update of sPC beside them", fused.clone(), Bound::None),
        line("ns of the recorded operations", replayed.clone(), Bound::None),
        line("recorded operations over fused", over(replayed, fused), Bound::AtLeast(20.0)),
    ])
}

/// Wall times of a call and of another contender.
fn two(results: Vec<Result<Samples>>) -> Result<[Outcome; 2]> {
    match &results[..] {
        [a, b] => Ok([wall(a), wall(b)]),
        _ => Err(Error::Msg(format!("{} results; expected two", results.len()))),
    }
}

/// Iterations of ePC that are compared.
const ITERATIONS: [usize; 2] = [2, 6];
/// Further inferences of BP that are compared.
const FURTHER: [usize; 2] = [0, 4];

/// An iteration of ePC is one way down and one way up, as forward and backward of BP are one way up and one down. What
/// each costs is measured in the same way: the time that one more layer adds to one more of them. With E(T, L) the time
/// of a call of ePC and B(n, L) that of a call of BP that queues its inference, which is forward and backward, n more
/// times,
///
/// i(L) = (E(6, L) − E(2, L)) / 4,  b(L) = (B(4, L) − B(0, L)) / 4,
///
/// iteration per layer = (i(L) − i(2)) / (L − 2),  forward and backward per layer = (b(L) − b(2)) / (L − 2).
///
/// Loading, learning and the host cancel in i and b. The costs that do not depend on depth, of an inference of BP
/// (launches, the gaps between them, weights loaded on chip by all blocks at once) and of an iteration, cancel in the
/// second difference. Packing and unpacking of states stay in b, element by element and all layers at once. The ratio
/// judged is that of the fastest strategy of each.
pub fn epc(bench: &mut Bench) -> Result<Vec<Line>> {
    let sizes = bench.sizes;
    let strategies = [Strategy::Graph, Strategy::Persistent];
    let depths: Vec<usize> = std::iter::once(sizes.shallow).chain(sizes.iterations.iter().copied()).collect();
    let mut calls = vec![];
    for depth in &depths {
        let net = Net::draw(&bench.device, (WIDTH, BATCH, *depth), true)?;
        for strategy in strategies {
            let kind = (Some(strategy), MathMode::F32);
            calls.extend(ITERATIONS.map(|steps| Call::new(&net, kind, schedule(Rule::Epc, steps))));
            calls.extend(FURTHER.map(|times| {
                let call = Call::new(&net, kind, schedule(Rule::Bp, 0))?;
                call.engine.infer_again(times);
                Ok(call)
            }));
        }
    }
    let results = measure(&mut bench.sampler, SECONDS, &calls, vec![]);
    let differences = [ITERATIONS[1] - ITERATIONS[0], FURTHER[1] - FURTHER[0]];
    // by depth, strategy, and ePC or BP
    let marginals: Vec<Outcome> = results
        .chunks(2)
        .enumerate()
        .map(|(i, pair)| marginal(&device(&pair[1]), &device(&pair[0]), differences[i % 2]))
        .collect();
    let per_depth = 2 * strategies.len();
    let (shallow, deep) = marginals.split_at(per_depth);
    let mut lines = vec![];
    for (depth, deep) in sizes.iterations.iter().zip(deep.chunks(per_depth)) {
        let layers = depth - sizes.shallow;
        let slopes: Vec<Outcome> =
            deep.iter().zip(shallow).map(|(deep, shallow)| marginal(deep, shallow, layers)).collect();
        for (i, strategy) in strategies.iter().enumerate() {
            let name = strategy.name();
            let [iteration, pass] = [2 * i, 2 * i + 1];
            for (what, of) in [
                (format!("ns per iteration of ePC at depth {depth} on {name}"), &deep[iteration]),
                (format!("ns of forward and backward of BP at depth {depth} on {name}"), &deep[pass]),
                (
                    format!("the iteration per layer from {} to {depth} on {name}", sizes.shallow),
                    &slopes[iteration],
                ),
                (
                    format!("forward and backward per layer from {} to {depth} on {name}", sizes.shallow),
                    &slopes[pass],
                ),
            ] {
                lines.push(line(what, of.clone(), Bound::None));
            }
        }
        let [iteration, pass] = [0, 1].map(|which| quickest(slopes.iter().skip(which).step_by(2)));
        let what = format!("iteration of ePC over forward and backward per layer at depth {depth}");
        lines.push(line(what, over(&iteration, &pass), Bound::AtMost(1.2)));
    }
    Ok(lines)
}

/// FLOP/s of a call in layers that do not fit on chip, over those of cuBLAS on one such product in the same rounds.
pub fn wide(bench: &mut Bench) -> Result<Vec<Line>> {
    let ((width, batch), depth, steps) = (bench.sizes.wide, 4, 4);
    let relaxed = 2 * depth + 2 * steps * (depth - 1);
    let rules = [
        ("BP", Rule::Bp, 0, 3 * depth - 1),
        ("sPC", SPC_FULL, steps, relaxed),
        ("ePC", Rule::Epc, steps, relaxed),
    ];
    let net = Net::draw(&bench.device, (width, batch, depth), true)?;
    let kind = (Some(Strategy::Cublas), MathMode::F32);
    let calls: Vec<_> =
        rules.iter().map(|(_, rule, steps, _)| Call::new(&net, kind, schedule(*rule, *steps))).collect();
    let mut numbers = Numbers(9);
    let a = numbers.tensor(&[batch, width], 1.0, &bench.device)?;
    let w = numbers.tensor(&[width, width], 1.0, &bench.device)?;
    let turned = w.t()?;
    // the two ways in which a layer uses its weights
    let products = [&w, &turned].map(|right| Box::new(|| a.matmul(right).map(drop)) as Box<Work<'_>>);
    let results = measure(&mut bench.sampler, SECONDS, &calls, products.into());
    let (of_calls, of_products) = results.split_at(calls.len());
    // the better one is the ceiling
    let product = quickest(&of_products.iter().map(device).collect::<Vec<_>>());
    let flops = 2.0 * (batch * width * width) as f64;
    let rate = each(&product, |ns| flops / ns / 1e3);
    let mut lines = vec![line("TFLOP/s of cuBLAS", rate, Bound::None)];
    for ((name, _, _, products), result) in rules.iter().zip(of_calls) {
        let share = each(&over(&product, &device(result)), |share| share * *products as f64);
        let what = format!("{name} over cuBLAS at width {width} and batch {batch}");
        lines.push(line(what, share, Bound::AtLeast(0.85)));
    }
    Ok(lines)
}
