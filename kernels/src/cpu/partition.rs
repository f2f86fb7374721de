//! How the (layer, tile) pairs of a phase are divided among workers: batch-parallel or layer-parallel.

use super::arena::{Grid, Tile, PANEL};
use super::pool::Worker;
use super::stencil::{Progress, Stencil};
use crate::tune;

/// The workers that do the layers of one phase together, and how they divide them.
#[derive(Clone, Copy)]
pub(super) enum Partition<'a> {
    /// A few workers (often a single one) take one tile through all layers; they share the units of each layer and meet
    /// after it. Other workers do other tiles at the same time.
    BatchParallel { tile: Tile, worker: &'a Worker<'a> },
    /// All workers share the (layer, tile) pairs and meet after each phase.
    LayerParallel {
        worker: &'a Worker<'a>,
        batch: usize,
        /// Samples of the narrowest tile at which a product runs at full speed.
        lanes: usize,
        /// Whether sharing the units of a layer is worth a barrier.
        share_units: bool,
        /// The progress of the stencil, for [`cells`](Self::cells).
        progress: &'a Progress,
    },
}

impl Partition<'_> {
    /// Does `work` for layers `from` down to `to` and every tile of this partition; all is done on return.
    ///
    /// From the top down, so that in every phase the same layer goes to the same worker, in whose cache its weights
    /// are.
    pub(super) fn layers(&self, from: usize, to: usize, mut work: impl FnMut(usize, Tile)) {
        match *self {
            Self::BatchParallel { tile, .. } => (to..=from).rev().for_each(|l| {
                work(l, tile);
                self.sync();
            }),
            Self::LayerParallel { worker, batch, lanes, .. } => {
                let layers = (from + 1).saturating_sub(to);
                let grid = Grid::new(batch, PANEL, tune::tile_for(layers, batch, worker.count, lanes));
                for task in worker.share(layers * grid.tiles()) {
                    work(from - task / grid.tiles(), grid.tile(task % grid.tiles()));
                }
                worker.meet();
            }
        }
    }

    /// Does `work` once for every tile of this partition; all is done on return. Inside, what other members of the
    /// partition have written is there after [`sync`](Self::sync).
    pub(super) fn tiles(&self, mut work: impl FnMut(Tile)) {
        match *self {
            Self::BatchParallel { tile, .. } => {
                work(tile);
                self.sync();
            }
            Self::LayerParallel { worker, batch, lanes, .. } => {
                let grid = Grid::new(batch, PANEL, tune::tile_for(1, batch, worker.count, lanes));
                worker.share(grid.tiles()).for_each(|i| work(grid.tile(i)));
                worker.meet();
            }
        }
    }

    /// Does `work` for layers 1 to `depth`, one after another, and every tile of this partition; all is done on return.
    ///
    /// Under `LayerParallel`, workers that outnumber the tiles share the units of each layer, if `share_units`.
    pub(super) fn upwards(&self, depth: usize, mut work: impl FnMut(usize, Tile)) {
        match *self {
            Self::BatchParallel { tile, .. } => (1..=depth).for_each(|l| {
                work(l, tile);
                self.sync();
            }),
            Self::LayerParallel { worker, batch, share_units, .. } => {
                let grid = Grid::new(batch, PANEL, tune::WIDEST);
                if !share_units || grid.tiles() >= worker.count {
                    return self.tiles(|at| (1..=depth).for_each(|l| work(l, at)));
                }
                for l in 1..=depth {
                    for i in 0..grid.tiles() {
                        work(l, Tile { part: (worker.index, worker.count), ..grid.tile(i) });
                    }
                    worker.meet();
                }
            }
        }
    }

    /// Does `work(l, t)` for every cell of a stencil and every tile of this partition; all is done on return.
    pub(super) fn cells(&self, stencil: &Stencil, mut work: impl FnMut(usize, usize, Tile)) {
        match *self {
            Self::BatchParallel { tile, .. } => {
                for block in 0..stencil.blocks() {
                    for t in stencil.times(block) {
                        stencil.layers(block, t).for_each(|l| work(l, t, tile));
                    }
                }
            }
            Self::LayerParallel { worker, batch, progress, .. } => {
                let grid = Grid::new(batch, PANEL, tune::WIDEST);
                progress.run(stencil, worker, |tile, l, t| work(l, t, grid.tile(tile)));
                worker.meet();
            }
        }
    }

    /// Waits for the other members of a partition that shares a tile.
    pub(super) fn sync(&self) {
        if let Self::BatchParallel { worker, .. } = self {
            worker.meet_partition();
        }
    }

    /// Workers that share this partition's cells.
    pub(super) fn workers(&self) -> usize {
        self.layer_parallel().map_or(1, |worker| worker.count)
    }

    /// The worker, if all workers are one partition (`LayerParallel`), for what is not cut into tiles.
    pub(super) fn layer_parallel(&self) -> Option<&Worker<'_>> {
        match self {
            Self::BatchParallel { .. } => None,
            Self::LayerParallel { worker, .. } => Some(worker),
        }
    }
}
