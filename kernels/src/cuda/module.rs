//! Loading modules and launching their kernels.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use candle_core::cuda_backend::cudarc::driver::{
    sys, CudaFunction, CudaModule, CudaStream, DeviceRepr, DriverError, LaunchConfig, PushKernelArg,
};
use candle_core::cuda_backend::cudarc::nvrtc::Ptx;
use candle_core::{CudaDevice, Error, Result};

use crate::refuse::refuse;

/// Kernels compiled from one source.
#[derive(Debug)]
pub struct Module {
    /// `pcnbench-<file>-<hash of source, headers, flags, compute capabilities and compiler>`.
    pub name: &'static str,
    /// Machine code for some GPUs and PTX for later ones; empty if nvcc was a stand-in.
    pub image: &'static [u8],
    /// The names of its kernels.
    pub kernels: &'static [&'static str],
}

/// Every module of this build.
pub static MODULES: &[Module] = include!(concat!(env!("OUT_DIR"), "/modules.rs"));

/// Loaded modules by context and name. A module keeps its context alive, so the address of a context is not reused.
type Loaded = HashMap<(usize, &'static str), Arc<CudaModule>>;
static LOADED: LazyLock<Mutex<Loaded>> = LazyLock::new(Mutex::default);

/// A kernel, ready to be launched on the stream of one device.
#[derive(Debug, Clone)]
pub struct Kernel {
    name: String,
    module: &'static str,
    function: CudaFunction,
    stream: Arc<CudaStream>,
}

/// How a kernel is launched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Blocks.
    pub grid: (u32, u32, u32),
    /// Threads per block.
    pub block: (u32, u32, u32),
    /// Bytes of dynamic shared memory; above 48 KiB only after [`Kernel::allow_shared`].
    pub shared: u32,
}

impl Shape {
    /// `blocks` of `threads` without dynamic shared memory.
    pub fn new(blocks: u32, threads: u32) -> Self {
        Self { grid: (blocks, 1, 1), block: (threads, 1, 1), shared: 0 }
    }

    fn config(self) -> LaunchConfig {
        LaunchConfig { grid_dim: self.grid, block_dim: self.block, shared_mem_bytes: self.shared }
    }

    fn blocks(self) -> u64 {
        u64::from(self.grid.0) * u64::from(self.grid.1) * u64::from(self.grid.2)
    }

    fn threads(self) -> u32 {
        self.block.0.saturating_mul(self.block.1).saturating_mul(self.block.2)
    }
}

/// An error of the driver in one line, with the operation that failed.
pub(super) fn failed<'a>(doing: impl Display + 'a) -> impl FnOnce(DriverError) -> Error + 'a {
    move |error| match error.error_string() {
        Ok(words) => Error::Msg(format!("{doing}: {:?}: {}", error.0, words.to_string_lossy())),
        Err(_) => Error::Msg(format!("{doing}: {:?}", error.0)),
    }
}

/// The kernel of this name, from a module that is loaded at its first use and once per GPU.
///
/// # Errors
/// If no module has such a kernel, or the driver refuses the module; both say which.
pub fn kernel(device: &CudaDevice, name: &str) -> Result<Kernel> {
    let Some(module) = MODULES.iter().find(|module| module.kernels.contains(&name)) else {
        let known: Vec<_> = MODULES.iter().flat_map(|module| module.kernels).copied().collect();
        refuse!("no module has a kernel `{name}`; there are {}", known.join(", "))
    };
    if module.image.is_empty() {
        refuse!(
            "kernel `{name}` of module `{}` was not compiled: this program was built with a stand-in for nvcc; \
             build it with a real one",
            module.name
        );
    }
    let stream = device.cuda_stream();
    let context = stream.context();
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (context.cu_ctx() as usize, module.name);
    let here = match loaded.get(&key) {
        Some(here) => here.clone(),
        None => {
            // the image has machine code and PTX; the driver picks what fits the GPU
            let here = context.load_module(Ptx::from_binary(module.image.to_vec())).map_err(|error| {
                let advice = match error.0 {
                    sys::CUresult::CUDA_ERROR_NO_BINARY_FOR_GPU => {
                        "; it has no code for this GPU, build it with PCNBENCH_CUDA_ARCHS set to the GPU's \
                             compute capability"
                    }
                    _ => "",
                };
                let what = format!("module `{}` of kernel `{name}` cannot be loaded", module.name);
                match failed(what)(error) {
                    Error::Msg(said) => Error::Msg(said + advice),
                    other => other,
                }
            })?;
            loaded.insert(key, here.clone());
            here
        }
    };
    let function = here
        .load_function(name)
        .map_err(failed(format_args!("module `{}` gives no kernel `{name}`", module.name)))?;
    // A driver loads a function at its first use. This query loads it now, and not during a recording or a timing.
    function.num_regs().map_err(failed(format_args!("kernel `{name}` cannot be loaded")))?;
    Ok(Kernel { name: name.to_owned(), module: module.name, function, stream })
}

