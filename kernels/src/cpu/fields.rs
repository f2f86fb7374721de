//! The arrays that an engine keeps for each layer, and their offsets in its one block of memory.

use super::arena::{Tile, View, LINE};
use super::real::Real;
use crate::stack::Stack;

/// What is kept per layer. Which of them a rule has, and which share memory, is [`Fields`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Field {
    /// v_l; the deviation v_l − vh_l where a rule stores that.
    State,
    /// φ_in of the layer above at v_l, what the next product reads; shares memory with `State` where φ_in is the
    /// identity.
    Activated,
    /// φ_in'(v_l), where it does not follow from `Activated`.
    InputSlope,
    /// ε_l.
    Error,
    /// φ_out'(pre_l) ⊙ ε_l, what the transposed product reads (φ_out'(pre_l) alone until ε_l is known); shares memory
    /// with `Error` where φ_out is the identity.
    Delta,
    /// The second buffer of `Error`: one is read while the other is written.
    OtherError,
    /// The second buffer of `Delta`.
    OtherDelta,
    /// φ_out'(pre_l) where it outlives `Delta`.
    OutputSlope,
    /// Steps of the states to be taken later (iPC); under ePC the adjoint that a skip carries down.
    PendingStep,
    /// u_l, the sum that momentum carries from step to step.
    Momentum,
    /// μ_1, which never changes, and μ_L = o.
    Prediction,
    /// vh_l, the forward pass.
    ForwardState,
    /// Pre-activations of φ_out at the forward pass.
    PreActivation,
    /// Targets y, at layer L.
    Target,
}

const FIELDS: usize = Field::Target as usize + 1;
const ABSENT: usize = usize::MAX;

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
        // SAFETY: the panels before this one hold `at.panel` samples, so it starts rows times that after the field, and
        // its last row ends within the field's rows·batch elements, all of them in the block.
        unsafe { View::new(block.add(start), at.stride, rows, at.width) }
    }
}
