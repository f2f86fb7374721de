//! Opens a GPU in such a way that timings do not include housekeeping of Candle.

mod strategy;

use candle_core::{Device, Error, Result};

#[cfg(feature = "cuda")]
pub use crate::driver::driver_cuda_version;
#[cfg(any(feature = "cuda", test))]
use crate::driver::version;

pub use strategy::{strategies, strategy};

/// The settings that [`open`] has made on a device, for the header of a record: they change times, not results. None on
/// the CPU.
pub fn switches(device: &Device) -> Vec<&'static str> {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(cuda) => {
            let mut set = vec!["CUDA stream of its own", "CUDA event tracking off"];
            if cuda.cuda_stream().context().has_async_alloc() {
                set.push("CUDA memory pool keeps what is freed");
            }
            set.push("Candle keeps small uploads on the GPU");
            set
        }
        _ => vec![],
    }
}

/// Opens GPU number `ordinal`, with a stream of its own, without event tracking, with a pool that keeps memory, and, on
/// the thread that opens it, with Candle's store of small uploads. That thread is the one that should measure.
///
/// Candle's `Device::new_cuda` works on the stream of the calling thread, so that one timed by events
/// may not be the one worked on; this device has one stream for all threads. With tracking on, every
/// allocation makes two CUDA events, and once a second stream exists every operation waits on and
/// records those of its operands: host time that belongs to no learning rule. It has to be switched off
/// before there is a tensor, which is why it is part of opening. By default, the pool that allocations come from gives
/// freed memory back to the system whenever a thread waits for the GPU, as every timing does: the next timing would
/// begin with mapping memory, which would affect most an engine that allocates at every operation.
///
/// Candle uploads sizes and strides to the GPU at every operation on a tensor that is not contiguous, unless it is set
/// to keep what it has uploaded; recorded operations need that setting. It holds for everything that this thread does
/// from here on, so that single operations and recorded ones are timed under the same setting, the one that favours
/// them. It changes no result: what is kept is looked up by device, type and content, kernels only read it, and
/// an upload of the caller's own that is found there (4 KiB at most) is a copy of it, made on the same stream. It grows
/// by what is new.
///
/// # Errors
/// Without feature `cuda`, a driver that runs the CUDA version of this build, or a GPU. A program that links the CUDA
/// libraries does not get this far where there are none: the system refuses to start it.
pub fn open(ordinal: usize) -> Result<Device> {
    // a driver that does not report its version reports its error below
    #[cfg(feature = "cuda")]
    if let Ok(offered) = driver_cuda_version() {
        new_enough(offered, version(candle_core::cuda_backend::cudarc::driver::sys::CUDA_VERSION))?;
    }
    let device = Device::new_cuda_with_stream(ordinal).map_err(in_words)?;
    #[cfg(feature = "cuda")]
    if let Device::Cuda(cuda) = &device {
        // SAFETY: tracking orders the work of different streams on one tensor. Every tensor of this
        // device is allocated, used and freed on the stream made above: Candle launches nowhere else,
        // refuses operands of another device (a second `open` of the same GPU included), and neither
        // this package nor `pcnbench` makes another stream in this context. Within one stream the
        // driver keeps the order of submission.
        unsafe { cuda.disable_event_tracking() };
        crate::cuda::keep_pool(cuda)?;
        // it is reference-counted; a reference that is never dropped keeps it on
        std::mem::forget(cuda.enable_cuda_graph_htod_cache());
    }
    Ok(device)
}

/// Compute capability of a device, major and minor; none of the CPU.
///
/// # Errors
/// If the driver does not answer.
pub fn capability(device: &Device) -> Result<Option<(u32, u32)>> {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(cuda) => crate::cuda::capability_of(cuda).map(Some),
        _ => Ok(None),
    }
}

/// Measures the time between two points of a device's own stream; nothing on the CPU.
#[derive(Debug)]
pub struct Stopwatch {
    #[cfg(feature = "cuda")]
    events: Option<crate::cuda::Events>,
}

impl Stopwatch {
    /// A stopwatch for the stream of `device`.
    ///
    /// # Errors
    /// If the driver gives no events.
    pub fn of(device: &Device) -> Result<Self> {
        let _ = device;
        Ok(Self {
            #[cfg(feature = "cuda")]
            events: match device {
                Device::Cuda(cuda) => Some(crate::cuda::Events::new(cuda)?),
                _ => None,
            },
        })
    }

    /// Queues the start: the time begins when the stream has finished the work queued so far.
    ///
    /// # Errors
    /// What the driver says.
    pub fn start(&self) -> Result<()> {
        #[cfg(feature = "cuda")]
        if let Some(events) = &self.events {
            events.start()?;
        }
        Ok(())
    }

