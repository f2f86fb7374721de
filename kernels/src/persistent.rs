//! Relaxations in one cooperative launch, as `cuda/persistent.cu` (sPC) and `cuda/sweep.cu` (ePC, BP) do them: whether a
//! stack fits on a card at all, in which shape, where what lies in shared memory, and the parameters of the launch.
//! Nothing here touches memory of a device.
//!
//! The layers are cut into stages of `per_block` consecutive ones, and the batch into tiles of `rows` samples that
//! `replicas` blocks per stage share out. All blocks must be resident together, because they wait for one another.

use std::mem::{offset_of, size_of};

use crate::sources::{SPC_KERNELS, SWEEP_KERNELS};
use crate::step::{Dense, Loss, Table};

/// Threads of a block.
pub const THREADS: u32 = 256;
/// Samples of a tile, widest first.
pub const ROWS: [usize; 3] = [64, 32, 16];
/// Tiles of an item: v, p, m and d of `cuda/resident.cuh`.
const TILES: usize = 4;
/// The least columns of W_1 that pass through shared memory at once, if it has as many: fewer would cost more barriers
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

/// How products are computed. Sums, states and errors are f32 in every case.
///
/// With K the length of a sum and M the sum of its terms' magnitudes, a product is off by at most K·2⁻²³·M in `F32`; by
/// (3K·2⁻²³ + 3·2⁻²²)·M in `Tf32x3`, from three sums and what two parts of tf32 leave out of an operand; by
/// (2⁻¹⁰ + K·2⁻²²)·M in `Tf32`, whose operands are off by 2⁻¹¹; by (2⁻⁷ + K·2⁻²²)·M in `Bf16`, whose operands are off by 2⁻⁸.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Math {
    /// Fused multiply-adds.
    F32,
    /// Tensor cores, operands as two tf32 each.
    Tf32x3,
    /// Tensor cores, operands rounded to tf32.
    Tf32,
    /// Tensor cores, operands rounded to bf16.
    Bf16,
}

impl Math {
    /// All of them, in the order of the kernels' names.
    pub const ALL: [Self; 4] = [Self::F32, Self::Tf32x3, Self::Tf32, Self::Bf16];

    /// Relative to the sum of its terms' magnitudes, how far off a sum of `terms` products may be.
    pub fn bound(self, terms: usize) -> f64 {
        let (terms, epsilon) = (terms as f64, f64::from(f32::EPSILON));
        match self {
            Self::F32 => terms * epsilon,
            Self::Tf32x3 => 3.0 * terms * epsilon + 3.0 * 2f64.powi(-22),
            Self::Tf32 => 2f64.powi(-10) + 2.0 * terms * epsilon,
            Self::Bf16 => 2f64.powi(-7) + 2.0 * terms * epsilon,
        }
    }
}

/// What must be known about a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Multiprocessors.
    pub multiprocessors: usize,
    /// Bytes of shared memory that one block can have.
    pub shared_per_block: usize,
    /// Blocks of [`THREADS`] threads with that much shared memory that are resident together at a cooperative launch.
    pub resident_blocks: usize,
    /// Compute capability, major and minor.
    pub capability: (u32, u32),
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
    /// Whether every item of a block has its tiles in shared memory; otherwise they take turns.
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

