//! Training from near the origin, where every layer of weights is small, and the curvature at the origin itself.

use candle_core::{Device, Tensor};
use nalgebra::DVector;

use super::crossing::Sparse;
use super::flat;
use super::subject::{Found, Subject};
use crate::contender::Contender;
use crate::theory::lanczos;
use crate::{Error, Result};

/// Share of the first loss below which training has left the plateau.
const LEFT: f64 = 0.5;

/// Step of the central differences at the origin: what is left of higher orders is of the order of its square.
const STEP: f64 = 1e-4;

/// Products of the search at the origin at most, and its relative residual.
const SEARCH: (usize, f64) = (80, 1e-6);

pub(super) fn escape(subject: &Subject<'_>) -> Result<Found> {
    let mut found: Found = vec![("origin_smallest", 0.0, at_origin(subject)?)];
    let mut contender = Contender::new(subject.spec, subject.seed, &Device::Cpu)?;
    let (mut first, mut left, mut sparse) = (None, None, Sparse::CURVE);
    for update in 0..=usize::try_from(subject.updates).unwrap_or(usize::MAX) {
        if update > 0 {
            contender.update(&subject.data)?;
        }
        let loss = subject.loss(&contender.state()?.params)?;
        if !loss.is_finite() {
            return Err(Error::Invalid(format!(
                "the loss is {loss} after {update} updates; lower learning_rate"
            )));
        }
        let start = *first.get_or_insert(loss);
        if left.is_none() && loss < LEFT * start {
            left = Some(update);
        }
        if subject.curves && sparse.takes(update) {
            found.push(("loss", update as f64, loss));
        }
    }
    found.extend(left.map(|update| ("escape", 0.0, update as f64)));
    Ok(found)
}

/// The smallest eigenvalue of −∂(directions)/∂θ at θ = 0, by central differences of the rule's directions.
fn at_origin(subject: &Subject<'_>) -> Result<f64> {
    let start = &subject.state.params;
    let dim = start.iter().map(Tensor::elem_count).sum();
    let direction = |z: &DVector<f64>, h: f64| {
        let there = Contender::with_params(subject.spec, flat::params(&(z * h), start)?)?;
        flat::directions(&there.directions(&subject.data)?, start)
    };
    let product = |z: &DVector<f64>| Ok((direction(z, -STEP)? - direction(z, STEP)?) / (2.0 * STEP));
    Ok(lanczos::ends(dim, SEARCH.1, SEARCH.0, product)?.smallest.value)
}
