//! How a call is laid out over threads: pure functions of sizes, so that they can be tested and so that equal calls do
//! equal arithmetic.

mod choice;
mod device;
mod strategy;
mod table;

pub use choice::choose;
pub use device::{cuda, tile_on};
pub use strategy::{DeviceLimits, Strategy};
pub use table::{Choice, Entry, Failed, Sizes, StrategyTable, Timed, FACTOR};

use crate::schedule::Rule;
use crate::stack::Stack;

/// A worker with fewer FLOPs than this waits longer than it works: about 20 µs of one core.
const FLOPS_PER_WORKER: f64 = 2e6;

/// FLOPs that sharing a call must save its caller: starting the workers and meeting for the parameter directions takes
/// as long as a core needs for these, some 20 µs with workers that still spin after the call before (see
/// `cpu::spin_pool`). With this at 1e6, the suite `benches/suites/sharing.toml` on two cores gave times on two threads
/// over times on one of 1.0 where 1.3e6 are saved (BP of 2 layers), 0.87 to 0.98 at 2.1e6 (3 layers) and 0.85 to 0.90
/// at 2.9e6 (4 layers), fastest and median.
const FLOPS_OF_SHARING: f64 = 2.5e6;

/// The same for each step of iPC, whose workers meet in it and do not have each other's new parameters in cache: there
/// the same run gave 0.96 to 1.15 where 3e6 are saved in a step (8 layers), and 1.23 at 4 layers.
const FLOPS_OF_A_STEP: f64 = 5e6;

/// Samples of the widest tile: a whole panel.
pub(crate) const WIDEST: usize = 64;

/// How the workers of one call divide it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Threads that take part.
    pub workers: usize,
    /// Batch-parallel: each worker, or each few that share a tile, takes its tiles of the batch through the whole
    /// inference, without waiting for others. Otherwise layer-parallel: all workers share the layers of each step and
    /// meet twice a step.
    pub batch_parallel: bool,
    /// Samples per tile if batch-parallel.
    pub tile: usize,
    /// Workers that share a tile, each doing its part of the units of every layer. If layer-parallel, more than one
    /// means that all workers do so in the forward pass.
    pub workers_per_tile: usize,
    /// Whether the transposed weights are first packed in the order in which products read them.
    pub pack: bool,
}

/// Steps from which packing pays: it costs a pass over the weights, and saves a seventh of every transposed product.
const PACKING_STEPS: usize = 8;

/// The layout of a rule with T steps on a batch, for at most `threads` threads. `lanes` is the narrowest tile at which
/// a product runs at full speed (16 in f32, 8 in f64).
pub fn plan(stack: &Stack, rule: &Rule, steps: usize, batch: usize, threads: usize, lanes: usize) -> Plan {
    let flops = flops(stack, rule, steps, batch);
    let worth = (flops / FLOPS_PER_WORKER).max(1.0);
    let threads = if worth < threads as f64 { worth as usize } else { threads }.max(1);
    let saved = flops * (1.0 - 1.0 / threads as f64);
    let least = match rule.samples_are_independent() {
        true => FLOPS_OF_SHARING,
        false => FLOPS_OF_A_STEP * steps.max(1) as f64,
    };
    let threads = if saved < least { 1 } else { threads };
    let pack = steps >= PACKING_STEPS && rule.samples_are_independent();
    if threads == 1 {
        // one worker waits for no other
        return Plan {
            workers: 1,
            batch_parallel: rule.samples_are_independent(),
            tile: WIDEST,
            workers_per_tile: 1,
            pack,
        };
    }
    // there are enough full panels for all workers, so they need not meet
    let plenty = batch / WIDEST >= 2 * threads;
    // narrower tiles would be enough; but where the stencil is long, reading all weights for each tile costs more than
    // meeting
    let enough = batch.div_ceil(lanes) >= threads && !is_long(stack, rule, steps, threads);
    if !rule.samples_are_independent() || (rule.layers_are_parallel() && !plenty && !enough) {
        let (_, workers_per_tile) = tiling(stack, batch, threads, WIDEST);
        return Plan { workers: threads, batch_parallel: false, tile: WIDEST, workers_per_tile, pack };
    }
    let (tile, workers_per_tile) = tiling(stack, batch, threads, lanes);
    let workers =
        threads.min(batch.div_ceil(tile).max(1) * workers_per_tile) / workers_per_tile * workers_per_tile;
    Plan { workers, batch_parallel: true, tile, workers_per_tile, pack }
}

/// Whether a relaxation along diagonals of depth and time (see `cpu::stencil`) has enough of them for workers that
/// follow each other to wait for one another only a small part of the time.
fn is_long(stack: &Stack, rule: &Rule, steps: usize, threads: usize) -> bool {
    let Rule::Spc { light_cone, .. } = *rule else { return false };
    let depth = stack.depth();
    (depth + steps).saturating_sub(first_diagonal(depth, light_cone)) >= DIAGONALS_PER_WORKER * threads
}

