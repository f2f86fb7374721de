//! Whether points are small enough: for this machine's memory, and for numbers that count work.

use candle_core::DType;

use crate::contender::ContenderSpec;
use crate::data::Source;
use crate::engine::EngineKind;
use crate::measure::memory_limit::Memory;
use crate::net::{Graph, Named};
use crate::optim::OptimiserKind;
use crate::rule::Rule;
use crate::suite::{DeviceKind, Model, Point};
use crate::{Error, Result};

use super::point::Prepared;
use super::weight_update::ROTATION;

/// FLOPs of one weight update beyond which counts leave no room in 64 bits: a day of an exaflop machine.
const MOST_FLOPS: f64 = 1e17;
/// Tensors `[B, N]` kept per layer: state, error, step, and the four of a linearisation.
const KEPT: f64 = 7.0;

/// Refuses a contender whose work could not be counted, or would never end.
pub(super) fn check_work(spec: &ContenderSpec, point: &Point) -> Result<()> {
    let graph = spec.network.graph(spec.loss)?;
    let steps = match spec.rule {
        Rule::Zil(_) => graph.len() as f64,
        rule => rule.steps().map_or(0, |s| s.count) as f64,
    };
    let flops = 6.0 * point.batch as f64 * weights_read(&graph) * (steps + 1.0);
    if flops <= MOST_FLOPS {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "one update of {} at depth {}, width {}, batch {} and {steps} steps is about {flops:.0e} FLOPs, but at most \
         {MOST_FLOPS:.0e} are run; lower one of them",
        spec.id, point.depth, point.width, point.batch
    )))
}

