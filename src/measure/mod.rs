//! Time, machine facts, measured ceilings, and what may have disturbed a sample or what it cost besides time.

pub mod affinity;
pub mod build;
pub mod card;
pub mod clock;
pub mod clocks;
pub mod delay;
pub mod energy;
mod load;
pub mod machine;
pub mod memory;
pub mod pauses;
pub mod peak;
#[cfg(feature = "trials")]
pub mod planted;
pub mod quiet;
pub mod sampler;
pub mod threads;

pub use clock::{time, time_with_device, utc_now, utc_today};
pub use load::load_warning;
pub use machine::{debug_build, threads, Gpu};
pub use peak::{copy_ceiling, gemm_ceiling};