/// Why a stack is not for a persistent launch; the next rung of the ladder takes it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// The stack itself is wrong.
    #[error("{0}")]
    Stack(String),
    /// There is nothing to compute.
    #[error("a batch of no samples needs no launch")]
    Nothing,
    /// The card is too old.
    #[error("a card of compute capability {}.{} has no persistent kernels; expected 8.0 or later", .0 .0, .0 .1)]
    Capability((u32, u32)),
    /// One layer is too wide for a block.
    #[error(
        "layer {layer} needs {needed} bytes of shared memory for W of {outputs}×{inputs} and tiles of {rows} samples; a \
         block of this card has {room}"
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
        room: usize,
    },
    /// Every layer fits, but not all of them together.
    #[error(
        "{layers} layers need {needed} blocks at once with as many of them in a block as fit; this card holds {room} blocks"
    )]
    Depth {
        /// L.
        layers: usize,
        /// Blocks, at the least.
        needed: usize,
        /// Blocks.
        room: usize,
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

/// Floats of W_l in shared memory.
fn held(layers: &[Dense], index: usize) -> usize {
    padded(layers[index].outputs) * stride(held_columns(layers, index))
}

/// Floats from one row of a tile to the next, the same for all.
fn tile_stride(layers: &[Dense]) -> usize {
    let widest = layers.iter().map(|layer| layer.outputs).max().unwrap_or(0);
    stride(widest.max(held_columns(layers, 0)))
}

/// Floats of the weights of the block that holds most.
fn most_held(layers: &[Dense], per_block: usize) -> usize {
    let stage = |first: usize| (first..layers.len().min(first + per_block)).map(|i| held(layers, i)).sum();
    (0..layers.len()).step_by(per_block).map(stage).max().unwrap_or(0)
}

/// The shape in which a stack and a batch fit on a card, or why there is none.
///
/// Among the shapes that fit, the one whose busiest block has the least to do: samples times layers of one sPC step, or, for
/// a sweep, of the way from the first tile's start to the last one's end. Items that take turns count a quarter more, for
/// what they bring along; of equals, the wider tile, which reads weights from shared memory less often. This is a count, not a
/// measurement.
///
/// # Errors
/// [`Misfit`], in one sentence.
pub fn fits(layers: &[Dense], batch: usize, what: Relaxation, facts: &Facts) -> Result<Shape, Misfit> {
    Table::new(layers, batch).map_err(|error| Misfit::Stack(error.to_string()))?;
    if facts.capability < (8, 0) {
        return Err(Misfit::Capability(facts.capability));
    }
    if batch == 0 {
        return Err(Misfit::Nothing);
    }
    let mut best: Option<(usize, Shape)> = None;
    let room = facts.shared_per_block / size_of::<f32>();
    let total: usize = (0..layers.len()).map(|index| held(layers, index)).sum();
    for rows in ROWS {
        for per_block in layers.len().div_ceil(facts.resident_blocks.max(1))..=layers.len() {
            // what blocks hold on average only grows from here on
            if total / layers.len().div_ceil(per_block) > room {
                break;
            }
            let Some(shape) = shape(layers, batch, rows, per_block, facts) else { continue };
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
    best.map(|(_, shape)| shape).ok_or_else(|| misfit(layers, facts))
}

/// The shape with this tile and so many layers to a block, if the card holds it.
pub fn shape(layers: &[Dense], batch: usize, rows: usize, per_block: usize, facts: &Facts) -> Option<Shape> {
    let stages = layers.len().div_ceil(per_block.max(1));
    let tiles = batch.div_ceil(rows);
    if stages == 0 || tiles == 0 || stages > facts.resident_blocks {
        return None;
    }
    let replicas = tiles.min(facts.resident_blocks / stages);
    let weights = most_held(layers, per_block.max(1));
    let tile = TILES * rows * tile_stride(layers);
    let room = facts.shared_per_block / size_of::<f32>();
    let items = tiles.div_ceil(replicas) * per_block.max(1);
    let all = tile.checked_mul(items).and_then(|tiles| tiles.checked_add(weights));
    let resident = all.is_some_and(|all| all <= room);
    let floats = if resident { all? } else { weights.checked_add(tile)? };
    let shared = floats * size_of::<f32>();
    (floats <= room).then_some(Shape { rows, tiles, per_block, stages, replicas, resident, shared })
}

fn misfit(layers: &[Dense], facts: &Facts) -> Misfit {
    let (rows, room) = (ROWS[ROWS.len() - 1], facts.shared_per_block);
    let tile = TILES * rows * tile_stride(layers);
    for (index, layer) in layers.iter().enumerate() {
        let needed = (held(layers, index) + tile) * size_of::<f32>();
        if needed > room {
            let (inputs, outputs) = (layer.inputs, layer.outputs);
            return Misfit::Layer { layer: index + 1, inputs, outputs, rows, needed, room };
        }
    }
    let fits = |n: &usize| (most_held(layers, *n) + tile) * size_of::<f32>() <= room;
    let most = (1..=layers.len()).take_while(fits).last();
    let needed = layers.len().div_ceil(most.unwrap_or(1));
    Misfit::Depth { layers: layers.len(), needed, room: facts.resident_blocks }
}

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
    /// φ_in.
    pub act_in: i32,
    /// φ_out.
    pub act_out: i32,
    /// 1 if the state below is added.
    pub skip: i32,
    /// s.
    pub scale: f32,
    /// Where W lies in shared memory.
    pub held: i32,
    /// Columns of it that are there at once.
    pub held_columns: i32,
}

const _: () = assert!(
    size_of::<ResidentRow>() == 64
        && offset_of!(ResidentRow, inputs) == 32
        && offset_of!(ResidentRow, held) == 56,
    "as in cuda/resident.cuh"
);

/// Parameters of the kernels, `PersistentParams` in `cuda/resident.cuh`. The first ten are addresses.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
pub struct PersistentParams {
    /// Of the table.
    pub layers: u64,
    /// Of all parameters.
    pub weights: u64,
    /// Of y, `[batch, n_L]`.
    pub targets: u64,
    /// Of g_t, `[steps]`.
    pub step_sizes: u64,
    /// Of v_0 to v_L.
    pub states: u64,
    /// Of ε, laid out like the states.
    pub errors: u64,
    /// Of δ, laid out like the states.
    pub deltas: u64,
    /// Of what layers tell those above, two halves laid out like the states.
    pub up: u64,
    /// Of what layers tell those below, two halves laid out like the states.
    pub down: u64,
    /// Of the flags, 0 at the start.
    pub flags: u64,
    /// Floats of a half.
    pub half: i64,
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
    /// [`Loss`].
    pub loss: i32,
    /// 1 if layers that no error has reached are skipped.
    pub light_cone: i32,
    /// 1 for BP.
    pub once: i32,
    /// Where tiles begin in shared memory, in floats.
    pub tiles_at: i32,
    /// Floats from one row of a tile to the next.
    pub stride: i32,
    /// p/N.
    pub precision: f32,
}

const _: () = assert!(
    size_of::<PersistentParams>() == 144
        && offset_of!(PersistentParams, half) == 80
        && offset_of!(PersistentParams, per_block) == 104
        && offset_of!(PersistentParams, precision) == 140,
    "as in cuda/resident.cuh"
);

/// Where the buffers of a launch lie, in the memory of whoever runs the kernels.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// [`Plan::rows`].
    pub layers: u64,
    /// [`Table::parameters`] floats.
    pub weights: u64,
    /// [`Table::targets`] floats.
    pub targets: u64,
    /// g_t, as many as there are steps.
    pub step_sizes: u64,
    /// [`Table::states`] floats, v_0 among them.
    pub states: u64,
    /// [`Table::states`] floats.
    pub errors: u64,
    /// [`Table::states`] floats.
    pub deltas: u64,
    /// [`Plan::exchange`] floats.
    pub exchange: u64,
    /// [`Plan::flags`] zeros of 32 bits.
    pub flags: u64,
}

/// A launch, cooperative and never empty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Launch {
    /// The kernel.
    pub kernel: &'static str,
    /// Blocks.
    pub blocks: u32,
    /// Threads per block.
    pub threads: u32,
    /// Bytes of dynamic shared memory.
    pub shared: u32,
    /// Its parameters.
    pub params: PersistentParams,
}

