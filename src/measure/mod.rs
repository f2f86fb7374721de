//! Time, machine facts, measured ceilings and reference rates, and what may have disturbed a sample or what it cost
//! besides time.

pub mod affinity;
pub mod build;
pub mod clock;
pub mod clocks;
pub mod energy;
pub mod exact;
pub mod gpu_state;
pub mod instructions;
mod load;
pub mod machine;
pub mod memory;
pub mod memory_limit;
pub mod pauses;
pub mod peak;
#[cfg(any(feature = "trials", debug_assertions))]
pub mod planted;
pub mod quiet;
pub mod run_queue_wait;
pub mod sampler;
pub mod subject;
pub mod threads;

pub use clock::{time, time_with_device, utc_now, utc_today};
pub use load::load_warning;
pub use machine::{debug_build, threads, Gpu};
pub use peak::{copy_rate, fma_ceiling, gemm_rate, product_rate, read_rate};
