//! Time on the GPU.

use std::sync::Arc;

use candle_core::cuda_backend::cudarc::driver::sys::CUevent_flags;
use candle_core::cuda_backend::cudarc::driver::{CudaEvent, CudaStream};
use candle_core::{CudaDevice, Result};

use super::module::failed;

/// Two events of a device's own stream. They are made beforehand, so that recording one is all the host does.
#[derive(Debug)]
pub struct Events {
    start: CudaEvent,
    stop: CudaEvent,
    stream: Arc<CudaStream>,
}

impl Events {
    /// For the stream that `device` works on.
    ///
    /// # Errors
    /// If the driver gives no events.
    pub fn new(device: &CudaDevice) -> Result<Self> {
        let stream = device.cuda_stream();
        // asked for by name: without it an event keeps no time
        let event = || {
            let flags = Some(CUevent_flags::CU_EVENT_DEFAULT);
            stream.context().new_event(flags).map_err(failed("no event can be made"))
        };
        Ok(Self { start: event()?, stop: event()?, stream: stream.clone() })
    }

    /// Records the first.
    ///
    /// # Errors
    /// What the driver says.
    pub fn start(&self) -> Result<()> {
        self.start.record(&self.stream).map_err(failed("no event can be recorded"))
    }

    /// Records the second.
    ///
    /// # Errors
    /// What the driver says.
    pub fn stop(&self) -> Result<()> {
        self.stop.record(&self.stream).map_err(failed("no event can be recorded"))
    }

    /// Nanoseconds between them; waits for the second.
    ///
    /// # Errors
    /// What went wrong on the GPU before, or the driver's own.
    pub fn elapsed_ns(&self) -> Result<u64> {
        let elapsed = self
            .start
            .elapsed_ms(&self.stop)
            .map_err(failed("the time between two events cannot be read"))?;
        Ok((f64::from(elapsed) * 1e6).round().max(0.0) as u64)
    }
}
