//! States with their predictions and errors: what the rules that relax states share.

use super::colours::Colour;
use super::conjugate::{Conjugate, Here};
use super::method::{Memory, Stride};
use super::walk::{
    descent, forward_pass, loss_error, loss_errors, outputs, predict, shown, Downward, Forward,
};
use crate::engine::curvature::Coordinates;
use crate::engine::{Engine, Learned, LearnedOn, MaybeZero, Shown, Watch};
use crate::net::VertexId;
use crate::Result;

/// States, predictions, errors and loss errors, all at the same point.
///
/// ε_i = v_i − f_i for latent i. Errors known to be exactly zero are `None`, and nothing is spent on them: from the
/// forward pass, where only losses give errors, a simultaneous step carries an error to the neighbouring latent
/// vertices alone. On a chain layer l therefore has none before step L − l (the light cone; Zahid, Guo & Fountas, arXiv
/// 2304.02658); on a graph an error also goes from a parent whose state has moved to its children.
///
/// What has changed is followed vertex by vertex: moving a state makes the predictions stale that read it, and
/// [`refresh`](Self::refresh) evaluates those and no others.
pub(super) struct Relaxation<'a, E: Engine> {
    engine: &'a E,
    /// States of latent vertices, values of deterministic ones.
    pub(super) values: Vec<E::Value>,
    /// f_i.
    predictions: Vec<E::Value>,
    /// Every vertex linearised at what it reads.
    pub(super) at: Vec<E::Linearization>,
    /// ε_i of latent vertices.
    pub(super) errors: Vec<MaybeZero<E::Value>>,
    /// −∂losses/∂(value) of every vertex that carries losses, times `loss_scale`.
    pub(super) losses: Vec<MaybeZero<E::Value>>,
    /// π of every latent vertex at this step, where it is not the network's.
    pub(super) precisions: Option<Vec<f64>>,
    /// What the method of inference keeps of every latent vertex.
    memories: Vec<Memory<E::Value>>,
    /// λ_i of latent vertices, under a rule that has multipliers.
    multipliers: Vec<MaybeZero<E::Value>>,
    /// Parameters where they were moved.
    pub(super) params: Vec<Option<E::Param>>,
    loss_scale: Option<f64>,
    stale: Vec<Stale>,
}

/// What of a vertex is not that of the present states and parameters.
#[derive(Debug, Clone, Copy, Default)]
struct Stale {
    prediction: bool,
    error: bool,
    losses: bool,
}

impl<'a, E: Engine> Relaxation<'a, E> {
    /// The forward pass, where the error of every state is zero; computed as numbers without the light cone. Errors of
    /// the losses are multiplied by `loss_scale` if there is one.
    pub(super) fn start(engine: &'a E, light_cone: bool, loss_scale: Option<f64>) -> Result<Self> {
        let topology = engine.topology();
        let Forward { values, at } = forward_pass(engine)?;
        let predictions = values.clone();
        let mut errors: Vec<MaybeZero<E::Value>> = vec![None; topology.len()];
        if !light_cone {
            for i in topology.latent() {
                errors[i] = Some(engine.sub(&values[i], &predictions[i])?);
            }
        }
        let mut losses = loss_errors(engine, &values)?;
        if let Some(scale) = loss_scale {
            losses = scaled(engine, scale, &losses)?;
        }
        let (params, stale) = (vec![None; topology.params()], vec![Stale::default(); topology.len()]);
        Ok(Self {
            engine,
            values,
            predictions,
            at,
            errors,
            losses,
            precisions: None,
            memories: vec![Memory::default(); topology.len()],
            multipliers: Vec::new(),
            params,
            loss_scale,
            stale,
        })
    }

    /// The same point with the errors of the losses, which had no scale, times `scale`.
    pub(super) fn nudged(&self, scale: f64) -> Result<Self> {
        Ok(Self {
            engine: self.engine,
            values: self.values.clone(),
            predictions: self.predictions.clone(),
            at: self.at.clone(),
            errors: self.errors.clone(),
            losses: scaled(self.engine, scale, &self.losses)?,
            precisions: self.precisions.clone(),
            memories: self.memories.clone(),
            multipliers: self.multipliers.clone(),
            params: self.params.clone(),
            loss_scale: Some(scale),
            stale: self.stale.clone(),
        })
    }

