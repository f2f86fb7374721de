//! A launch: a kernel with its parameters, or a product that a library makes.

use std::mem::{offset_of, size_of};

use super::product::Product;
use crate::persistent::PersistentParams;

/// Parameters of the kernels of `cuda/relax.cu`, `elementwise.cu` and `learn.cu`, `RelaxParams` in `cuda/relax.cuh`.
/// The first six are addresses, zero until [`Params::at`] fills them in.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[repr(C)]
pub struct Params {
    /// Of the table.
    pub rows: u64,
    /// Of the arena.
    pub arena: u64,
    /// Of the parameters, with the optimiser's state behind them.
    pub theta: u64,
    /// Of x, `[B, n_0]`.
    pub x: u64,
    /// Of y, `[B, n_L]`.
    pub y: u64,
    /// Of the results of `learn`.
    pub out: u64,
    /// P.
    pub parameters: i64,
    /// In `out`, where `elementwise` writes the `result_field`.
    pub out_at: i64,
    /// In the arena, where a library writes products for parameters, in the form of θ.
    pub products_at: i64,
    /// In the arena, the states of a persistent kernel.
    pub states_at: i64,
    /// Elements from these states to its errors, and from its errors to its deltas.
    pub buffer_stride: i64,
    /// In the arena, its flags.
    pub flags_at: i64,
    /// In the arena, sums of |Δ| for MQ, one per tile of parameters.
    pub delta_sums_at: i64,
    /// B.
    pub batch: i32,
    /// L.
    pub depth: i32,
    /// The first layer that takes part.
    pub first: i32,
    /// How many layers take part.
    pub count: i32,
    /// One of the modes of the kernel.
    pub mode: i32,
    /// 1 if the output error is taken of softmax(o).
    pub softmax: i32,
    /// Errors and directions of the layers below are exactly zero, and may never have been written.
    pub lowest_nonzero: i32,
    /// The layer that an error reaches in this launch for the first time, or 0.
    pub arriving: i32,
    /// 1 if a library has made the products.
    pub products: i32,
    /// 0 if `Error` and `Delta` are read and `OtherError` and `OtherDelta` are written, 1 for the reverse.
    pub swap: i32,
    /// The index of the [`MathMode`](crate::MathMode).
    pub math: i32,
    /// The [`Field`](super::Field) that `elementwise` writes to `out`.
    pub result_field: i32,
    /// 1 if errors are added to it.
    pub add_errors: i32,
    /// How many flags a persistent kernel has.
    pub flags: i32,
    /// Which of [`TILES`](super::TILES) `mq` sums over.
    pub tile: i32,
    /// The first layer of the longest run of consecutive layers with equally many blocks in this launch.
    pub uniform_first: i32,
    /// Layers of the run.
    pub uniform_layers: i32,
    /// Blocks of each of its layers.
    pub uniform_blocks: i32,
    /// Blocks of the layers before the run.
    pub uniform_before: i32,
    /// 0.
    pub unused: i32,
    /// g.
    pub step_size: f64,
    /// [`OutputError::weight`](crate::OutputError::weight), mixed.
    pub output_weight: f64,
    /// Coefficients of the optimiser.
    pub c: [f64; 7],
}

const _: () = assert!(
    size_of::<Params>() == 256
        && offset_of!(Params, batch) == 104
        && offset_of!(Params, step_size) == 184
        && offset_of!(Params, c) == 200,
    "as in cuda/relax.cuh"
);

/// Where the memory of a call lies, on the GPU or in the emulator that runs the kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// Of [`Table::rows`](super::Table::rows).
    pub rows: u64,
    /// Of the arena.
    pub arena: u64,
    /// Of θ; of its copy in `out` where `learn` runs a rule that moves it.
    pub theta: u64,
    /// Of x.
    pub x: u64,
    /// Of y.
    pub y: u64,
    /// Of the results of `learn`.
    pub out: u64,
}

impl Params {
    /// The same with addresses.
    pub fn at(&self, at: &Addresses) -> Self {
        let Addresses { rows, arena, theta, x, y, out } = *at;
        Self { rows, arena, theta, x, y, out, ..*self }
    }
}

/// The type of the computation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Precision {
    /// f32.
    F32,
    /// f64.
    F64,
}

impl Precision {
    /// Both.
    pub const ALL: [Self; 2] = [Self::F32, Self::F64];

