//! What is learned: data sets, held on the host, and the mini-batches drawn from them.
//!
//! [`load`] turns a [`Source`] (the word a suite definition uses) into a [`Dataset`]; [`Batches`] draws
//! shuffled mini-batches from one of its halves. Everything random is drawn on the host from a seeded
//! stream, so one seed gives the same bits on every machine and every device.

mod batches;
mod dataset;
pub mod digits;
#[cfg(feature = "hub")]
pub mod hub;
pub mod idx;
mod images;
mod rng;
mod source;
pub mod synthetic;
#[cfg(test)]
mod tests;

pub use batches::{Batch, Batches, Epoch, InOrder};
pub use dataset::{Dataset, Split, Targets};
pub use images::Images;
pub use source::Source;

use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The data set that `source` names.
///
/// `dir` is the folder of the option `--data`: needed by the sources read from disk, ignored by all
/// others, so that one run can mix both. The folder of a named collection is `dir/<name>` if that is a
/// folder (`dir/mnist`), else `dir` itself. Without `dir`, `mnist` and `fashion-mnist` are fetched if the
/// feature `hub` is built in. `seed` decides the content of the synthetic sources and nothing else.
///
/// # Errors
/// [`Error::Invalid`] if the source needs a folder and none is given; otherwise those of
/// [`idx::load`], [`synthetic::TeacherStudent::generate`], [`synthetic::images`] and [`digits::load`].
pub fn load(source: &Source, dir: Option<&Path>, seed: u64) -> Result<Dataset> {
    match (source, dir) {
        (Source::Digits, _) => digits::load(),
        (&Source::Teacher { inputs, outputs, train, test }, _) => {
            synthetic::TeacherStudent { inputs, outputs, train, test, seed }.generate()
        }
        (&Source::Blobs { train, test }, _) => {
            let (train, test) = synthetic::images(train, test, seed)?;
            Images::dataset(source.name(), &train, &test)
        }
        (Source::Mnist | Source::FashionMnist | Source::Idx, Some(dir)) => {
            idx::load(&folder_of(source, dir), source.name())
        }
        (Source::Mnist | Source::FashionMnist, None) => fetch(source),
        (Source::Idx, None) => Err(Error::Invalid(format!(
            "data `{source}` is read from a folder and none was given; name the folder that holds its four \
             files with --data DIR"
        ))),
    }
}

/// A parent folder may hold several collections side by side, one sub-folder each.
fn folder_of(source: &Source, dir: &Path) -> PathBuf {
    let inner = dir.join(source.name());
    if *source != Source::Idx && inner.is_dir() {
        inner
    } else {
        dir.to_path_buf()
    }
}

#[cfg(feature = "hub")]
fn fetch(source: &Source) -> Result<Dataset> {
    hub::load(source)
}

#[cfg(not(feature = "hub"))]
fn fetch(source: &Source) -> Result<Dataset> {
    Err(Error::Invalid(format!(
        "data `{source}` is not part of this program; name a folder that holds its four files with --data DIR, \
         or build with the feature `hub` to have it fetched"
    )))
}
