//! Denormal numbers as zeros: a switch of each thread.
//!
//! Numbers below the least normal one (1.2e-38 in f32, 2.2e-308 in f64) take a processor many times longer than others,
//! and the errors of a deep network under sPC fall below it. XLA computes with zeros in their place. The switch is FTZ
//! and DAZ in MXCSR on x86, FZ in FPCR on aarch64; it holds for f32 and f64 alike. On other processors these functions
//! have no effect.

use std::marker::PhantomData;

/// Whether this processor has the switch.
pub const SUPPORTED: bool = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));

/// Whether the calling thread takes denormal operands for zeros, and makes zeros of denormal results.
pub fn flushed() -> bool {
    control::read() & control::FLUSH == control::FLUSH
}

/// Sets the switch of the calling thread; returns how it was.
fn set(flush: bool) -> bool {
    let before = control::read();
    let after = if flush { before | control::FLUSH } else { before & !control::FLUSH };
    if after != before {
        control::write(after);
    }
    before & control::FLUSH == control::FLUSH
}

/// The switch of the calling thread, put back when this is dropped.
#[derive(Debug)]
pub(crate) struct Switch {
    before: bool,
    /// Only the thread that made it may drop it.
    _of_thread: PhantomData<*const ()>,
}

impl Switch {
    /// On or off on the calling thread for as long as the result lives.
    pub(crate) fn set(flush: bool) -> Self {
        Self { before: set(flush), _of_thread: PhantomData }
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        set(self.before);
    }
}

/// Flushes denormals to zero on the calling thread and on all workers of the pool that Candle's products use, for as
/// long as it lives. A call of the fused engine computes on all its threads as its caller does.
///
/// Where rayon's global pool was built around a thread of the program (`use_current_thread`), this is for that thread:
/// it alone runs the part of that worker. Two of these on different threads must not overlap.
#[derive(Debug)]
#[must_use = "denormals are flushed until this is dropped"]
pub struct Flush {
    /// The previous setting of each worker of the pool.
    workers: Vec<bool>,
    _own: Switch,
}

impl Flush {
    /// From now on.
    #[allow(clippy::new_without_default)] // a default with an effect on other threads would surprise
    pub fn new() -> Self {
        let own = Switch::set(true);
        Self { workers: rayon::broadcast(|_| set(true)), _own: own }
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        let before = std::mem::take(&mut self.workers);
        rayon::broadcast(|worker| set(before.get(worker.index()).copied().unwrap_or(false)));
    }
}

#[cfg(target_arch = "x86_64")]
mod control {
    use std::arch::asm;

    /// FTZ (results) and DAZ (operands).
    pub(super) const FLUSH: u64 = 1 << 15 | 1 << 6;

    pub(super) fn read() -> u64 {
        let mut mxcsr = 0_u32;
        // SAFETY: stores 4 bytes into a variable of 4 bytes.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut mxcsr, options(nostack, preserves_flags)) };
        u64::from(mxcsr)
    }

    pub(super) fn write(value: u64) {
        let mxcsr = value as u32;
        // SAFETY: loads what `read` gave but for the two bits above, which every x86-64 processor has. The compiler
        // takes arithmetic to be in the default mode, and may move an operation across this or fold it: its result can
        // then be a denormal where a zero was asked for, or the reverse, and nothing else.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const mxcsr, options(nostack, preserves_flags)) };
    }
}

#[cfg(target_arch = "aarch64")]
mod control {
    use std::arch::asm;

    /// FZ (operands and results).
    pub(super) const FLUSH: u64 = 1 << 24;

    pub(super) fn read() -> u64 {
        let fpcr: u64;
        // SAFETY: reads a register that every program may read.
        unsafe { asm!("mrs {}, fpcr", out(reg) fpcr, options(nostack, preserves_flags)) };
        fpcr
    }

    pub(super) fn write(fpcr: u64) {
        // SAFETY: writes what `read` gave but for the bit above. The compiler takes arithmetic to be in the default
        // mode, and may move an operation across this or fold it: its result can then be a denormal where a zero was
        // asked for, or the reverse, and nothing else.
        unsafe { asm!("msr fpcr, {}", in(reg) fpcr, options(nostack, preserves_flags)) };
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod control {
    pub(super) const FLUSH: u64 = 1;

    pub(super) fn read() -> u64 {
        0
    }

    pub(super) fn write(_value: u64) {}
}
