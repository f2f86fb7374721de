//! The spectrum of the energy at the start of inference.

use super::subject::{Found, Subject};
use crate::{Error, Result};

pub(super) fn condition(subject: &Subject<'_>) -> Result<Found> {
    let (largest, smallest) = subject.ends()?;
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
