//! What the benches on a card share: medians, and numbers from a seed.

use std::time::Instant;

use candle_core::{DType, Device, Result, Tensor};
use pcnbench_kernels::card::Stopwatch;

/// Seconds for one median, unless a bench has less.
pub const SECONDS: f64 = 0.25;
/// As many repetitions as fit into them are made, but no fewer and no more than these.
const REPETITIONS: std::ops::RangeInclusive<usize> = 5..=200;

/// How often, and the median nanoseconds of the device and of the wall clock, within about `seconds`.
pub fn median(device: &Device, seconds: f64, work: &dyn Fn() -> Result<()>) -> Result<(usize, u64, u64)> {
    let once = || -> Result<(u64, u64)> {
        let watch = Stopwatch::of(device)?;
        device.synchronize()?;
        let start = Instant::now();
        watch.start()?;
        work()?;
        watch.stop()?;
        device.synchronize()?;
        let wall = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Ok((watch.elapsed_ns()?.unwrap_or(wall), wall))
    };
    // the first loads modules and allocates, the next ones bring the clock up
    for _ in 0..3 {
        once()?;
    }
    let (_, wall) = once()?;
    let fitting = (seconds / (wall as f64 * 1e-9).max(1e-9)) as usize;
    let repetitions = fitting.clamp(*REPETITIONS.start(), *REPETITIONS.end());
    let mut times = (0..repetitions).map(|_| once()).collect::<Result<Vec<_>>>()?;
    times.sort_unstable();
    let of_device = times[repetitions / 2].0;
    times.sort_unstable_by_key(|(_, wall)| *wall);
    Ok((repetitions, of_device, times[repetitions / 2].1))
}

/// Numbers between −1 and 1 from a seed (splitmix64).
pub struct Numbers(pub u64);

impl Numbers {
    /// `scale` times such numbers.
    pub fn tensor(&mut self, shape: &[usize], scale: f64, device: &Device) -> Result<Tensor> {
        let mut next = || {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            (scale * ((z >> 11) as f64 / (1u64 << 52) as f64 - 1.0)) as f32
        };
        let numbers: Vec<f32> = (0..shape.iter().product()).map(|_| next()).collect();
        Tensor::from_vec(numbers, shape, &Device::Cpu)?.to_dtype(DType::F32)?.to_device(device)
    }
}