/// Refuses points that would not fit into `memory`, instead of being killed later.
pub(super) fn check_memory(prepared: &[Prepared<'_>], memory: &Memory) -> Result<()> {
    for p in prepared.iter().filter(|p| p.point.device == DeviceKind::Cpu) {
        let what = || format!("point {}", p.point.id);
        check_room(what, bytes(p)?, memory, "lower its width, depth or batch")?;
    }
    Ok(())
}

/// Refuses invented data that would not fit.
pub(super) fn check_data(source: &Source, memory: &Memory) -> Result<()> {
    let Source::Teacher { inputs, outputs, train, test } = *source else { return Ok(()) };
    let numbers = (train as f64 + test as f64) * (inputs as f64 + outputs as f64);
    let what = || format!("data set `{source}`");
    check_room(what, 4.0 * numbers, memory, "lower width or batch")
}

/// Products of one schedule that is placed on processors: minutes.
const MOST_PRODUCTS: u64 = 10_000_000;
/// Bytes per product while it is: tasks with their joins, what waits for what, and where each was placed; up to 590 were
/// seen (SeqIL, AR at 800 layers and 1000 steps).
const BYTES_PER_PRODUCT: f64 = 800.0;

/// Refuses to place the matrix products of `spec` at a point where that would take too long or not fit.
pub(super) fn check_simulation(spec: &ContenderSpec, point: &Point, memory: &Memory) -> Result<()> {
    let (depth, advice) = (point.depth, "lower depth or steps");
    let products = match spec.net_cost(point.batch)? {
        Some(chain) => spec.rule.cost(&chain).work.gemms,
        None => spec.counted(point.batch)?.work.gemms,
    };
    if products > MOST_PRODUCTS {
        return Err(Error::Invalid(format!(
            "--simulate: the schedule of {} at depth {depth} has {products} matrix products, and at most {MOST_PRODUCTS} \
             are placed; {advice}",
            spec.id
        )));
    }
    let what =
        || format!("--simulate: the schedule of {} at depth {depth} ({products} matrix products)", spec.id);
    check_room(what, BYTES_PER_PRODUCT * products as f64, memory, advice)
}

fn check_room(what: impl Fn() -> String, bytes: f64, memory: &Memory, advice: &str) -> Result<()> {
    if memory.has_room_for(bytes) {
        return Ok(());
    }
    let gib = |bytes: f64| bytes / f64::from(1u32 << 30);
    let taken = match gib(memory.taken as f64) {
        little if little < 0.05 => String::new(),
        taken => format!(", {taken:.1} of them taken"),
    };
    Err(Error::Invalid(format!(
        "{} needs about {:.1} GiB of memory and {} has {:.1}{taken}; {advice}",
        what(),
        gib(bytes),
        memory.owner,
        gib(memory.bytes as f64)
    )))
}

/// Weights, optimiser state and gradients of all contenders and controls at once, with batches of their own; the states
/// of one at a time; and the largest parameter in f64 while it is drawn.
fn bytes(p: &Prepared<'_>) -> Result<f64> {
    let element = if p.point.dtype == DType::F64 { 8.0 } else { 4.0 };
    let batch = p.point.batch as f64;
    let timed = p.benchmark.model == Model::WeightUpdate;
    let (mut all, mut largest, mut at_work, mut drawn) = (0.0f64, 0.0f64, 0.0f64, 0.0f64);
    for spec in &p.specs {
        let graph = spec.network.graph(spec.loss)?;
        let parameters = graph.params().iter().map(elements).sum::<f64>();
        let values = (0..graph.len()).map(|i| product(graph.shape(i))).sum::<f64>();
        let held = parameters * copies(spec);
        let copies = if p.has_control(spec) { 2.0 } else { 1.0 };
        all += copies * (held + ROTATION as f64 * batch * data(&graph) as f64);
        largest = largest.max(2.0 * held);
        at_work = at_work.max(parameters + KEPT * batch * values);
        drawn = drawn.max(8.0 * graph.params().iter().map(elements).fold(0.0, f64::max));
    }
    Ok(element * (at_work + if timed { all } else { largest }) + drawn)
}

/// How often a contender holds its parameters: themselves, backward weights, the optimiser's moments of both, variables.
fn copies(spec: &ContenderSpec) -> f64 {
    let moments = match spec.optimiser {
        OptimiserKind::Sgd | OptimiserKind::Mq => 0.0,
        OptimiserKind::Momentum => 1.0,
        OptimiserKind::Adam => 2.0,
    };
    let sets = if spec.rule.learns_feedback() { 2.0 } else { 1.0 };
    sets * (1.0 + moments) + if spec.id.engine == EngineKind::Autograd { 1.0 } else { 0.0 }
}

/// Numbers of all data tensors of one sample.
pub(super) fn data(graph: &Graph) -> u64 {
    graph.data().iter().map(elements).sum::<f64>() as u64
}

/// Parameters that the products of one pass read, each as often as a vertex uses it.
fn weights_read(graph: &Graph) -> f64 {
    let own = |i| graph.topology().node(i).params.iter().map(|&p| elements(&graph.params()[p])).sum::<f64>();
    (0..graph.len()).map(own).sum()
}

fn elements(tensor: &Named) -> f64 {
    product(&tensor.shape)
}

fn product(shape: &[usize]) -> f64 {
    shape.iter().map(|&n| n as f64).product()
}

#[cfg(test)]
mod tests {
    use super::super::device_health::synchronise;
    use super::super::point::prepare;
    use super::super::resources::Resources;
    use super::*;
    use crate::suite::{Overrides, Suite};

    /// Of one network of width 4 on two samples of 64 pixels and 10 classes, in f32, with SGD.
    #[test]
    fn memory_is_counted_for_controls_and_batches() {
        let of = |contenders: &str, control: bool| {
            let text = format!(
                r#"schema = 1
name = "sizes"
about = "One point."
seed = 1
[[benchmark]]
name = "only"
model = "weight-update"
about = "x"
data = "digits"
contenders = [{contenders}]
[benchmark.axes]
depth = [2]
width = [4]
batch = [2]
[benchmark.timing]
control = {control}
"#
            );
            let suite = Suite::parse(&text, "sizes.toml", &Overrides::default()).unwrap();
            let mut resources = Resources::new(&suite, None, &synchronise).unwrap();
            bytes(&prepare(&suite, &mut resources).unwrap()[0]).unwrap()
        };
        // weights, and eight batches
        let each = 4.0 * ((64 * 4 + 4 * 10) as f64 + 8.0 * 2.0 * 74.0);
        let (one, two) = ("\"bp/reference\"", "\"bp/reference\", \"spc/reference\"");
        assert_eq!(of(two, false) - of(one, false), each);
        assert_eq!(of(two, true) - of(two, false), each, "BP is what sPC's ratio is to");
    }
}