    /// The name of its dtype.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }

    /// Of a dtype, if there are kernels for it.
    pub fn of(dtype: candle_core::DType) -> Option<Self> {
        match dtype {
            candle_core::DType::F32 => Some(Self::F32),
            candle_core::DType::F64 => Some(Self::F64),
            _ => None,
        }
    }
}

/// One launch of a kernel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kernel {
    /// The kernel.
    pub name: &'static str,
    /// Blocks, never 0.
    pub blocks: u32,
    /// Threads per block.
    pub threads: u32,
    /// Its parameters, without addresses.
    pub params: Params,
}

/// One piece of work queued on the device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Launch {
    /// One of the kernels of this package.
    Kernel(Kernel),
    /// A product of a library.
    Product(Product),
    /// All of inference, by one of the persistent kernels.
    Relax(Relax),
}

/// Modes of `relax_predict`, as in `cuda/epilogue.cuh`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Predict {
    /// v = μ.
    Forward = 0,
    /// v = μ + ε.
    Rebuild = 1,
    /// ε = v − μ and δ.
    Errors = 2,
    /// ε = v − μ and φ_out'.
    Slopes = 3,
}

/// Modes of `relax_pull`, as in `cuda/epilogue.cuh`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pull {
    /// ε = r.
    Adjoint = 0,
    /// ε += g (r − ε), r goes on down.
    Descend = 1,
    /// v += g (r − ε).
    Move = 2,
    /// v and ε += g (r − ε).
    Sweep = 3,
    /// `OtherError` = `Error` + g (r − `Error`), or the reverse.
    Fixed = 4,
    /// `PendingStep` = g (r − ε).
    Delay = 5,
    /// ε += g (r − ε), δ = φ_out' ⊙ ε.
    InPlace = 6,
}

/// Modes of `elementwise`, as in `cuda/elementwise.cu`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elementwise {
    /// x and y into the arena.
    Load = 0,
    /// ε = 0.
    Clear = 1,
    /// δ = φ_out' ⊙ ε.
    LearnError = 2,
    /// `Error` = `OtherError` and `Delta` = `OtherDelta`.
    SwapBuffers = 3,
    /// v += `PendingStep`.
    Advance = 4,
    /// A field into the results of `learn`.
    WriteResult = 5,
    /// x into the states of a persistent kernel.
    PackStates = 6,
    /// The results of a persistent kernel into the arena.
    UnpackStates = 7,
    /// ε = −v.
    Start = 8,
}

/// Modes of `learn`, as in `cuda/learn.cu`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moves {
    /// out = d.
    Write = 0,
    /// θ += α d.
    Sgd = 1,
    /// Heavy-ball momentum.
    Momentum = 2,
    /// Adam.
    Adam = 3,
    /// One scalar per layer.
    Mq = 4,
}

/// A cooperative launch of a persistent kernel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Relax {
    /// The kernel.
    pub name: &'static str,
    /// Blocks, all resident together.
    pub blocks: u32,
    /// Threads per block.
    pub threads: u32,
    /// Bytes of dynamic shared memory.
    pub shared: u32,
    /// FLOPs of its matrix products: those of the launches that it replaces.
    pub flops: f64,
    /// Its parameters, with bytes from the beginning of their buffer for addresses.
    pub(super) params: PersistentParams,
}

impl Relax {
    /// Its parameters with addresses; `rows` and `step_sizes` are those of [`Resident`](super::persistent::Resident), `timed_out` is that of a zero
    /// of 64 bits, with [`trace::WORDS`](crate::persistent::trace::WORDS) more behind it where kernels are traced.
    pub fn at(&self, at: &Addresses, rows: u64, step_sizes: u64, timed_out: u64) -> PersistentParams {
        let p = self.params;
        PersistentParams {
            rows,
            step_sizes,
            theta: at.theta,
            y: at.arena + p.y,
            states: at.arena + p.states,
            errors: at.arena + p.errors,
            deltas: at.arena + p.deltas,
            up: at.arena + p.up,
            down: at.arena + p.down,
            flags: at.arena + p.flags,
            timed_out,
            ..p
        }
    }

    /// The error that the word `timed_out` stands for after the launch; `None` if no wait has timed out.
    pub fn describe_timeout(&self, word: u64) -> Option<String> {
        crate::persistent::describe_timeout(&self.params, self.name, word)
    }
}
