//! Memory of an engine, kept from call to call: fields of the batch, and each worker's scratch.

use std::mem::discriminant;
use std::sync::{Mutex, PoisonError};

use super::arena::{Aligned, Tile, View, PANEL};
use super::fields::{Field, Fields};
use super::micro::UNITS;
use super::product;
use super::real::Real;
use crate::layer::Activation;
use crate::schedule::{Rule, Schedule};
use crate::stack::Stack;
use crate::tune::Plan;

/// A worker's own memory.
pub(super) struct Scratch<T> {
    /// One tile of the widest layer, or the scratch of a product of parameters.
    pub(super) tile: Aligned<T>,
    /// One block of parameter directions.
    pub(super) block: Aligned<T>,
}

impl<T: Real> Scratch<T> {
    /// Memory for `rows` units of a tile.
    pub(super) fn view(&mut self, rows: usize, at: Tile) -> View<T> {
        let tile = self.tile.as_mut_slice();
        debug_assert!(rows * at.width <= tile.len());
        // SAFETY: the buffer holds a full tile of the widest layer (checked above), and lives as long as the worker.
        unsafe { View::new(tile.as_mut_ptr(), at.width, rows, at.width) }
    }
}

/// See the module.
pub(crate) struct Workspace<T> {
    pub(super) fields: Fields,
    pub(super) block: Aligned<T>,
    /// Packed weights.
    pub(super) packed: Aligned<T>,
    pub(super) scratches: Vec<Mutex<Scratch<T>>>,
    /// One element per block of parameters.
    pub(super) sums: Vec<T>,
    layout: Option<Layout>,
}

/// The layout of the fields depends on these, and on the stack, which an engine never changes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Layout {
    rule: std::mem::Discriminant<Rule>,
    deviation: bool,
    top_down: bool,
    momentum: bool,
    batch: usize,
    traces: bool,
}

impl<T: Real> Workspace<T> {
    /// No memory yet.
    pub(crate) fn new(stack: &Stack) -> Self {
        Self {
            fields: Fields::new(stack),
            block: Aligned::new(),
            packed: Aligned::new(),
            scratches: vec![],
            sums: vec![],
            layout: None,
        }
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        let scratch = |s: &Mutex<Scratch<T>>| s.lock().map_or(0, |s| s.tile.bytes() + s.block.bytes());
        self.block.bytes()
            + self.packed.bytes()
            + self.sums.capacity() * std::mem::size_of::<T>()
            + self.scratches.iter().map(scratch).sum::<usize>()
    }

    /// Reserves the memory of a call; `directions` says whether each worker needs a block of them to itself, which an
    /// optimiser with state does.
    pub(super) fn prepare(
        &mut self,
        stack: &Stack,
        schedule: &Schedule,
        batch: usize,
        traces: bool,
        directions: bool,
        plan: &Plan,
    ) {
        let deviation = matches!(schedule.rule, Rule::Spc { deviation: true, .. });
        let top_down = schedule.rule == (Rule::Ar { top_down: true });
        let momentum = schedule.carried().is_some();
        let rule = discriminant(&schedule.rule);
        let layout = Layout { rule, deviation, top_down, momentum, batch, traces };
        if self.layout != Some(layout) {
            self.fields = lay_out(stack, &schedule.rule, momentum, batch, traces);
            self.block.reserve(self.fields.elements());
            self.layout = Some(layout);
        }
        // a value that a call reads before it has written it is NaN
        #[cfg(debug_assertions)]
        self.block.as_mut_slice().fill(T::of(f64::NAN));
        let layers = || (1..=stack.depth()).map(|l| (stack.units(l), stack.units(l - 1)));
        if plan.pack {
            self.packed.reserve(stack.parameters());
        }
        while self.scratches.len() < plan.workers {
            let mut scratch = Scratch { tile: Aligned::new(), block: Aligned::new() };
            // a tile, or a state and an error of a whole panel, side by side, and what their product needs
            scratch.tile.reserve(2 * stack.widest().max(UNITS) * PANEL + product::FLIPPED);
            self.scratches.push(Mutex::new(scratch));
        }
        if directions {
            // the largest block at any number of workers: a layer that is not cut
            let block = layers().map(|(outputs, inputs)| {
                let rows = block_rows(outputs, inputs, 1).min(outputs);
                rows * inputs + rows
            });
            let block = block.max().unwrap_or(0);
            for scratch in &mut self.scratches {
                scratch.get_mut().unwrap_or_else(PoisonError::into_inner).block.reserve(block);
            }
        }
        // blocks have 16 rows at least
        let blocks = layers().map(|(outputs, _)| outputs.div_ceil(16)).sum();
        self.sums.resize(self.sums.len().max(blocks), T::ZERO);
    }
}

