//! Run directories: write (atomic, resumable), read, summarise.

mod disk;
mod folder;
pub mod read;
pub mod schema;
pub mod store;
pub mod summarise;
mod table;

#[cfg(test)]
mod fixture;

pub(crate) use disk::replace;
pub(crate) use folder::slug;
pub use read::{latest_unfinished, read, read_run};
pub use schema::{
    AlignmentRow, Ceiling, Machine, RatioRow, Record, Run, Sample, SignalRow, SummaryRow, SCHEMA,
};
pub use store::{PointResult, Store};
