//! Launch strategies of the fused engine, measured on a GPU (`pcnbench tune`): which calls are timed ([`grid`]), how
//! ([`measure`]), and the file that keeps the times ([`mod@file`]). [`pcnbench_kernels::tune::choose`] decides by them.

mod device;
pub mod file;
mod grid;
mod time;

pub use device::OnDevice;
pub(crate) use grid::describe;
pub use grid::{grid, Call};
pub use time::{measure, Measured, Timer};
