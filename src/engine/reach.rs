//! The reach of a rule: executes a schedule without numbers and keeps what is zero whatever the numbers are.
//!
//! A layer whose error is zero at the end of inference learns nothing. Rules say so where they know it
//! ([`MaybeZero`](super::MaybeZero)), but a schedule that computes such errors all the same comes to zeros as well, as a
//! state minus the prediction that it was copied from. So values here know which of them are the same.

use std::cell::{Cell, RefCell};

use super::{Engine, Learned};
use crate::Result;

/// A tensor that exists in name only: `None` if it is zero, else the number of the computation it comes from. Tensors of
/// equal numbers are equal.
pub type Name = Option<usize>;

/// A network of some depth, executed by following zeros.
#[derive(Debug)]
pub struct Reach {
    /// θ_1..θ_L.
    params: Vec<Name>,
    names: Cell<usize>,
    last: RefCell<Vec<Option<Prediction>>>,
}

/// What a layer last predicted, and from what.
#[derive(Debug, Clone, Copy)]
struct Prediction {
    params: Name,
    below: Name,
    mu: Name,
}

impl Reach {
    /// An engine over `depth` layers.
    pub fn new(depth: usize) -> Self {
        let params = (0..depth).map(Some).collect();
        // The input comes after them.
        Self { params, names: Cell::new(depth + 1), last: RefCell::new(vec![None; depth]) }
    }

    /// Layers that learn from the state in which a rule ends: those with a direction other than zero, or with parameters that the
    /// rule has moved itself.
    pub fn trained(&self, learned: &Learned<Self>) -> usize {
        let directions = learned.directions.iter().map(|d| d.flatten().is_some());
        let moved =
            learned.params.iter().zip(&self.params).map(|(new, old)| new.is_some_and(|new| new != *old));
        directions.zip(moved).filter(|(direction, moved)| *direction || *moved).count()
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
    type Local = Name;
    type Params = Name;
    type Direction = Name;

    fn depth(&self) -> usize {
        self.params.len()
    }

    fn input(&self) -> Name {
        Some(self.params.len())
    }

    fn params(&self, l: usize) -> &Name {
        &self.params[l - 1]
    }

    fn forward_with(&self, l: usize, params: &Name, below: &Name) -> Result<(Name, Name)> {
        let last = &mut self.last.borrow_mut()[l - 1];
        let again = last.filter(|last| (last.params, last.below) == (*params, *below));
        let mu = again.map_or_else(|| self.fresh(), |last| last.mu);
        *last = Some(Prediction { params: *params, below: *below, mu });
        Ok((mu, *below))
    }

    fn vjp_with(&self, _: usize, _: &Name, _: &Name, e: &Name) -> Result<Name> {
        Ok(self.image(*e))
    }

    fn vjp_linear_with(&self, _: usize, _: &Name, _: &Name, e: &Name) -> Result<Name> {
        Ok(self.image(*e))
    }

    fn moved(&self, _: usize, params: &Name, s: f64, direction: &Name) -> Result<Name> {
        self.add_scaled(params, s, direction)
    }

    fn param_grad(&self, _: usize, _: &Name, e: &Name) -> Result<Name> {
        Ok(self.image(*e))
    }

    fn output_error(&self, _: &Name) -> Result<Name> {
        Ok(self.fresh())
    }

    fn add(&self, a: &Name, b: &Name) -> Result<Name> {
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
}
