//! What predictive coding costs next to backpropagation, measured.
//!
//! The modules in reading order; dependencies point from later to earlier:

#![forbid(unsafe_code)]

pub mod engine;
pub mod error;
pub mod measure;
pub mod net;
pub mod optim;
pub mod record;
pub mod rule;
pub mod stats;
pub mod theory;

pub use error::{Error, Result};