    /// What carries cotangents down from here.
    pub(super) fn downward(&self) -> Downward<'_, E> {
        Downward {
            engine: self.engine,
            at: &self.at,
            losses: &self.losses,
            moved: &self.params,
            precisions: self.precisions.as_deref(),
            multipliers: &self.multipliers,
        }
    }

    /// −∂F/∂v_i, given the cotangents, its own among them or not; `None` where it is zero.
    pub(super) fn descent(
        &self,
        i: VertexId,
        c: &[MaybeZero<E::Value>],
        own: &MaybeZero<E::Value>,
    ) -> Result<MaybeZero<E::Value>> {
        descent(self.engine, self.downward().pulled(i, c)?, own)
    }

    /// Moves every state by a step of a method, all from the same old states. Predictions and errors are those of the old point until
    /// [`refresh`](Self::refresh).
    pub(super) fn move_states(&mut self, stride: &Stride) -> Result<()> {
        let c = self.downward().cotangents(&self.errors, |i| self.engine.topology().follows_state(i))?;
        self.move_by(stride, &c)
    }

    /// As [`move_states`](Self::move_states), given the cotangents.
    pub(super) fn move_by(&mut self, stride: &Stride, c: &[MaybeZero<E::Value>]) -> Result<()> {
        let topology = self.engine.topology();
        let mut moved = Vec::new();
        for i in topology.latent() {
            let descent = self.descent(i, c, &c[i])?;
            if let Some(along) = stride.along(self.engine, descent, &mut self.memories[i])? {
                moved.push((i, self.engine.add_scaled(&self.values[i], stride.size, &along)?));
            }
        }
        moved.into_iter().for_each(|(i, state)| self.set(i, state));
        Ok(())
    }

    /// −∂F/∂v of every latent vertex.
    pub(super) fn descents(&self) -> Result<Vec<MaybeZero<E::Value>>> {
        let c = self.downward().cotangents(&self.errors, |i| self.engine.topology().follows_state(i))?;
        let mut descents = vec![None; self.values.len()];
        for i in self.engine.topology().latent() {
            descents[i] = self.descent(i, &c, &c[i])?;
        }
        Ok(descents)
    }

    /// As [`move_states`](Self::move_states), given the descents.
    pub(super) fn move_along(&mut self, stride: &Stride, descents: Vec<MaybeZero<E::Value>>) -> Result<()> {
        for (i, descent) in descents.into_iter().enumerate() {
            if let Some(along) = stride.along(self.engine, descent, &mut self.memories[i])? {
                self.set(i, self.engine.add_scaled(&self.values[i], stride.size, &along)?);
            }
        }
        Ok(())
    }

    /// Moves every state by a step of conjugate gradients, given the descents.
    pub(super) fn move_conjugate(
        &mut self,
        conjugate: &mut Conjugate<E::Value>,
        descents: Vec<MaybeZero<E::Value>>,
    ) -> Result<()> {
        let (coordinates, down) = (Coordinates::States, self.downward());
        let here = Here { coordinates, down: &down, values: &self.values, errors: &self.errors };
        let along = conjugate.step(&here, descents)?;
        for i in self.engine.topology().latent() {
            if let Some(state) = along.moved(self.engine, i, Some(&self.values[i]))? {
                self.set(i, state);
            }
        }
        Ok(())
    }

    /// Moves the states of one colour by g along their descents, from the old states of that colour and the new ones of the other.
    pub(super) fn move_colour(&mut self, g: f64, colour: &Colour) -> Result<()> {
        let mut c = vec![None; self.values.len()];
        self.downward().renew(&mut c, &self.errors, &colour.read)?;
        let mut moved = Vec::new();
        for &i in &colour.own {
            let own = self.downward().weighted(i, &self.errors[i])?;
            if let Some(descent) = self.descent(i, &c, &own)? {
                moved.push((i, self.engine.add_scaled(&self.values[i], g, &descent)?));
            }
        }
        moved.into_iter().for_each(|(i, state)| self.set(i, state));
        Ok(())
    }

    /// λ_i ← λ_i + α ε_i of every latent vertex.
    pub(super) fn move_multipliers(&mut self, alpha: f64) -> Result<()> {
        self.multipliers.resize(self.values.len(), None);
        for i in self.engine.topology().latent() {
            self.multipliers[i] = match (&self.multipliers[i], &self.errors[i]) {
                (Some(old), Some(e)) if alpha == 1.0 => Some(self.engine.add(old, e)?),
                (Some(old), Some(e)) => Some(self.engine.add_scaled(old, alpha, e)?),
                (None, Some(e)) if alpha == 1.0 => Some(e.clone()),
                (None, Some(e)) => Some(self.engine.scale(alpha, e)?),
                (old, None) => old.clone(),
            };
        }
        Ok(())
    }

    /// Gives a latent vertex a new state.
    pub(super) fn set(&mut self, i: VertexId, state: E::Value) {
        self.stale[i].error = true;
        self.change(i, state);
    }

    /// Replaces the parameters that a rule has moved.
    pub(super) fn set_params(&mut self, params: Vec<Option<E::Param>>) {
        let topology = self.engine.topology();
        self.params = params;
        for i in 0..topology.len() {
            self.stale[i].prediction |= topology.node(i).params.iter().any(|&p| self.params[p].is_some());
        }
    }

    fn change(&mut self, i: VertexId, value: E::Value) {
        self.values[i] = value;
        self.stale[i].losses = true;
        for &(child, _) in self.engine.topology().children(i) {
            self.stale[child].prediction = true;
        }
    }

    /// Predictions and errors at the present states and parameters.
    pub(super) fn refresh(&mut self) -> Result<()> {
        self.refresh_some(0..self.values.len())
    }

    /// As [`refresh`](Self::refresh), of some vertices in topological order: what these read must be among them.
    pub(super) fn refresh_some(&mut self, vertices: impl Iterator<Item = VertexId>) -> Result<()> {
        let topology = self.engine.topology();
        for i in vertices {
            if std::mem::take(&mut self.stale[i].prediction) {
                let (prediction, at) = predict(self.engine, &self.params, i, &self.values)?;
                self.at[i] = at;
                if topology.is_latent(i) {
                    self.predictions[i] = prediction;
                    self.stale[i].error = true;
                } else {
                    self.change(i, prediction);
                }
            }
            if std::mem::take(&mut self.stale[i].error) {
                self.errors[i] = Some(self.engine.sub(&self.values[i], &self.predictions[i])?);
            }
            if std::mem::take(&mut self.stale[i].losses) {
                self.losses[i] = match (loss_error(self.engine, i, &self.values[i])?, self.loss_scale) {
                    (Some(error), Some(scale)) => Some(self.engine.scale(scale, &error)?),
                    (error, _) => error,
                };
            }
        }
        Ok(())
    }

    /// Errors as they are shown.
    pub(super) fn shown(&self) -> Vec<MaybeZero<E::Value>> {
        shown(&self.downward(), &self.errors)
    }

    /// Shows the present point.
    pub(super) fn show(&self, step: usize, watch: &mut Watch<'_, E::Value>) -> Result<()> {
        let outputs = outputs(self.engine, &self.values);
        watch(Shown { step, errors: &self.shown(), outputs: &outputs, multipliers: &self.multipliers })
    }

    /// The end of inference: directions from the present point.
    pub(super) fn learned(self) -> Result<LearnedOn<E>> {
        let down = self.downward();
        let c = down.cotangents(&self.errors, |i| self.engine.topology().reaches_params(i))?;
        let (directions, errors) = (down.directions(&c)?, self.shown());
        let params = vec![None; directions.len()];
        let outputs = outputs(self.engine, &self.values);
        let multipliers = self.multipliers;
        Ok(Learned { states: self.values, outputs, errors, multipliers, directions, params })
    }
}

/// s e of every vertex that has one.
fn scaled<E: Engine>(engine: &E, s: f64, errors: &[MaybeZero<E::Value>]) -> Result<Vec<MaybeZero<E::Value>>> {
    errors.iter().map(|e| e.as_ref().map(|e| engine.scale(s, e)).transpose()).collect()
}
