//! The two walks over a graph that every rule is made of: values upwards, cotangents down.

use crate::engine::{Engine, MaybeZero};
use crate::net::{LatentEnergy, Source, VertexId};
use crate::{Error, Result};

/// The parameters of a vertex: those that a rule has moved, else the engine's.
pub(super) fn params<'a, E: Engine>(
    engine: &'a E,
    moved: &'a [Option<E::Param>],
    i: VertexId,
) -> Vec<&'a E::Param> {
    let own = engine.topology().node(i).params.iter();
    own.map(|&p| moved.get(p).and_then(Option::as_ref).unwrap_or(engine.param(p))).collect()
}

/// f_i at the given values of earlier vertices.
pub(super) fn predict<E: Engine>(
    engine: &E,
    moved: &[Option<E::Param>],
    i: VertexId,
    values: &[E::Value],
) -> Result<(E::Value, E::Linearization)> {
    let read = |source: &Source| match *source {
        Source::Data(d) => engine.data(d),
        Source::Vertex(v) => &values[v],
    };
    let inputs: Vec<&E::Value> = engine.topology().node(i).inputs.iter().map(read).collect();
    engine.forward(i, &params(engine, moved, i), &inputs)
}

/// The forward pass.
pub(super) struct Forward<E: Engine> {
    /// Values of all vertices.
    pub(super) values: Vec<E::Value>,
    /// Their linearisations.
    pub(super) at: Vec<E::Linearization>,
}

/// Evaluates every vertex in topological order, states at their predictions.
pub(super) fn forward_pass<E: Engine>(engine: &E) -> Result<Forward<E>> {
    let count = engine.topology().len();
    let (mut values, mut at) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for i in 0..count {
        let (value, linearization) = predict(engine, &[], i, &values)?;
        values.push(value);
        at.push(linearization);
    }
    Ok(Forward { values, at })
}

/// Per loss the value that it judges.
pub(super) fn outputs<E: Engine>(engine: &E, values: &[E::Value]) -> Vec<E::Value> {
    engine.topology().losses().iter().map(|&i| values[i].clone()).collect()
}

/// Per vertex −∂losses/∂(its value), of the losses on it; `None` where there is none.
pub(super) fn loss_errors<E: Engine>(engine: &E, values: &[E::Value]) -> Result<Vec<MaybeZero<E::Value>>> {
    (0..values.len()).map(|i| loss_error(engine, i, &values[i])).collect()
}

/// −∂losses/∂(value of i), of the losses on vertex i.
pub(super) fn loss_error<E: Engine>(
    engine: &E,
    i: VertexId,
    value: &E::Value,
) -> Result<MaybeZero<E::Value>> {
    let mut sum: MaybeZero<E::Value> = None;
    for &k in engine.topology().losses_at(i) {
        let term = engine.loss_error(k, value)?;
        sum = Some(match sum {
            Some(sum) => engine.add(&sum, &term)?,
            None => term,
        });
    }
    Ok(sum)
}

/// What carries cotangents down: linearisations, errors of the losses by vertex, and parameters that a rule has moved.
pub(super) struct Downward<'a, E: Engine> {
    pub(super) engine: &'a E,
    pub(super) at: &'a [E::Linearization],
    pub(super) losses: &'a [MaybeZero<E::Value>],
    pub(super) moved: &'a [Option<E::Param>],
    /// π of every latent vertex at this step, where a rule has another one than the network.
    pub(super) precisions: Option<&'a [f64]>,
    /// λ by vertex, under a rule that has multipliers; else empty.
    pub(super) multipliers: &'a [MaybeZero<E::Value>],
}

impl<'a, E: Engine> Downward<'a, E> {
    /// Of the network's own parameters and precisions.
    pub(super) fn new(engine: &'a E, at: &'a [E::Linearization], losses: &'a [MaybeZero<E::Value>]) -> Self {
        Self { engine, at, losses, moved: &[], precisions: None, multipliers: &[] }
    }

