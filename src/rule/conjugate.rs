//! Conjugate gradients: the method of inference that moves all coordinates at once.

use super::walk::{params, Downward};
use crate::engine::curvature::Coordinates;
use crate::engine::{Engine, MaybeZero};
use crate::net::{LatentEnergy, Source, VertexId};
use crate::Result;

/// Conjugate gradients (Hestenes & Stiefel 1952), every sample by itself. With r_t = −∂F/∂z at z_t, all coordinates of a sample together:
///
/// p_t = r_t + β_t p_{t−1},  β_t = max(0, r_t·(r_t − r_{t−1}))/r_{t−1}·r_{t−1},  p_0 = r_0;
/// z_{t+1} = z_t + α_t p_t,  α_t = max(0, r_t·p_t)/p_t·G_t p_t,
///
/// a quotient being 0 where its denominator is not positive. G_t is the Gauss–Newton matrix at z_t, and
///
/// p·G p = Σ_i π_i φ''(ε_i)·(dε_i)² + Σ_k do_k·C_k do_k,
///
/// with dε and do what errors of latent vertices and judged values change by along p: one sweep of Jacobians (jvp) and no transposed one.
///
/// Where F is quadratic, that is on a linear network under a squared error, G is its matrix of second derivatives, r_t·r_{t−1} = 0, and
/// both quotients are those of the textbook: of all points of the space that t steps reach, z_t has the least F in every sample, F never
/// rises, and z_t is the minimum after as many steps as a sample's quadratic has different eigenvalues. The exact r_t is evaluated anew in
/// every step in place of the recursion r − α G p, so rounding does not pile up.
///
/// Elsewhere it is nonlinear conjugate gradients after Polak, Ribière & Polyak with the restart β ≥ 0 (Gilbert & Nocedal 1992; Nocedal &
/// Wright, *Numerical Optimization*, 2nd ed., §5.2), whose line search is one Newton step along p with the curvature of Gauss and Newton:
/// F may rise. Curvature along p is never negative; where it is 0, and where p does not descend, the sample stands still for one step,
/// r_{t+1} = r_t makes β zero, and the sample starts again from its gradient.
///
/// No step size is asked for; the one that a benchmark gives is not read, nor is its decay.
#[derive(Debug, Clone)]
pub(super) struct Conjugate<V> {
    /// p_{t−1} by vertex.
    directions: Vec<MaybeZero<V>>,
    /// r_{t−1} by vertex.
    residuals: Vec<MaybeZero<V>>,
    /// r_{t−1}·r_{t−1} of every sample.
    square: MaybeZero<V>,
}

/// Where inference stands.
pub(super) struct Here<'a, 'd, E: Engine> {
    pub(super) coordinates: Coordinates,
    pub(super) down: &'d Downward<'a, E>,
    /// Of all vertices.
    pub(super) values: &'d [E::Value],
    /// ε_i of latent vertices.
    pub(super) errors: &'d [MaybeZero<E::Value>],
}

/// A step α p.
pub(super) struct Along<'c, V> {
    alpha: MaybeZero<V>,
    directions: &'c [MaybeZero<V>],
}

impl<V: Clone> Conjugate<V> {
    /// Before the first step.
    pub(super) fn new() -> Self {
        Self { directions: Vec::new(), residuals: Vec::new(), square: None }
    }

    /// The step from `here`, given −∂F/∂z of every latent vertex.
    pub(super) fn step<E: Engine<Value = V>>(
        &mut self,
        here: &Here<'_, '_, E>,
        residuals: Vec<MaybeZero<V>>,
    ) -> Result<Along<'_, V>> {
        let engine = here.down.engine;
        let square = dot(engine, &residuals, &residuals)?;
        let slope = match &self.square {
            None => {
                self.directions.clone_from(&residuals);
                square.clone()
            }
            Some(before) => {
                let beta = match (&square, dot(engine, &residuals, &self.residuals)?) {
                    (Some(square), Some(cross)) => {
                        Some(engine.quotient(&engine.sub(square, &cross)?, before)?)
                    }
                    (Some(square), None) => Some(engine.quotient(square, before)?),
                    (None, _) => None,
                };
                for (p, r) in self.directions.iter_mut().zip(&residuals) {
                    let carried = match (&beta, &p) {
                        (Some(beta), Some(p)) => Some(engine.scale_rows(beta, p)?),
                        _ => None,
                    };
                    *p = match (carried, r) {
                        (Some(carried), Some(r)) => Some(engine.add(r, &carried)?),
                        (carried, r) => carried.or_else(|| r.clone()),
                    };
                }
                dot(engine, &self.directions, &residuals)?
            }
        };
        (self.square, self.residuals) = (square, residuals);
        let alpha = match (slope, here.curvature(&self.directions)?) {
            (Some(slope), Some(curvature)) => Some(engine.quotient(&slope, &curvature)?),
            _ => None,
        };
        Ok(Along { alpha, directions: &self.directions })
    }
}

