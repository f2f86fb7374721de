//! Architectures: functions from a few numbers to a graph, one file each.

pub use super::architecture_kind::{ActivationOrder, Architecture, Kind, Settings};
use crate::{Error, Result};

// `pub mod` of every other file of this folder, and `KINDS`, the table of their constants `KIND`, sorted by file name:
// `build.rs` lists the folder, so that an architecture is added by adding its file.
include!(concat!(env!("OUT_DIR"), "/architectures.rs"));

impl Kind {
    /// The architecture of this name.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a name that is not in [`KINDS`].
    pub fn of(name: &str) -> Result<&'static Self> {
        let found = KINDS.iter().find(|kind| kind.name == name);
        found.ok_or_else(|| Error::unknown("architecture", name, KINDS.iter().map(|kind| kind.name)))
    }
}
