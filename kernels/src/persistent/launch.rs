//! The launch itself: where everything lies, and the parameters of its kernel.

use std::mem::{offset_of, size_of};

use super::{fits, held, held_columns, most_held, tile_stride, Facts, Math, Misfit, Relaxation, Shape};
use super::{ROWS, THREADS};
use crate::sources::{SPC_KERNELS, SWEEP_KERNELS};
use crate::step::{Dense, Loss, Table};

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
    pub(super) tiles_at: usize,
    pub(super) stride: usize,
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

    /// Plans a relaxation in a shape that [`shape`](super::shape) gave for the same stack and batch.
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
