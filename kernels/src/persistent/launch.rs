//! The launch: its kernel, its shape and its parameters.

use std::mem::size_of;
use std::time::Duration;

use super::watchdog::{patience, PATIENCE};
use super::{fits, held, held_columns, most_held, tile_stride};
use super::{
    Addresses, CooperativeLimits, Misfit, PersistentParams, Relaxation, Shape, StateLayout, ROWS, THREADS,
};
use crate::loss::OutputError;
use crate::math_mode::MathMode;
use crate::rows::ResidentRow;
use crate::sources::{SPC_KERNELS, SWEEP_KERNELS};
use crate::stack::Stack;

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
    stack: Stack,
    batch: usize,
    states: StateLayout,
    rows: Vec<ResidentRow>,
    what: Relaxation,
    math: MathMode,
    shape: Shape,
    patience: Duration,
    pub(super) tiles_at: usize,
    pub(super) stride: usize,
}

impl Plan {
    /// Plans a relaxation in the shape that [`fits`] finds.
    ///
    /// # Errors
    /// As [`fits`].
    pub fn new(
        stack: &Stack,
        batch: usize,
        what: Relaxation,
        math: MathMode,
        limits: &CooperativeLimits,
    ) -> Result<Self, Misfit> {
        let shape = fits(stack, batch, what, limits)?;
        let plan = Self::with_shape(stack, batch, what, math, shape)?;
        Ok(Self { patience: limits.patience, ..plan })
    }

    /// Plans a relaxation in a shape that [`shape`](super::shape) gave for the same stack and batch, with [`PATIENCE`].
    ///
    /// # Errors
    /// [`Misfit::Math`] and [`Misfit::Size`].
    pub fn with_shape(
        stack: &Stack,
        batch: usize,
        what: Relaxation,
        math: MathMode,
        shape: Shape,
    ) -> Result<Self, Misfit> {
        if !MathMode::RESIDENT.contains(&math) {
            return Err(Misfit::Math(math));
        }
        let states = StateLayout::new(stack, batch)?;
        let layers = stack.layers();
        let mut rows = Vec::with_capacity(layers.len());
        let mut at = 0;
        for index in 0..layers.len() {
            let l = index + 1;
            at = if index % shape.per_block == 0 { 0 } else { at };
            let places = [states.range(index).start, states.range(l).start];
            rows.push(ResidentRow::layer(stack, l, places, [at, held_columns(layers, index)]));
            at += held(layers, index);
        }
        let (got, most) = ((2 * layers.len()).saturating_mul(shape.tiles), i32::MAX as usize);
        if got > most {
            return Err(Misfit::Size {
                what: "twice the number of layers times tiles of the batch",
                got,
                most,
            });
        }
        let (tiles_at, stride) = (most_held(layers, shape.per_block), tile_stride(layers));
        let stack = stack.clone();
        Ok(Self { stack, batch, states, rows, what, math, shape, patience: PATIENCE, tiles_at, stride })
    }

    /// What is relaxed.
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// Where states lie.
    pub fn states(&self) -> &StateLayout {
        &self.states
    }

    /// The table that the kernels read.
    pub fn rows(&self) -> &[ResidentRow] {
        &self.rows
    }

    /// Its shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Floats of the buffers in which layers publish to one another.
    pub fn exchange(&self) -> usize {
        4 * self.states.elements()
    }

    /// Flags, to be zeroed before every launch.
    pub fn flags(&self) -> usize {
        2 * self.rows.len() * self.shape.tiles
    }

    /// The kernel that it launches.
    pub fn kernel(&self) -> &'static str {
        let math = MathMode::RESIDENT.iter().position(|it| *it == self.math).unwrap_or(0);
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
    pub fn launch(&self, at: &Addresses, steps: usize, output: OutputError) -> candle_core::Result<Launch> {
        let Ok(steps) = i32::try_from(steps) else {
            crate::refuse::refuse!("{steps} inference steps; expected at most {}", i32::MAX)
        };
        let half = self.states.elements() as u64 * size_of::<f32>() as u64;
        // a single layer has no state to move, and only the output has an error
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
                rows: at.rows,
                theta: at.theta,
                y: at.y,
                step_sizes: at.step_sizes,
                states: at.states,
                errors: at.errors,
                deltas: at.deltas,
                up: at.exchange,
                down: at.exchange + 2 * half,
                flags: at.flags,
                timed_out: at.timed_out,
                half: self.states.elements() as i64,
                patience: patience(self.patience, self.stack.layers(), shape, steps),
                batch: self.batch as i32,
                depth: self.rows.len() as i32,
                steps,
                tiles: shape.tiles as i32,
                per_block: shape.per_block as i32,
                stages: shape.stages as i32,
                replicas: shape.replicas as i32,
                resident: i32::from(shape.resident),
                softmax: i32::from(output.softmax),
                light_cone: i32::from(matches!(self.what, Relaxation::Spc { light_cone: true })),
                once: i32::from(self.what == Relaxation::Bp),
                tiles_at: self.tiles_at as i32,
                stride: self.stride as i32,
                output_weight: output.weight as f32,
            },
        })
    }
}
