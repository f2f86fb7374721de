//! A layer as kernels on a GPU read it: the rows of their two tables, made from [`Dense`] here and nowhere else.
//!
//! A row has the numbers of a layer, flags and activations among them, and the places of its arrays. The places differ
//! between the two families of kernels, and so do the rows: [`Row`] for lists of launches that share one arena in f32 or
//! f64, [`ResidentRow`] for persistent kernels, which keep weights of f32 on chip and load a row in pieces of 16 bytes.

use std::mem::{offset_of, size_of};

use crate::layer::Dense;
use crate::stack::Stack;

/// Arrays that a layer may have, `Field` in `cuda/relax.cuh`. Each is `[B, n_l]`, sample after sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Field {
    /// v_l.
    State,
    /// φ_in of the layer above at v_l; `State` where that is the identity.
    Activated,
    /// ε_l.
    Error,
    /// φ_out' ⊙ ε_l, φ_out' alone until ε_l is known; `Error` where φ_out is the identity.
    Delta,
    /// The second buffer of `Error`: one is read while the other is written.
    OtherError,
    /// The second buffer of `Delta`.
    OtherDelta,
    /// φ_out' where it outlives `Delta`.
    OutputSlope,
    /// Steps of states to be taken later; under ePC the adjoint that a skip carries down.
    PendingStep,
    /// μ_1, which never changes, and μ_L = o.
    Prediction,
    /// Targets, at layer L.
    Target,
    /// The adjoint or error that a skip of the layer carries down: shares its array with another field.
    Carried,
    /// The δ of parameter directions: `Error` or `Delta`.
    Learned,
    /// A product made by a library.
    Product,
}

/// How many there are.
pub const FIELDS: usize = Field::Product as usize + 1;
/// One layer of the table, `Row` in `cuda/relax.cuh`. Offsets count elements; −1: there is none.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
pub struct Row {
    /// Where each [`Field`] begins in the arena.
    pub at: [i64; FIELDS],
    /// Counts before the layer: tiles of `[B, n_l]` and of `[n_l, n_{l−1}]` in each of
    /// [`TILES`](crate::launch::TILES), and chunks.
    pub before: [i64; 7],
    /// Where W_l begins in θ.
    pub weights: i64,
    /// Where b_l begins in θ.
    pub bias: i64,
    /// n_1 + … + n_{l−1}.
    pub units_before: i64,
    /// n_l.
    pub units: i32,
    /// φ_in of the layer.
    pub act_in: i32,
    /// φ_out of the layer.
    pub act_out: i32,
    /// 1 if the state below is added.
    pub skip: i32,
    /// a.
    pub scale: f64,
}

const _: () = assert!(
    size_of::<Row>() == 208
        && offset_of!(Row, before) == 104
        && offset_of!(Row, weights) == 160
        && offset_of!(Row, units) == 184
        && offset_of!(Row, scale) == 200,
    "as in cuda/relax.cuh"
);

/// One row of the table that the kernels read, `ResidentRow` in `cuda/resident.cuh`. Offsets count floats.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
pub struct ResidentRow {
    /// Where W begins among the weights.
    pub weights: i64,
    /// Where b begins, or −1.
    pub bias: i64,
    /// Where v_{l−1} begins among the states.
    pub below: i64,
    /// Where v_l, ε_l and δ_l begin, each in its buffer.
    pub own: i64,
    /// Columns of W.
    pub inputs: i32,
    /// Rows of W.
    pub outputs: i32,
    /// φ_in, an [`Activation`](crate::Activation).
    pub act_in: i32,
    /// φ_out.
    pub act_out: i32,
    /// 1 if the state below is added.
    pub skip: i32,
    /// s.
    pub scale: f32,
    /// Where W, and b between its rows, lie in shared memory.
    pub held: i32,
    /// Columns of it that are in shared memory at once.
    pub held_columns: i32,
}

const _: () = assert!(
    size_of::<ResidentRow>() == 64
        && offset_of!(ResidentRow, inputs) == 32
        && offset_of!(ResidentRow, held) == 56,
    "as in cuda/resident.cuh"
);

/// Where b_l begins in θ, or −1.
fn bias(stack: &Stack, l: usize) -> i64 {
    if stack.layer(l).bias {
        stack.biases(l).start as i64
    } else {
        -1
    }
}

impl Row {
    /// The input of a stack, as the row below its first layer.
    pub(crate) fn input(stack: &Stack) -> Self {
        Self {
            at: [-1; FIELDS],
            before: [0; 7],
            weights: 0,
            bias: -1,
            units_before: 0,
            units: stack.units(0) as i32,
            act_in: 0,
            act_out: 0,
            skip: 0,
            scale: 0.0,
        }
    }

    /// Layer l of a stack, before anything has a place in the arena.
    pub(crate) fn layer(stack: &Stack, l: usize) -> Self {
        // the units of the layer below are in the row below
        let Dense { inputs: _, outputs, act_in, act_out, scale, skip, bias: _ } = *stack.layer(l);
        Self {
            weights: stack.weights(l).start as i64,
            bias: self::bias(stack, l),
            units: outputs as i32,
            act_in: act_in as i32,
            act_out: act_out as i32,
            skip: i32::from(skip),
            scale,
            ..Self::input(stack)
        }
    }
}

impl ResidentRow {
    /// Layer l of a stack whose states are at `below` and `own`, and whose weights are at `held` in shared memory,
    /// `held_columns` at once.
    pub(crate) fn layer(
        stack: &Stack,
        l: usize,
        [below, own]: [usize; 2],
        [held, held_columns]: [usize; 2],
    ) -> Self {
        let Dense { inputs, outputs, act_in, act_out, scale, skip, bias: _ } = *stack.layer(l);
        Self {
            weights: stack.weights(l).start as i64,
            bias: self::bias(stack, l),
            below: below as i64,
            own: own as i64,
            inputs: inputs as i32,
            outputs: outputs as i32,
            act_in: act_in as i32,
            act_out: act_out as i32,
            skip: i32::from(skip),
            scale: scale as f32,
            // below what a block has of shared memory, which fits in 32 bits on every GPU
            held: held as i32,
            held_columns: held_columns as i32,
        }
    }
}
