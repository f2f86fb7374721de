//! Products of the two matrices with vectors, and their spectra.

use candle_core::{DType, Tensor};
use nalgebra::DVector;

use super::point::Curvature;
use crate::net::{OperationCost, VerbCost, VertexId};
use crate::theory::lanczos::{self, Ends, Ritz};
use crate::{Error, Result};

/// Which matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matrix {
    /// The Gauss–Newton matrix.
    GaussNewton,
    /// The Hessian.
    Hessian,
}

impl Curvature<'_> {
    /// The matrix times z; z lies latent vertex after latent vertex, in topological order.
    ///
    /// # Errors
    /// [`Error::Shape`] if z has another length than [`dim`](Self::dim); [`Error::Invalid`] for the Hessian of tensors that are not
    /// f64.
    pub fn product(&self, matrix: Matrix, z: &DVector<f64>) -> Result<DVector<f64>> {
        let parts = self.split(z)?;
        match matrix {
            Matrix::GaussNewton => self.join(&self.gauss_newton(self.coordinates, &parts)?),
            Matrix::Hessian => {
                if let Some(other) = self.values.iter().find(|t| t.dtype() != DType::F64) {
                    return Err(Error::Invalid(format!(
                        "differences of gradients need f64; got tensors of {}, convert them",
                        other.dtype().as_str()
                    )));
                }
                let scale = z.amax();
                if scale == 0.0 {
                    return Ok(z.clone());
                }
                let size = self.values.iter().map(largest).collect::<Result<Vec<_>>>()?;
                let h = 6e-6 * (1.0 + size.into_iter().fold(0.0, f64::max)) / scale;
                let [more, less] = [h, -h].map(|h| self.join(&self.gradient(&self.moved(&parts, h)?)?));
                Ok((more? - less?) / (2.0 * h))
            }
        }
    }

    /// −(∂F/∂coordinates) at the point, as [`product`](Self::product) orders it.
    ///
    /// # Errors
    /// If an operation refuses.
    pub fn descent(&self) -> Result<DVector<f64>> {
        let none = vec![None; self.values.len()];
        Ok(-self.join(&self.gradient(&self.moved(&none, 0.0)?)?)?)
    }

    /// λ_max.
    ///
    /// # Errors
    /// As for [`lanczos::largest_eigenvalue`].
    pub fn largest(&self, matrix: Matrix, tolerance: f64, most: usize) -> Result<Ritz> {
        lanczos::largest_eigenvalue(self.dim, tolerance, most, |z| self.product(matrix, z))
    }

    /// Both ends of the spectrum.
    ///
    /// # Errors
    /// As for [`lanczos::ends`].
    pub fn ends(&self, matrix: Matrix, tolerance: f64, most: usize) -> Result<Ends> {
        lanczos::ends(self.dim, tolerance, most, |z| self.product(matrix, z))
    }
}

/// Work of a product with the Gauss–Newton matrix: a jvp, which costs what the forward function does, and a vjp of every vertex
/// that a state precedes. Element-wise sums are left out.
pub fn product_cost(costs: &[OperationCost], follows_state: impl Fn(VertexId) -> bool) -> VerbCost {
    let own = costs.iter().enumerate().filter(|(i, _)| follows_state(*i));
    own.map(|(_, cost)| cost.forward + cost.vjp.iter().copied().sum::<VerbCost>()).sum()
}

fn largest(t: &Tensor) -> Result<f64> {
    Ok(t.abs()?.flatten_all()?.max(0)?.to_scalar::<f64>()?)
}
