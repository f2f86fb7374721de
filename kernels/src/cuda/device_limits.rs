//! Limits of a GPU, read from the driver.

use std::time::Duration;

use candle_core::cuda_backend::cudarc::driver::sys::CUdevice_attribute_enum as Ask;
use candle_core::{CudaDevice, Result};

use super::module::failed;
use crate::persistent::{patience_of, CooperativeLimits};
use crate::tune::DeviceLimits;

/// The environment variable for how many seconds a block waits for another, see [`CooperativeLimits::patience`].
const SETTING: &str = "PCNBENCH_PATIENCE_SECONDS";

fn patience() -> Result<Duration> {
    let text = std::env::var_os(SETTING);
    patience_of(SETTING, text.as_ref().map(|text| text.to_string_lossy()).as_deref())
        .map_err(candle_core::Error::Msg)
}

/// Compute capability, major and minor.
pub(crate) fn capability_of(device: &CudaDevice) -> Result<(u32, u32)> {
    Ok((
        ask(device, Ask::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, "the compute capability")?,
        ask(device, Ask::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, "the compute capability")?,
    ))
}

fn ask(device: &CudaDevice, what: Ask, name: &str) -> Result<u32> {
    let stream = device.cuda_stream();
    let value =
        stream.context().attribute(what).map_err(failed(format_args!("{name} cannot be found out")))?;
    Ok(u32::try_from(value).unwrap_or(0))
}

/// Asks the driver. Every GPU holds one block of the persistent kernels per multiprocessor.
pub(crate) fn device_limits(device: &CudaDevice) -> Result<DeviceLimits> {
    let of = |what, name| ask(device, what, name);
    let processors =
        of(Ask::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, "the number of multiprocessors")? as usize;
    if of(Ask::CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH, "whether there are cooperative launches")? == 0 {
        return Ok(DeviceLimits { processors, cooperative: None });
    }
    let shared = of(Ask::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, "the size of shared memory")?;
    let limits = CooperativeLimits {
        multiprocessors: processors,
        shared_per_block: shared as usize,
        resident_blocks: processors,
        capability: capability_of(device)?,
        patience: patience()?,
    };
    Ok(DeviceLimits { processors, cooperative: Some(limits) })
}
