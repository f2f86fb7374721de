//! `linear_equilibrium` cases: the closed form of [`crate::theory::linear`], in f64 whatever the engine.

use nalgebra::{DMatrix, DVector};

use super::case::Case;
use super::execute::Produced;
use super::host::Host;
use crate::net::architecture::mlp::{X, Y};
use crate::net::{Activation, Dense, LossKind};
use crate::theory::linear::{LinearLayer, LinearNet};
use crate::{Error, Result};

/// The exact minimum of F over the states of a deep linear network.
pub fn execute(case: &Case) -> Result<Produced> {
    let layers = case.graph.as_stack()?;
    let loss = case.graph.losses()[0].loss;
    let linear = |l: &Dense| l.act_in == Activation::Identity && l.act_out == Activation::Identity;
    if !layers.iter().all(linear) || !matches!(loss.kind, LossKind::HalfSquaredError | LossKind::SquaredError)
    {
        return Err(Error::Invalid(
            "linear_equilibrium needs identity activations and a squared-error loss".into(),
        ));
    }
    let (x, y) = (&case.data[X], &case.data[Y]);
    let mut params = case.params.iter();
    let mut linear_layers = Vec::new();
    for layer in &layers {
        let (weight, bias) = (params.next(), if layer.bias { params.next() } else { None });
        let weight = weight.ok_or_else(|| Error::Invalid("a layer without weights".into()))?;
        linear_layers.push(LinearLayer {
            weight: matrix(weight),
            bias: bias.map(|b| DVector::from_column_slice(&b.data)),
            scale: layer.scale,
            skip: layer.skip,
        });
    }
    let curvature = loss.weight(x.shape[0], y.data.len()) * loss.kind.error_factor();
    let net = LinearNet::new(linear_layers, curvature)?;
    let found = net.equilibrium(&matrix(x), &matrix(y))?;

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
