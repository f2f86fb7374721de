//! Where states, errors and slopes lie: feature-major panels in one block of memory.
//!
//! The batch is cut into panels of up to 64 samples, narrower where one worker has fewer to itself: a cache line, or one
//! next to it, that two workers write to costs more than all else. The values of one layer and panel are stored `[n_l, samples]`,
//! so that the samples of one unit are neighbours: both products then read and write whole vectors along the batch
//! without repacking either operand, and an epilogue works on rows of one unit with one bias.

use std::ops::Range;

use super::micro::UNITS;
use super::real::Real;
use crate::stack::Stack;

/// Elements that make up whole cache lines in either number type. Vectors that straddle two lines cost twice, and a line
/// that two workers write to costs far more.
const LINE: usize = 32;

/// Memory that starts on a cache line.
#[derive(Debug)]
pub(super) struct Aligned<T> {
    memory: Vec<T>,
    start: usize,
}

impl<T: Real> Aligned<T> {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self { memory: Vec::new(), start: 0 }
    }

    /// Room for so many elements, zeros where it is new; what was there is lost if it has to grow.
    pub(super) fn reserve(&mut self, elements: usize) {
        if self.memory.len() < self.start + elements {
            self.memory = vec![T::ZERO; elements + LINE];
            // an f32 vector's memory may be anywhere; whatever is said here, only speed depends on it
            self.start = self.memory.as_ptr().align_offset(128).min(LINE);
        }
    }

    /// Its elements.
    pub(super) fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.memory[self.start..]
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.memory.capacity() * std::mem::size_of::<T>()
    }
}

/// Samples of the widest panel.
pub(super) const PANEL: usize = 64;

/// What is kept per layer. Which of them a rule has, and which share memory, is [`Fields`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Field {
    /// v_l; the deviation v_l − vh_l where a rule stores that.
    V,
    /// φ_in of the layer above at v_l, what the next product reads; shares memory with V where φ_in is the identity.
    H,
    /// φ_in'(v_l), where H does not tell it.
    P,
    /// ε_l.
    E,
    /// φ_out'(pre_l) ⊙ ε_l, what the transposed product reads (φ_out'(pre_l) alone until ε_l is known); shares memory
    /// with E where φ_out is the identity.
    D,
    /// The other half of a pair of errors: what is read while E is written.
    E2,
    /// The same for D.
    D2,
    /// φ_out'(pre_l) where it outlives D.
    S,
    /// Steps of the states that may not be taken yet.
    R,
    /// μ_1, which never changes, and μ_L = o.
    M,
    /// vh_l, the forward pass.
    F,
    /// Pre-activations of φ_out at the forward pass.
    Z,
    /// Targets y, at layer L.
    Y,
}

const FIELDS: usize = Field::Y as usize + 1;
const ABSENT: usize = usize::MAX;

/// Part of a panel: `width` samples from sample `first` of the panel that begins with sample `panel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tile {
    pub(super) panel: usize,
    pub(super) first: usize,
    pub(super) width: usize,
    /// Samples of the whole panel: the distance of its rows.
    pub(super) stride: usize,
    /// Which part of every layer's units, (index, count), where a team shares a tile.
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
        // SAFETY: they lie within the view (checked above); the caller keeps everyone else away.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.add(j * self.stride), n) }
    }

    /// Row j.
    ///
    /// # Safety
    /// Nobody may write to it while the slice lives.
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
    /// Nobody else may read or write it while the slice lives.
    #[inline(always)]
    pub(super) unsafe fn row_mut<'a>(self, j: usize) -> &'a mut [T] {
        debug_assert!(j < self.rows);
        // SAFETY: as for `row`; the caller keeps everyone else away.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.add(j * self.stride), self.width) }
    }
}

/// Which fields there are and where.
#[derive(Debug, Clone)]
pub(super) struct Fields {
    offsets: [Vec<usize>; FIELDS],
    units: Vec<usize>,
    elements: usize,
}

impl Fields {
    /// No fields yet for a stack.
    pub(super) fn new(stack: &Stack) -> Self {
        let units: Vec<usize> = (0..=stack.depth()).map(|l| stack.units(l)).collect();
        Self { offsets: std::array::from_fn(|_| vec![ABSENT; units.len()]), units, elements: 0 }
    }

    /// Gives layer l a field of its own, for a batch.
    pub(super) fn add(&mut self, field: Field, l: usize, batch: usize) {
        self.offsets[field as usize][l] = self.elements;
        // the next field starts on a cache line again
        self.elements += (self.units[l] * batch).next_multiple_of(LINE);
    }

    /// Lets a field of layer l be another one of it.
    pub(super) fn alias(&mut self, field: Field, of: Field, l: usize) {
        self.offsets[field as usize][l] = self.offsets[of as usize][l];
    }

    /// Adds the field, or lets it be `of` where `same` says that they are equal.
    pub(super) fn add_unless(&mut self, same: bool, field: Field, of: Field, l: usize, batch: usize) {
        if same {
            self.alias(field, of, l);
        } else {
            self.add(field, l, batch);
        }
    }

    /// Elements of all fields together.
    pub(super) fn elements(&self) -> usize {
        self.elements
    }

    /// Whether layer l has the field.
    #[inline(always)]
    pub(super) fn has(&self, field: Field, l: usize) -> bool {
        self.offsets[field as usize][l] != ABSENT
    }

    /// Whether two fields of layer l are there and lie apart.
    #[inline(always)]
    pub(super) fn apart(&self, a: Field, b: Field, l: usize) -> bool {
        self.has(a, l) && self.offsets[a as usize][l] != self.offsets[b as usize][l]
    }

    /// The memory of a field of layer l in `block`, one tile of it.
    ///
    /// # Safety
    /// `block` must be allocated for [`elements`](Self::elements) initialised elements, of fields added for the batch
    /// that the tile is of, and outlive every use of the view.
    #[inline(always)]
    pub(super) unsafe fn view<T: Real>(&self, block: *mut T, field: Field, l: usize, at: Tile) -> View<T> {
        let (offset, rows) = (self.offsets[field as usize][l], self.units[l]);
        assert!(offset != ABSENT, "layer {l} has no {field:?}");
        let start = offset + rows * at.panel + at.first;
        debug_assert!(rows == 0 || start + (rows - 1) * at.stride + at.width <= self.elements);
        // SAFETY: the panels before this one hold `at.panel` samples, so it starts rows times that after the field, and its last row ends
        // within the field's rows·batch elements, all of them in the block.
        unsafe { View::new(block.add(start), at.stride, rows, at.width) }
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
