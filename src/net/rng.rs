//! Seeded random streams on the host.
//!
//! Every random number of a run comes from ChaCha8 on the host, one independent stream per purpose, and
//! is drawn in f64. Devices and dtypes therefore start from the same bits (f32 being the rounding of
//! f64), and adding a stream never shifts another.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a stream is for; the numbers are part of the record format and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Initial weights of layer l.
    Weights(usize),
    /// Initial biases of layer l.
    Biases(usize),
    /// Initial backward weights of layer l, where a rule keeps its own.
    Feedback(usize),
    /// Order of contenders within a round, of one point.
    RoundOrder,
    /// The data of a preflight or a differential test.
    VerificationData,
}

/// The stream of `purpose` under `seed`.
pub fn stream(seed: u64, purpose: Purpose) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let layer = |l: usize| l as u64;
    rng.set_stream(match purpose {
        Purpose::Weights(l) => (1 << 32) + layer(l),
        Purpose::Biases(l) => (2 << 32) + layer(l),
        Purpose::Feedback(l) => (5 << 32) + layer(l),
        Purpose::RoundOrder => 3 << 32,
        Purpose::VerificationData => 4 << 32,
    });
    rng
}
