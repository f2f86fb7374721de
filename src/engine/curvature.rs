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

use candle_core::{DType, Device, Tensor};
use nalgebra::DVector;

use super::reference::Reference;
use super::Engine as _;
use crate::net::{Linearization, OperationCost, Source, VerbCost, VertexId};
use crate::theory::lanczos::{self, Ends, Ritz};
use crate::{Error, Result};

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
            Matrix::GaussNewton => self.join(&self.gauss_newton(&parts)?),
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

    /// The Gauss–Newton matrix times z.
    fn gauss_newton(&self, z: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let (graph, topology) = (self.engine.graph, self.engine.graph.topology());
        // tangents of values, and of errors
        let mut tangent: Vec<Option<Tensor>> = vec![None; graph.len()];
        let mut along: Vec<Option<Tensor>> = vec![None; graph.len()];
        for i in 0..graph.len() {
            let own = graph.own(i, self.engine.params);
            let mut predicted: Option<Tensor> = None;
            for (slot, source) in topology.node(i).inputs.iter().enumerate() {
                if let Source::Vertex(v) = *source
                    && let Some(d) = &tangent[v]
                {
                    predicted = plus(predicted, graph.operation(i).jvp(&own, &self.at[i], slot, d)?)?;
                }
            }
            (tangent[i], along[i]) = match (&z[i], self.coordinates) {
                (None, _) => (predicted, None),
                (Some(z), Coordinates::States) => {
                    let error = predicted.map_or(Ok(z.clone()), |d| z - d)?;
                    (Some(z.clone()), Some(error))
                }
                (Some(z), Coordinates::Errors) => (plus(predicted, z.clone())?, Some(z.clone())),
            };
        }
        let mut losses: Vec<Option<Tensor>> = vec![None; graph.len()];
        for term in graph.losses() {
            if let Some(d) = &tangent[term.vertex] {
                let own =
                    term.loss.curvature(&self.values[term.vertex], &self.engine.data[term.target], d)?;
                losses[term.vertex] = plus(losses[term.vertex].take(), own.neg()?)?;
            }
        }
        let weigh = |i: VertexId, d: &Tensor| -> Result<Tensor> {
            let own = match &self.errors[i] {
                Some(e) => (topology.energy(i).curvature(e)? * d)?,
                None => d.clone(),
            };
            Ok(own.affine(topology.precision(i).unwrap_or(1.0), 0.0)?)
        };
        let along = along.iter().enumerate().map(|(i, d)| d.as_ref().map(|d| weigh(i, d)).transpose());
        self.down(&self.at, &along.collect::<Result<Vec<_>>>()?, &losses)
    }

    /// c_i less what reaches vertex i, by latent vertex: c is the cotangent of the errors, `losses` what losses add to what reaches a
    /// vertex. Through states a cotangent stops; through errors it goes on down.
    fn down(
        &self,
        at: &[Linearization],
        along: &[Option<Tensor>],
        losses: &[Option<Tensor>],
    ) -> Result<Vec<Option<Tensor>>> {
        let (graph, topology) = (self.engine.graph, self.engine.graph.topology());
        let mut carried: Vec<Option<Tensor>> = vec![None; graph.len()];
        let mut result = vec![None; graph.len()];
        for i in (0..graph.len()).rev() {
            let mut reached = losses[i].clone();
            for &(child, slot) in topology.children(i) {
                if let Some(c) = &carried[child] {
                    let own = graph.own(child, self.engine.params);
                    reached = plus(reached, graph.operation(child).vjp(&own, &at[child], slot, c)?)?;
                }
            }
            if let Some(c) = &along[i] {
                result[i] = Some(match &reached {
                    Some(reached) => (c - reached)?,
                    None => c.clone(),
                });
            }
            carried[i] = match (topology.is_latent(i), self.coordinates) {
                (true, Coordinates::States) => along[i].clone(),
                _ => reached,
            };
        }
        Ok(result)
    }

    /// The point, moved by h z.
    fn moved(&self, z: &[Option<Tensor>], h: f64) -> Result<Vec<Option<Tensor>>> {
        let here = |i: VertexId| match self.coordinates {
            Coordinates::States => Some(&self.values[i]),
            Coordinates::Errors => self.errors[i].as_ref(),
        };
        let latent = |i: VertexId| self.engine.graph.topology().is_latent(i);
        let each = z.iter().enumerate().map(|(i, z)| match (here(i).filter(|_| latent(i)), z) {
            (Some(here), Some(z)) => Ok(Some((here + z.affine(h, 0.0)?)?)),
            (here, None) => Ok(here.cloned()),
            (None, Some(z)) => Ok(Some(z.affine(h, 0.0)?)),
        });
        each.collect()
    }

    /// ∂F/∂coordinates.
    fn gradient(&self, point: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let (values, at, errors) = evaluate(&self.engine, self.coordinates, point)?;
        let topology = self.engine.graph.topology();
        let mut losses: Vec<Option<Tensor>> = vec![None; values.len()];
        for (k, term) in self.engine.graph.losses().iter().enumerate() {
            let own = self.engine.loss_error(k, &values[term.vertex])?;
            losses[term.vertex] = plus(losses[term.vertex].take(), own)?;
        }
        let cotangent = |(i, e): (VertexId, &Option<Tensor>)| {
            let pulled = e.as_ref().map(|e| topology.energy(i).influence(e)).transpose()?;
            Ok(pulled.map(|psi| psi.affine(topology.precision(i).unwrap_or(1.0), 0.0)).transpose()?)
        };
        let along = errors.iter().enumerate().map(cotangent).collect::<Result<Vec<_>>>()?;
        self.down(&at, &along, &losses)
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

/// Every vertex where latent ones have the given coordinates.
fn evaluate(engine: &Reference<'_>, coordinates: Coordinates, point: &[Option<Tensor>]) -> Result<Point> {
    let (graph, topology) = (engine.graph, engine.graph.topology());
    let (mut values, mut at, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for (i, own_point) in point.iter().enumerate() {
        let inputs = graph.inputs(i, engine.data, &values);
        let (prediction, own) = graph.operation(i).forward(&graph.own(i, engine.params), &inputs)?;
        let (value, error) = match (own_point, topology.is_latent(i), coordinates) {
            (_, false, _) => (prediction, None),
            (None, true, _) => {
                let zero = prediction.zeros_like()?;
                (prediction, Some(zero))
            }
            (Some(state), true, Coordinates::States) => (state.clone(), Some((state - &prediction)?)),
            (Some(error), true, Coordinates::Errors) => ((&prediction + error)?, Some(error.clone())),
        };
        values.push(value);
        at.push(own);
        errors.push(error);
    }
    Ok((values, at, errors))
}

/// Work of a product with the Gauss–Newton matrix: a jvp, which costs what the forward function does, and a vjp of every vertex
/// that a state precedes. Element-wise sums are left out.
pub fn product_cost(costs: &[OperationCost], follows_state: impl Fn(VertexId) -> bool) -> VerbCost {
    let own = costs.iter().enumerate().filter(|(i, _)| follows_state(*i));
    own.map(|(_, cost)| cost.forward + cost.vjp.iter().copied().sum::<VerbCost>()).sum()
}

fn plus(sum: Option<Tensor>, term: Tensor) -> Result<Option<Tensor>> {
    Ok(Some(match sum {
        Some(sum) => (sum + term)?,
        None => term,
    }))
}

fn largest(t: &Tensor) -> Result<f64> {
    Ok(t.abs()?.flatten_all()?.max(0)?.to_scalar::<f64>()?)
}
