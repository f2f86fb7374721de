//! The structs that the kernels read, with the layout of C++.

use std::mem::{offset_of, size_of};

#[cfg(doc)]
use super::{Plan, Shape, StateLayout};
#[cfg(doc)]
use crate::{OutputError, Stack};

/// Parameters of the kernels, `PersistentParams` in `cuda/resident.cuh`. The first eleven are addresses.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
pub struct PersistentParams {
    /// Of the table.
    pub rows: u64,
    /// Of all parameters.
    pub theta: u64,
    /// Of y, `[batch, n_L]`.
    pub y: u64,
    /// Of g_t, `[steps]`.
    pub step_sizes: u64,
    /// Of v_0 to v_L.
    pub states: u64,
    /// Of ε, laid out like the states.
    pub errors: u64,
    /// Of δ, laid out like the states.
    pub deltas: u64,
    /// Of the values that layers publish to the layer above, two halves laid out like the states.
    pub up: u64,
    /// Of the values that layers publish to the layer below, two halves laid out like the states.
    pub down: u64,
    /// Of the flags, 0 at the start.
    pub flags: u64,
    /// Of the word in which a block records that its wait has timed out, 64 bits, 0 at the start;
    /// [`trace::WORDS`](super::trace::WORDS) more behind it where kernels are traced.
    pub timed_out: u64,
    /// Floats of a half.
    pub half: i64,
    /// Nanoseconds for which a block waits for another.
    pub patience: i64,
    /// Samples.
    pub batch: i32,
    /// L.
    pub depth: i32,
    /// T.
    pub steps: i32,
    /// Tiles of the batch.
    pub tiles: i32,
    /// [`Shape::per_block`].
    pub per_block: i32,
    /// [`Shape::stages`].
    pub stages: i32,
    /// [`Shape::replicas`].
    pub replicas: i32,
    /// [`Shape::resident`].
    pub resident: i32,
    /// 1 if the output error is taken of softmax(o).
    pub softmax: i32,
    /// 1 if layers that no error has reached are skipped.
    pub light_cone: i32,
    /// 1 for BP.
    pub once: i32,
    /// Where tiles begin in shared memory, in floats.
    pub tiles_at: i32,
    /// Floats from one row of a tile to the next.
    pub stride: i32,
    /// [`OutputError::weight`].
    pub output_weight: f32,
}

const _: () = assert!(
    size_of::<PersistentParams>() == 160
        && offset_of!(PersistentParams, half) == 88
        && offset_of!(PersistentParams, per_block) == 120
        && offset_of!(PersistentParams, output_weight) == 156,
    "as in cuda/resident.cuh"
);

/// The addresses of the buffers of a launch, in the memory of the GPU or of the emulator.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// [`Plan::rows`].
    pub rows: u64,
    /// [`Stack::parameters`] floats.
    pub theta: u64,
    /// y, `[batch, n_L]`.
    pub y: u64,
    /// g_t, `[steps]`.
    pub step_sizes: u64,
    /// [`StateLayout::elements`] floats, v_0 among them.
    pub states: u64,
    /// [`StateLayout::elements`] floats.
    pub errors: u64,
    /// [`StateLayout::elements`] floats.
    pub deltas: u64,
    /// [`Plan::exchange`] floats.
    pub exchange: u64,
    /// [`Plan::flags`] zeros of 32 bits.
    pub flags: u64,
    /// A zero of 64 bits, whose value after the launch [`describe_timeout`](super::describe_timeout) explains; where
    /// kernels are traced, followed by [`trace::WORDS`](super::trace::WORDS) more.
    pub timed_out: u64,
}
