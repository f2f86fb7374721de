//! Run directories: write (atomic, resumable), read, summarise.

mod columns;
mod curve;
mod definition;
mod disk;
mod facts;
mod folder;
mod header;
mod layered;
pub mod learned;
mod limits;
pub mod marks;
pub mod merge;
mod place;
mod ranges;
pub mod read;
mod regime;
mod regimes;
pub mod schema;
mod seal;
mod shard;
pub mod store;
pub mod summarise;
mod table;
mod training;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod format_tests;

pub(crate) use curve::{curve_bytes, header_bytes, read_curve, read_header};
pub(crate) use disk::save;
pub(crate) use folder::{lock, slug};
pub use layered::Layered;
pub use limits::product_size;
pub use marks::{Mark, Marks};
pub use read::{latest_unfinished, latest_unfinished_on, read, read_run};
pub use regime::{regime_label, RegimeRow};
pub use regimes::Regimes;
pub use schema::PointResult;
pub use schema::{
    AlignmentRow, Ceiling, Machine, QuantityRow, RatioRow, Record, Run, Sample, ShardRun, SignalRow, Status,
    SummaryRow, SCHEMA,
};
pub(crate) use seal::sha256;
pub use shard::Shard;
pub use store::Store;
pub use training::TrainingRow;
