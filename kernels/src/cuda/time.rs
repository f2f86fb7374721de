//! Time on the card.

use candle_core::cuda_backend::cudarc::driver::sys::CUevent_flags;
use candle_core::{CudaDevice, Result};

use super::module::failed;
use crate::refuse::refuse;

/// Milliseconds per execution of `body`, which is queued `repeats` times between two events of the device's own stream.
///
/// Waiting of the host for the card is not part of it; gaps in which the host did not queue fast enough are. The caller
/// warms up.
///
/// # Errors
/// What `body` returns, no repeats, or what the driver says.
pub fn time(device: &CudaDevice, repeats: u32, mut body: impl FnMut() -> Result<()>) -> Result<f64> {
    if repeats == 0 {
        refuse!("nothing to time in 0 repeats; expected at least one");
    }
    let stream = device.cuda_stream();
    // Asked for by name: without it an event keeps no time.
    let event = || {
        stream.record_event(Some(CUevent_flags::CU_EVENT_DEFAULT)).map_err(failed("no event can be recorded"))
    };
    let start = event()?;
    for _ in 0..repeats {
        body()?;
    }
    let end = event()?;
    let elapsed = start.elapsed_ms(&end).map_err(failed("the time between two events cannot be read"))?;
    Ok(f64::from(elapsed) / f64::from(repeats))
}
