//! What predictive coding costs next to backpropagation, measured.
//!
//! The modules in reading order; dependencies point from later to earlier:

#![forbid(unsafe_code)]

pub mod error;
pub mod files;
pub mod text;

pub mod net;
pub mod stats;
pub mod theory;

pub mod data;
pub mod engine;
pub mod optim;
pub mod rule;

pub mod contender;
pub mod suite;
pub mod verify;

pub mod compare;
pub mod draw;
pub mod measure;
pub mod plot;
pub mod record;
pub mod tune;

pub mod run;

pub mod cli;

pub use error::{Error, Result};
