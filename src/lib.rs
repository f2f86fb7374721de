//! What predictive coding costs next to backpropagation, measured.
//!
//! The modules in reading order; dependencies point from later to earlier:

#![forbid(unsafe_code)]

pub mod error;
pub mod plot;
pub mod record;

pub use error::{Error, Result};
