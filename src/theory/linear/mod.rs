//! Closed forms for deep linear networks: the exact oracle of every state-based rule.
//!
//! A linear net keeps what makes predictive coding hard (depth, ill-conditioned inference) and loses what
//! makes it intractable: the energy is a quadratic of the states, so its minimum, its curvature and every
//! iterate of plain descent have a formula. Signs and normalisation are those of `tests/cases/CASES.md`:
//!
//! ```text
//! M_l   = scale_l W_l (+ I if skip)      μ_l = M_l v_{l-1} + b_l      v_0 = x      l = 1..L
//! ε_l   = v_l − μ_l  (l < L)             ε_L = c (y − μ_L)
//! F     = Σ_{l<L} ½‖ε_l‖² + (c/2)‖y − μ_L‖²        summed over samples
//! ```
//!
//! c is the curvature of the loss per output: p/N for half squared error, 2p/N for squared error, with
//! output precision p and N = 1, B or B·n_L for reduction `sum`, `batch_mean`, `element_mean`.
//! Only the loss term depends on c; hidden energies are never divided by the batch size.
//!
//! Matrices of data have one row per sample; matrices of weights are `[outputs, inputs]`.
//!
//! * [`equilibrium`]: the exact minimum (Innocenti et al. 2024, arXiv 2408.11979).
//! * [`hessian`]: curvature of F in states and in errors, its spectrum, stability limits of the step.
//! * [`trajectory`]: the states after T steps of descent, without taking them.

pub mod equilibrium;
pub mod hessian;
pub mod trajectory;

#[cfg(test)]
mod tests;

pub use equilibrium::Snapshot;
pub use hessian::{orthogonal_spectrum, Extremes};

use nalgebra::{DMatrix, DVector};

use crate::{Error, Result};

/// One dense layer with identity activation, μ = (scale·W + I·skip) v + b.
///
/// The scale multiplies the product only, neither the bias nor the skip.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearLayer {
    /// W, `[outputs, inputs]`.
    pub weight: DMatrix<f64>,
    /// b, `[outputs]`, where the layer has one.
    pub bias: Option<DVector<f64>>,
    /// Factor a_l of the parameterisation f_l(v) = a_l W_l v + s_l v (Innocenti, Achour & Buckley, arXiv 2505.13124; 1
    /// for the standard one).
    pub scale: f64,
    /// Whether the input is added to the output; needs a square weight.
    pub skip: bool,
}

impl LinearLayer {
    /// A layer μ = W v: no bias, scale 1, no skip.
    pub fn new(weight: DMatrix<f64>) -> Self {
        Self { weight, bias: None, scale: 1.0, skip: false }
    }

    /// M = scale·W + I·skip, `[outputs, inputs]`: the Jacobian of the layer.
    ///
    /// # Errors
    /// [`Error::Shape`] if the layer has a skip and W is not square.
    pub fn matrix(&self) -> Result<DMatrix<f64>> {
        let mut matrix = &self.weight * self.scale;
        if self.skip {
            let (rows, columns) = self.weight.shape();
            if rows != columns {
                return Err(Error::Shape {
                    what: "weight of a layer with skip".into(),
                    expected: vec![columns, columns],
                    got: vec![rows, columns],
                });
            }
            for i in 0..rows {
                matrix[(i, i)] += 1.0;
            }
        }
        Ok(matrix)
    }
}

/// A chain of linear layers whose shapes fit, with the curvature of its squared-error loss.
///
/// Built once and checked once, so that the methods only have to check the data they are given.
#[derive(Debug, Clone)]
pub struct LinearNet {
    layers: Vec<LinearLayer>,
    matrices: Vec<DMatrix<f64>>,
    curvature: f64,
}

impl LinearNet {
    /// Checks the chain and forms every M_l.
    ///
    /// `curvature` is c of the module documentation, ∂²loss/∂o² of each output; finite and above 0.
    ///
    /// # Errors
    /// [`Error::Shape`] if widths do not chain, a bias has the wrong length, a skip is not square;
    /// [`Error::Invalid`] if there is no layer, a width is 0, or a number is not finite.
    pub fn new(layers: Vec<LinearLayer>, curvature: f64) -> Result<Self> {
        if layers.is_empty() {
            return Err(Error::Invalid("a linear net needs at least one layer; got none".into()));
        }
        if !(curvature.is_finite() && curvature > 0.0) {
            return Err(Error::Invalid(format!(
                "the loss curvature must be finite and above 0; got {curvature}"
            )));
        }
        let mut matrices: Vec<DMatrix<f64>> = Vec::with_capacity(layers.len());
        for (index, layer) in layers.iter().enumerate() {
            let l = index + 1;
            let (outputs, inputs) = layer.weight.shape();
            if outputs == 0 || inputs == 0 {
                return Err(Error::Invalid(format!(
                    "layer {l} has a weight of {outputs} outputs × {inputs} inputs; expected at least 1 × 1"
                )));
            }
            let below = matrices.last().map_or(inputs, DMatrix::nrows);
            if inputs != below {
                return Err(Error::Shape {
                    what: format!("weight of layer {l} on a layer with {below} outputs"),
                    expected: vec![outputs, below],
                    got: vec![outputs, inputs],
                });
            }
            if let Some(bias) = layer.bias.as_ref().filter(|bias| bias.len() != outputs) {
                return Err(Error::Shape {
                    what: format!("bias of layer {l}"),
                    expected: vec![outputs],
                    got: vec![bias.len()],
                });
            }
            let matrix = layer.matrix()?;
            let bias_finite = layer.bias.iter().flat_map(|bias| bias.iter()).all(|b| b.is_finite());
            if !(bias_finite && all_finite(&matrix)) {
                return Err(Error::Invalid(format!(
                    "layer {l} has a weight, bias or scale that is not finite"
                )));
            }
            matrices.push(matrix);
        }
        Ok(Self { layers, matrices, curvature })
    }

