//! The order of a relaxation in depth and time: blocks of diagonals, so that each layer's weights and states are used
//! for several steps while they are in cache, and several workers follow each other down the layers.
//!
//! In cell (l, t), state l makes its step t and its error is then recomputed; in cell (L, t) the output is. A cell
//! on diagonal j = l + t reads the results of cells (l − 1, t), (l, t − 1) and (l + 1, t − 1), which lie on diagonals
//! j − 1 and j. The values that it overwrites are read only by cells that wait for it anyway. So a block of consecutive
//! diagonals can run through all times before the next block begins: one worker, at any depth, needs only a few layers
//! in its cache. With several workers, a block may be at time t as soon as the block before it has finished time t:
//!
//! ```text
//! each worker:  while blocks are left:
//!     block = the next one, in order of diagonals
//!     for each time t at which the block has cells:
//!         wait until the block before has finished time t
//!         for the layers l of the block at time t, from low to high:  work(l, t)
//!         this block has finished time t
//! ```
//!
//! A worker waits for at most one step of one block at a time. The light cone from a forward start is diagonal L − 1:
//! no cell below it is computed.
//!
//! A worker waits only for a block that another worker has begun, because blocks are begun in order, and the first
//! unfinished block waits for no other. So there is no deadlock.

use std::ops::{Range, RangeInclusive};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::pool::Worker;
use crate::tune;

/// Cells (l, t) with 1 ≤ l ≤ L, 0 ≤ t < T, in blocks of `window` diagonals.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stencil {
    depth: usize,
    steps: usize,
    /// The first diagonal with cells.
    start: usize,
    window: usize,
}

impl Stencil {
    /// All cells, or those at and above the light cone of the output.
    pub(super) fn new(depth: usize, steps: usize, light_cone: bool, window: usize) -> Self {
        Self { depth, steps, start: tune::first_diagonal(depth, light_cone), window: window.max(1) }
    }

    /// How many blocks.
    pub(super) fn blocks(&self) -> usize {
        if self.steps == 0 {
            return 0;
        }
        // the last diagonal is L + T − 1
        (self.depth + self.steps - self.start).div_ceil(self.window)
    }

    fn diagonals(&self, block: usize) -> Range<usize> {
        let first = self.start + block * self.window;
        first..(first + self.window).min(self.depth + self.steps)
    }

    /// Times at which a block has cells.
    pub(super) fn times(&self, block: usize) -> Range<usize> {
        let j = self.diagonals(block);
        j.start.saturating_sub(self.depth)..self.steps.min(j.end - 1)
    }

    /// Its layers at one of these times, in the order in which they are to be done.
    pub(super) fn layers(&self, block: usize, t: usize) -> RangeInclusive<usize> {
        let j = self.diagonals(block);
        j.start.saturating_sub(t).max(1)..=(j.end - 1 - t).min(self.depth)
    }
}

/// The progress of the blocks of diagonals, over several tiles that are independent of each other.
#[derive(Debug)]
pub(super) struct Progress {
    tiles: usize,
    next: AtomicUsize,
    /// Per block and tile: times before this one are done.
    done: Vec<AtomicUsize>,
}

impl Progress {
    /// Nothing done yet.
    pub(super) fn new(blocks: usize, tiles: usize) -> Self {
        Self {
            tiles,
            next: AtomicUsize::new(0),
            done: (0..blocks * tiles).map(|_| AtomicUsize::new(0)).collect(),
        }
    }

    /// Does cells until there are none left: `work(tile, l, t)`.
    pub(super) fn run(
        &self,
        stencil: &Stencil,
        worker: &Worker<'_>,
        mut work: impl FnMut(usize, usize, usize),
    ) {
        loop {
            let job = self.next.fetch_add(1, Ordering::Relaxed);
            if job >= self.done.len() {
                return;
            }
            let (block, tile) = (job / self.tiles, job % self.tiles);
            let before = job.checked_sub(self.tiles).map(|job| &self.done[job]);
            for t in stencil.times(block) {
                if let Some(before) = before {
                    worker.wait_until(|| before.load(Ordering::Acquire) > t);
                }
                stencil.layers(block, t).for_each(|l| work(tile, l, t));
                self.done[job].store(t + 1, Ordering::Release);
            }
            self.done[job].store(usize::MAX, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::pool::Pool;
    use super::*;
    use std::sync::Mutex;

    /// Every cell once, none before those it reads from, with one worker and with several.
    #[test]
    fn cells_come_after_what_they_read() {
        let pool = Pool::new(3).unwrap();
        for (depth, steps) in [(1, 1), (2, 1), (2, 5), (3, 3), (5, 2), (7, 7), (6, 20), (20, 6)] {
            for window in [1, 2, 3, 50] {
                for (light_cone, workers) in [(true, 1), (false, 1), (true, 3), (false, 3)] {
                    let stencil = Stencil::new(depth, steps, light_cone, window);
                    let progress = Progress::new(stencil.blocks(), 2);
                    let done = Mutex::new(vec![vec![false; steps * (depth + 1)]; 2]);
                    pool.run(workers, 1, |worker| {
                        progress.run(&stencil, worker, |tile, l, t| {
                            let outside = |l: usize, t: usize| light_cone && l + t + 1 < depth;
                            let mut all = done.lock().unwrap();
                            let seen = |l: usize, t: usize| all[tile][t * (depth + 1) + l] || outside(l, t);
                            assert!(l == 1 || seen(l - 1, t), "below {l} {t}");
                            assert!(t == 0 || seen(l, t - 1), "before {l} {t}");
                            assert!(t == 0 || l == depth || seen(l + 1, t - 1), "above {l} {t}");
                            assert!(!all[tile][t * (depth + 1) + l], "twice {l} {t}");
                            all[tile][t * (depth + 1) + l] = true;
                        });
                    })
                    .unwrap();
                    let done = done.into_inner().unwrap();
                    for tile in done {
                        for t in 0..steps {
                            for l in 1..=depth {
                                let inside = !light_cone || l + t + 1 >= depth;
                                assert_eq!(tile[t * (depth + 1) + l], inside, "{depth} {steps} {l} {t}");
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_happens_in_no_steps() {
        assert_eq!(Stencil::new(5, 0, true, 2).blocks(), 0);
    }
}
