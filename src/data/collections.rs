//! Collections of images: from a folder, or fetched.

use std::path::{Path, PathBuf};

use super::kind::{Folder, Kind, Request};
use super::{cifar, files, idx, Dataset};
use crate::{Error, Result};

/// The collection in the folder of `--data`, whichever its files show it to be.
pub const FOLDER: Kind = Kind {
    name: "folder",
    about: "the collection in the folder of `--data`: the four files of MNIST, or CIFAR-10 or CIFAR-100",
    folder: Folder::Needed,
    sized: false,
    load: |request| {
        match request.folder {
        Some(folder) => recognised(folder),
        None => Err(Error::Invalid(
            "data `folder` is read from a folder and none was given; name the folder that holds its files with --data DIR"
                .into(),
        )),
    }
    },
};

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

/// Files as of MNIST are called `idx`, since those of other collections are named alike; the others tell who they are.
fn recognised(folder: &Path) -> Result<Dataset> {
    let [ten, hundred] = cifar::FORMATS;
    (files::recognise(folder, &[&idx::FORMAT, ten, hundred])?.load)(folder)
}

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
    Err(Error::Invalid(format!(
        "data `{name}` is not part of this program; name a folder that holds its four files with --data DIR, \
         or build with the feature `hub` to have it fetched"
    )))
}
