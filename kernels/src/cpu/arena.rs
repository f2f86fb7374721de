//! The layout of states, errors and slopes: feature-major panels in one block of memory.
//!
//! The batch is cut into panels of up to 64 samples, narrower where each worker has fewer samples: two workers that
//! write to one cache line, or to adjacent lines, cost more than anything else. The values of one layer and panel are
//! stored `[n_l, samples]`, so that the samples of one unit are neighbours: both products then read and write whole
//! vectors along the batch without repacking either operand, and an epilogue works on rows of one unit with one bias.

use std::ops::Range;

use super::micro::UNITS;
use super::real::{Number, Real};

/// Elements that make up whole cache lines in either number type. Vectors that straddle two lines cost twice, and a
/// line that two workers write to costs far more.
pub(super) const LINE: usize = 32;

/// Memory that starts on a cache line.
#[derive(Debug)]
pub(super) struct Aligned<T> {
    memory: Vec<T>,
    start: usize,
}

impl<T: Number> Aligned<T> {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self { memory: Vec::new(), start: 0 }
    }

    /// Makes the memory at least `elements` long. If it has to grow, its contents are discarded and all of it is zero.
    pub(super) fn reserve(&mut self, elements: usize) {
        if self.memory.len() < self.start + elements {
            self.memory = vec![T::default(); elements + LINE];
            // the memory of a vector has no guaranteed alignment; only speed depends on it
            self.start = self.memory.as_ptr().align_offset(128).min(LINE);
        }
    }

    /// Its elements.
    pub(super) fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.memory[self.start..]
    }

    /// Its elements, to be read.
    pub(super) fn as_slice(&self) -> &[T] {
        &self.memory[self.start..]
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.memory.capacity() * std::mem::size_of::<T>()
    }
}

/// Samples of the widest panel.
pub(super) const PANEL: usize = 64;

/// Part of a panel: `width` samples from sample `first` of the panel that begins with sample `panel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tile {
    pub(super) panel: usize,
    pub(super) first: usize,
    pub(super) width: usize,
    /// Samples of the whole panel: the distance of its rows.
    pub(super) stride: usize,
    /// Which part of every layer's units, (index, count), where a partition of workers shares a tile.
    pub(super) part: (usize, usize),
}

impl Tile {
    /// The units of a layer of n that are this part's: whole blocks of [`UNITS`].
    #[inline(always)]
    pub(super) fn rows(self, n: usize) -> Range<usize> {
        let (index, count) = self.part;
        if count == 1 {
            return 0..n;
        }
        let blocks = n.div_ceil(UNITS);
        (blocks * index / count * UNITS).min(n)..(blocks * (index + 1) / count * UNITS).min(n)
    }
}

/// The tiles of a batch at one tile width.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    batch: usize,
    panel: usize,
    width: usize,
}

impl Grid {
    /// Tiles of `width` samples, a divisor of the panel's.
    pub(super) fn new(batch: usize, panel: usize, width: usize) -> Self {
        debug_assert!(width > 0 && panel.is_multiple_of(width) && panel <= PANEL);
        Self { batch, panel, width }
    }

    /// How many tiles; the last may be narrower, none is empty.
    pub(super) fn tiles(self) -> usize {
        self.batch.div_ceil(self.width)
    }

    /// Tile i.
    pub(super) fn tile(self, i: usize) -> Tile {
        let start = i * self.width;
        let first = start % self.panel;
        let panel = start - first;
        let stride = (self.batch - panel).min(self.panel);
        Tile { panel, first, width: self.width.min(stride - first), stride, part: (0, 1) }
    }
}

/// A block of rows in memory that other threads may be reading or writing elsewhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<T> {
    ptr: *mut T,
    /// Distance of rows in elements.
    pub(super) stride: usize,
    pub(super) rows: usize,
    pub(super) width: usize,
}

impl<T: Real> View<T> {
    /// A view of memory that is `rows` rows of `width` elements, `stride` apart.
    ///
    /// # Safety
    /// That memory must be allocated, initialised and outlive every use of the view.
    pub(super) unsafe fn new(ptr: *mut T, stride: usize, rows: usize, width: usize) -> Self {
        debug_assert!(width <= stride || rows <= 1);
        Self { ptr, stride, rows, width }
    }

    /// `count` rows from row `first` on.
    pub(super) fn rows(self, first: usize, count: usize) -> Self {
        assert!(first + count <= self.rows);
        // SAFETY: rows of this view, within its memory.
        let ptr = unsafe { self.ptr.add(first * self.stride) };
        Self { ptr, rows: count, ..self }
    }

    pub(super) fn ptr(self) -> *mut T {
        self.ptr
    }

    /// `n` elements from row j on: one row, or several where nothing lies between them.
    ///
    /// # Safety
    /// As for [`row`](Self::row), for all of them.
    #[inline(always)]
    pub(super) unsafe fn run<'a>(self, j: usize, n: usize) -> &'a [T] {
        debug_assert!(
            n == self.width || (self.stride == self.width && j * self.stride + n <= self.rows * self.stride)
        );
        // SAFETY: they lie within the view (checked above); the caller keeps writers away.
        unsafe { std::slice::from_raw_parts(self.ptr.add(j * self.stride), n) }
    }

    /// The same, to be written.
    ///
    /// # Safety
    /// As for [`row_mut`](Self::row_mut), for all of them.
    #[inline(always)]
    pub(super) unsafe fn run_mut<'a>(self, j: usize, n: usize) -> &'a mut [T] {
        debug_assert!(
            n == self.width || (self.stride == self.width && j * self.stride + n <= self.rows * self.stride)
        );
        // SAFETY: they lie within the view (checked above); the caller keeps all other readers and writers away.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.add(j * self.stride), n) }
    }

    /// Row j.
    ///
    /// # Safety
    /// No code may write to the row while the slice lives.
    #[inline(always)]
    pub(super) unsafe fn row<'a>(self, j: usize) -> &'a [T] {
        debug_assert!(j < self.rows);
        // SAFETY: row j lies within the view, whose memory is allocated and initialised (contract of `new`); the
        // caller keeps writers away.
        unsafe { std::slice::from_raw_parts(self.ptr.add(j * self.stride), self.width) }
    }

    /// Row j, to be written.
    ///
    /// # Safety
    /// While the slice lives, no code may read or write the row by any other way.
    #[inline(always)]
    pub(super) unsafe fn row_mut<'a>(self, j: usize) -> &'a mut [T] {
        debug_assert!(j < self.rows);
        // SAFETY: as for `row`; the caller keeps all other readers and writers away.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.add(j * self.stride), self.width) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_every_sample_once() {
        for batch in [0, 1, 15, 16, 17, 63, 64, 65, 128, 200] {
            for (panel, width) in [(64, 8), (64, 16), (64, 64), (32, 32), (16, 8)] {
                let grid = Grid::new(batch, panel, width);
                let mut seen = vec![0; batch];
                for i in 0..grid.tiles() {
                    let t = grid.tile(i);
                    assert!(t.width > 0 && t.first + t.width <= t.stride && t.stride <= panel);
                    (0..t.width).for_each(|c| seen[t.panel + t.first + c] += 1);
                }
                assert!(seen.iter().all(|&n| n == 1), "{batch} {panel} {width}");
            }
        }
    }
}
