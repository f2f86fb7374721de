//! The files of a training run on its own, which is no record.

use std::fs;
use std::path::Path;

use super::header::Run;
use super::table;
use super::training::TrainingRow;
use crate::{Error, Result};

/// A curve as the bytes of a file.
pub(crate) fn curve_bytes(rows: &[TrainingRow]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    table::append(&mut bytes, rows)?;
    Ok(bytes)
}

/// The curve in a file that holds no record.
pub(crate) fn read_curve(path: &Path) -> Result<Vec<TrainingRow>> {
    let bytes = fs::read(path).map_err(|e| Error::io("read the curve", path, e))?;
    table::parse(path, &bytes)
}

/// What a training run is, as the bytes of a file.
pub(crate) fn header_bytes(run: &Run) -> Result<Vec<u8>> {
    let text = serde_json::to_string_pretty(run).map_err(|e| Error::Invalid(e.to_string()))?;
    Ok((text + "\n").into_bytes())
}

/// What a training run is, from such a file.
pub(crate) fn read_header(path: &Path) -> Result<Run> {
    let bytes = fs::read(path).map_err(|e| Error::io("read the training run", path, e))?;
    serde_json::from_slice(&bytes)
        .map_err(|e| Error::content(path, format!("is not that of a training run: {e}")))
}
