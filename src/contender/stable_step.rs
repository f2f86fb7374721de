//! The largest stable step of inference, found anew before every update.

use candle_core::Tensor;
use nalgebra::DVector;

use super::State;
use crate::engine::curvature::{Coordinates, Curvature, Matrix};
use crate::net::Graph;
use crate::theory::lanczos;
use crate::{Error, Result};

/// Relative residual at which the search for λ_max ends.
const RESIDUAL: f64 = 1e-2;

/// Products of the first search, from a fixed vector.
const FIRST: usize = 40;

/// Products of every later one, from the vector that the one before has found: parameters have moved by one update since.
pub const LATER: u64 = 2;

/// Finds 2/λ_max, λ_max being the largest eigenvalue of the Gauss–Newton matrix at the forward pass; see
/// [`StepUnit::Stable`](crate::rule::StepUnit::Stable).
///
/// Lanczos gives a number that no eigenvalue is above by more than what has not settled; its residual is added, so that an
/// unfinished search errs towards small steps.
#[derive(Debug)]
pub struct StableStep {
    coordinates: Coordinates,
    found: Option<DVector<f64>>,
}

impl StableStep {
    /// In these coordinates.
    pub fn new(coordinates: Coordinates) -> Self {
        Self { coordinates, found: None }
    }

    /// The same search, not begun.
    #[must_use]
    pub fn clone_anew(&self) -> Self {
        Self::new(self.coordinates)
    }

    /// The largest stable step at these parameters on a batch.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the network has no states or the curvature is not finite.
    pub fn find(&mut self, state: &State, graph: &Graph, data: &[Tensor]) -> Result<f64> {
        let curvature = Curvature::at_forward(state.bind(graph, data), self.coordinates)?;
        let kept = self.found.take().filter(|found| found.len() == curvature.dim());
        let (from, most) = match kept {
            Some(found) => (found, LATER as usize),
            None => (lanczos::start(curvature.dim())?, FIRST),
        };
        let product = |z: &DVector<f64>| curvature.product(Matrix::GaussNewton, z);
        let (top, vector) = lanczos::largest_from(from, RESIDUAL, most, product)?;
        self.found = Some(vector);
        let most = top.value + top.residual;
        if most > 0.0 {
            return Ok(2.0 / most);
        }
        Err(Error::Invalid(format!(
            "the largest curvature of the energy is {most}; expected a positive number"
        )))
    }
}
