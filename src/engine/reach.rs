//! The reach of a rule: executes a schedule without numbers and keeps what is zero whatever the numbers are.
//!
//! A layer whose error is zero at the end of inference learns nothing. Rules say so where they know it
//! ([`MaybeZero`](super::MaybeZero)), but a schedule that computes such errors all the same comes to zeros as well, as a
//! state minus the prediction that it was copied from. So values here know which of them are the same.

use std::cell::{Cell, RefCell};

use super::{Engine, Learned};
use crate::net::{DataId, LatentEnergy, ParamId, Topology, VertexId};
use crate::Result;

/// A tensor that exists in name only: `None` if it is zero, else the number of the computation it comes from. Tensors of
/// equal numbers are equal.
pub type Name = Option<usize>;

/// A network, executed by following zeros.
#[derive(Debug)]
pub struct Reach {
    topology: Topology,
    params: Vec<Name>,
    /// The names of data tensors come after those of parameters.
    data: Vec<Name>,
    names: Cell<usize>,
    last: RefCell<Vec<Option<Prediction>>>,
}

/// What a vertex last predicted, and from what.
#[derive(Debug, Clone)]
struct Prediction {
    params: Vec<Name>,
    inputs: Vec<Name>,
    value: Name,
}

impl Reach {
    /// An engine over a network with `data` data tensors.
    pub fn new(topology: &Topology, data: usize) -> Self {
        let params = topology.params();
        Self {
            params: (0..params).map(Some).collect(),
            data: (params..params + data).map(Some).collect(),
            names: Cell::new(params + data),
            last: RefCell::new(vec![None; topology.len()]),
            topology: topology.clone(),
        }
    }

    /// Groups of parameters (layers, of a chain) of which some learns from the state in which a rule ends: those with a
    /// direction other than zero, or that the rule has moved itself.
    pub fn trained(&self, learned: &Learned<Name, Name, Name>) -> usize {
        let learns = |p: &ParamId| {
            let moved = learned.params[*p].is_some_and(|new| new != self.params[*p]);
            moved || learned.directions[*p].flatten().is_some()
        };
        self.topology.groups().iter().filter(|group| group.iter().any(learns)).count()
    }

    fn fresh(&self) -> Name {
        let name = self.names.get();
        self.names.set(name + 1);
        Some(name)
    }

    /// What is linear in `value`.
    fn image(&self, value: Name) -> Name {
        value.and_then(|_| self.fresh())
    }
}

impl Engine for Reach {
    type Value = Name;
    type Linearization = ();
    type Param = Name;
    type Direction = Name;

    fn topology(&self) -> &Topology {
        &self.topology
    }

    fn data(&self, d: DataId) -> &Name {
        &self.data[d]
    }

    fn param(&self, p: ParamId) -> &Name {
        &self.params[p]
    }

    fn forward(&self, i: VertexId, params: &[&Name], inputs: &[&Name]) -> Result<(Name, ())> {
        let (params, inputs): (Vec<Name>, Vec<Name>) =
            (params.iter().map(|n| **n).collect(), inputs.iter().map(|n| **n).collect());
        let last = &mut self.last.borrow_mut()[i];
        let again = last.as_ref().filter(|last| last.params == params && last.inputs == inputs);
        let value = again.map_or_else(|| self.fresh(), |last| last.value);
        *last = Some(Prediction { params, inputs, value });
        Ok((value, ()))
    }

    fn vjp(&self, _: VertexId, _: usize, _: &[&Name], (): &(), c: &Name) -> Result<Name> {
        Ok(self.image(*c))
    }

    fn vjp_linear(&self, _: VertexId, _: usize, _: &[&Name], (): &(), c: &Name) -> Result<Name> {
        Ok(self.image(*c))
    }

    fn param_grad(&self, i: VertexId, (): &(), c: &Name) -> Result<Vec<Name>> {
        Ok(self.topology.node(i).params.iter().map(|_| self.image(*c)).collect())
    }

    fn add_directions(&self, a: &Name, b: &Name) -> Result<Name> {
        self.add(a, b)
    }

    fn apply_update(&self, param: &Name, s: f64, direction: &Name) -> Result<Name> {
        self.add_scaled(param, s, direction)
    }

    fn loss_error(&self, _: usize, _: &Name) -> Result<Name> {
        Ok(self.fresh())
    }

    fn add(&self, a: &Name, b: &Name) -> Result<Name> {
        if a.is_none() {
            return Ok(*b);
        }
        self.add_scaled(a, 1.0, b)
    }

    fn sub(&self, a: &Name, b: &Name) -> Result<Name> {
        if a == b {
            return Ok(None);
        }
        self.add_scaled(a, -1.0, b)
    }

    fn scale(&self, s: f64, a: &Name) -> Result<Name> {
        Ok(if s == 0.0 { None } else { self.image(*a) })
    }

    fn add_scaled(&self, a: &Name, s: f64, b: &Name) -> Result<Name> {
        Ok(if s == 0.0 || b.is_none() { *a } else { self.fresh() })
    }

    fn square(&self, a: &Name) -> Result<Name> {
        Ok(self.image(*a))
    }

    fn over_root(&self, a: &Name, _: &Name, _: f64) -> Result<Name> {
        Ok(self.image(*a))
    }

    fn influence(&self, _: LatentEnergy, error: &Name) -> Result<Name> {
        Ok(self.image(*error))
    }

    fn jvp(&self, _: VertexId, _: usize, _: &[&Name], (): &(), d: &Name) -> Result<Name> {
        Ok(self.image(*d))
    }

    fn loss_curvature(&self, _: usize, _: &Name, d: &Name) -> Result<Name> {
        Ok(self.image(*d))
    }

    fn curvature(&self, _: LatentEnergy, _: &Name, d: &Name) -> Result<Name> {
        Ok(self.image(*d))
    }

    fn sum_of_squares(&self, _: &Name) -> Result<Option<f64>> {
        Ok(None)
    }

    fn dot(&self, a: &Name, b: &Name) -> Result<Name> {
        Ok(b.and_then(|_| self.image(*a)))
    }

    fn quotient(&self, a: &Name, b: &Name) -> Result<Name> {
        self.dot(a, b)
    }

    fn scale_rows(&self, s: &Name, a: &Name) -> Result<Name> {
        self.dot(s, a)
    }
}
