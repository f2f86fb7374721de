//! Where contenders lie in memory: elsewhere in each instance.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use candle_core::{DType, Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::Result;

/// Bytes between two places at which what comes after a block may begin: a cache line.
const LINE: usize = 64;
/// Lines of the longest block: 64 KiB, sixteen pages, so that neither the place within a page nor the sets of a cache that
/// a page maps to stay the same.
const MOST_LINES: usize = 1024;

/// Blocks of random size that are kept while a point is measured.
///
/// What is freed after an instance is handed out again in the next one. A block that was taken from it before, and is not
/// given back, moves all that is built after it. The sizes come from the system and not from the suite's seed: two runs of
/// one program are to differ in where memory lies, as two programs would.
pub(super) struct Layout {
    rng: ChaCha8Rng,
    kept: Vec<Tensor>,
}

impl Layout {
    pub(super) fn new() -> Self {
        let seed = RandomState::new().build_hasher().finish();
        Self { rng: ChaCha8Rng::seed_from_u64(seed), kept: vec![] }
    }

    /// Takes one more block of a device's memory.
    ///
    /// # Errors
    /// If the device has none left.
    pub(super) fn shift(&mut self, device: &Device) -> Result<()> {
        let lines = self.rng.random_range(1..=MOST_LINES);
        self.kept.push(Tensor::zeros(LINE * lines, DType::U8, device)?);
        Ok(())
    }

    /// The same tensors, elsewhere.
    ///
    /// # Errors
    /// As [`shift`](Self::shift).
    pub(super) fn copies(&mut self, batches: &[(Tensor, Tensor)], device: &Device) -> Result<Vec<(Tensor, Tensor)>> {
        self.shift(device)?;
        batches.iter().map(|(x, y)| Ok((x.copy()?, y.copy()?))).collect()
    }
}
