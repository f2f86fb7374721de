//! Run directories: write (atomic, resumable), read, summarise.

pub mod schema;

pub use schema::{Ceiling, Machine, RatioRow, Record, Run, Sample, SignalRow, SummaryRow, SCHEMA};
