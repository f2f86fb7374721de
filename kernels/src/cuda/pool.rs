//! The bytes in use of the pool from which memory of a GPU is allocated.

use candle_core::cuda_backend::cudarc::driver::sys::{self, CUmemPool_attribute};
use candle_core::{CudaDevice, Result};

use super::module::failed;

/// The stream-ordered pool of a GPU: Candle's tensors and this package's arenas are allocated from it and freed into
/// it.
///
/// It counts allocated bytes, not those that it keeps for later.
#[derive(Debug)]
pub struct Pool {
    /// Lives as long as the device; no code of this package destroys it.
    pool: sys::CUmemoryPool,
    device: CudaDevice,
}

impl Pool {
    /// The pool of a device; `None` if it has none and every allocation goes to the driver, which does not count.
    ///
    /// # Errors
    /// If the driver does not answer.
    pub fn of(device: &CudaDevice) -> Result<Option<Self>> {
        let stream = device.cuda_stream();
        let context = stream.context();
        if !context.has_async_alloc() {
            return Ok(None);
        }
        context.bind_to_thread().map_err(failed("the memory of the GPU cannot be read"))?;
        let mut pool: sys::CUmemoryPool = std::ptr::null_mut();
        // SAFETY: the call writes one handle to the address it is given, which is that of `pool`; the device is that of
        // a context that lives. The current pool is asked for, not the default one: it is what allocations come from.
        unsafe { sys::cuDeviceGetMemPool(&mut pool, context.cu_device()) }
            .result()
            .map_err(failed("the pool of memory cannot be found"))?;
        Ok(Some(Self { pool, device: device.clone() }))
    }

    /// Bytes in use now, after all that is queued on the stream.
    ///
    /// # Errors
    /// What went wrong on the GPU before, or the driver's own.
    pub fn in_use(&self) -> Result<u64> {
        self.settle()?;
        self.read(CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_CURRENT)
    }

    /// Most bytes in use at once since [`Self::forget_highest`].
    ///
    /// # Errors
    /// What went wrong on the GPU before, or the driver's own.
    pub fn highest(&self) -> Result<u64> {
        self.settle()?;
        self.read(CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH)
    }

    /// Sets the highest to what is in use now, after all that is queued on the stream.
    ///
    /// # Errors
    /// What went wrong on the GPU before, or the driver's own.
    pub fn forget_highest(&self) -> Result<()> {
        self.settle()?;
        // The driver takes no other value for this attribute.
        let mut zero = 0u64;
        let which = CUmemPool_attribute::CU_MEMPOOL_ATTR_USED_MEM_HIGH;
        // SAFETY: the pool is the device's own and lives; this attribute is one 64-bit number, read from `zero`.
        unsafe { sys::cuMemPoolSetAttribute(self.pool, which, std::ptr::from_mut(&mut zero).cast()) }
            .result()
            .map_err(failed("the highest use of the pool cannot be reset"))
    }

    /// Waits for the stream: memory that is queued to be freed is in use until then.
    fn settle(&self) -> Result<()> {
        self.device.cuda_stream().synchronize().map_err(failed("the GPU does not finish its work"))
    }

    fn read(&self, which: CUmemPool_attribute) -> Result<u64> {
        let mut bytes = 0u64;
        // SAFETY: the pool is the device's own and lives; both attributes asked for here are one 64-bit number, written
        // to `bytes`.
        unsafe { sys::cuMemPoolGetAttribute(self.pool, which, std::ptr::from_mut(&mut bytes).cast()) }
            .result()
            .map_err(failed("the use of the pool cannot be read"))?;
        Ok(bytes)
    }
}
