//! Fused predictive-coding relaxations over a packed layer stack.

#![deny(clippy::undocumented_unsafe_blocks)]

pub mod card;
#[cfg(feature = "cuda")]
pub mod cuda;
#[cfg(feature = "emu")]
pub mod emu;
pub mod primitives;
mod refuse;
#[path = "../sources.rs"]
pub mod sources;
pub mod step;
