//! Fused predictive-coding relaxations over a packed layer stack.
//!
//! In reading order: [`layer`] is a dense layer, [`stack`] a network (a chain of layers with their parameters in one flat
//! tensor), [`schedule`] is a learning rule with its steps, [`fused`] is the public call with Candle tensors, [`tune`]
//! chooses threads and tiles, and `cpu` and `cuda` compute.
//!
//! This package is the only place of the project where `unsafe` may stand.

#![deny(clippy::undocumented_unsafe_blocks)]

pub mod alloc;
mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
pub mod denormals;
pub mod device;
mod driver;
#[cfg(feature = "emu")]
pub mod emu;
mod error;
pub mod fused;
pub mod launch;
pub mod layer;
pub mod loss;
pub mod math_mode;
pub mod parts;
pub mod peak;
pub mod persistent;
pub mod primitives;
mod refuse;
mod rows;
pub mod sampler;
pub mod schedule;
pub mod signals;
#[path = "../sources.rs"]
pub mod sources;
pub mod stack;
pub mod threads;
pub mod tune;

pub use error::{Error, Result};
pub use fused::{Fused, Learned};
pub use layer::{Activation, Dense};
pub use loss::{Loss, LossKind, OutputError, Reduction};
pub use math_mode::MathMode;
pub use schedule::{Momentum, Optimiser, Rule, Schedule};
pub use stack::Stack;
