//! What becomes of a block that waits for another in vain.
//!
//! That no block waits for ever is argued in `cuda/persistent.cu` and `cuda/sweep.cu`, for cards that do what a cooperative
//! launch promises. Should one of the two be wrong, a machine must not hang: a block waits so long and no longer, says which
//! flag it has missed, and goes on without; so do all others. What the launch leaves is no number then, and whoever waits
//! for it is told why.

use super::{PersistentParams, Shape};
use crate::step::LayerRow;

/// Nanoseconds for which a block waits at least: a thousand times as long as the longest wait of a usual network, but not
/// so long that nobody would wait for it.
const LEAST: i64 = 30_000_000_000;
/// FLOPs per nanosecond that a block makes at the least, a hundredth of what it should.
const SLOWEST: f64 = 5.0;

/// Nanoseconds for which a block waits: at least as long as the busiest block computes altogether, however slowly.
pub(super) fn patience(layers: &[LayerRow], shape: &Shape, steps: i32) -> i64 {
    let of = |stage: &[LayerRow]| -> f64 {
        stage.iter().map(|row| 2.0 * f64::from(row.inputs) * f64::from(row.outputs)).sum()
    };
    let layers = layers.chunks(shape.per_block.max(1)).map(of).fold(0.0, f64::max);
    let samples = (shape.tiles.div_ceil(shape.replicas.max(1)) * shape.rows) as f64;
    // a product forward, then two per step
    let flops = layers * samples * (2.0 * f64::from(steps) + 1.0);
    LEAST.saturating_add((flops / SLOWEST) as i64)
}

/// What the word `lost` says after a launch with these parameters; nothing if nobody has waited in vain.
///
/// The word is the complement of the turn in which somebody waited and of the missing flag's place among those of a turn,
/// the least of all that did: every other block waits for that flag, or for one that waits for it.
pub fn lost(params: &PersistentParams, kernel: &str, word: u64) -> Option<String> {
    if word == 0 {
        return None;
    }
    let mark = !word;
    let (turn, order) = (mark >> 32, mark & u64::from(u32::MAX));
    let (tiles, depth) =
        (u64::from(params.tiles.unsigned_abs()).max(1), u64::from(params.depth.unsigned_abs()));
    let (row, tile) = (order / tiles, order % tiles);
    // as `await_up` and `await_down` in cuda/resident_layer.cuh count them
    let up = row < depth;
    let layer = if up { row + 1 } else { (2 * depth).saturating_sub(row) };
    let waiting = if up { layer + 1 } else { layer.saturating_sub(1) };
    let told = match (up, kernel.contains("_spc_")) {
        (true, _) => "predicts",
        (false, true) => "moves above it",
        (false, false) => "sends down",
    };
    let step = match (kernel.contains("_spc_"), turn) {
        (true, 0) | (false, 0) => "the forward pass".to_owned(),
        (true, turn) if turn > u64::from(params.steps.unsigned_abs()) => {
            "the end, after the last step".to_owned()
        }
        (true, turn) => format!("step {turn}"),
        _ if params.once != 0 => "the backward pass".to_owned(),
        (false, turn) => format!("step {}", turn.div_ceil(2)),
    };
    Some(format!(
        "kernel `{kernel}` has given up: in {step}, layer {waiting} waited {} s for what layer {layer} {told} (tile {} of \
         {tiles}); nothing that this call has computed counts, run it again, and if it stays so on rung `graph`",
        params.patience / 1_000_000_000,
        tile + 1
    ))
}
