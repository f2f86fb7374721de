//! Time, machine facts and measured ceilings.

pub mod build;
pub mod clock;
pub mod machine;
pub mod peak;
#[cfg(feature = "trials")]
pub mod planted;
pub mod sampler;
pub mod waiting;

pub use clock::{time, utc_now, utc_today};
pub use machine::{debug_build, load_warning, threads, Gpu};
pub use peak::{copy_ceiling, gemm_ceiling};
pub use waiting::Waiting;
