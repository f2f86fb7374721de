//! MNIST and Fashion-MNIST: from a folder, or fetched.

use std::path::{Path, PathBuf};

use super::kind::{Folder, Kind, Request};
use super::{idx, Dataset};
use crate::Result;

/// MNIST.
pub const MNIST: Kind = Kind {
    name: "mnist",
    about: "28×28 handwritten digits, from a folder or (feature `hub`) fetched",
    folder: Folder::Used,
    sized: false,
    load: |request| load("mnist", request),
};

/// Fashion-MNIST.
pub const FASHION_MNIST: Kind = Kind {
    name: "fashion-mnist",
    about: "28×28 images of clothes, likewise",
    folder: Folder::Used,
    sized: false,
    load: |request| load("fashion-mnist", request),
};

fn load(name: &str, request: &Request<'_>) -> Result<Dataset> {
    match request.folder {
        Some(folder) => idx::load(&folder_of(name, folder), name),
        None => fetch(name),
    }
}

/// The folder of a named collection: a parent folder may hold several side by side.
fn folder_of(name: &str, dir: &Path) -> PathBuf {
    let inner = dir.join(name);
    if inner.is_dir() {
        inner
    } else {
        dir.to_path_buf()
    }
}

#[cfg(feature = "hub")]
fn fetch(name: &str) -> Result<Dataset> {
    super::hub::load(name)
}

#[cfg(not(feature = "hub"))]
fn fetch(name: &str) -> Result<Dataset> {
    Err(crate::Error::Invalid(format!(
        "data `{name}` is not part of this program; name a folder that holds its four files with --data DIR, \
         or build with the feature `hub` to have it fetched"
    )))
}