impl Kernel {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Allows launches with up to `bytes` of dynamic shared memory, beyond the 48 KiB that are always allowed. The
    /// limit never shrinks: it belongs to the function, which other engines may launch with more.
    ///
    /// # Errors
    /// If the GPU has less.
    pub fn allow_shared(&self, bytes: u32) -> Result<()> {
        let what = sys::CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        let Ok(value) = i32::try_from(bytes) else {
            refuse!("kernel `{}` cannot have {bytes} bytes of shared memory; no GPU has as much", self.name)
        };
        let doing = || format!("kernel `{}` cannot have {bytes} bytes of shared memory", self.name);
        // one thread at a time reads and sets the limit
        let _one_at_a_time = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if self.function.get_attribute(what).map_err(failed(doing()))? >= value {
            return Ok(());
        }
        self.function.set_attribute(what, value).map_err(failed(doing()))
    }

    /// How many blocks of `shape` the GPU can hold at once: the most that a cooperative launch may have.
    ///
    /// # Errors
    /// If the driver does not answer.
    pub fn resident_blocks(&self, shape: Shape) -> Result<u64> {
        let ask = "how many blocks fit cannot be found out";
        let per_multiprocessor = self
            .function
            .occupancy_max_active_blocks_per_multiprocessor(shape.threads(), shape.shared as usize, None)
            .map_err(failed(ask))?;
        let count = sys::CUdevice_attribute_enum::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT;
        let multiprocessors = self.stream.context().attribute(count).map_err(failed(ask))?;
        Ok(u64::from(per_multiprocessor) * u64::try_from(multiprocessors).unwrap_or(0))
    }

    /// Registers and bytes of local memory per thread on this GPU.
    ///
    /// # Errors
    /// If the driver does not answer.
    pub fn usage(&self) -> Result<(i32, i32)> {
        let ask = "what a kernel uses cannot be found out";
        let registers = self.function.num_regs().map_err(failed(ask))?;
        Ok((registers, self.function.local_size_bytes().map_err(failed(ask))?))
    }

    /// Queues one launch; returns before it has run.
    ///
    /// # Errors
    /// If the driver refuses the launch. An error during execution is returned by a later call that waits for it.
    ///
    /// # Safety
    /// `params` must be the kernel's own parameter struct, and its addresses good, on this device, for all that the
    /// kernel does with them in this shape, until the stream has passed the launch.
    pub unsafe fn launch<P: DeviceRepr>(&self, shape: Shape, params: &P) -> Result<()> {
        let mut builder = self.stream.launch_builder(&self.function);
        builder.arg(params);
        // SAFETY: the caller promises that the one argument is what the kernel takes and that it may do what it does.
        unsafe { builder.launch(shape.config()) }.map_err(failed(format_args!(
            "kernel `{}` of module `{}` cannot be launched as {shape:?}, or an earlier one has failed",
            self.name, self.module
        )))?;
        Ok(())
    }

    /// As [`launch`](Self::launch), with all blocks resident together, so that they may wait for one another.
    ///
    /// # Errors
    /// As [`launch`](Self::launch), and if the GPU cannot hold all of the shape's blocks at once.
    ///
    /// # Safety
    /// As [`launch`](Self::launch).
    pub unsafe fn launch_cooperative<P: DeviceRepr>(&self, shape: Shape, params: &P) -> Result<()> {
        let most = self.resident_blocks(shape)?;
        if shape.blocks() > most {
            refuse!(
                "kernel `{}` needs {} blocks at once; this GPU holds {most} of this shape; launch fewer",
                self.name,
                shape.blocks()
            );
        }
        let mut builder = self.stream.launch_builder(&self.function);
        builder.arg(params);
        // SAFETY: as in `launch`.
        unsafe { builder.launch_cooperative(shape.config()) }.map_err(failed(format_args!(
            "kernel `{}` cannot be launched cooperatively as {shape:?}",
            self.name
        )))?;
        Ok(())
    }
}
