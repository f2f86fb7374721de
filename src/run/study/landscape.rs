//! Training from near the origin, where every layer of weights is small, and the curvature at the origin itself.

use candle_core::{DType, Device, Tensor};
use nalgebra::DVector;

use super::crossing::Sparse;
use super::subject::{Found, Subject};
use crate::contender::Contender;
use crate::net::Params;
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
        let loss = loss(subject, &contender.state()?.params)?;
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

fn loss(subject: &Subject<'_>, params: &Params) -> Result<f64> {
    let values = subject.graph.forward(params, &subject.data)?;
    let mut sum = 0.0;
    for term in subject.graph.losses() {
        sum += term.loss.value(&values[term.vertex], &subject.data[term.target])?;
    }
    Ok(sum)
}

/// The smallest eigenvalue of −∂(directions)/∂θ at θ = 0, by central differences of the rule's directions.
fn at_origin(subject: &Subject<'_>) -> Result<f64> {
    let start = &subject.state.params;
    let dim = start.iter().map(Tensor::elem_count).sum();
    let direction = |z: &DVector<f64>, h: f64| -> Result<DVector<f64>> {
        let (mut params, mut from) = (Vec::new(), 0);
        for like in start {
            let to = from + like.elem_count();
            let part = Tensor::from_slice(&z.as_slice()[from..to], like.dims(), &Device::Cpu)?;
            params.push(part.affine(h, 0.0)?);
            from = to;
        }
        let directions = Contender::with_params(subject.spec, params)?.directions(&subject.data)?;
        let mut all = Vec::with_capacity(dim);
        for (own, like) in directions.iter().zip(start) {
            match own {
                Some(own) => all.extend(own.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?),
                None => all.resize(all.len() + like.elem_count(), 0.0),
            }
        }
        Ok(DVector::from_vec(all))
    };
    let product = |z: &DVector<f64>| Ok((direction(z, -STEP)? - direction(z, STEP)?) / (2.0 * STEP));
    Ok(lanczos::ends(dim, SEARCH.1, SEARCH.0, product)?.smallest.value)
}
