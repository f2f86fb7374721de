//! The largest stable step of inference, found anew before every update.

use candle_core::Tensor;
use nalgebra::DVector;

use super::State;
use crate::engine::curvature::{Coordinates, Curvature, Matrix};
use crate::net::Graph;
use crate::rule::Method;
use crate::theory::lanczos::{self, Sought};
use crate::{Error, Result};

/// Relative residual of what is sought at which the first search ends.
const RESIDUAL: f64 = 1e-2;

/// Products of the first search at most, from a fixed vector.
const FIRST: usize = 40;

/// Bytes that the vectors of a search may take; fewer products where it would be more.
const ROOM: usize = 256 << 20;

/// Products of every later one, no more and no fewer. It starts from what the one before has found and the fixed vector together:
/// samples do not interact, so the vector of one sample alone would never see another whose curvature has become the largest.
pub const LATER: u64 = 8;

/// Finds 2/λ_max, λ_max being the largest eigenvalue of the Gauss–Newton matrix at the forward pass; see
/// [`StepUnit::Stable`](crate::rule::StepUnit::Stable).
///
/// What Lanczos finds is an estimate, never above λ_max; its residual is added as a margin. Under PC-ALM the step is that of the
/// states at fixed multipliers: with ρ = α = 1 and one step per
/// multiplier the two together are stable to two thirds of it (a direction of curvature h turns by a matrix of trace 2(1 − gh) and
/// determinant 1 − gh, the loss's curvature left out), and the published runs take half.
#[derive(Debug)]
pub struct StableStep {
    coordinates: Coordinates,
    sought: Sought,
    found: Option<DVector<f64>>,
}

/// What a search has found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// 2/λ_max.
    pub stable: f64,
    /// λ_min: [`least_curvature`] where there is one, else the lower end that the search has found, which is never below λ_min.
    pub smallest: f64,
}

/// What no curvature at the forward pass is below: in errors the least precision of a latent vertex, because a loss is convex in what
/// it judges and e enters the energy as π φ(e), with φ'' = 1 at e = 0 of every φ there is; in states nothing that is known without a
/// search.
pub fn least_curvature(graph: &Graph, coordinates: Coordinates) -> Option<f64> {
    let topology = graph.topology();
    match coordinates {
        Coordinates::States => None,
        Coordinates::Errors => topology.latent().filter_map(|i| topology.precision(i)).reduce(f64::min),
    }
}

impl StableStep {
    /// In these coordinates, for a method that needs λ_min too or not; where [`least_curvature`] knows a bound there is no search for it.
    pub fn new(coordinates: Coordinates, method: Method) -> Self {
        let both = matches!(method, Method::Chebyshev { .. }) && coordinates == Coordinates::States;
        Self { coordinates, sought: if both { Sought::Both } else { Sought::Largest }, found: None }
    }

    /// Where the next search begins; none before the first.
    pub fn found(&self) -> Option<Vec<f64>> {
        self.found.as_ref().map(|found| found.as_slice().to_vec())
    }

    /// Begins the next search where one before has ended.
    pub fn go_on_from(&mut self, found: Option<Vec<f64>>) {
        self.found = found.map(DVector::from_vec);
    }

    /// The same search, not begun.
    #[must_use]
    pub fn clone_anew(&self) -> Self {
        Self { found: None, ..*self }
    }

    /// The largest stable step at these parameters on a batch, and the smallest curvature.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the network has no states or the curvature is not finite.
    pub fn find(&mut self, state: &State, graph: &Graph, data: &[Tensor]) -> Result<Found> {
        let curvature = Curvature::at_forward(state.bind(graph, data), self.coordinates)?;
        let kept = self.found.take().filter(|found| found.len() == curvature.dim());
        let (from, most, residual) = match kept {
            Some(found) => {
                let fixed = lanczos::start(curvature.dim())?;
                let length = fixed.norm();
                (found + fixed / length, LATER as usize, 0.0)
            }
            None => (lanczos::start(curvature.dim())?, most_products(curvature.dim()), RESIDUAL),
        };
        let product = |z: &DVector<f64>| curvature.product(Matrix::GaussNewton, z);
        let (ends, vectors) = lanczos::ends_from(from, self.sought, (residual, most), product)?;
        // a start from which what is sought is soon found again
        self.found = Some(match self.sought {
            Sought::Largest => vectors.largest,
            Sought::Both => vectors.largest + vectors.smallest,
        });
        let most = ends.largest.value + ends.largest.residual;
        if most > 0.0 {
            let smallest = least_curvature(graph, self.coordinates).unwrap_or(ends.smallest.value);
            return Ok(Found { stable: 2.0 / most, smallest: smallest.max(0.0) });
        }
        Err(Error::Invalid(format!(
            "the largest curvature of the energy is {most}; expected a positive number"
        )))
    }
}

/// Products of the first search in `dim` coordinates.
fn most_products(dim: usize) -> usize {
    (ROOM / (size_of::<f64>() * dim.max(1))).clamp(LATER as usize, FIRST)
}

/// Bytes of a search in `dim` coordinates.
pub fn bytes(dim: usize) -> usize {
    size_of::<f64>() * dim * (most_products(dim) + 4)
}
