//! Curvature of the energy at a point of inference, on any network: products of its second derivative with vectors, never the
//! matrix.
//!
//! In two sets of coordinates (Innocenti, Achour & Buckley, arXiv 2505.13124; Goemaere et al., arXiv 2505.20137): the states v, which
//! sPC moves, and the errors e with v_i = f_i + e_i, which ePC moves. And as two matrices:
//!
//! - **Gauss–Newton**: every f_i replaced by its linearisation. Positive semidefinite; a product is one forward sweep of jvp and one
//!   backward sweep of vjp, as a step of the rule that moves these coordinates.
//! - **Hessian**: by central differences of the gradient, h = 6e-6 (1 + largest number)/largest entry of z, which leaves a relative
//!   error of about 1e-10 in f64; exact but for rounding where the energy is quadratic.
//!
//! The two agree where no error meets a curved f: on linear networks everywhere, in the errors at e = 0 with a loss of small
//! residual. Descent with step η on a quadratic is stable iff η < 2/λ_max.

mod inverse;
mod minimum;
mod sweeps;

use candle_core::{DType, Device, Tensor};
use nalgebra::DVector;

use super::reference::Reference;
use crate::net::{Linearization, OperationCost, VerbCost, VertexId};
use crate::theory::lanczos::{self, Ends, Ritz};
use crate::{Error, Result};
use sweeps::evaluate;

pub use minimum::{minimum, Minimum};

/// What inference moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coordinates {
    /// v.
    States,
    /// e = v − f.
    Errors,
}

impl Coordinates {
    /// Its word in records: `states` or `errors`.
    pub fn name(self) -> &'static str {
        match self {
            Self::States => "states",
            Self::Errors => "errors",
        }
    }
}

/// Which matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matrix {
    /// The Gauss–Newton matrix.
    GaussNewton,
    /// The Hessian.
    Hessian,
}

/// The energy around a point.
#[derive(Debug)]
pub struct Curvature<'a> {
    engine: Reference<'a>,
    coordinates: Coordinates,
    /// Value of every vertex.
    values: Vec<Tensor>,
    at: Vec<Linearization>,
    /// ε_i of latent vertices.
    errors: Vec<Option<Tensor>>,
    dim: usize,
}

/// Values, linearisations and errors of all vertices.
type Point = (Vec<Tensor>, Vec<Linearization>, Vec<Option<Tensor>>);

impl<'a> Curvature<'a> {
    /// At the forward pass, where inference starts.
    ///
    /// # Errors
    /// If tensors do not fit the network.
    pub fn at_forward(engine: Reference<'a>, coordinates: Coordinates) -> Result<Self> {
        let none = vec![None; engine.graph.len()];
        Self::around(engine, coordinates, &none)
    }

    /// Where the latent vertices have the given coordinates, 0 where there is none (the prediction, of a state).
    ///
    /// # Errors
    /// As for [`at_forward`](Self::at_forward).
    pub fn around(engine: Reference<'a>, coordinates: Coordinates, point: &[Option<Tensor>]) -> Result<Self> {
        let (values, at, errors) = evaluate(&engine, coordinates, point)?;
        let latent = engine.graph.topology().latent();
        let dim = latent.map(|i| values[i].elem_count()).sum();
        Ok(Self { engine, coordinates, values, at, errors, dim })
    }

    /// Coordinates of all latent vertices and samples together.
    pub fn dim(&self) -> usize {
        self.dim
    }

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

    fn split(&self, z: &DVector<f64>) -> Result<Vec<Option<Tensor>>> {
        if z.len() != self.dim {
            let what = "vector that a curvature is applied to".into();
            return Err(Error::Shape { what, expected: vec![self.dim], got: vec![z.len()] });
        }
        let mut parts = vec![None; self.values.len()];
        let mut from = 0;
        for i in self.engine.graph.topology().latent() {
            let like = &self.values[i];
            let to = from + like.elem_count();
            let part = Tensor::from_slice(&z.as_slice()[from..to], like.dims(), &Device::Cpu)?;
            parts[i] = Some(part.to_dtype(like.dtype())?.to_device(like.device())?);
            from = to;
        }
        Ok(parts)
    }

    fn join(&self, parts: &[Option<Tensor>]) -> Result<DVector<f64>> {
        let mut all = Vec::with_capacity(self.dim);
        for i in self.engine.graph.topology().latent() {
            match &parts[i] {
                Some(part) => all.extend(part.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?),
                None => all.resize(all.len() + self.values[i].elem_count(), 0.0),
            }
        }
        Ok(DVector::from_vec(all))
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
