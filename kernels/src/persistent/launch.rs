//! The launch itself: its kernel, its shape and its parameters.

use std::mem::size_of;

use super::watchdog::patience;
use super::{fits, held, held_columns, most_held, tile_stride};
use super::{Addresses, Facts, Misfit, PersistentParams, Relaxation, ResidentRow, Shape, ROWS, THREADS};
use crate::operands::Operands;
use crate::sources::{SPC_KERNELS, SWEEP_KERNELS};
use crate::step::{Dense, Loss, Table};

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
    operands: Operands,
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
        operands: Operands,
        facts: &Facts,
    ) -> Result<Self, Misfit> {
        let shape = fits(layers, batch, what, facts)?;
        Self::with_shape(layers, batch, what, operands, shape)
    }

    /// Plans a relaxation in a shape that [`shape`](super::shape) gave for the same stack and batch.
    ///
    /// # Errors
    /// [`Misfit::Stack`], also if the sizes are more than a launch can count.
    pub fn with_shape(
        layers: &[Dense],
        batch: usize,
        what: Relaxation,
        operands: Operands,
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
        Ok(Self { table, rows, what, operands, shape, tiles_at, stride })
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
        let math = Operands::ALL.iter().position(|it| *it == self.operands).unwrap_or(0);
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
                lost: at.lost,
                half: self.table.states() as i64,
                patience: patience(self.table.rows(), shape, steps),
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
