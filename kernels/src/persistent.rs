//! Relaxations in one cooperative launch, as `cuda/persistent.cu` (sPC) and `cuda/sweep.cu` (ePC, BP) do them: whether
//! a stack fits on a GPU at all, in which shape, the layout of shared memory, and the parameters of the launch. Nothing
//! here touches memory of a device.
//!
//! The layers are cut into stages of `per_block` consecutive ones, and the batch into tiles of `rows` samples that
//! `replicas` blocks per stage share out. All blocks must be resident together, because they wait for one another.

mod launch;
mod layout;
mod model;
mod states;
pub mod trace;
mod watchdog;

pub use crate::rows::ResidentRow;
pub use launch::{Launch, Plan};
pub use layout::{Addresses, PersistentParams};
pub use model::{spc_step, DeviceModel, H100};
pub use states::StateLayout;
pub use watchdog::{describe_timeout, patience_of, PATIENCE};

use std::mem::size_of;
use std::time::Duration;

use crate::layer::Dense;
use crate::math_mode::MathMode;
use crate::stack::Stack;

/// Threads of a block.
pub const THREADS: u32 = 256;
/// Samples of a tile, widest first.
pub const ROWS: [usize; 3] = [64, 32, 16];
/// Tiles of an item: v, p, m and d of `cuda/resident.cuh`.
const TILES: usize = 4;
/// The least columns of W_1 that are in shared memory at once, if it has that many: fewer would cost more barriers
/// than space.
const FIRST_COLUMNS: usize = 32;

/// What is computed; equations in the files named above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relaxation {
    /// T simultaneous steps of the states.
    Spc {
        /// Skip layers that no error has reached yet.
        light_cone: bool,
    },
    /// T sweeps with errors injected.
    Epc,
    /// One sweep.
    Bp,
}

/// The limits of a cooperative launch on a GPU, and how long its blocks wait for one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CooperativeLimits {
    /// Multiprocessors.
    pub multiprocessors: usize,
    /// Bytes of shared memory that one block can have.
    pub shared_per_block: usize,
    /// Blocks of [`THREADS`] threads with that much shared memory that are resident together at a cooperative launch.
    pub resident_blocks: usize,
    /// Compute capability, major and minor.
    pub capability: (u32, u32),
    /// How long a block waits for another at least, before the launch times out: [`PATIENCE`] unless something is being
    /// tried.
    pub patience: Duration,
}

/// How a stack and a batch are laid over the blocks of a launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Samples of a tile.
    pub rows: usize,
    /// Tiles of the batch.
    pub tiles: usize,
    /// Consecutive layers of a block.
    pub per_block: usize,
    /// Blocks that hold all layers once.
    pub stages: usize,
    /// Blocks that hold the same layers and share out the tiles.
    pub replicas: usize,
    /// Whether every item of a block has its tiles in shared memory; otherwise its items use one set in turn.
    pub resident: bool,
    /// Bytes of shared memory of a block.
    pub shared: usize,
}

impl Shape {
    /// Blocks of the launch.
    pub fn blocks(&self) -> usize {
        self.stages * self.replicas
    }
}

/// Why a stack is not for a persistent launch; another strategy takes it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// A size beyond the range of the kernels' indices.
    #[error("{what} is {got}; expected at most {most}")]
    Size {
        /// The name of the size.
        what: &'static str,
        /// The size.
        got: usize,
        /// The largest size.
        most: usize,
    },
    /// There are no kernels for this math mode.
    #[error("{0} operands have no persistent kernels; f32, 3xtf32 and tf32 have")]
    Math(MathMode),
    /// There is nothing to compute.
    #[error("a batch of no samples needs no launch")]
    Nothing,
    /// The GPU is too old.
    #[error("a GPU of compute capability {}.{} has no persistent kernels; expected 8.0 or later", .0 .0, .0 .1)]
    Capability((u32, u32)),
    /// One layer is too wide for a block.
    #[error(
        "layer {layer} needs {needed} bytes of shared memory for W of {outputs}×{inputs} and tiles of {rows} samples; a \
         block of this GPU has {available}"
    )]
    Layer {
        /// l, from 1.
        layer: usize,
        /// n_{l−1}.
        inputs: usize,
        /// n_l.
        outputs: usize,
        /// Samples of the narrowest tile.
        rows: usize,
        /// Bytes.
        needed: usize,
        /// Bytes.
        available: usize,
    },
    /// Every layer fits, but not all of them together.
    #[error(
        "{layers} layers need {needed} blocks at once with as many of them in a block as fit; this GPU holds {available} \
         blocks"
    )]
    Depth {
        /// L.
        layers: usize,
        /// Blocks, at the least.
        needed: usize,
        /// Blocks.
        available: usize,
    },
}

fn padded(n: usize) -> usize {
    n.div_ceil(16) * 16
}

/// Floats from one row to the next, as `held_stride` in `cuda/resident.cuh`.
fn stride(columns: usize) -> usize {
    padded(columns) + 4
}