/// The first diagonal l + t of a relaxation on which anything happens: all of them, or those at and above the light
/// cone of the output. The last one is L + T − 1.
pub(crate) fn first_diagonal(depth: usize, light_cone: bool) -> usize {
    if light_cone {
        depth.saturating_sub(1).max(1)
    } else {
        1
    }
}

/// Diagonals per worker from which on following each other is faster than cutting the batch into narrow tiles: chosen
/// on the machine of the committed records, where with fewer of them tiles were faster and with more, following.
const DIAGONALS_PER_WORKER: usize = 8;

/// About how many FLOPs a call has: forward, inference and directions, layers of equal size assumed for the light cone.
fn flops(stack: &Stack, rule: &Rule, steps: usize, batch: usize) -> f64 {
    let sweep: f64 = (1..=stack.depth()).map(|l| stack.product_flops(l, batch)).sum();
    let hidden = stack.depth().saturating_sub(1) as f64;
    let (reached, steps) = (hidden.min(steps as f64), steps as f64);
    // layers moved, over all steps
    let moved = match rule {
        Rule::Bp | Rule::Zil => 0.0,
        Rule::Spc { light_cone: true, .. }
        | Rule::Fpa { light_cone: true }
        | Rule::Ipc { light_cone: true, .. } => 0.5 * reached * (reached + 1.0) + (steps - reached) * hidden,
        _ => steps * hidden,
    };
    sweep * (3.0 + 2.0 * moved / stack.depth().max(1) as f64)
}

/// Samples per tile and workers per tile for rules that do layer after layer: the widest tiles of which every worker
/// gets one, no narrower than `wide`. Where there are too few of those, two, four, … workers share a tile, as long as
/// the part of each in a product is worth a barrier.
fn tiling(stack: &Stack, batch: usize, threads: usize, wide: usize) -> (usize, usize) {
    let mut tile = WIDEST;
    while tile > wide && batch.div_ceil(tile) < threads {
        tile /= 2;
    }
    let spare = threads / batch.div_ceil(tile).max(1);
    let layer = (1..=stack.depth()).map(|l| stack.product_flops(l, tile.min(batch))).sum::<f64>()
        / stack.depth() as f64;
    let mut workers_per_tile = 1;
    while 2 * workers_per_tile <= spare && layer / (2 * workers_per_tile) as f64 >= FLOPS_PER_MEETING {
        workers_per_tile *= 2;
    }
    (tile, workers_per_tile)
}

/// FLOPs of a worker between two meetings of its partition that make a meeting worth while: a few microseconds.
const FLOPS_PER_MEETING: f64 = 2.5e5;

/// Diagonals that a worker takes at once through a relaxation: as many layers as half a megabyte holds with their
/// weights (in both orders) and four states, but no more than leave every worker eight blocks.
pub fn window(stack: &Stack, element_bytes: usize, diagonals: usize, workers: usize) -> usize {
    let layers = stack.depth().max(1);
    let bytes = (2 * stack.parameters() + 4 * WIDEST * layers * stack.widest()) * element_bytes / layers;
    let fitting = (WINDOW_BYTES / bytes.max(1)).max(1);
    if workers == 1 {
        return fitting;
    }
    fitting.min((diagonals / (8 * workers)).max(1))
}

/// What a window may fill of a core's own cache.
const WINDOW_BYTES: usize = 1 << 20;

/// Samples per tile for `layers` independent layers on a batch: the widest at which the busiest worker has no more
/// than an eighth more than its fair share, else the one at which it has least.
///
/// Narrow tiles read the weights more often, and below `lanes` samples a product is slower by a third, which counts as
/// more work here.
pub fn tile_for(layers: usize, batch: usize, workers: usize, lanes: usize) -> usize {
    let fair = layers as f64 * batch as f64 / workers as f64;
    let mut best = (f64::INFINITY, WIDEST);
    let mut tile = WIDEST;
    while tile >= lanes.min(8) {
        let busiest =
            (layers * batch.div_ceil(tile)).div_ceil(workers) as f64 * tile.min(batch.max(1)) as f64;
        let cost = busiest * if tile < lanes { 1.5 } else { 1.0 };
        if cost <= 1.125 * fair {
            return tile;
        }
        if cost < best.0 {
            best = (cost, tile);
        }
        tile /= 2;
    }
    best.1
}

