//! Whether points are small enough: for this machine's memory, and for numbers that count work.

use crate::contender::ContenderSpec;
use crate::data::{Kind, Sizes};
use crate::measure::memory_limit::Memory;
use crate::net::{Graph, Named};
use crate::rule::Rule;
use crate::suite::Point;
use crate::{Error, Result};

/// FLOPs of one weight update beyond which counts leave no room in 64 bits: a day of an exaflop machine.
const MOST_FLOPS: f64 = 1e17;

/// Refuses a contender whose work could not be counted, or would never end.
pub(super) fn check_work(spec: &ContenderSpec, point: &Point) -> Result<()> {
    let steps = match spec.rule {
        Rule::Zil(_) => point.depth as f64,
        // two phases
        Rule::Ep(ep) => 2.0 * ep.steps.count as f64,
        rule => rule.steps().map_or(0, |s| s.count) as f64,
    };
    let flops = 6.0 * point.batch as f64 * spec.network.weights_read() * (steps + 1.0);
    if flops <= MOST_FLOPS {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "one update of {} at depth {}, width {}, batch {} and {steps} steps is about {flops:.0e} FLOPs, but at most \
         {MOST_FLOPS:.0e} are run; lower one of them",
        spec.id, point.depth, point.width, point.batch
    )))
}

/// Refuses invented data that would not fit.
pub(super) fn check_data(kind: &Kind, sizes: &Sizes, memory: &Memory) -> Result<()> {
    let Sizes { inputs, outputs, train, test } = *sizes;
    let numbers = (train as f64 + test as f64) * (inputs as f64 + outputs as f64);
    let what = || {
        format!(
            "data set `{}` ({train} training and {test} test rows of {inputs} inputs and {outputs} outputs)",
            kind.name
        )
    };
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

pub(super) fn check_room(what: impl Fn() -> String, bytes: f64, memory: &Memory, advice: &str) -> Result<()> {
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

/// Numbers of all data tensors of one sample.
pub(super) fn data(graph: &Graph) -> u64 {
    graph.data().iter().map(elements).sum::<f64>() as u64
}

pub(super) fn elements(tensor: &Named) -> f64 {
    product(&tensor.shape)
}

pub(super) fn product(shape: &[usize]) -> f64 {
    shape.iter().map(|&n| n as f64).product()
}
