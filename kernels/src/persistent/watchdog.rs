//! What a block does when its wait for another block times out.
//!
//! `cuda/persistent.cu` and `cuda/sweep.cu` argue that no block waits for ever, on a GPU that does what a cooperative
//! launch guarantees. If the argument or the GPU is wrong, the machine must still not hang: a block waits until its
//! time limit, records the missing flag, and goes on without it; so do all other blocks. Errors and deltas of the
//! launch are then NaN, and the caller that waits for it gets an error that names the flag.

use std::time::Duration;

use super::{PersistentParams, Shape};
use crate::layer::Dense;

/// How long a block waits at least, by default: a thousand times as long as the longest wait of a usual network, and
/// short enough for a user to wait for the error.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// The seconds that a setting may ask for.
const ALLOWED: std::ops::RangeInclusive<f64> = 0.1..=3600.0;

/// The patience that the text of a setting asks for, in seconds; [`PATIENCE`] if there is none.
///
/// # Errors
/// In one sentence, if it is no number between 0.1 and 3600.
pub fn patience_of(setting: &str, text: Option<&str>) -> Result<Duration, String> {
    let Some(text) = text else { return Ok(PATIENCE) };
    match text.trim().parse() {
        Ok(seconds) if ALLOWED.contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(format!(
            "{setting} is {text:?}; expected seconds, from {} to {}",
            ALLOWED.start(),
            ALLOWED.end()
        )),
    }
}

/// FLOPs per nanosecond that a block makes at the least, a hundredth of what it should.
const SLOWEST: f64 = 5.0;

/// Nanoseconds for which a block waits: `least`, and as long as the busiest block computes altogether, however slowly.
pub(super) fn patience(least: Duration, layers: &[Dense], shape: &Shape, steps: i32) -> i64 {
    let of = |stage: &[Dense]| -> f64 {
        stage.iter().map(|layer| 2.0 * layer.inputs as f64 * layer.outputs as f64).sum()
    };
    let layers = layers.chunks(shape.per_block.max(1)).map(of).fold(0.0, f64::max);
    let samples = (shape.tiles.div_ceil(shape.replicas.max(1)) * shape.rows) as f64;
    // a product forward, then two per step
    let flops = layers * samples * (2.0 * f64::from(steps) + 1.0);
    i64::try_from(least.as_nanos()).unwrap_or(i64::MAX).saturating_add((flops / SLOWEST) as i64)
}

/// The error that the word `timed_out` stands for after a launch with these parameters; `None` if no wait has timed
/// out.
///
/// The word is the complement of the turn in which a block timed out and of the missing flag's place among those of a
/// turn, the least of all blocks whose wait did: every other block waits for that flag, or for one that waits for it.
pub fn describe_timeout(params: &PersistentParams, kernel: &str, word: u64) -> Option<String> {
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
    let published = match (up, kernel.contains("_spc_")) {
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
        "kernel `{kernel}` has timed out: in {step}, layer {waiting} waited {} s for what layer {layer} {published} (tile {} of \
         {tiles}); its results are invalid; run it again, and if it fails again, use strategy `graph`",
        params.patience / 1_000_000_000,
        tile + 1
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_a_setting_in_seconds() {
        assert_eq!(patience_of("P", None), Ok(PATIENCE));
        assert_eq!(patience_of("P", Some(" 2.5 ")), Ok(Duration::from_millis(2500)));
        for text in ["", "soon", "0", "-1", "nan", "inf", "1e9"] {
            let said = patience_of("P", Some(text)).unwrap_err();
            assert_eq!(said, format!("P is {text:?}; expected seconds, from 0.1 to 3600"));
        }
    }
}
