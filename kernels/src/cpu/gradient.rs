//! Parameter directions d = −∂F/∂θ, sums over the batch.

use super::arena::{Tile, View, PANEL};
use super::epilogue::{copy, times, Next, Restate};
use super::fields::Field;
use super::memory::block_rows;
use super::micro::UNITS;
use super::net::Net;
use super::pool::Worker;
use super::product;
use super::real::Real;
use crate::layer::Activation;
use crate::stack::Stack;

/// Some rows of one layer's parameters, with their biases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) layer: usize,
    pub(super) first: usize,
    pub(super) rows: usize,
}

/// The field of δ_l for parameter directions.
fn delta<T>(net: &Net<'_, T>, l: usize) -> Field {
    if net.stack.layer(l).act_out == Activation::Identity {
        Field::Error
    } else {
        Field::Delta
    }
}

/// Sets those of the fields that layer l has to zero.
///
/// # Safety
/// The contract of [`super::net`], for layer l.
pub(super) unsafe fn clear<T: Real>(net: &Net<'_, T>, fields: &[Field], l: usize, at: Tile) {
    for view in fields.iter().filter_map(|f| net.maybe(*f, l, at)) {
        // SAFETY: the caller's.
        at.rows(view.rows).for_each(|j| unsafe { view.row_mut(j) }.fill(T::ZERO));
    }
}

/// ε_l = −v_l and δ_l.
///
/// # Safety
/// The contract of [`super::net`], for layer l.
pub(super) unsafe fn start_at_activations<T: Real>(net: &Net<'_, T>, l: usize, at: Tile) {
    let (v, e) = (net.view(Field::State, l, at), net.view(Field::Error, l, at));
    // SAFETY: the caller's.
    unsafe {
        for j in at.rows(v.rows) {
            let (v, e) = (v.row(j), e.row_mut(j));
            (0..e.len()).for_each(|c| e[c] = -v[c]);
        }
        learn_from_error(net, l, at);
    }
}

/// δ_l = φ_out' ⊙ e_l, for rules whose parameters learn from e; the slope must still be stored.
///
/// # Safety
/// The contract of [`super::net`], for layer l.
pub(super) unsafe fn learn_from_error<T: Real>(net: &Net<'_, T>, l: usize, at: Tile) {
    if delta(net, l) == Field::Error {
        return;
    }
    let (d, e, slope) =
        (net.view(Field::Delta, l, at), net.view(Field::Error, l, at), net.maybe(Field::OutputSlope, l, at));
    for j in at.rows(d.rows) {
        // SAFETY: the caller's.
        unsafe {
            let d = d.row_mut(j);
            if let Some(slope) = slope {
                d.copy_from_slice(slope.row(j));
            }
            times(d, e.row(j));
        }
    }
}

/// States from their deviations, and the fields that the layer above reads of them.
///
/// # Safety
/// The contract of [`super::net`], for layer l.
pub(super) unsafe fn undo_deviation<T: Real>(net: &Net<'_, T>, l: usize, at: Tile) {
    let (v, from) = (net.view(Field::State, l, at), net.view(Field::ForwardState, l, at));
    let h = net.apart(Field::Activated, Field::State, l, at);
    let rows = at.rows(v.rows);
    for j in rows.clone() {
        // SAFETY: the caller's.
        unsafe { super::epilogue::plus(v.row_mut(j), from.row(j)) };
    }
    let next = Next { act: net.stack.layer(l + 1).act_in, h, p: None, from: None };
    net.arch.dispatch(Restate { v, sum: None, rows, next });
}

impl Block {
    /// Directions of the block: `weights` row-major `[rows, n_{l−1}]` and, where there are any, `biases`. With `keep`,
    /// factor times the directions is added to what is there.
    ///
    /// The batch is summed in pieces of 64 samples, independent of the width of panels.
    ///
    /// # Safety
    /// The contract of [`super::net`]. Meanwhile no code writes states or errors, and no other code reads or writes the
    /// scratch or the two targets, which have rows·n_{l−1} and rows elements (no biases: not read).
    pub(super) unsafe fn directions<T: Real>(
        self,
        net: &Net<'_, T>,
        keep: bool,
        factor: f64,
        (weights, biases): (*mut T, *mut T),
        scratch: &mut [T],
    ) {
        let layer = net.stack.layer(self.layer);
        let field = delta(net, self.layer);
        let (flipped, scratch) = scratch.split_at_mut(product::FLIPPED);
        for start in (0..net.batch).step_by(PANEL) {
            let keep = keep || start > 0;
            // SAFETY: the caller's.
            unsafe {
                let mut panels =
                    [net.view(Field::Activated, self.layer - 1, net.grid(net.panel).tile(start / net.panel));
                        PANELS];
                let (d, count) = self.piece(net, field, start, &mut panels, scratch);
                let h = &panels[..count];
                let scaled = factor * layer.scale;
                product::Outer { out: weights, keep, factor: scaled, d, h, flipped }.run(net.arch);
                for j in (0..self.rows).filter(|_| layer.bias) {
                    let sum = d.row(j).iter().fold(T::ZERO, |s, v| s + *v);
                    let to = &mut *biases.add(j);
                    *to = T::of(factor) * sum + if keep { *to } else { T::ZERO };
                }
            }
        }
    }

