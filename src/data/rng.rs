//! Seeded random numbers with the same bits on every machine.
//!
//! The recipe is spelled out here rather than left to a library's distributions, whose algorithms change
//! between releases: a recording that names its seed must stay repeatable. For the same reason the
//! logarithm and the cosine come from `libm` and not from the system.

use rand_chacha::rand_core::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a stream is for. Streams of one seed with different purposes are independent, so that a longer
/// training half, say, leaves the test half as it was. The numbers are part of the recipe.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Shuffle = 1,
    Teacher = 2,
    TeacherInputs = 3,
    BlobTemplates = 4,
    BlobImages = 5,
    ColourTemplates = 6,
    ColourImages = 7,
    Augment = 8,
    Validation = 9,
}

/// ChaCha8 with the key `seed ‖ purpose ‖ 0` (64-bit little-endian words) and `index` as stream number.
pub(super) fn stream(seed: u64, purpose: Purpose, index: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(index);
    rng
}

/// Uniform in [0, 1): the top 53 bits of one word.
pub(super) fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    const STEP: f64 = 1.0 / (1u64 << 53) as f64;
    (rng.next_u64() >> 11) as f64 * STEP
}

/// Uniform in [low, high).
pub(super) fn between(rng: &mut ChaCha8Rng, low: f64, high: f64) -> f64 {
    low + (high - low) * uniform(rng)
}

/// Standard normal pair, Box and Muller (1958): `√(−2 ln u₁) · (cos 2πu₂, sin 2πu₂)`.
pub(super) fn normal_pair(rng: &mut ChaCha8Rng) -> [f64; 2] {
    // 1 − u lies in (0, 1]: the logarithm stays finite.
    let radius = libm::sqrt(-2.0 * libm::log(1.0 - uniform(rng)));
    let angle = 2.0 * std::f64::consts::PI * uniform(rng);
    [radius * libm::cos(angle), radius * libm::sin(angle)]
}

/// `n` standard normal numbers, pair after pair; an odd `n` leaves the last one unused.
pub(super) fn normals(rng: &mut ChaCha8Rng, n: usize) -> Vec<f64> {
    let mut values = Vec::with_capacity(n + 1);
    while values.len() < n {
        values.extend(normal_pair(rng));
    }
    values.truncate(n);
    values
}

/// One of 0, 1, …, `count` − 1: `⌊word · count / 2⁶⁴⌋`.
///
/// The multiplication favours some of them by at most `count / 2⁶⁴`, far below anything visible.
pub(super) fn below(rng: &mut ChaCha8Rng, count: usize) -> usize {
    ((u128::from(rng.next_u64()) * count as u128) >> 64) as usize
}

/// Fisher and Yates from the last place down; place `i` swaps with one of the first `i + 1`, drawn by [`below`].
pub(super) fn shuffle(rng: &mut ChaCha8Rng, order: &mut [usize]) {
    for i in (1..order.len()).rev() {
        let j = below(rng, i + 1);
        order.swap(i, j);
    }
}
