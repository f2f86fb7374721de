//! Versions of CUDA: of the installed driver, as (major, minor).

/// The newest CUDA version that the installed driver can run, as (major, minor).
///
/// # Errors
/// If the driver does not answer.
#[cfg(feature = "cuda")]
pub fn driver_cuda_version() -> candle_core::Result<(u32, u32)> {
    use candle_core::cuda_backend::cudarc::driver::sys;
    let mut number = 0;
    // SAFETY: the call writes one integer to the address it is given, which is that of `number`; it may
    // be made at any time, by any thread, before initialisation too.
    unsafe { sys::cuDriverGetVersion(&mut number) }.result().map_err(candle_core::Error::wrap)?;
    Ok(version(u32::try_from(number).unwrap_or(0)))
}

/// CUDA's own spelling of its versions, 13020 for 13.2, as (major, minor).
#[cfg(any(feature = "cuda", test))]
pub(crate) fn version(number: u32) -> (u32, u32) {
    (number / 1000, number % 1000 / 10)
}
