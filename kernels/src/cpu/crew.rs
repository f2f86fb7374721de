//! How the (layer, tile) pairs of a phase are dealt out.

use super::arena::{Grid, Tile};
use super::pool::Worker;
use crate::tune;

/// Who does the layers of one phase.
#[derive(Clone, Copy)]
pub(super) enum Crew<'a> {
    /// One worker takes one tile through everything and never waits.
    Alone(Tile),
    /// All workers share the (layer, tile) pairs and meet after each phase.
    Together {
        worker: &'a Worker<'a>,
        batch: usize,
        /// Narrowest tile worth having.
        lanes: usize,
    },
}

impl Crew<'_> {
    /// Does `work` for layers `from` down to `to` and every tile that is this crew's; all is done on return.
    ///
    /// From the top down, so that in every phase the same layer goes to the same worker, in whose cache its weights are.
    pub(super) fn layers(&self, from: usize, to: usize, mut work: impl FnMut(usize, Tile)) {
        match *self {
            Self::Alone(tile) => (to..=from).rev().for_each(|l| work(l, tile)),
            Self::Together { worker, batch, lanes } => {
                let layers = (from + 1).saturating_sub(to);
                let grid = Grid::new(batch, tune::tile_for(layers, batch, worker.count, lanes));
                for task in worker.share(layers * grid.tiles()) {
                    work(from - task / grid.tiles(), grid.tile(task % grid.tiles()));
                }
                worker.meet();
            }
        }
    }

    /// Does `work` once for every tile that is this crew's; all is done on return.
    pub(super) fn tiles(&self, mut work: impl FnMut(Tile)) {
        match *self {
            Self::Alone(tile) => work(tile),
            Self::Together { worker, batch, lanes } => {
                let grid = Grid::new(batch, tune::tile_for(1, batch, worker.count, lanes));
                worker.share(grid.tiles()).for_each(|i| work(grid.tile(i)));
                worker.meet();
            }
        }
    }

    /// The worker of a crew that works together, for what is not cut into tiles.
    pub(super) fn together(&self) -> Option<&Worker<'_>> {
        match self {
            Self::Alone(_) => None,
            Self::Together { worker, .. } => Some(worker),
        }
    }
}
