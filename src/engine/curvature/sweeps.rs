//! The forward and backward sweeps that products with a curvature are made of.

use candle_core::Tensor;

use super::point::{evaluate, Coordinates, Curvature};
use crate::engine::Engine as _;
use crate::net::{Linearization, OutputEnergy, Source, VertexId};
use crate::Result;

/// A tensor by vertex, `None` where it is zero or the vertex has none.
type Parts = Vec<Option<Tensor>>;

impl Curvature<'_> {
    /// The Gauss–Newton matrix times z.
    pub(super) fn gauss_newton(
        &self,
        coordinates: Coordinates,
        z: &[Option<Tensor>],
    ) -> Result<Vec<Option<Tensor>>> {
        let (graph, topology) = (self.engine.graph, self.engine.graph.topology());
        let (tangent, along) = self.tangents(coordinates, z)?;
        let mut losses: Vec<Option<Tensor>> = vec![None; graph.len()];
        for term in graph.losses() {
            if let Some(d) = &tangent[term.vertex] {
                let own =
                    term.loss.curvature(&self.values[term.vertex], &self.engine.data[term.target], d)?;
                losses[term.vertex] = plus(losses[term.vertex].take(), own.affine(-self.loss_weight, 0.0)?)?;
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
        self.down(coordinates, &self.at, &along.collect::<Result<Vec<_>>>()?, &losses)
    }

    /// Tangents of all values, and of the errors of latent vertices, along z.
    pub(super) fn tangents(&self, coordinates: Coordinates, z: &[Option<Tensor>]) -> Result<(Parts, Parts)> {
        let (graph, topology) = (self.engine.graph, self.engine.graph.topology());
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
            (tangent[i], along[i]) = match (&z[i], coordinates) {
                (None, _) => (predicted, None),
                (Some(z), Coordinates::States) => {
                    let error = predicted.map_or(Ok(z.clone()), |d| z - d)?;
                    (Some(z.clone()), Some(error))
                }
                (Some(z), Coordinates::Errors) => (plus(predicted, z.clone())?, Some(z.clone())),
            };
        }
        Ok((tangent, along))
    }

    /// c_i less what reaches vertex i, by latent vertex: c is the cotangent of the errors, `losses` what losses add to what reaches a
    /// vertex. Through states a cotangent stops; through errors it goes on down.
    pub(super) fn down(
        &self,
        coordinates: Coordinates,
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
            carried[i] = match (topology.is_latent(i), coordinates) {
                (true, Coordinates::States) => along[i].clone(),
                _ => reached,
            };
        }
        Ok(result)
    }

    /// ∂F/∂coordinates.
    pub(super) fn gradient(&self, point: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let (values, at, errors) = evaluate(&self.engine, self.coordinates, point)?;
        let topology = self.engine.graph.topology();
        let mut losses: Vec<Option<Tensor>> = vec![None; values.len()];
        for (k, term) in self.engine.graph.losses().iter().enumerate() {
            let own = self.engine.loss_error(k, &values[term.vertex])?;
            losses[term.vertex] = plus(losses[term.vertex].take(), own.affine(self.loss_weight, 0.0)?)?;
        }
        let cotangent = |(i, e): (VertexId, &Option<Tensor>)| {
            let pulled = e.as_ref().map(|e| topology.energy(i).influence(e)).transpose()?;
            Ok(pulled.map(|psi| psi.affine(topology.precision(i).unwrap_or(1.0), 0.0)).transpose()?)
        };
        let along = errors.iter().enumerate().map(cotangent).collect::<Result<Vec<_>>>()?;
        self.down(self.coordinates, &at, &along, &losses)
    }
}

pub(super) fn plus(sum: Option<Tensor>, term: Tensor) -> Result<Option<Tensor>> {
    Ok(Some(match sum {
        Some(sum) => (sum + term)?,
        None => term,
    }))
}
