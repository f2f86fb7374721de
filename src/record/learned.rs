//! What training runs of a record say together: losses over learning rates, and what an accuracy took.

mod rates;
mod target;

pub use rates::{grids, Cell, RateGrid};
pub use target::{reached, targets, Cost, Reached};