/// The fields that a rule needs and no others, which would cost writes and reads.
fn lay_out(stack: &Stack, rule: &Rule, momentum: bool, batch: usize, traces: bool) -> Fields {
    let depth = stack.depth();
    let mut f = Fields::new(stack);
    let plain = |l: usize| stack.layer(l).act_out == Activation::Identity;
    let deviation = matches!(rule, Rule::Spc { deviation: true, .. });
    let adjoint = matches!(rule, Rule::Bp | Rule::Zil);
    for l in 0..depth {
        let act = stack.layer(l + 1).act_in;
        f.add(Field::State, l, batch);
        f.add_unless(act == Activation::Identity, Field::Activated, Field::State, l, batch);
        let from_activated = matches!(act, Activation::Tanh | Activation::Relu) && !(deviation && l > 0);
        if act != Activation::Identity && !from_activated {
            f.add(Field::InputSlope, l, batch);
        }
        if deviation && l > 0 {
            f.add(Field::ForwardState, l, batch);
        }
    }
    for l in 1..=depth {
        let hidden = l < depth;
        // adjoints are read by skips, by a caller that asks for traces, and by products where they are δ
        if !adjoint || !hidden || plain(l) || stack.layer(l).skip || traces {
            f.add(Field::Error, l, batch);
        }
        // under ePC a skip carries down the adjoint, while parameters learn from ε
        let same = plain(l) && !(hidden && matches!(rule, Rule::Epc));
        f.add_unless(same, Field::Delta, Field::Error, l, batch);
        match rule {
            Rule::Spc { .. } | Rule::Epc | Rule::SeqIl { .. } if l == 1 && hidden => {
                f.add(Field::Prediction, l, batch);
                if !plain(l) {
                    f.add(Field::OutputSlope, l, batch);
                }
            }
            Rule::Fpa { .. } | Rule::Ar { .. } => {
                if hidden && *rule != (Rule::Ar { top_down: true }) {
                    f.add(Field::OtherError, l, batch);
                    f.add_unless(plain(l), Field::OtherDelta, Field::OtherError, l, batch);
                }
                if !plain(l) {
                    f.add(Field::OutputSlope, l, batch);
                }
            }
            Rule::Ipc { .. } if hidden => f.add(Field::PendingStep, l, batch),
            _ => {}
        }
        if matches!(rule, Rule::Epc) && hidden && !plain(l) && stack.layer(l).skip {
            f.add(Field::PendingStep, l, batch);
        }
        if deviation && !plain(l) {
            f.add(Field::PreActivation, l, batch);
        }
        if momentum && hidden {
            f.add(Field::Momentum, l, batch);
        }
    }
    f.add(Field::Prediction, depth, batch);
    f.add(Field::Target, depth, batch);
    if deviation {
        f.add(Field::ForwardState, depth, batch);
    }
    f
}

/// Elements of a block of directions that stay in a core's own cache.
const BLOCK: usize = 1 << 16;

/// Rows of a block: the layer in `parts`, but no less than 16 rows, and no more elements than [`BLOCK`].
pub(super) fn block_rows(outputs: usize, inputs: usize, parts: usize) -> usize {
    let fitting = (BLOCK / inputs.max(1)).max(16);
    outputs.div_ceil(parts.max(1)).max(16).min(fitting)
}
