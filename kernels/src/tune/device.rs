//! Choices for a GPU by a model: pure functions of sizes, with assumed, unmeasured weights. [`super::choose`] asks a
//! table of measured times first.

use super::strategy::{DeviceLimits, Strategy};
use super::table::Choice;
use crate::launch::{Precision, TILES};
use crate::math_mode::MathMode;
use crate::schedule::{Rule, Schedule};
use crate::stack::Stack;

/// Factor on the time of a block of each of [`TILES`], relative to its arithmetic: small tiles read each operand more
/// often per result.
const READS: [f64; 3] = [1.0, 1.5, 2.5];

/// Index in [`TILES`] for a launch that would have these many blocks at each size.
///
/// A launch takes as long as the busiest multiprocessor. Large tiles do the work with fewer reads; small ones
/// spread it where there are fewer large ones than multiprocessors.
pub fn tile_on(blocks: [usize; 3], device: &DeviceLimits) -> usize {
    let processors = device.processors.max(1);
    let cost = |i: usize| {
        let area = (TILES[i] / TILES[2]).pow(2) as f64;
        blocks[i].div_ceil(processors) as f64 * area * READS[i]
    };
    (1..TILES.len()).fold(0, |best, i| if cost(i) < cost(best) { i } else { best })
}

/// Units from which on a library's product is worth a launch of its own: 2·B·1024² FLOPs are more than tiles of 64
/// without tensor cores or asynchronous copies do well.
const WIDE: usize = 1024;
/// Number of launches from which on recording pays: a recording costs about as much as queueing them a few times.
const RECORDED: usize = 8;

/// Launches that the host queues for inference on [`Strategy::Grouped`], if no light cone saves any.
fn launches(depth: usize, schedule: &Schedule) -> usize {
    let steps = schedule.steps.len();
    let per_step = match schedule.rule {
        Rule::Bp | Rule::Zil => return 2 * depth - 1,
        Rule::Ipc { .. } => 4,
        rule if rule.layers_are_parallel() => 2,
        _ => 2 * depth,
    };
    depth + steps * per_step
}

/// The strategy for a call by the model, for calls without measured times.
///
/// [`Strategy::Persistent`] wherever its kernels take the call and it replaces enough launches: no step waits for the
/// host or for the whole GPU, and weights are read once. Else [`Strategy::Cublas`] where most of the work is in
/// products worth a library's launch, [`Strategy::Graph`] where there are many launches to queue, and
/// [`Strategy::Grouped`].
///
/// [`spc_step`](crate::persistent::spc_step) predicts that a step on `persistent` takes no longer than one of `graph`,
/// whose steps are guessed at 9 µs in 8 layers of width 128 and at 18 µs in 128, or longer by less than its own error
/// (a test holds both to that over these depths).
pub fn cuda(
    stack: &Stack,
    schedule: &Schedule,
    batch: usize,
    kind: (Precision, MathMode),
    device: &DeviceLimits,
) -> Choice {
    let launches = launches(stack.depth(), schedule);
    let instead = if device.cooperative.is_some() && launches < RECORDED {
        format!("the {launches} launches that it would replace are queued as fast one by one")
    } else {
        match Strategy::Persistent.takes(stack, schedule, batch, kind, device) {
            Ok(()) => return Choice { strategy: Strategy::Persistent, instead: None, entry: None },
            Err(why) => why,
        }
    };
    let flops = |wide: bool| -> f64 {
        let layers = (1..=stack.depth()).filter(|l| !wide || stack.units(*l).min(stack.units(l - 1)) >= WIDE);
        layers.map(|l| stack.product_flops(l, batch)).sum()
    };
    let strategy = if flops(false) > 0.0 && flops(true) >= 0.5 * flops(false) {
        Strategy::Cublas
    } else if launches < RECORDED {
        Strategy::Grouped
    } else {
        Strategy::Graph
    };
    Choice { strategy, instead: Some(instead), entry: None }
}

#[cfg(test)]
#[path = "device_tests.rs"]
mod tests;
