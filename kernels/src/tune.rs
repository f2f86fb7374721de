//! How a call is laid out over threads: pure functions of sizes, so that they can be tested and so that equal calls do
//! equal arithmetic.

mod card;

pub use card::{cuda, tile_on, Card, Rung};

use crate::schedule::Rule;
use crate::stack::Stack;

/// Products of fewer FLOPs than this are not worth waking another thread for: about 20 µs of one core.
const FLOPS_PER_WORKER: f64 = 2e6;

/// Samples of the widest tile: a whole panel.
const WIDEST: usize = 64;

/// How the workers of one call divide it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Threads that take part.
    pub workers: usize,
    /// Whether each worker takes its tiles of the batch through the whole inference on its own (no waiting), or all
    /// share the layers of each step and meet twice a step.
    pub alone: bool,
    /// Samples per tile where workers are alone.
    pub tile: usize,
    /// Whether the transposed weights are first packed in the order in which products read them.
    pub pack: bool,
}

/// Steps from which packing pays: it costs a pass over the weights, and saves a seventh of every transposed product.
const PACKING_STEPS: usize = 8;

/// The layout of a rule with T steps on a batch, for at most `threads` threads. `lanes` is the narrowest tile at which
/// a product runs at full speed (16 in f32, 8 in f64).
pub fn plan(stack: &Stack, rule: &Rule, steps: usize, batch: usize, threads: usize, lanes: usize) -> Plan {
    let sweep: f64 = (1..=stack.depth()).map(|l| stack.product_flops(l, batch)).sum();
    let flops = sweep * (3.0 + 2.0 * steps as f64);
    let worth = (flops / FLOPS_PER_WORKER).max(1.0);
    let threads = if worth < threads as f64 { worth as usize } else { threads }.max(1);
    let pack = steps >= PACKING_STEPS && rule.samples_are_independent();
    if threads == 1 {
        // one worker never waits for itself
        return Plan { workers: 1, alone: rule.samples_are_independent(), tile: WIDEST, pack };
    }
    let tile = tile_for(1, batch, threads, lanes);
    let tiles = batch.div_ceil(tile);
    // full panels enough for everyone: no reason to meet
    let plenty = batch / WIDEST >= 2 * threads;
    let alone = rule.samples_are_independent() && (plenty || !rule.layers_are_parallel());
    Plan { workers: if alone { threads.min(tiles.max(1)) } else { threads }, alone, tile, pack }
}

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
    use crate::stack::{Activation, LayerSpec};

    fn stack(depth: usize, width: usize) -> Stack {
        let act = Activation::Identity;
        let layer = LayerSpec {
            inputs: width,
            outputs: width,
            act_in: act,
            act_out: act,
            scale: 1.0,
            skip: false,
            bias: false,
        };
        Stack::new(vec![layer; depth]).unwrap()
    }

    const SPC: Rule = Rule::Spc { light_cone: true, deviation: false };

    #[test]
    fn small_problems_stay_on_one_thread() {
        let plan = |width, batch| plan(&stack(4, width), &Rule::Bp, 0, batch, 4, 16);
        assert_eq!(plan(16, 16).workers, 1);
        assert_eq!(plan(128, 64).workers, 4);
        // nothing to do at all
        assert_eq!(plan(128, 0), Plan { workers: 1, alone: true, tile: 64, pack: false });
    }

    #[test]
    fn a_batch_that_feeds_everyone_is_cut_by_samples() {
        let deep = stack(32, 128);
        assert!(plan(&deep, &SPC, 32, 1024, 4, 16).alone);
        assert!(!plan(&deep, &SPC, 32, 64, 4, 16).alone);
        assert_eq!(
            plan(&deep, &Rule::Epc, 8, 64, 4, 16),
            Plan { workers: 4, alone: true, tile: 16, pack: true }
        );
        let moving = Rule::Ipc { light_cone: true, weight_step: 0.1, evaluate: false };
        assert!(
            !plan(&deep, &moving, 8, 1024, 4, 16).alone && !plan(&stack(1, 2), &moving, 1, 1, 1, 16).alone
        );
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
