//! Choices for a card. Pure functions of sizes; the weights in them are reasoned, not measured.

use crate::launch::TILES;

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

#[cfg(test)]
mod tests {
    use super::*;

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
