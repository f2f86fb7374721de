//! Records beside each other: what changed, by how much, and whether it may be compared at all.
//!
//! [`Side`] is what a comparison needs to know of a measurement, from a record or from a baseline file; [`compare`]
//! joins two of them point by point. Nothing here measures.

pub mod agreement;
pub mod baseline;
pub mod build;
pub mod claims;
mod compatibility;
pub mod exact;
pub mod export;
pub mod gate;
mod join;
pub mod rank;
mod row;
mod side;

pub use join::{compare, Options};
pub use row::{Comparison, Measure, Missing, Row};
pub use side::{Entry, Side, Work};

#[cfg(test)]
pub(crate) mod fixture;
