//! What the kernels of `lab/step.cu` read, and what they work on.

use std::mem::{offset_of, size_of};

#[cfg(doc)]
use super::{Loss, Table};

/// One row of the table that the kernels read, `LayerRow` in `lab/step.cu`. Offsets count floats.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
pub struct LayerRow {
    /// Where W begins among the weights.
    pub weights: i64,
    /// Where b begins, or −1.
    pub bias: i64,
    /// Where v_{l−1} begins among the states.
    pub below: i64,
    /// Where v_l, ε_l and δ_l begin, each in its buffer.
    pub own: i64,
    /// Tiles of the layers before this one.
    pub tiles: i64,
    /// Columns of W.
    pub inputs: i32,
    /// Rows of W.
    pub outputs: i32,
    /// φ_in.
    pub act_in: i32,
    /// φ_out.
    pub act_out: i32,
    /// 1 if the state below is added.
    pub skip: i32,
    /// s.
    pub scale: f32,
}

const _: () = assert!(
    size_of::<LayerRow>() == 64
        && offset_of!(LayerRow, tiles) == 32
        && offset_of!(LayerRow, inputs) == 40
        && offset_of!(LayerRow, skip) == 56,
    "as in lab/step.cu"
);

/// Parameters of the three kernels, `StepParams` in `lab/step.cu`. The first six are addresses.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
pub struct StepParams {
    /// Of the table.
    pub layers: u64,
    /// Of all parameters.
    pub weights: u64,
    /// Of y, `[batch, n_L]`.
    pub targets: u64,
    /// Of v_0 to v_L.
    pub states: u64,
    /// Of ε, laid out like the states.
    pub errors: u64,
    /// Of δ, laid out like the states.
    pub deltas: u64,
    /// Samples.
    pub batch: i32,
    /// L.
    pub depth: i32,
    /// The first row of the table that takes part.
    pub first: i32,
    /// How many rows take part.
    pub count: i32,
    /// [`Loss`].
    pub loss: i32,
    /// 1 if hidden states become their predictions.
    pub forward: i32,
    /// g.
    pub step_size: f32,
    /// p/N.
    pub precision: f32,
}

const _: () = assert!(
    size_of::<StepParams>() == 80
        && offset_of!(StepParams, batch) == 48
        && offset_of!(StepParams, step_size) == 72,
    "as in lab/step.cu"
);

/// Where the buffers of a stack lie, in the memory of whoever runs the kernels.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// `LayerRow`s, one per layer.
    pub layers: u64,
    /// [`Table::parameters`] floats.
    pub weights: u64,
    /// [`Table::targets`] floats.
    pub targets: u64,
    /// [`Table::states`] floats.
    pub states: u64,
    /// [`Table::states`] floats.
    pub errors: u64,
    /// [`Table::states`] floats.
    pub deltas: u64,
}

/// What the kernels of `lab/step.cu` work on, in the memory of the host, laid out as [`Table`] says.
#[derive(Debug)]
pub struct Buffers<'a> {
    /// W and b of every layer.
    pub weights: &'a [f32],
    /// y.
    pub targets: &'a [f32],
    /// v_0 to v_L.
    pub states: &'a mut [f32],
    /// ε.
    pub errors: &'a mut [f32],
    /// δ.
    pub deltas: &'a mut [f32],
}

/// One launch of a kernel of `lab/step.cu`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Launch {
    /// The kernel.
    pub kernel: &'static str,
    /// Blocks, never 0.
    pub blocks: u32,
    /// Threads per block.
    pub threads: u32,
    /// Its parameters.
    pub params: StepParams,
}
