//! `linear_equilibrium` cases: the closed form of [`crate::theory::linear`], in f64 whatever the engine.

use nalgebra::{DMatrix, DVector};

use super::case::Case;
use super::execute::Produced;
use super::host::Host;
use crate::net::{Activation, LossKind, Reduction};
use crate::theory::linear::{LinearLayer, LinearNet};
use crate::{Error, Result};

/// The exact minimum of F over the states of a deep linear network.
pub fn execute(case: &Case) -> Result<Produced> {
    let linear =
        |l: &crate::net::Dense| l.act_in == Activation::Identity && l.act_out == Activation::Identity;
    if !case.layers.iter().all(linear) || case.loss.kind == LossKind::CrossEntropy {
        return Err(Error::Invalid(
            "linear_equilibrium needs identity activations and a squared-error loss".into(),
        ));
    }
    let layers = case
        .layers
        .iter()
        .zip(&case.params)
        .map(|(layer, params)| LinearLayer {
            weight: matrix(&params[0]),
            bias: params.get(1).map(|b| DVector::from_column_slice(&b.data)),
            scale: layer.scale,
            skip: layer.skip,
        })
        .collect();
    let rows = case.x.shape[0];
    let n = match case.loss.reduction {
        Reduction::Sum => 1,
        Reduction::BatchMean => rows,
        Reduction::ElementMean => case.y.data.len(),
    } as f64;
    let twice = if case.loss.kind == LossKind::SquaredError { 2.0 } else { 1.0 };
    let net = LinearNet::new(layers, twice * case.loss.precision / n)?;
    let found = net.equilibrium(&matrix(&case.x), &matrix(&case.y))?;

    let mut out = Produced::new();
    out.insert("output".into(), host(&found.output));
    out.insert("energy".into(), Host::vector(found.energies.clone()));
    for (name, tensors) in
        [("state", &found.states), ("error", &found.errors), ("grad.w", &found.weight_gradients)]
    {
        for (i, t) in tensors.iter().enumerate() {
            out.insert(format!("{name}.{}", i + 1), host(t));
        }
    }
    for (i, b) in found.bias_gradients.iter().enumerate() {
        if let Some(b) = b {
            out.insert(format!("grad.b.{}", i + 1), Host::vector(b.as_slice().to_vec()));
        }
    }
    Ok(out)
}

/// The first index is the row; every further index is read as one row-major vector.
fn matrix(h: &Host) -> DMatrix<f64> {
    let rows = h.shape.first().copied().unwrap_or(1);
    DMatrix::from_row_slice(rows, h.data.len() / rows.max(1), &h.data)
}

fn host(m: &DMatrix<f64>) -> Host {
    Host { shape: vec![m.nrows(), m.ncols()], data: m.transpose().as_slice().to_vec() }
}