impl<V: Clone> Along<'_, V> {
    /// z_i + α p_i of a latent vertex, 0 for a z that is not there; `None` where it does not move.
    pub(super) fn moved<E: Engine<Value = V>>(
        &self,
        engine: &E,
        i: VertexId,
        z: Option<&V>,
    ) -> Result<MaybeZero<V>> {
        let (Some(alpha), Some(p)) = (&self.alpha, &self.directions[i]) else { return Ok(None) };
        let step = engine.scale_rows(alpha, p)?;
        Ok(Some(match z {
            Some(z) => engine.add(z, &step)?,
            None => step,
        }))
    }
}

impl<E: Engine> Here<'_, '_, E> {
    /// p·G p of every sample.
    fn curvature(&self, p: &[MaybeZero<E::Value>]) -> Result<MaybeZero<E::Value>> {
        let (engine, topology) = (self.down.engine, self.down.engine.topology());
        let mut tangents: Vec<MaybeZero<E::Value>> = vec![None; topology.len()];
        let mut sum = None;
        for i in 0..topology.len() {
            let mut predicted = None;
            for (slot, source) in topology.node(i).inputs.iter().enumerate() {
                if let Source::Vertex(v) = *source
                    && let Some(d) = &tangents[v]
                {
                    let term =
                        engine.jvp(i, slot, &params(engine, self.down.moved, i), &self.down.at[i], d)?;
                    predicted = plus(engine, predicted, Some(term))?;
                }
            }
            let error = match (topology.is_latent(i), self.coordinates) {
                (false, _) => {
                    tangents[i] = predicted;
                    None
                }
                (true, Coordinates::Errors) => {
                    tangents[i] = plus(engine, predicted, p[i].clone())?;
                    p[i].clone()
                }
                (true, Coordinates::States) => {
                    tangents[i].clone_from(&p[i]);
                    match (&p[i], predicted) {
                        (Some(p), Some(predicted)) => Some(engine.sub(p, &predicted)?),
                        // squared below, so that its sign says nothing
                        (p, predicted) => p.clone().or(predicted),
                    }
                }
            };
            if let Some(d) = &error {
                sum = plus(engine, sum, Some(self.own(i, d)?))?;
            }
            for &k in topology.losses_at(i) {
                if let Some(d) = &tangents[i] {
                    let own = engine.dot(d, &engine.loss_curvature(k, &self.values[i], d)?)?;
                    sum = plus(engine, sum, Some(own))?;
                }
            }
        }
        Ok(sum)
    }

    /// π_i φ''(ε_i)·d² of a latent vertex whose error changes by d.
    fn own(&self, i: VertexId, d: &E::Value) -> Result<E::Value> {
        let (engine, precision) = (self.down.engine, self.down.precision(i));
        let square = match (engine.topology().energy(i), &self.errors[i]) {
            (LatentEnergy::Gaussian, _) | (_, None) => engine.dot(d, d)?,
            (energy, Some(error)) => engine.dot(d, &engine.curvature(energy, error, d)?)?,
        };
        if precision == 1.0 {
            return Ok(square);
        }
        engine.scale(precision, &square)
    }
}

/// a·b of every sample, all vertices together; `None` where it is exactly zero.
fn dot<E: Engine>(
    engine: &E,
    a: &[MaybeZero<E::Value>],
    b: &[MaybeZero<E::Value>],
) -> Result<MaybeZero<E::Value>> {
    let mut sum = None;
    for (a, b) in a.iter().zip(b) {
        if let (Some(a), Some(b)) = (a, b) {
            sum = plus(engine, sum, Some(engine.dot(a, b)?))?;
        }
    }
    Ok(sum)
}

fn plus<E: Engine>(
    engine: &E,
    a: MaybeZero<E::Value>,
    b: MaybeZero<E::Value>,
) -> Result<MaybeZero<E::Value>> {
    match (a, b) {
        (Some(a), Some(b)) => engine.add(&a, &b).map(Some),
        (a, b) => Ok(a.or(b)),
    }
}
