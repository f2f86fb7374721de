//! Data sets by name.

use std::path::Path;

use super::Dataset;
use crate::Result;

/// A data set that suites can name.
#[derive(Debug)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    /// What a folder given with `--data` is to it.
    pub folder: Folder,
    /// Whether it is as large as it is asked to be, so that points of other sizes have other data.
    pub sized: bool,
    /// Loads it.
    pub load: fn(&Request<'_>) -> Result<Dataset>,
}

/// What a folder given with `--data` is to a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folder {
    /// Nothing.
    Ignored,
    /// Data in its place.
    Replaces,
    /// Where it is, and it is nowhere else.
    Needed,
    /// Where it is, or the parent of a folder of its name; without one it is fetched, if the feature `hub` is built in.
    Used,
}

/// What a data set is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The folder given with `--data`.
    pub folder: Option<&'a Path>,
    /// Decides the content of invented data, and nothing else.
    pub seed: u64,
    /// Of invented data.
    pub sizes: Sizes,
}

/// Sizes of invented data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sizes {
    /// Numbers per example.
    pub inputs: usize,
    /// Numbers per target.
    pub outputs: usize,
    /// Training rows.
    pub train: usize,
    /// Test rows.
    pub test: usize,
}
