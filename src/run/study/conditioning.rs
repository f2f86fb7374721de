//! The spectrum of the energy at the start of inference.

use super::{Found, Subject, PRODUCTS, SETTLED};
use crate::engine::curvature::{Curvature, Matrix};
use crate::{Error, Result};

pub(super) fn condition(subject: &Subject<'_>) -> Result<Found> {
    let engine = subject.engine();
    let curvature = Curvature::at_forward(engine, subject.coordinates()?)?;
    let largest = curvature.largest(Matrix::GaussNewton, SETTLED, PRODUCTS)?.value;
    let smallest = curvature.smallest(SETTLED, PRODUCTS)?.value;
    let topology = subject.graph.topology();
    let last = topology.latent().last().ok_or_else(|| Error::Invalid("the network has no state".into()))?;
    let values = subject.graph.forward(&subject.state.params, &subject.data)?;
    let mean = values[last].sqr()?.mean_all()?.to_scalar::<f64>()?;
    Ok(vec![
        ("largest", 0.0, largest),
        ("smallest", 0.0, smallest),
        ("condition", 0.0, largest / smallest),
        ("forward_rms", 0.0, mean.sqrt()),
    ])
}
