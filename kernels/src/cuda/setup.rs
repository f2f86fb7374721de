//! The setup of a GPU, for readers of timings.

use candle_core::cuda_backend::cudarc::driver::sys;
use candle_core::{CudaDevice, Result};

use super::module::{failed, MODULES};

/// One line per fact.
pub(crate) fn setup(device: &CudaDevice) -> Result<Vec<(&'static str, String)>> {
    let stream = device.cuda_stream();
    let context = stream.context();
    let ask =
        |attribute| context.attribute(attribute).map_err(failed("the attributes of the GPU cannot be read"));
    use sys::CUdevice_attribute_enum::{
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR as MAJOR,
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR as MINOR,
        CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT as PROCESSORS,
    };
    let (newest, minor) = crate::driver::driver_cuda_version()?;
    let (free, all) = context.mem_get_info().map_err(failed("the memory of the GPU cannot be read"))?;
    let gib = |bytes: usize| bytes as f64 / f64::from(1 << 30);
    let images = MODULES.iter().filter(|module| !module.image.is_empty()).count();
    Ok(vec![
        (
            "GPU",
            format!(
                "{} multiprocessors, compute capability {}.{}, {:.1} of {:.1} GiB free; driver runs CUDA up to \
                 {newest}.{minor}",
                ask(PROCESSORS)?,
                ask(MAJOR)?,
                ask(MINOR)?,
                gib(free),
                gib(all)
            ),
        ),
        (
            "persistent launches",
            match super::device_limits(device)?.cooperative {
                Some(limits) => format!(
                    "up to {} blocks at once with {} KiB of shared memory each",
                    limits.resident_blocks,
                    limits.shared_per_block / 1024
                ),
                None => "none: this GPU has no cooperative launches".to_owned(),
            },
        ),
        ("kernels", format!("{images} of {} modules compiled for GPUs", MODULES.len())),
        ("event tracking", if device.is_event_tracking() { "on" } else { "off" }.to_owned()),
        (
            "stream",
            if stream.cu_stream().is_null() { "the default one" } else { "one of its own for all threads" }.to_owned(),
        ),
        (
            "memory pool",
            if context.has_async_alloc() {
                match kept_by_pool(context.cu_device())? {
                    u64::MAX => "keeps all that is freed".to_owned(),
                    bytes => format!("keeps up to {bytes} bytes when everything is done"),
                }
            } else {
                "none: this GPU has no memory pools, so every allocation goes to the driver".to_owned()
            },
        ),
    ])
}

/// The pool that allocations come from.
fn pool_of(device: sys::CUdevice) -> Result<sys::CUmemoryPool> {
    let mut pool: sys::CUmemoryPool = std::ptr::null_mut();
    // SAFETY: the call writes one handle to the address it is given, which is that of `pool`.
    unsafe { sys::cuDeviceGetDefaultMemPool(&mut pool, device) }
        .result()
        .map_err(failed("the pool of memory cannot be found"))?;
    Ok(pool)
}

/// Lets the pool keep freed memory. Does nothing on a GPU without pools (some virtual GPUs have none).
pub(crate) fn keep_pool(device: &CudaDevice) -> Result<()> {
    let stream = device.cuda_stream();
    if !stream.context().has_async_alloc() {
        return Ok(());
    }
    let pool = pool_of(stream.context().cu_device())?;
    let mut all = u64::MAX;
    let which = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
    // SAFETY: the pool is the device's own; this attribute is one 64-bit number, read from `all` before the call
    // returns.
    unsafe { sys::cuMemPoolSetAttribute(pool, which, std::ptr::from_mut(&mut all).cast()) }
        .result()
        .map_err(failed("the pool of memory cannot be set to keep freed memory"))
}

/// The release threshold of the pool.
fn kept_by_pool(device: sys::CUdevice) -> Result<u64> {
    let pool = pool_of(device)?;
    let mut threshold = 0u64;
    let which = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
    // SAFETY: the pool is the device's own; this attribute is one 64-bit number, written to `threshold`.
    unsafe { sys::cuMemPoolGetAttribute(pool, which, std::ptr::from_mut(&mut threshold).cast()) }
        .result()
        .map_err(failed("the pool of memory does not say what it keeps"))?;
    Ok(threshold)
}
