//! Figures of training runs.

mod curves;
mod target;
#[cfg(test)]
mod tests;
mod transfer;

use std::path::Path;

use super::drawing::Drawing;
use crate::record::Record;
use crate::Result;

/// Curves of every benchmark, what a target accuracy took where one is given, and losses over learning rates where these were varied.
///
/// # Errors
/// As [`super::draw_all`].
pub fn draw(record: &Record, folder: &Path) -> Result<Drawing> {
    let mut all = curves::draw(record, folder)?;
    for part in [target::draw(record, folder)?, transfer::draw(record, folder)?] {
        all.drawn.extend(part.drawn);
        all.skipped.extend(part.skipped);
    }
    Ok(all)
}
