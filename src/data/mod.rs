//! What is learned: data sets, held on the host, and the mini-batches drawn from them.
//!
//! A [`Kind`] is a data set by the name that suites use; [`Kind::load`] gives the [`Dataset`], and [`Batches`] draws
//! shuffled mini-batches from one of its halves. Everything random is drawn on the host from a seeded
//! stream, so one seed gives the same bits on every machine and every device.

mod augment;
mod batches;
mod brightness;
pub mod cifar;
mod collections;
mod dataset;
pub mod digits;
mod files;
#[cfg(feature = "hub")]
pub mod hub;
pub mod idx;
mod images;
pub mod kind;
mod rng;
mod stream;
pub mod synthetic;
#[cfg(test)]
mod tests;
pub mod text;

pub use augment::Augment;
pub use batches::{Batch, Batches, Epoch, InOrder};
pub use brightness::Brightness;
pub use collections::FOLDER;
pub use dataset::{Dataset, Split, Targets};
pub use images::Images;
pub use kind::{Folder, Kind, Request, Sizes};

use crate::{Error, Result};

/// Every data set, in the order of help texts.
pub const KINDS: [&Kind; 7] = [
    &digits::KIND,
    &FOLDER,
    &collections::MNIST,
    &collections::FASHION_MNIST,
    &synthetic::COLOUR_BLOBS,
    &synthetic::TEACHER,
    &text::KIND,
];

impl Kind {
    /// The data set of this name.
    ///
    /// # Errors
    /// [`Error::Unknown`] for a name that is not in [`KINDS`].
    pub fn of(name: &str) -> Result<&'static Self> {
        let found = KINDS.into_iter().find(|kind| kind.name == name);
        found.ok_or_else(|| Error::unknown("data", name, KINDS.map(|kind| kind.name)))
    }
}
