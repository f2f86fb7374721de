//! Fused predictive-coding relaxations over a packed layer stack.

#![deny(clippy::undocumented_unsafe_blocks)]

pub mod card;
