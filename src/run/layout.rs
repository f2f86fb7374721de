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
    pub(super) fn copies(
        &mut self,
        batches: &[(Tensor, Tensor)],
        device: &Device,
    ) -> Result<Vec<(Tensor, Tensor)>> {
        self.shift(device)?;
        batches.iter().map(|(x, y)| Ok((x.copy()?, y.copy()?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{CpuStorage, Storage};

    use super::*;

    /// Where the numbers of a tensor of f32 on the CPU lie.
    fn address(tensor: &Tensor) -> usize {
        let (storage, _) = tensor.storage_and_layout();
        match &*storage {
            Storage::Cpu(CpuStorage::F32(values)) => values.as_ptr() as usize,
            other => panic!("{other:?}"),
        }
    }

    /// Distinct places, and distinct places within a page, of 16 instances of a weight matrix, each freed before the next.
    fn places(mut before: impl FnMut()) -> [usize; 2] {
        let mut found = [1, 4096].map(|_| std::collections::HashSet::new());
        for _ in 0..16 {
            before();
            let place = address(&Tensor::zeros((64, 64), DType::F32, &Device::Cpu).unwrap());
            found[0].insert(place);
            found[1].insert(place % 4096);
        }
        found.map(|places| places.len())
    }

    /// What is freed is handed out again, unless something took its place.
    #[test]
    fn instances_lie_at_other_addresses() {
        let mut layout = Layout::new();
        let [all, within_pages] = places(|| layout.shift(&Device::Cpu).unwrap());
        // Without blocks there would be one; the heap that other tests use meanwhile has some of 16 places in common.
        assert!(all >= 5 && within_pages >= 4, "{all} places, {within_pages} within pages");
        let again = Layout::new().rng.random_range(0..u64::MAX);
        assert_ne!(again, Layout::new().rng.random_range(0..u64::MAX), "two runs lie alike");
    }

    #[test]
    fn copies_hold_the_same_numbers_elsewhere() {
        let x = Tensor::ones((2, 3), DType::F32, &Device::Cpu).unwrap();
        let copies = Layout::new().copies(&[(x.clone(), x.clone())], &Device::Cpu).unwrap();
        let (a, b) = &copies[0];
        assert!(address(a) != address(&x) && address(a) != address(b));
        assert_eq!(a.to_vec2::<f32>().unwrap(), x.to_vec2::<f32>().unwrap());
    }
}