    /// What reaches the value of vertex i: Σ over children of J_childᵀ c_child, plus −∂losses/∂(value of i).
    pub(super) fn pulled(&self, i: VertexId, c: &[MaybeZero<E::Value>]) -> Result<MaybeZero<E::Value>> {
        let own = |child: VertexId| params(self.engine, self.moved, child);
        self.pulled_by(i, c, |child, slot, c| self.engine.vjp(child, slot, &own(child), &self.at[child], c))
    }

    /// As [`pulled`](Self::pulled), J_childᵀ c as `carry` has it.
    pub(super) fn pulled_by(
        &self,
        i: VertexId,
        c: &[MaybeZero<E::Value>],
        carry: impl Fn(VertexId, usize, &E::Value) -> Result<E::Value>,
    ) -> Result<MaybeZero<E::Value>> {
        let topology = self.engine.topology();
        let mut sum = self.losses[i].clone();
        for &(child, slot) in topology.children(i) {
            if let Some(c) = &c[child] {
                let term = carry(child, slot, c)?;
                sum = Some(match sum {
                    Some(sum) => self.engine.add(&sum, &term)?,
                    None => term,
                });
            }
        }
        Ok(sum)
    }

    /// The cotangent c_i of every vertex: π_i ψ_i(ε_i) + λ_i of a latent one, what reaches it of a deterministic one that is
    /// `wanted`.
    pub(super) fn cotangents(
        &self,
        errors: &[MaybeZero<E::Value>],
        wanted: impl Fn(VertexId) -> bool,
    ) -> Result<Vec<MaybeZero<E::Value>>> {
        let topology = self.engine.topology();
        let mut c = vec![None; topology.len()];
        let ours: Vec<VertexId> =
            (0..topology.len()).rev().filter(|&i| topology.is_latent(i) || wanted(i)).collect();
        self.renew(&mut c, errors, &ours)?;
        Ok(c)
    }

    /// The cotangents of some vertices, from the last to the first, anew.
    pub(super) fn renew(
        &self,
        c: &mut [MaybeZero<E::Value>],
        errors: &[MaybeZero<E::Value>],
        vertices: &[VertexId],
    ) -> Result<()> {
        for &i in vertices {
            c[i] = match self.engine.topology().is_latent(i) {
                true => self.weighted(i, &errors[i])?,
                false => self.pulled(i, c)?,
            };
        }
        Ok(())
    }

    /// π of a latent vertex.
    pub(super) fn precision(&self, i: VertexId) -> f64 {
        match self.precisions {
            Some(precisions) => precisions[i],
            None => self.engine.topology().precision(i).unwrap_or(1.0),
        }
    }

    /// ψ(ε) of a latent vertex.
    fn influence(&self, i: VertexId, error: &MaybeZero<E::Value>) -> Result<MaybeZero<E::Value>> {
        match (error, self.engine.topology().energy(i)) {
            (Some(e), energy) if energy != LatentEnergy::Gaussian => {
                self.engine.influence(energy, e).map(Some)
            }
            (error, _) => Ok(error.clone()),
        }
    }

    /// π ψ(ε) + λ of a latent vertex: its cotangent.
    pub(super) fn weighted(&self, i: VertexId, error: &MaybeZero<E::Value>) -> Result<MaybeZero<E::Value>> {
        let (engine, precision) = (self.engine, self.precision(i));
        let multiplier = self.multipliers.get(i).and_then(Option::as_ref);
        Ok(match (self.influence(i, error)?, multiplier) {
            (Some(e), Some(multiplier)) if precision == 1.0 => Some(engine.add(multiplier, &e)?),
            (Some(e), Some(multiplier)) => Some(engine.add_scaled(multiplier, precision, &e)?),
            (Some(e), None) if precision != 1.0 => Some(engine.scale(precision, &e)?),
            (Some(e), None) => Some(e),
            (None, multiplier) => multiplier.cloned(),
        })
    }

