//! What an error means on a device: a contender that failed, or a GPU that is gone.
//!
//! Some errors of CUDA stay: after a wrong address or a launch that failed, every later call of the process gets the same
//! answer. All contenders after it would fail for no fault of theirs and be recorded so; and since a new process has a
//! working GPU again, it is better to stop.

use std::path::Path;

use candle_core::Device;

use crate::record::Status;
use crate::{Error, Result};

/// Finds out whether a device still answers.
pub(super) type HealthCheck<'a> = &'a dyn Fn(&Device) -> Result<()>;

/// The health check of every real run.
pub(super) fn synchronise(device: &Device) -> Result<()> {
    // The first answer may be about something long gone: what fails in a destructor is kept for the next caller, once.
    device.synchronize().or_else(|_| device.synchronize())?;
    Ok(())
}

/// What a failed contender's row says: the kind of failure and a sentence.
///
/// # Errors
/// The same error again if the device fails too: it says nothing about the contender then.
pub(super) fn row(error: Error, device: &Device, health_check: HealthCheck<'_>) -> Result<(Status, String)> {
    match health_check(device) {
        Ok(()) => Ok((Status::of(&error), error.to_string())),
        Err(_) => Err(error),
    }
}

/// The error that ends a run whose record is in `dir`: about the device if one of `devices` fails, else as it is.
pub(super) fn end<'a>(
    error: Error,
    devices: impl IntoIterator<Item = (&'static str, &'a Device)>,
    health_check: HealthCheck<'_>,
    dir: &Path,
) -> Error {
    let Some((name, device)) = devices.into_iter().find(|(_, device)| health_check(device).is_err()) else {
        return error;
    };
    // The handles of cuBLAS and cuRAND cannot be destroyed on a GPU that has failed: their destructors panic, and a
    // panic would be all that is seen of this. One clone that stays keeps them from being run; the process ends soon
    // anyway.
    let _stays = std::mem::ManuallyDrop::new(device.clone());
    Error::Lost { device: name.to_owned(), cause: error.to_string(), record: dir.to_path_buf() }
}

#[cfg(test)]
#[path = "device_health_tests.rs"]
mod tests;
