//! The kernels on the CPU, for tests: `emu/` compiles the same sources with the host's C++ compiler and runs every
//! thread as a fiber, in an order of the caller's choice.

mod call;
mod persistent;

pub use call::Number;
pub use persistent::Buffers;

use std::ffi::{c_char, CStr, CString};

use candle_core::Result;

use crate::refuse::refuse;

/// Whether kernels and emulator were compiled with AddressSanitizer.
pub const ASAN: bool = cfg!(emu_asan);

/// In which order ready threads and blocks take their turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By index.
    Forward,
    /// By index, the last first.
    Reverse,
    /// A new order every round, and threads may be preempted where they publish; the same for the same seed.
    Shuffled(u64),
}

impl Order {
    /// The orders in which every kernel is tried.
    pub const ALL: [Self; 4] = [Self::Forward, Self::Reverse, Self::Shuffled(1), Self::Shuffled(2)];
}

/// How a kernel is launched.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Blocks.
    pub grid: [u32; 3],
    /// Threads per block.
    pub block: [u32; 3],
    /// Bytes of dynamic shared memory.
    pub shared: usize,
    /// Whether all blocks are live together; otherwise one runs after another.
    pub cooperative: bool,
}

impl Shape {
    /// `blocks` of `threads`, one after another, without dynamic shared memory.
    pub fn new(blocks: u32, threads: u32) -> Self {
        Self { grid: [blocks, 1, 1], block: [threads, 1, 1], shared: 0, cooperative: false }
    }
}

/// Runs kernels in one order, unchanged or as a mutant.
#[derive(Debug, Clone)]
pub struct Emulator {
    /// The order.
    pub order: Order,
    /// A name of [`sources`](crate::sources), or `clean`.
    pub variant: String,
}

/// As `EmuConfig` in `emu/entry.cpp`.
#[repr(C)]
struct Config {
    grid: [u32; 3],
    block: [u32; 3],
    shared: u64,
    seed: u64,
    order: u32,
    cooperative: u32,
}

const _: () = assert!(
    std::mem::size_of::<Config>() == 48 && std::mem::offset_of!(Config, seed) == 32,
    "as in emu/entry.cpp"
);

unsafe extern "C" {
    fn pcnbench_emu_launch(
        variant: *const c_char,
        kernel: *const c_char,
        config: *const Config,
        params: *const u8,
        params_bytes: u64,
        message: *mut c_char,
        message_bytes: u64,
    ) -> i32;
}

impl Emulator {
    /// Kernels as they are.
    pub fn new(order: Order) -> Self {
        Self { order, variant: "clean".to_owned() }
    }

    /// Launches `kernel` with one parameter struct.
    ///
    /// # Errors
    /// What the emulator found wrong, with block, thread and line: a barrier that some threads do not reach, a
    /// deadlock, a misaligned access; an unknown kernel, or parameters of another size than it takes.
    ///
    /// # Safety
    /// The addresses in `params` must be good for all that the kernel does with them in this shape, and nothing else
    /// may use that memory meanwhile.
    pub unsafe fn launch<P: Copy>(&self, kernel: &str, shape: &Shape, params: &P) -> Result<()> {
        let text = |name: &str| match CString::new(name) {
            Ok(text) => Ok(text),
            Err(_) => refuse!("a name of a kernel contains a zero byte: {name:?}"),
        };
        let (variant, name) = (text(&self.variant)?, text(kernel)?);
        let (order, seed) = match self.order {
            Order::Forward => (0, 0),
            Order::Reverse => (1, 0),
            Order::Shuffled(seed) => (2, seed),
        };
        let config = Config {
            grid: shape.grid,
            block: shape.block,
            shared: shape.shared as u64,
            seed,
            order,
            cooperative: u32::from(shape.cooperative),
        };
        let mut message = vec![0u8; 4096];
        // SAFETY: names end with a zero byte, the configuration is laid out as the other side asserts, and both it and
        // the parameters are only read, while they are borrowed. At most `message.len()` bytes are written to the
        // message, the last of them zero. What the kernel itself does is the caller's promise.
        let status = unsafe {
            pcnbench_emu_launch(
                variant.as_ptr(),
                name.as_ptr(),
                &config,
                std::ptr::from_ref(params).cast(),
                std::mem::size_of::<P>() as u64,
                message.as_mut_ptr().cast(),
                message.len() as u64,
            )
        };
        if status == 0 {
            return Ok(());
        }
        let said = CStr::from_bytes_until_nul(&message).map(CStr::to_string_lossy).unwrap_or_default();
        refuse!("kernel `{kernel}` in the emulator: {said}")
    }
}