    /// −∂F/∂θ of every parameter from the cotangents; a cotangent of exactly zero costs nothing.
    pub(super) fn directions(&self, c: &[MaybeZero<E::Value>]) -> Result<Vec<Option<E::Direction>>> {
        let topology = self.engine.topology();
        let mut directions = vec![None; topology.params()];
        for (i, c) in c.iter().enumerate() {
            self.collect(i, c.as_ref(), &mut directions)?;
        }
        Ok(directions)
    }

    /// Adds what a vertex gives to the directions of its parameters.
    pub(super) fn collect(
        &self,
        i: VertexId,
        c: Option<&E::Value>,
        directions: &mut [Option<E::Direction>],
    ) -> Result<()> {
        let topology = self.engine.topology();
        let Some(c) = c.filter(|_| topology.has_params(i)) else { return Ok(()) };
        let own = &topology.node(i).params;
        let grads = self.engine.param_grad(i, &self.at[i], c)?;
        if grads.len() != own.len() {
            return Err(Error::Invalid(format!(
                "the operation of vertex {i} (from 0) has {} parameters but gives {} gradients; implement \
                 Operation::param_grad for all of them",
                own.len(),
                grads.len()
            )));
        }
        for (&p, direction) in own.iter().zip(grads) {
            if !topology.is_frozen(p) {
                directions[p] = Some(match &directions[p] {
                    Some(sum) => self.engine.add_directions(sum, &direction)?,
                    None => direction,
                });
            }
        }
        Ok(())
    }
}

/// −∂F/∂θ of every parameter at the states that have these errors, latent vertex by latent vertex: a forward pass that adds each
/// error to its prediction, and what a rule does after its last step. `multipliers` are those of PC-ALM, else empty.
///
/// # Errors
/// If the engine refuses an operation.
pub fn directions_at<E: Engine>(
    engine: &E,
    errors: &[MaybeZero<E::Value>],
    multipliers: &[MaybeZero<E::Value>],
) -> Result<Vec<Option<E::Direction>>> {
    let topology = engine.topology();
    let (mut values, mut at) = (Vec::new(), Vec::new());
    for (i, error) in errors.iter().enumerate() {
        let (prediction, linearization) = predict(engine, &[], i, &values)?;
        values.push(match error.as_ref().filter(|_| topology.is_latent(i)) {
            Some(error) => engine.add(&prediction, error)?,
            None => prediction,
        });
        at.push(linearization);
    }
    let losses = loss_errors(engine, &values)?;
    let down = Downward { multipliers, ..Downward::new(engine, &at, &losses) };
    down.directions(&down.cotangents(errors, |i| topology.reaches_params(i))?)
}

/// pulled − c: −∂F/∂v of a latent vertex with the cotangent c; `None` where both are zero.
pub(super) fn descent<E: Engine>(
    engine: &E,
    pulled: MaybeZero<E::Value>,
    c: &MaybeZero<E::Value>,
) -> Result<MaybeZero<E::Value>> {
    match (pulled, c) {
        (Some(pulled), Some(c)) => engine.sub(&pulled, c).map(Some),
        (Some(pulled), None) => Ok(Some(pulled)),
        (None, Some(c)) => engine.scale(-1.0, c).map(Some),
        (None, None) => Ok(None),
    }
}

/// Errors as they are shown: of latent vertices as given, of deterministic ones what their losses give.
pub(super) fn shown<E: Engine>(
    down: &Downward<'_, E>,
    errors: &[MaybeZero<E::Value>],
) -> Vec<MaybeZero<E::Value>> {
    let topology = down.engine.topology();
    let each = |i: VertexId| if topology.is_latent(i) { errors[i].clone() } else { down.losses[i].clone() };
    (0..topology.len()).map(each).collect()
}