/// Columns of W_l in shared memory at once.
fn held_columns(layers: &[Dense], index: usize) -> usize {
    let widest = layers.iter().map(|layer| layer.outputs).max().unwrap_or(0);
    match index {
        0 => layers[0].inputs.min(padded(widest).max(FIRST_COLUMNS)).max(1),
        _ => layers[index].inputs,
    }
}

/// Floats of W_l, and b_l between its rows, in shared memory.
fn held(layers: &[Dense], index: usize) -> usize {
    padded(layers[index].outputs) * stride(held_columns(layers, index))
}

/// Floats from one row of a tile to the next, the same for all.
fn tile_stride(layers: &[Dense]) -> usize {
    let widest = layers.iter().map(|layer| layer.outputs).max().unwrap_or(0);
    stride(widest.max(held_columns(layers, 0)))
}

/// Floats of weights and biases of the block that holds most.
fn most_held(layers: &[Dense], per_block: usize) -> usize {
    let stage = |first: usize| (first..layers.len().min(first + per_block)).map(|i| held(layers, i)).sum();
    (0..layers.len()).step_by(per_block).map(stage).max().unwrap_or(0)
}

/// The shape in which a stack and a batch fit on a GPU, or why there is none.
///
/// Among the shapes that fit, the one whose busiest block has the least to do: samples times layers of one sPC step,
/// or, for a sweep, of the way from the first tile's start to the last one's end. If items use one set of tiles in
/// turn, they count a quarter more, for what each loads; of equals, the wider tile, which reads weights from shared
/// memory less often. This is a count, not a measurement.
///
/// # Errors
/// [`Misfit`], in one sentence.
pub fn fits(
    stack: &Stack,
    batch: usize,
    what: Relaxation,
    limits: &CooperativeLimits,
) -> Result<Shape, Misfit> {
    StateLayout::new(stack, batch)?;
    let layers = stack.layers();
    if limits.capability < (8, 0) {
        return Err(Misfit::Capability(limits.capability));
    }
    if batch == 0 {
        return Err(Misfit::Nothing);
    }
    let mut best: Option<(usize, Shape)> = None;
    let available = limits.shared_per_block / size_of::<f32>();
    let total: usize = (0..layers.len()).map(|index| held(layers, index)).sum();
    for rows in ROWS {
        for per_block in layers.len().div_ceil(limits.resident_blocks.max(1))..=layers.len() {
            // the average weight memory of a block only grows from here on
            if total / layers.len().div_ceil(per_block) > available {
                break;
            }
            let Some(shape) = shape(stack, batch, rows, per_block, limits) else { continue };
            let share = shape.tiles.div_ceil(shape.replicas) * per_block;
            let items = match what {
                Relaxation::Spc { .. } => share,
                Relaxation::Epc | Relaxation::Bp => layers.len() + share - 1,
            };
            let cost = items * rows * if shape.resident { 4 } else { 5 };
            if best.is_none_or(|(least, _)| cost < least) {
                best = Some((cost, shape));
            }
        }
    }
    best.map(|(_, shape)| shape).ok_or_else(|| misfit(layers, limits))
}

/// The shape with tiles of `rows` samples and `per_block` layers to a block, if the GPU holds it.
pub fn shape(
    stack: &Stack,
    batch: usize,
    rows: usize,
    per_block: usize,
    limits: &CooperativeLimits,
) -> Option<Shape> {
    let layers = stack.layers();
    let stages = layers.len().div_ceil(per_block.max(1));
    let tiles = batch.div_ceil(rows);
    if stages == 0 || tiles == 0 || stages > limits.resident_blocks {
        return None;
    }
    let replicas = tiles.min(limits.resident_blocks / stages);
    let weights = most_held(layers, per_block.max(1));
    let tile = TILES * rows * tile_stride(layers);
    let available = limits.shared_per_block / size_of::<f32>();
    let items = tiles.div_ceil(replicas) * per_block.max(1);
    let all = tile.checked_mul(items).and_then(|tiles| tiles.checked_add(weights));
    let resident = all.is_some_and(|all| all <= available);
    let floats = if resident { all? } else { weights.checked_add(tile)? };
    let shared = floats * size_of::<f32>();
    (floats <= available).then_some(Shape { rows, tiles, per_block, stages, replicas, resident, shared })
}

fn misfit(layers: &[Dense], limits: &CooperativeLimits) -> Misfit {
    let (rows, available) = (ROWS[ROWS.len() - 1], limits.shared_per_block);
    let tile = TILES * rows * tile_stride(layers);
    for (index, layer) in layers.iter().enumerate() {
        let needed = (held(layers, index) + tile) * size_of::<f32>();
        if needed > available {
            let (inputs, outputs) = (layer.inputs, layer.outputs);
            return Misfit::Layer { layer: index + 1, inputs, outputs, rows, needed, available };
        }
    }
    let fits = |n: &usize| (most_held(layers, *n) + tile) * size_of::<f32>() <= available;
    let most = (1..=layers.len()).take_while(fits).last();
    let needed = layers.len().div_ceil(most.unwrap_or(1));
    Misfit::Depth { layers: layers.len(), needed, available: limits.resident_blocks }
}

#[cfg(test)]
#[path = "persistent/tests.rs"]
mod tests;