    /// Queues the stop: the time ends when the stream has finished the work queued so far.
    ///
    /// # Errors
    /// What the driver says.
    pub fn stop(&self) -> Result<()> {
        #[cfg(feature = "cuda")]
        if let Some(events) = &self.events {
            events.stop()?;
        }
        Ok(())
    }

    /// Nanoseconds from start to stop, to the half microsecond that events resolve; waits for the second.
    ///
    /// # Errors
    /// What went wrong on the GPU before, or the driver's own.
    pub fn elapsed_ns(&self) -> Result<Option<u64>> {
        #[cfg(feature = "cuda")]
        if let Some(events) = &self.events {
            return events.elapsed_ns().map(Some);
        }
        Ok(None)
    }
}

/// The setup of a device, in words, as far as it changes times; nothing on the CPU.
///
/// # Errors
/// If the driver does not answer.
pub fn setup(device: &Device) -> Result<Vec<(&'static str, String)>> {
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda(cuda) => crate::cuda::setup(cuda),
        _ => Ok(vec![]),
    }
}

/// The driver's own message for what it refused, in one line; Candle adds a call stack if `RUST_BACKTRACE` is
/// set, which does not help a user without a GPU.
fn in_words(error: Error) -> Error {
    match error {
        Error::WithBacktrace { inner, .. } => in_words(*inner),
        #[cfg(feature = "cuda")]
        Error::Cuda(source) => {
            use candle_core::cuda_backend::CudaError;
            match source.downcast_ref() {
                Some(CudaError::Cuda(refused)) => Error::Msg(match refused.error_string() {
                    Ok(words) => format!("{:?}: {}", refused.0, words.to_string_lossy()),
                    // a stand-in for the driver has no messages
                    Err(_) => format!("{:?}", refused.0),
                }),
                _ => Error::Cuda(source),
            }
        }
        other => other,
    }
}

/// Refuses a driver that runs CUDA up to `offered` only, for a program built with `built`. It would load no PTX of this
/// build and may lack functions, and its own error would name neither version.
#[cfg(any(feature = "cuda", test))]
fn new_enough(offered: (u32, u32), built: (u32, u32)) -> Result<()> {
    if offered >= built {
        return Ok(());
    }
    let ((offered, of_offered), (built, of_built)) = (offered, built);
    crate::refuse::refuse!(
        "the driver runs CUDA up to {offered}.{of_offered} and this program was built with CUDA {built}.{of_built}: \
         install a newer driver, or build with a toolkit of CUDA {offered}.{of_offered}"
    )
}

/// A GPU's number as NVML spells it: `GPU-` and 16 bytes in groups of 4, 2, 2, 2 and 6.
#[cfg(any(feature = "cuda", test))]
pub(crate) fn spelled(bytes: [u8; 16]) -> String {
    let hex = |part: &[u8]| part.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let groups = [&bytes[..4], &bytes[4..6], &bytes[6..8], &bytes[8..10], &bytes[10..]];
    format!("GPU-{}", groups.map(hex).join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_has_neither_strategy_nor_events() {
        let watch = Stopwatch::of(&Device::Cpu).unwrap();
        watch.start().unwrap();
        watch.stop().unwrap();
        assert_eq!(watch.elapsed_ns().unwrap(), None);
        assert!(setup(&Device::Cpu).unwrap().is_empty() && switches(&Device::Cpu).is_empty());
        assert_eq!(capability(&Device::Cpu).unwrap(), None);
    }

    #[test]
    fn numbers_of_gpus() {
        let mut bytes = [0; 16];
        (0..16u8).for_each(|i| bytes[usize::from(i)] = 16 * i + 1);
        assert_eq!(spelled(bytes), "GPU-01112131-4151-6171-8191-a1b1c1d1e1f1");
    }

    #[test]
    fn drivers_older_than_the_build_are_refused_with_both_versions() {
        assert_eq!((version(13_000), version(13_020), version(11_080)), ((13, 0), (13, 2), (11, 8)));
        for offered in [(13, 0), (13, 1), (14, 0)] {
            new_enough(offered, (13, 0)).unwrap();
        }
        for (offered, built) in [((12, 9), (13, 0)), ((13, 1), (13, 2)), ((12, 8), (13, 2))] {
            let said = new_enough(offered, built).unwrap_err().to_string();
            let both = [offered, built].map(|(major, minor)| format!("CUDA up to {major}.{minor}"));
            assert!(
                said.contains(&both[0]) && said.contains("newer driver") && !said.contains('\n'),
                "{said}"
            );
            assert!(said.contains(&both[1].replace("up to ", "")), "{said}");
        }
    }

    /// The only check that also holds on a machine with a GPU; `tests/device` has the others.
    #[test]
    fn a_gpu_that_no_machine_has_is_an_error_of_one_line() {
        let error = open(usize::from(u16::MAX)).unwrap_err().to_string();
        assert!(!error.contains('\n'), "{error}");
    }
}
