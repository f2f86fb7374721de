//! Parameters of the kernels of `cuda/primitives.cu`, which try the building blocks of the others.

use std::mem::{offset_of, size_of};

/// `PrimitiveParams` in `cuda/primitives.cu`. The first four are addresses; each kernel documents its buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct PrimitiveParams {
    /// Floats that are read.
    pub a: u64,
    /// More floats that are read.
    pub b: u64,
    /// Floats that are written, or added to.
    pub out: u64,
    /// Words that are counted in or waited for.
    pub flags: u64,
    /// How many numbers there are.
    pub n: i32,
    /// How many steps are made.
    pub steps: i32,
}

const _: () = assert!(
    size_of::<PrimitiveParams>() == 40 && offset_of!(PrimitiveParams, n) == 32,
    "as in cuda/primitives.cu"
);