/// A relaxation of one stack on one batch size, ready to be launched as often as wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    table: Table,
    rows: Vec<ResidentRow>,
    what: Relaxation,
    math: Math,
    shape: Shape,
    tiles_at: usize,
    stride: usize,
}

impl Plan {
    /// Plans a relaxation in the shape that [`fits`] finds.
    ///
    /// # Errors
    /// As [`fits`].
    pub fn new(
        layers: &[Dense],
        batch: usize,
        what: Relaxation,
        math: Math,
        facts: &Facts,
    ) -> Result<Self, Misfit> {
        let shape = fits(layers, batch, what, facts)?;
        Self::with_shape(layers, batch, what, math, shape)
    }

    /// Plans a relaxation in a shape that [`shape`] gave for the same stack and batch.
    ///
    /// # Errors
    /// [`Misfit::Stack`], also if the sizes are more than a launch can count.
    pub fn with_shape(
        layers: &[Dense],
        batch: usize,
        what: Relaxation,
        math: Math,
        shape: Shape,
    ) -> Result<Self, Misfit> {
        let table = Table::new(layers, batch).map_err(|error| Misfit::Stack(error.to_string()))?;
        let mut rows = Vec::with_capacity(layers.len());
        let mut at = 0;
        for (index, row) in table.rows().iter().enumerate() {
            at = if index % shape.per_block == 0 { 0 } else { at };
            rows.push(ResidentRow {
                weights: row.weights,
                bias: row.bias,
                below: row.below,
                own: row.own,
                inputs: row.inputs,
                outputs: row.outputs,
                act_in: row.act_in,
                act_out: row.act_out,
                skip: row.skip,
                scale: row.scale,
                // below `shape.shared`, which no card has more of than 32 bits count
                held: at as i32,
                held_columns: held_columns(layers, index) as i32,
            });
            at += held(layers, index);
        }
        let flags = 2usize.checked_mul(layers.len()).and_then(|n| n.checked_mul(shape.tiles));
        if flags.is_none_or(|n| i32::try_from(n).is_err()) {
            return Err(Misfit::Stack("layers times tiles of the batch are more than can be counted".into()));
        }
        let (tiles_at, stride) = (most_held(layers, shape.per_block), tile_stride(layers));
        Ok(Self { table, rows, what, math, shape, tiles_at, stride })
    }

