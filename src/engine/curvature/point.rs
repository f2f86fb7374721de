//! Where a curvature is taken: coordinates, values, linearisations and errors of all vertices.

use candle_core::{DType, Device, Tensor};
use nalgebra::DVector;

use crate::engine::reference::Reference;
use crate::net::{Linearization, VertexId};
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

/// An energy that inference descends, and what it moves to do so.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Descended {
    /// What is moved.
    pub coordinates: Coordinates,
    /// s in F = Σ π_i Σ φ_i(ε_i) + s Σ losses: 1 of predictive coding, the nudge β of equilibrium propagation.
    pub loss_weight: f64,
}

/// The energy around a point.
#[derive(Debug)]
pub struct Curvature<'a> {
    pub(super) engine: Reference<'a>,
    pub(super) coordinates: Coordinates,
    /// s, the weight of the losses.
    pub(super) loss_weight: f64,
    /// Value of every vertex.
    pub(super) values: Vec<Tensor>,
    pub(super) at: Vec<Linearization>,
    /// ε_i of latent vertices.
    pub(super) errors: Vec<Option<Tensor>>,
    pub(super) dim: usize,
}

/// Values, linearisations and errors of all vertices.
pub(super) type Point = (Vec<Tensor>, Vec<Linearization>, Vec<Option<Tensor>>);

impl<'a> Curvature<'a> {
    /// At the forward pass, where inference starts.
    ///
    /// # Errors
    /// If tensors do not fit the network.
    pub fn at_forward(engine: Reference<'a>, coordinates: Coordinates) -> Result<Self> {
        let none = vec![None; engine.graph.len()];
        Self::around(engine, coordinates, &none)
    }

    /// Of this energy at the forward pass.
    ///
    /// # Errors
    /// As for [`at_forward`](Self::at_forward).
    pub fn of(engine: Reference<'a>, energy: Descended) -> Result<Self> {
        Ok(Self { loss_weight: energy.loss_weight, ..Self::at_forward(engine, energy.coordinates)? })
    }

    /// Where the latent vertices have the given coordinates, 0 where there is none (the prediction, of a state).
    ///
    /// # Errors
    /// As for [`at_forward`](Self::at_forward).
    pub fn around(engine: Reference<'a>, coordinates: Coordinates, point: &[Option<Tensor>]) -> Result<Self> {
        let (values, at, errors) = evaluate(&engine, coordinates, point)?;
        let latent = engine.graph.topology().latent();
        let dim = latent.map(|i| values[i].elem_count()).sum();
        Ok(Self { engine, coordinates, loss_weight: 1.0, values, at, errors, dim })
    }

    /// Coordinates of all latent vertices and samples together.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The point, moved by h z.
    pub(super) fn moved(&self, z: &[Option<Tensor>], h: f64) -> Result<Vec<Option<Tensor>>> {
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

    /// A vector by latent vertex.
    pub(super) fn split(&self, z: &DVector<f64>) -> Result<Vec<Option<Tensor>>> {
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

    /// One vector of what latent vertices have, 0 where one has nothing.
    pub(super) fn join(&self, parts: &[Option<Tensor>]) -> Result<DVector<f64>> {
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
pub(super) fn evaluate(
    engine: &Reference<'_>,
    coordinates: Coordinates,
    point: &[Option<Tensor>],
) -> Result<Point> {
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
