//! Where contenders lie in memory: elsewhere in each instance.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use candle_core::{DType, Device, Tensor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::Result;

/// Bytes between two places at which what comes after a block may begin: a cache line.
const LINE: usize = 64;
/// log₂ of the lines of the longest block: 64 KiB, sixteen pages, so that neither the place within a page nor the sets
/// of a cache that a page maps to stay the same.
const MOST_DOUBLINGS: f64 = 10.0;
/// Blocks per shift, some 70 KiB together.
const BLOCKS: usize = 8;

/// Blocks of random size that are kept while a point is measured.
///
/// What is freed after an instance is handed out again in the next one. Blocks that were taken from it before, and are
/// not given back, move all that is built after them. An allocator fills a gap with a request of about the same size,
/// so the blocks are of all sizes: their logarithms are uniform. They come from the system and not from the suite's
/// seed: two runs of one program are to differ in where memory lies, as two programs would.
pub(super) struct Layout {
    rng: ChaCha8Rng,
    kept: Vec<Tensor>,
}

impl Layout {
    pub(super) fn new() -> Self {
        let seed = RandomState::new().build_hasher().finish();
        Self { rng: ChaCha8Rng::seed_from_u64(seed), kept: vec![] }
    }

    /// Takes more blocks of a device's memory.
    ///
    /// # Errors
    /// If the device has none left.
    pub(super) fn shift(&mut self, device: &Device) -> Result<()> {
        for _ in 0..BLOCKS {
            let lines = self.rng.random_range(0.0..=MOST_DOUBLINGS).exp2() as usize;
            self.kept.push(Tensor::zeros(LINE * lines, DType::U8, device)?);
        }
        Ok(())
    }

    /// The same tensors, elsewhere.
    ///
    /// # Errors
    /// As [`shift`](Self::shift).
    pub(super) fn copies(&mut self, batches: &[[Tensor; 2]], device: &Device) -> Result<Vec<[Tensor; 2]>> {
        self.shift(device)?;
        batches.iter().map(|[x, y]| Ok([x.copy()?, y.copy()?])).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

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

    /// Distinct places, and distinct places within a page, of 16 instances of a weight matrix, each freed before the
    /// next.
    fn places(mut before: impl FnMut()) -> [usize; 2] {
        let found: [usize; 16] = std::array::from_fn(|_| {
            before();
            address(&Tensor::zeros((64, 64), DType::F32, &Device::Cpu).unwrap())
        });
        let distinct =
            |within: usize| found.map(|place| place % within).into_iter().collect::<HashSet<_>>().len();
        [usize::MAX, 4096].map(distinct)
    }

    /// What is freed is handed out again, unless something took its place. In a process where no other test uses the
    /// heap.
    #[test]
    fn instances_lie_at_other_addresses() {
        let name = "run::layout::tests::places_of_instances";
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        let output = child.args(["--exact", name, "--ignored", "--test-threads=1"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
    }

    #[test]
    #[ignore = "what `instances_lie_at_other_addresses` starts"]
    fn places_of_instances() {
        let [all, within_pages] = places(|| ());
        assert!(all <= 2 && within_pages <= 2, "without blocks: {all} places, {within_pages} within pages");
        let mut layout = Layout::new();
        let [all, within_pages] = places(|| layout.shift(&Device::Cpu).unwrap());
        // Five of six shifts have a block that is longer than the matrix, and so takes its place.
        assert!(all >= 8 && within_pages >= 8, "{all} places, {within_pages} within pages");
        let again = Layout::new().rng.random_range(0..u64::MAX);
        assert_ne!(again, Layout::new().rng.random_range(0..u64::MAX), "two runs lie alike");
    }

    #[test]
    fn copies_hold_the_same_numbers_elsewhere() {
        let x = Tensor::ones((2, 3), DType::F32, &Device::Cpu).unwrap();
        let copies = Layout::new().copies(&[[x.clone(), x.clone()]], &Device::Cpu).unwrap();
        let [a, b] = &copies[0];
        assert!(address(a) != address(&x) && address(a) != address(b));
        assert_eq!(a.to_vec2::<f32>().unwrap(), x.to_vec2::<f32>().unwrap());
    }
}