    /// Where parameters, states and targets lie.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The table that the kernels read.
    pub fn rows(&self) -> &[ResidentRow] {
        &self.rows
    }

    /// Its shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Floats through which layers tell one another.
    pub fn exchange(&self) -> usize {
        4 * self.table.states()
    }

    /// Flags, to be zeroed before every launch.
    pub fn flags(&self) -> usize {
        2 * self.rows.len() * self.shape.tiles
    }

    /// The kernel that it launches.
    pub fn kernel(&self) -> &'static str {
        let math = Math::ALL.iter().position(|math| *math == self.math).unwrap_or(0);
        let rows = ROWS.iter().rev().position(|rows| *rows == self.shape.rows).unwrap_or(0);
        match self.what {
            Relaxation::Spc { .. } => SPC_KERNELS[3 * math + rows],
            Relaxation::Epc | Relaxation::Bp => SWEEP_KERNELS[3 * math + rows],
        }
    }

    /// The launch that relaxes a batch in `steps` steps, from v_0 and y to v, ε and δ.
    ///
    /// # Errors
    /// More steps than a flag can count.
    pub fn launch(
        &self,
        at: &Addresses,
        steps: usize,
        loss: Loss,
        precision: f32,
    ) -> candle_core::Result<Launch> {
        let Ok(steps) = i32::try_from(steps) else {
            crate::refuse::refuse!("{steps} inference steps; expected at most {}", i32::MAX)
        };
        let half = self.table.states() as u64 * size_of::<f32>() as u64;
        // a single layer has no state to move and no error but the output's
        let steps = match self.what {
            Relaxation::Bp => 1,
            _ if self.rows.len() == 1 => 0,
            _ => steps,
        };
        let shape = &self.shape;
        Ok(Launch {
            kernel: self.kernel(),
            blocks: shape.blocks() as u32,
            threads: THREADS,
            shared: shape.shared as u32,
            params: PersistentParams {
                layers: at.layers,
                weights: at.weights,
                targets: at.targets,
                step_sizes: at.step_sizes,
                states: at.states,
                errors: at.errors,
                deltas: at.deltas,
                up: at.exchange,
                down: at.exchange + 2 * half,
                flags: at.flags,
                half: self.table.states() as i64,
                batch: self.table.batch() as i32,
                depth: self.rows.len() as i32,
                steps,
                tiles: shape.tiles as i32,
                per_block: shape.per_block as i32,
                stages: shape.stages as i32,
                replicas: shape.replicas as i32,
                resident: i32::from(shape.resident),
                loss: loss as i32,
                light_cone: i32::from(matches!(self.what, Relaxation::Spc { light_cone: true })),
                once: i32::from(self.what == Relaxation::Bp),
                tiles_at: self.tiles_at as i32,
                stride: self.stride as i32,
                precision,
            },
        })
    }
}

#[cfg(test)]
#[path = "persistent_tests.rs"]
mod tests;
