//! Choices for a card. Pure functions of sizes; the weights in them are reasoned, not measured.

use crate::launch::TILES;
use crate::schedule::Rule;
use crate::stack::Stack;

/// What choices need to know of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Card {
    /// Multiprocessors.
    pub processors: usize,
}

/// What a block of each of [`TILES`] takes beyond its share of the arithmetic, in units of that of a 16×16 tile: small
/// tiles read each operand more often per result.
const READS: [f64; 3] = [1.0, 1.5, 2.5];

/// Index in [`TILES`] for a launch that would have these many blocks at each size.
///
/// A launch takes as long as the multiprocessor with most to do. Large tiles do the work with fewer reads; small ones
/// spread it where there are fewer large ones than multiprocessors.
pub fn tile_on(blocks: [usize; 3], card: Card) -> usize {
    let processors = card.processors.max(1);
    let cost = |i: usize| {
        let area = (TILES[i] / TILES[2]).pow(2) as f64;
        blocks[i].div_ceil(processors) as f64 * area * READS[i]
    };
    (1..TILES.len()).fold(0, |best, i| if cost(i) < cost(best) { i } else { best })
}

/// How a call runs on a card. All of them follow the same rule; they differ in who waits for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rung {
    /// One launch per phase, whatever the depth; queued by the host one after another.
    Grouped,
    /// The same launches, recorded once and replayed.
    Graph,
    /// One launch for all steps, weights kept on the multiprocessors.
    Persistent,
    /// Products by a library, the epilogues of the grouped launches after them.
    Wide,
}

impl Rung {
    /// Every rung.
    pub const ALL: [Self; 4] = [Self::Grouped, Self::Graph, Self::Persistent, Self::Wide];

    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Grouped => "grouped",
            Self::Graph => "graph",
            Self::Persistent => "persistent",
            Self::Wide => "wide",
        }
    }
}

/// Units from which on a library's product is worth a launch of its own: 2·B·1024² FLOPs are more than tiles of 64
/// without tensor cores or asynchronous copies do well.
const WIDE: usize = 1024;
/// Launches from which on it pays to record them: a recording costs about as much as queueing them a few times.
const RECORDED: usize = 8;

/// The rung for a call. [`Rung::Persistent`] is not chosen but by its name: how it does against the recorded launches, and
/// whether its flags hold on a card, has to be seen on one first.
pub fn cuda(stack: &Stack, rule: &Rule, steps: usize, batch: usize, _card: Card) -> Rung {
    let flops = |wide: bool| -> f64 {
        let layers = (1..=stack.depth()).filter(|l| !wide || stack.units(*l).min(stack.units(l - 1)) >= WIDE);
        layers.map(|l| stack.product_flops(l, batch)).sum()
    };
    if flops(false) > 0.0 && flops(true) >= 0.5 * flops(false) {
        return Rung::Wide;
    }
    let per_step = if rule.layers_are_parallel() { 2 } else { 2 * stack.depth() };
    if stack.depth() + steps * per_step < RECORDED {
        return Rung::Grouped;
    }
    Rung::Graph
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::{Activation, LayerSpec};

    #[test]
    fn wide_layers_go_to_a_library_and_many_launches_are_recorded() {
        let act = Activation::Identity;
        let stack = |widths: &[usize]| {
            let layer = |pair: &[usize]| LayerSpec {
                inputs: pair[0],
                outputs: pair[1],
                act_in: act,
                act_out: act,
                scale: 1.0,
                skip: false,
                bias: false,
            };
            Stack::new(widths.windows(2).map(layer).collect()).unwrap()
        };
        let (spc, card) = (Rule::Spc { light_cone: true, deviation: false }, Card { processors: 132 });
        let rung = |widths: &[usize], rule: Rule, steps| cuda(&stack(widths), &rule, steps, 64, card);
        assert_eq!(rung(&[128; 9], spc, 8), Rung::Graph);
        assert_eq!(rung(&[128; 3], spc, 1), Rung::Grouped);
        assert_eq!(rung(&[784, 4096, 4096, 10], spc, 8), Rung::Wide);
        // most of the work is in a layer that is narrow on one side
        assert_eq!(rung(&[784, 4096, 10], spc, 8), Rung::Graph);
        assert_eq!(rung(&[1024; 2], Rule::Bp, 0), Rung::Wide);
        assert_eq!(rung(&[0, 0], Rule::Bp, 0), Rung::Grouped);
        assert_eq!(rung(&[64; 33], Rule::Epc, 1), Rung::Graph);
    }

    /// Blocks for `layers` results of `[rows, columns]`.
    fn blocks(layers: usize, rows: usize, columns: usize) -> [usize; 3] {
        TILES.map(|tile| layers * rows.div_ceil(tile) * columns.div_ceil(tile))
    }

    #[test]
    fn small_tiles_spread_what_large_ones_would_leave_to_a_few() {
        let card = Card { processors: 132 };
        // one layer at width 128, batch 64: 2, 8 or 32 blocks
        assert_eq!(tile_on(blocks(1, 64, 128), card), 2);
        // all layers of a deep net
        assert_eq!(tile_on(blocks(128, 64, 128), card), 0);
        assert_eq!(tile_on(blocks(1, 1024, 4096), card), 0);
        // nothing to spread over
        assert_eq!(tile_on(blocks(1, 64, 128), Card { processors: 1 }), 0);
        assert_eq!(tile_on([0; 3], Card { processors: 0 }), 0);
    }
}
