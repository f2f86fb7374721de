//! A rule's direction beside the step of a trust-region method on the loss, and inference beside the same in the errors.
//!
//! The step of a trust region of radius R minimises gᵀΔ + ½ΔᵀHΔ over ‖Δ‖ ≤ R: Δ = −(H + μ)⁻¹ g, where μ ≥ 0 grows as R shrinks
//! (Nocedal & Wright, *Numerical Optimization*, 2nd ed., theorem 4.1). Its whole path over μ is compared, so that no radius is chosen.
//! As μ → ∞ it is the direction of backpropagation.

use candle_core::Tensor;
use nalgebra::{DMatrix, DVector};

use super::cosines::Backpropagation;
use super::flat;
use super::subject::{Found, Subject};
use crate::contender::{Contender, State};
use crate::engine::curvature::{Coordinates, Curvature};
use crate::engine::unwatched;
use crate::rule::{Bp, Rule};
use crate::theory::lanczos::symmetric_eigen;
use crate::{Error, Result};

/// Parameters at most: their Hessian is held and decomposed.
const MOST: usize = 1000;

/// Step of the central differences.
const STEP: f64 = 1e-5;

/// Exponents of ten of the dampings, in units of the largest eigenvalue.
const DAMPINGS: [f64; 11] = [-3.0, -2.5, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0];

pub(super) fn compare(subject: &Subject<'_>) -> Result<Found> {
    let dim: usize = subject.state.params.iter().map(Tensor::elem_count).sum();
    if dim > MOST {
        return Err(Error::Invalid(format!(
            "the network has {dim} parameters, and the Hessian of at most {MOST} is made; lower width or depth, or take smaller inputs"
        )));
    }
    let contender = Contender::with_params(subject.spec, subject.state.params.clone())?;
    let learned = contender.evaluate(&subject.data)?;
    let own = flat::directions(&contender.directions(&subject.data)?, &subject.state.params)?;
    let slope = flat::directions(Backpropagation::of(subject)?.directions(), &subject.state.params)?;
    let eigen = symmetric_eigen(hessian(subject, dim)?)?;
    let (least, largest) = (eigen.eigenvalues.min(), eigen.eigenvalues.amax());
    let along = eigen.eigenvectors.tr_mul(&slope);

    let mut found: Found = Vec::new();
    for exponent in DAMPINGS {
        let damping = 10f64.powf(exponent);
        let mu = damping * largest - least.min(0.0);
        let scaled = along.zip_map(&eigen.eigenvalues, |g, lambda| g / (lambda + mu));
        let step = &eigen.eigenvectors * scaled;
        found.push(("cosine", damping, cosine(&own, &step)));
        found.push(("length", damping, own.norm() / step.norm()));
    }
    if subject.spec.rule.coordinates().is_some() {
        // in the errors F is the loss and ½‖e‖²: its Gauss–Newton step is that of a trust region with μ = 1
        let curvature = Curvature::at_forward(subject.engine(), Coordinates::Errors)?;
        let step = curvature.inverse_product(&curvature.descent()?)?;
        let mut errors = Vec::new();
        for i in subject.graph.topology().latent() {
            // what no error has reached has none
            let like = &learned.states[i];
            let own = learned.errors[i].as_ref().map_or_else(|| like.zeros_like(), |e| Ok(e.clone()))?;
            errors.extend(own.flatten_all()?.to_vec1::<f64>()?);
        }
        let errors = DVector::from_vec(errors);
        found.push(("cosine_errors", 0.0, cosine(&errors, &step)));
        found.push(("length_errors", 0.0, errors.norm() / step.norm()));
    }
    Ok(found)
}

/// The Hessian of the loss: differences of backpropagation's directions, made symmetric.
fn hessian(subject: &Subject<'_>, dim: usize) -> Result<DMatrix<f64>> {
    let start = &subject.state.params;
    let base = flat::vector(start)?;
    let directions = |at: &DVector<f64>| {
        let state = State { params: flat::params(at, start)?, feedback: None };
        let engine = state.bind(&subject.graph, &subject.data);
        flat::directions(&Rule::Bp(Bp::default()).learn(&engine, &mut unwatched)?.directions, start)
    };
    let mut matrix = DMatrix::zeros(dim, dim);
    let mut at = base.clone();
    for j in 0..dim {
        at[j] = base[j] + STEP;
        let more = directions(&at)?;
        at[j] = base[j] - STEP;
        let less = directions(&at)?;
        at[j] = base[j];
        matrix.set_column(j, &((less - more) / (2.0 * STEP)));
    }
    Ok((&matrix + matrix.transpose()) * 0.5)
}

/// 0 where either is zero.
fn cosine(a: &DVector<f64>, b: &DVector<f64>) -> f64 {
    let scale = a.norm() * b.norm();
    if scale > 0.0 {
        (a.dot(b) / scale).clamp(-1.0, 1.0)
    } else {
        0.0
    }
}
