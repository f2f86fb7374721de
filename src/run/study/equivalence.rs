//! What the minimum of the energy says about the loss, and its directions about backpropagation's.

use super::cosines::Backpropagation;
use super::subject::{Found, Subject};
use crate::engine::curvature::minimum;
use crate::rule::directions_at;
use crate::Result;

/// Relative gradient that counts as the minimum.
const MINIMUM: f64 = 1e-9;

pub(super) fn compare(subject: &Subject<'_>) -> Result<Found> {
    let engine = subject.engine();
    let minimum = minimum(engine, MINIMUM)?;
    let loss = subject.loss(&subject.state.params)?;
    let directions = directions_at(&engine, &minimum.errors, &[])?;
    let cosines = Backpropagation::of(subject)?.beside(&directions)?;
    Ok(vec![
        ("loss_over_energy", 0.0, loss / minimum.energy),
        ("cosine", 0.0, cosines.whole),
        ("cosine_lowest", 0.0, cosines.lowest),
        ("norm_ratio", 0.0, cosines.norm_ratio),
    ])
}
