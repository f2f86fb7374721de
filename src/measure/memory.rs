//! How far a piece of work makes the process grow, and what it takes of a GPU's memory.
//!
//! Linux remembers the most memory that a process has had resident, and forgets it on request. The difference to what
//! was resident before is a lower bound of what the work held at once: memory that the allocator kept from earlier work
//! and hands out again does not make the process grow.

use std::fs;

use candle_core::Device;

use super::memory_limit::field;

/// Growth of resident memory in bytes, from the start of `work` to its highest, and what `work` returns. The growth
/// is `None` where the system does not tell, or tells of none: work that got by on memory the process already had has
/// not shown what it needs, and 0 would be taken for an answer.
///
/// What other threads of this process do meanwhile counts too.
pub fn growth<T>(work: impl FnOnce() -> T) -> (Option<u64>, T) {
    let before = forget_highest().then(highest).flatten();
    let done = work();
    (before.and_then(|before| grown(before, highest()?)), done)
}

/// Growth in bytes of what is in use of the device's pool of memory, from the start of `work` to its highest, and what
/// `work` returns. The growth is `None` on the CPU, and where the driver does not tell.
///
/// Unlike [`growth`] this is exact: the pool counts what is handed out, not what it keeps. Workspaces that libraries take
/// outside the pool are not in it.
pub fn device_growth<T>(device: &Device, work: impl FnOnce() -> T) -> (Option<u64>, T) {
    #[cfg(feature = "cuda")]
    if let Device::Cuda(gpu) = device {
        // What cannot be told stays unknown; a GPU that does not work shows in the work itself.
        let pool = pcnbench_kernels::cuda::Pool::of(gpu).ok().flatten();
        let before = pool.as_ref().and_then(|pool| {
            pool.forget_highest().ok()?;
            pool.in_use().ok()
        });
        let done = work();
        let after = pool.as_ref().and_then(|pool| pool.highest().ok());
        return (before.zip(after).map(|(before, after)| after.saturating_sub(before)), done);
    }
    let _ = device;
    (None, work())
}

/// How far `after` lies above `before`, if it does.
fn grown(before: u64, after: u64) -> Option<u64> {
    after.checked_sub(before).filter(|bytes| *bytes > 0)
}

/// Sets the highest resident size to the present one; whether that worked.
fn forget_highest() -> bool {
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

fn highest() -> Option<u64> {
    highest_in(&fs::read_to_string("/proc/self/status").ok()?)
}

/// `VmHWM` in bytes.
fn highest_in(status: &str) -> Option<u64> {
    let kib = field(status, "VmHWM")?.strip_suffix("kB")?.trim_end().parse::<u64>().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line() {
        assert_eq!(highest_in("VmPeak:\t  9 kB\nVmHWM:\t    1756 kB\nVmRSS:\t 3 kB\n"), Some(1756 * 1024));
        for damaged in ["", "VmHWM:\n", "VmHWM: 5\n", "VmHWM: x kB\n", "VmHWM: 18446744073709551615 kB\n"] {
            assert_eq!(highest_in(damaged), None, "{damaged}");
        }
    }

    #[test]
    fn no_growth_is_no_answer() {
        assert_eq!((grown(5, 9), grown(5, 5), grown(5, 4)), (Some(4), None, None));
    }

    #[test]
    fn the_processor_has_no_pool() {
        assert_eq!(device_growth(&Device::Cpu, || 7), (None, 7));
    }

    /// Two blocks at once, then one of them again in the place of the first: the most at once is two blocks, whatever the
    /// pool keeps. Sizes are multiples of what a pool may round to.
    #[cfg(feature = "cuda")]
    #[test]
    fn blocks_on_a_gpu_are_counted_while_they_are_there() {
        use candle_core::{DType, Tensor};
        // Also where there is a driver but no GPU.
        let Ok(device) = pcnbench_kernels::device::open(0) else { return };
        const BLOCK: usize = 8 << 20;
        let block = || Tensor::zeros(BLOCK, DType::U8, &device).unwrap();
        let kept = block();
        for _ in 0..2 {
            let (grown, ()) = device_growth(&device, || {
                let two = (block(), block());
                drop(two);
                drop(block());
            });
            assert_eq!(grown, Some(2 * BLOCK as u64));
        }
        drop(kept);
        assert_eq!(device_growth(&device, || ()), (Some(0), ()));
    }

    /// Every page of a fresh block is touched, so all of it becomes resident, and that it is gone again does not
    /// matter. Twice, to see that the first growth is forgotten.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_block_is_seen_while_it_is_there() {
        const BLOCK: usize = 192 << 20;
        if !forget_highest() || highest().is_none() {
            return;
        }
        for _ in 0..2 {
            let (grown, sum) = growth(|| {
                let block = std::hint::black_box(vec![1u8; BLOCK]);
                block.iter().step_by(4096).map(|&b| usize::from(b)).sum::<usize>()
            });
            assert_eq!(sum, BLOCK.div_ceil(4096));
            // other tests of this process come and go meanwhile
            assert!(grown.unwrap() > BLOCK as u64 / 2, "{grown:?}");
        }
    }
}