/// Worker threads of this process: what Candle asks for (`RAYON_NUM_THREADS`, else the machine's cores), but no more
/// than the process may run at once.
pub fn threads() -> usize {
    let usable = std::thread::available_parallelism().map_or(1, usize::from);
    candle_core::utils::get_num_threads().min(usable).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::Dense;

    fn stack(depth: usize, width: usize) -> Stack {
        Stack::new(vec![Dense::linear(width, width); depth]).unwrap()
    }

    const SPC: Rule = Rule::Spc { light_cone: true, deviation: false };
    const FPA: Rule = Rule::Fpa { light_cone: true };

    #[test]
    fn small_problems_stay_on_one_thread() {
        let plan =
            |depth, width, batch, threads| plan(&stack(depth, width), &Rule::Bp, 0, batch, threads, 16);
        assert_eq!(plan(4, 16, 16, 4).workers, 1);
        assert_eq!(plan(4, 32, 64, 4).workers, 1);
        assert_eq!(plan(4, 128, 64, 4).workers, 4);
        // two threads at width 64 took as long as one at 2 layers, 0.87 to 0.98 times as long at 3, 0.85 to 0.90 at 4
        assert_eq!([2, 3, 4].map(|depth| plan(depth, 64, 64, 2).workers), [1, 1, 2]);
        // nothing to do at all
        assert_eq!(
            plan(4, 128, 0, 4),
            Plan { workers: 1, batch_parallel: true, tile: 64, workers_per_tile: 1, pack: false }
        );
    }

    /// Two threads at width 64 and batch 64 took 1.2, 1.0 and 0.9 times as long as one at 4, 8 and 16 layers.
    #[test]
    fn short_steps_that_move_parameters_stay_on_one_thread() {
        let moving = Rule::Ipc { light_cone: true, weight_step: 0.1, evaluate: false };
        let workers = |depth| plan(&stack(depth, 64), &moving, depth, 64, 2, 16).workers;
        assert_eq!([4, 8, 16].map(workers), [1, 1, 2]);
        // without parameters that move, eight layers are worth it
        assert_eq!(plan(&stack(8, 64), &SPC, 8, 64, 2, 16).workers, 2);
    }

    /// Counted by hand: one layer of 10 units on 5 samples is 1000 FLOPs a product.
    #[test]
    fn the_light_cone_is_counted() {
        let flops = |depth, rule, steps| flops(&stack(depth, 10), &rule, steps, 5);
        assert_eq!(flops(4, Rule::Bp, 0), 12e3);
        let full = Rule::Spc { light_cone: false, deviation: false };
        assert_eq!(flops(4, full, 5), 12e3 + 2.0 * 5.0 * 3e3);
        // 1 + 2 + 3 + 3 + 3 layers
        assert_eq!(flops(4, SPC, 5), 12e3 + 2.0 * 12e3);
        assert_eq!(flops(4, SPC, 2), 12e3 + 2.0 * 3e3);
        assert_eq!((flops(1, SPC, 9), flops(4, SPC, 0)), (3e3, 12e3));
    }

    #[test]
    fn a_batch_that_is_large_enough_is_cut_by_samples() {
        let deep = stack(32, 128);
        assert!(plan(&deep, &SPC, 32, 1024, 4, 16).batch_parallel);
        assert!(!plan(&deep, &SPC, 32, 64, 4, 16).batch_parallel);
        // layers of one step are parallel here, diagonals are not: each worker takes its samples through all layers
        assert!(plan(&deep, &FPA, 32, 64, 4, 16).batch_parallel);
        // a tile of 16 samples for three of four
        assert!(!plan(&deep, &FPA, 32, 48, 4, 16).batch_parallel);
        assert_eq!(
            plan(&deep, &Rule::Epc, 8, 64, 4, 16),
            Plan { workers: 4, batch_parallel: true, tile: 16, workers_per_tile: 1, pack: true }
        );
        let moving = Rule::Ipc { light_cone: true, weight_step: 0.1, evaluate: false };
        assert!(
            !plan(&deep, &moving, 8, 1024, 4, 16).batch_parallel
                && !plan(&stack(1, 2), &moving, 1, 1, 1, 16).batch_parallel
        );
    }

    /// Diagonals are T + 1 inside the light cone and T + L − 1 without: eight for each of four workers are 32.
    #[test]
    fn workers_follow_each_other_only_over_many_diagonals() {
        let batch_parallel = |depth, light_cone, steps| {
            let rule = Rule::Spc { light_cone, deviation: false };
            plan(&stack(depth, 128), &rule, steps, 64, 4, 16).batch_parallel
        };
        assert!(batch_parallel(30, true, 30) && !batch_parallel(31, true, 31));
        assert!(batch_parallel(8, false, 24) && !batch_parallel(8, false, 25));
        assert_eq!(plan(&stack(16, 128), &SPC, 16, 64, 4, 16).tile, 16);
        // panels enough for all workers
        assert!(plan(&stack(64, 128), &SPC, 64, 512, 4, 16).batch_parallel);
    }

    #[test]
    fn one_sample_cannot_be_cut() {
        assert_eq!(plan(&stack(64, 256), &Rule::Epc, 64, 1, 4, 16).workers, 1);
    }

    #[test]
    fn tiles_shrink_only_where_that_balances() {
        assert_eq!(tile_for(128, 64, 4, 16), 64);
        assert_eq!(tile_for(1, 64, 4, 16), 16);
        assert_eq!(tile_for(5, 64, 4, 16), 16);
        assert_eq!(tile_for(1, 64, 1, 16), 64);
        for layers in 1..200 {
            for workers in 1..9 {
                let tile = tile_for(layers, 64, workers, 16);
                assert!([8, 16, 32, 64].contains(&tile));
            }
        }
    }
}