    /// θ += step · d for the block, in place.
    ///
    /// # Safety
    /// The contract of [`super::net`]: no other thread reads or writes the block's parameters meanwhile, or writes
    /// states or errors.
    pub(super) unsafe fn descend<T: Real>(self, net: &Net<'_, T>, step: f64, scratch: &mut [T]) {
        let (weights, biases) = place(net, self);
        // SAFETY: the caller's; both lie within θ.
        unsafe { self.directions(net, true, step, (net.theta.add(weights), net.theta.add(biases)), scratch) };
    }

    /// For up to 64 samples from `start`: the block's rows of δ_l, in place if that is one panel, else gathered into
    /// `scratch`; into `h` all of φ_in(v_{l−1}); and the number of panels in `h`.
    ///
    /// # Safety
    /// As for [`directions`](Self::directions).
    unsafe fn piece<T: Real>(
        self,
        net: &Net<'_, T>,
        field: Field,
        start: usize,
        h: &mut [View<T>; PANELS],
        scratch: &mut [T],
    ) -> (View<T>, usize) {
        let grid = net.grid(net.panel);
        let first = start / net.panel;
        let tiles = first..(first + PANEL / net.panel).min(grid.tiles());
        for (h, i) in h.iter_mut().zip(tiles.clone()) {
            *h = net.view(Field::Activated, self.layer - 1, grid.tile(i));
        }
        let part = |i: usize| net.view(field, self.layer, grid.tile(i)).rows(self.first, self.rows);
        if net.panel == PANEL {
            return (part(first), 1);
        }
        let width = PANEL.min(net.batch - start);
        assert!(self.rows * width <= scratch.len() && tiles.len() <= PANELS);
        // SAFETY: the scratch holds this many samples of the block's rows.
        let d = unsafe { View::new(scratch.as_mut_ptr(), width, self.rows, width) };
        let mut at = 0;
        for from in tiles.clone().map(part) {
            for j in 0..self.rows {
                // SAFETY: the caller's; the scratch is this worker's.
                unsafe { copy(from.row(j), &mut d.row_mut(j)[at..at + from.width]) };
            }
            at += from.width;
        }
        (d, tiles.len())
    }
}

/// Panels of [`PANEL`] samples at most: the narrowest have eight.
const PANELS: usize = PANEL / 8;

/// Blocks of layers L..`to`, large enough for their products to be worth a call, small enough to divide evenly among
/// workers.
pub(super) fn blocks(stack: &Stack, to: usize, workers: usize) -> impl Iterator<Item = Block> + '_ {
    let layers = stack.depth() + 1 - to;
    let parts = if workers == 1 { 1 } else { (4 * workers).div_ceil(layers) };
    (to..=stack.depth()).rev().flat_map(move |layer| blocks_of(stack, layer, parts))
}

/// Blocks of one layer, in `parts` at least where it is large enough.
pub(super) fn blocks_of(stack: &Stack, layer: usize, parts: usize) -> impl Iterator<Item = Block> {
    let (outputs, inputs) = (stack.units(layer), stack.units(layer - 1));
    let rows = block_rows(outputs, inputs, parts);
    (0..outputs).step_by(rows).map(move |first| Block { layer, first, rows: rows.min(outputs - first) })
}

/// This worker's share of the blocks of [`product::pack`], layer by layer.
pub(super) fn panels<'a>(
    stack: &'a Stack,
    worker: &'a Worker<'_>,
) -> impl Iterator<Item = (usize, std::ops::Range<usize>)> + 'a {
    let blocks = |l: usize| stack.units(l - 1).div_ceil(UNITS);
    let share = |n: usize| n * worker.index / worker.count..n * (worker.index + 1) / worker.count;
    // W_1 has no transposed product
    (2..=stack.depth()).map(move |l| (l, share(blocks(l))))
}

/// θ += step · d for the layers L..`to`, in place, for a rule that moves the parameters itself.
///
/// # Safety
/// The contract of [`super::net`]: all workers run this call and no other code reads θ meanwhile.
pub(super) unsafe fn descend<T: Real>(
    net: &Net<'_, T>,
    to: usize,
    step: f64,
    scratch: &mut [T],
    worker: &Worker<'_>,
) {
    for (i, block) in blocks(net.stack, to, worker.count).enumerate() {
        if i % worker.count == worker.index {
            // SAFETY: the caller's; blocks do not overlap.
            unsafe { block.descend(net, step, scratch) };
        }
    }
}

/// The offsets of a block's weights and biases in θ.
pub(super) fn place<T>(net: &Net<'_, T>, block: Block) -> (usize, usize) {
    let Block { layer, first, .. } = block;
    let biases = net.stack.biases(layer);
    let bias = if biases.is_empty() { biases.start } else { biases.start + first };
    (net.stack.weights(layer).start + first * net.stack.units(layer - 1), bias)
}
