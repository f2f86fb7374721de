//! The bytes that the launches after a library's products move through memory: counted, not measured.
//!
//! As in `cuda/epilogue.cuh` and `cuda/learn.cu`: an array counts once where a launch reads it and once where it writes
//! it, without regard to caches; two fields that share an array count as one. Single numbers (a bias per unit aside),
//! the table and the sums of MQ are left out.

use super::params::{Kernel, Launch, Moves, Predict, Pull};
use super::table::Table;
use super::Plan;
use crate::rows::Field;

/// Arrays `[B, n_l]` that an epilogue touches in one layer.
type Arrays = usize;

impl Plan {
    /// Bytes that the launches after a library's products read and write; 0 where no library makes products.
    pub fn epilogue_bytes(&self) -> u64 {
        let products = self.launches().any(|launch| matches!(launch, Launch::Product(_)));
        let of = |launch: &Launch| match launch {
            Launch::Kernel(kernel) if products => self.bytes_of(kernel),
            _ => 0,
        };
        self.launches().map(of).sum::<usize>() as u64
    }

    fn bytes_of(&self, kernel: &Kernel) -> usize {
        let (table, p) = (&self.table, &kernel.params);
        let layers = p.first as usize..(p.first + p.count) as usize;
        let units = |l: usize| table.rows[l].units as usize;
        let state = |l: usize| table.batch * units(l);
        let elements: usize = match kernel.name {
            name if name.starts_with("relax_predict") && p.products != 0 => layers
                .map(|l| {
                    let (arrays, bias) = predicted(table, l, p.mode, p.softmax != 0);
                    arrays * state(l) + if bias { units(l) } else { 0 }
                })
                .sum(),
            name if name.starts_with("relax_pull") && p.products != 0 => layers
                .map(|l| pulled(table, l, p.mode, p.arriving as usize == l, p.swap != 0) * state(l))
                .sum(),
            // cross entropy after the product: o, y, ε and δ
            name if name.starts_with("softmax") => layers
                .map(|l| (3 + 2 * usize::from(apart(table, l, Field::Delta, Field::Error))) * state(l))
                .sum(),
            name if name.starts_with("learn") && p.products != 0 => layers
                .map(|l| {
                    let (weights, bias) = (units(l) * units(l - 1), table.rows[l].bias >= 0);
                    // directions of lower layers are zero, and need no reads
                    let known = usize::from(l >= p.lowest_nonzero as usize);
                    let biases = if bias { known * state(l) + moved(p.mode) * units(l) } else { 0 };
                    (known + moved(p.mode)) * weights + biases
                })
                .sum(),
            _ => 0,
        };
        elements * if kernel.name.contains("f64") { 8 } else { 4 }
    }
}

fn has(table: &Table, l: usize, field: Field) -> bool {
    table.at(l, field).is_some()
}

/// Whether the field is there and an array of its own.
fn apart(table: &Table, l: usize, field: Field, from: Field) -> bool {
    has(table, l, field) && table.at(l, field) != table.at(l, from)
}

/// `Predicted` of the kernels; and whether it reads biases.
fn predicted(table: &Table, l: usize, mode: i32, softmax: bool) -> (Arrays, bool) {
    let row = &table.rows[l];
    let output = l == table.depth();
    let errors = mode >= Predict::Errors as i32;
    let d = usize::from(apart(table, l, Field::Delta, Field::Error));
    if !output && l == 1 && errors && has(table, l, Field::Prediction) {
        // v, μ → ε, and φ_out' → δ
        return (3 + 2 * d, false);
    }
    let below = usize::from(row.skip != 0);
    let then = if output && softmax {
        // o, φ_out'
        1 + d
    } else if output {
        // y → o, ε, δ
        3 + d
    } else if errors {
        // v → ε, δ or φ_out'
        2 + d
    } else {
        let forward = mode == Predict::Forward as i32;
        let slope = has(table, l, Field::OutputSlope) || (row.act_out != 0 && d == 1);
        let kept = usize::from(if forward { has(table, l, Field::Prediction) } else { true });
        // μ_1 or ε, φ_out', v, φ_in(v)
        kept + usize::from(slope) + 1 + usize::from(apart(table, l, Field::Activated, Field::State))
    };
    // the product, and what a skip adds
    (1 + below + then, row.bias >= 0)
}

/// `Pulled` of the kernels.
fn pulled(table: &Table, l: usize, mode: i32, arriving: bool, swap: bool) -> Arrays {
    let is = |pull: Pull| mode == pull as i32;
    let h = usize::from(apart(table, l, Field::Activated, Field::State));
    let to_lowest = l == 1 && (is(Pull::Descend) || is(Pull::Move) || is(Pull::Sweep));
    let (delta, error) = if is(Pull::Fixed) && !swap {
        (Field::OtherDelta, Field::OtherError)
    } else {
        (Field::Delta, Field::Error)
    };
    let d = usize::from(apart(table, l, delta, error) && !to_lowest);
    let e = usize::from(!arriving);
    let state = 1 + h;
    // the product, v, φ_in(v), and what a skip carries
    let read = 1 + state + usize::from(table.rows[l + 1].skip != 0);
    let then = if is(Pull::Adjoint) {
        2 * d + usize::from(has(table, l, Field::Error))
    } else if is(Pull::Descend) {
        let plain = table.rows[l].act_out == 0;
        let first = if has(table, l, Field::Prediction) { 1 + state } else { 0 };
        let adjoint = usize::from(has(table, l, Field::PendingStep));
        adjoint + e + 1 + d * if plain { 1 } else { 2 } + first
    } else if is(Pull::Move) {
        state + if arriving { 1 + 2 * d } else { 1 }
    } else if is(Pull::Sweep) {
        state + e + 1 + 2 * d
    } else if is(Pull::Fixed) {
        e + 1 + 2 * d
    } else if is(Pull::InPlace) {
        1 + 1 + 2 * d
    } else {
        e + 1
    };
    read + then
}

/// Numbers that an optimiser reads and writes for one parameter.
fn moved(mode: i32) -> usize {
    let is = |moves: Moves| mode == moves as i32;
    match () {
        () if is(Moves::Write) => 1,
        () if is(Moves::Momentum) => 4,
        () if is(Moves::Adam) => 6,
        () => 2,
    }
}

#[cfg(test)]
#[path = "epilogues_tests.rs"]
mod tests;