    /// The layers as given, l = 1..L.
    pub fn layers(&self) -> &[LinearLayer] {
        &self.layers
    }

    /// M_1..M_L, each `[outputs, inputs]`.
    pub fn matrices(&self) -> &[DMatrix<f64>] {
        &self.matrices
    }

    /// c, the curvature of the loss per output.
    pub fn curvature(&self) -> f64 {
        self.curvature
    }

    /// Number of hidden units Σ_{l<L} n_l: the dimension of the inference problem of one sample.
    pub fn hidden_units(&self) -> usize {
        self.hidden().iter().map(DMatrix::nrows).sum()
    }

    /// The feed-forward pass: L matrices `[B, n_l]`, the last of which is the output.
    ///
    /// Cost: 2·B·Σ n_l n_{l-1} FLOPs.
    ///
    /// # Errors
    /// [`Error::Shape`] if `x` is not `[B, n_0]`; [`Error::Invalid`] if `x` is not finite.
    pub fn forward(&self, x: &DMatrix<f64>) -> Result<Vec<DMatrix<f64>>> {
        let inputs = self.layers[0].weight.ncols();
        check_data("input x", x, x.nrows(), inputs)?;
        let mut values: Vec<DMatrix<f64>> = Vec::with_capacity(self.layers.len());
        for index in 0..self.layers.len() {
            let prediction = self.predict(index, values.last().unwrap_or(x));
            values.push(prediction);
        }
        Ok(values)
    }

    /// Loss of the feed-forward pass, (c/2) Σ ‖y − M_L…M_1 x − biases‖², summed over the batch.
    ///
    /// Divided by F at the equilibrium this is the factor by which inference rescales the loss.
    /// Cost: one forward pass.
    ///
    /// # Errors
    /// Those of [`LinearNet::forward`], for `x` and for `y` `[B, n_L]`.
    pub fn forward_loss(&self, x: &DMatrix<f64>, y: &DMatrix<f64>) -> Result<f64> {
        let residual = y - self.outputs_for(x, y)?;
        Ok(0.5 * self.curvature * residual.norm_squared())
    }

    /// μ of layer `index` (from 0) for a `below` of fitting width.
    fn predict(&self, index: usize, below: &DMatrix<f64>) -> DMatrix<f64> {
        let mut prediction = below * self.matrices[index].transpose();
        if let Some(bias) = &self.layers[index].bias {
            for (mut column, b) in prediction.column_iter_mut().zip(bias.iter()) {
                column.add_scalar_mut(*b);
            }
        }
        prediction
    }

    /// The feed-forward output for `x`, once `y` has been found to fit it.
    fn outputs_for(&self, x: &DMatrix<f64>, y: &DMatrix<f64>) -> Result<DMatrix<f64>> {
        check_data("target y", y, x.nrows(), self.outputs())?;
        let mut values = self.forward(x)?;
        // `new` refuses an empty chain, so there is always an output.
        Ok(values.pop().unwrap_or_else(|| y.clone()))
    }

    /// n_L.
    fn outputs(&self) -> usize {
        self.readout().nrows()
    }

    /// M_L.
    fn readout(&self) -> &DMatrix<f64> {
        &self.matrices[self.matrices.len() - 1]
    }

    /// M_1..M_{L-1}: the layers that have a free state.
    fn hidden(&self) -> &[DMatrix<f64>] {
        &self.matrices[..self.matrices.len() - 1]
    }
}

/// Whether every entry is a number.
fn all_finite(matrix: &DMatrix<f64>) -> bool {
    matrix.iter().all(|value| value.is_finite())
}

/// Shape and finiteness of data given by the caller.
fn check_data(what: &str, data: &DMatrix<f64>, rows: usize, columns: usize) -> Result<()> {
    if data.shape() != (rows, columns) {
        return Err(Error::Shape {
            what: what.into(),
            expected: vec![rows, columns],
            got: vec![data.nrows(), data.ncols()],
        });
    }
    if !all_finite(data) {
        return Err(Error::Invalid(format!("{what} has an entry that is not finite")));
    }
    Ok(())
}
