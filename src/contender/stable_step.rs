//! The largest stable step of inference, and the smallest curvature where a method asks for it, found anew before every update.

use candle_core::Tensor;
use nalgebra::DVector;

use super::State;
use crate::engine::curvature::{Coordinates, Curvature, Descended, Inner, Matrix};
use crate::net::Graph;
use crate::rule::{Method, Rule, StepUnit};
use crate::theory::lanczos::{self, Sought};
use crate::{Error, Result};

/// Relative residual of λ_max at which the first search ends.
const RESIDUAL: f64 = 1e-2;

/// Relative residual of 1/λ_min at which the first search for it ends; the error of the value is of the order of its square.
const RESIDUAL_OF_SMALLEST: f64 = 1e-4;

/// Products of the first search at most, from a fixed vector; and products with the inverse.
const FIRST: usize = 40;

/// Inner system of the first search for λ_min: a thousand iterations solve what is solvable in the dtype, and end a search that is not.
const FIRST_INNER: Inner = Inner { most: 1000, enough: 1e-8 };

/// Bytes that the vectors of a search may take; fewer products where it would be more.
const ROOM: usize = 256 << 20;

/// Products of every later one, no more and no fewer. It starts from what the one before has found and the fixed vector together:
/// samples do not interact, so the vector of one sample alone would never see another whose curvature has become the largest.
const LATER: u64 = 8;

/// Products with the inverse of every later search for λ_min, which starts from its own last vector and the fixed one. Neighbouring
/// eigenvalues lie far apart in the inverse, so fewer suffice.
const LATER_INVERSE: u64 = 3;

/// Length of the fixed vector beside that last one: products with the inverse are few and soon find what is in it, and its square is what
/// it leaves of an error in λ_min.
const BESIDE_SMALLEST: f64 = 0.1;

/// Inner system of a later search: at most this many iterations, and an answer that is right to a hundredth.
const LATER_INNER: Inner = Inner { most: 20, enough: 1e-2 };

/// Finds 2/λ_max, λ_max being the largest eigenvalue of the Gauss–Newton matrix at the forward pass; see
/// [`StepUnit::Stable`]. And λ_min of the same matrix, where the method needs it and [`least_curvature`] knows no bound: the largest
/// eigenvalue of the inverse, by products with the inverse ([`Curvature::smallest_from`]).
///
/// What Lanczos finds is an estimate, never above λ_max; its residual is added as a margin. Under PC-ALM the step is that of the
/// states at fixed multipliers: with ρ = α = 1 and one step per
/// multiplier the two together are stable to two thirds of it (a direction of curvature h turns by a matrix of trace 2(1 − gh) and
/// determinant 1 − gh, the loss's curvature left out), and the published runs take half. Under a rule that moves its states in turn (SeqIL,
/// EP) any share below 1 is stable all the more, because one state or colour alone is curved no more than all together; under iPC the
/// search is made once per batch, before the first of its T updates.
#[derive(Debug)]
pub struct StableStep {
    energy: Descended,
    /// Whether λ_min is searched for.
    both: bool,
    largest: Option<DVector<f64>>,
    smallest: Option<Smallest>,
}

/// λ_min as it was last found.
#[derive(Debug)]
struct Smallest {
    value: f64,
    vector: DVector<f64>,
}

/// What a search has found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// 2/λ_max.
    pub stable: f64,
    /// λ_min: [`least_curvature`] where there is one; else what [`smallest_curvature`] finds, and under a method that does not ask for it
    /// the lower end of the search for λ_max, which is never below λ_min.
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

/// Whether λ_min is searched for under a method in these coordinates.
pub fn seeks_smallest(coordinates: Coordinates, method: Method) -> bool {
    matches!(method, Method::Chebyshev { .. }) && coordinates == Coordinates::States
}

/// λ_min from a fixed vector, as the first search of a contender finds it.
///
/// # Errors
/// As for [`Curvature::smallest_from`]: where its inner system, with the curvature in the errors, is conditioned worse than the dtype
/// resolves.
pub fn smallest_curvature(curvature: &Curvature<'_>) -> Result<f64> {
    Ok(first_smallest(curvature)?.value)
}

fn first_smallest(curvature: &Curvature<'_>) -> Result<Smallest> {
    let dim = curvature.dim();
    let most = (RESIDUAL_OF_SMALLEST, most_products(dim));
    let (ritz, vector) = curvature.smallest_from(lanczos::start(dim)?, most, FIRST_INNER)?;
    Ok(Smallest { value: ritz.value, vector })
}

/// Products with the Gauss–Newton matrix, of which one in the errors costs the same, of every search but the first: those for λ_max; and
/// for λ_min in each product with the inverse one sweep down, the inner system, and one sweep up. Iterations of an inner system that is
/// solved sooner are counted all the same.
pub fn products(rule: &Rule) -> u64 {
    match (rule.steps().filter(|steps| steps.unit == StepUnit::Stable), rule.descends()) {
        (Some(steps), Some(energy)) if seeks_smallest(energy.coordinates, steps.method) => {
            LATER + LATER_INVERSE * (LATER_INNER.most as u64 + 1)
        }
        (Some(_), _) => LATER,
        (None, _) => 0,
    }
}

impl StableStep {
    /// Of this energy, for a method that needs λ_min too or not; where [`least_curvature`] knows a bound there is no search for it.
    pub fn new(energy: Descended, method: Method) -> Self {
        Self { energy, both: seeks_smallest(energy.coordinates, method), largest: None, smallest: None }
    }

    /// Where the next search begins, as numbers for [`go_on_from`](Self::go_on_from): the vector of λ_max, and behind it, where there is
    /// one, λ_min and its vector. None before the first search.
    pub fn found(&self) -> Option<[Vec<f64>; 2]> {
        let numbers = |vector: &DVector<f64>| vector.as_slice().to_vec();
        let smallest = |found: &Smallest| [vec![found.value], numbers(&found.vector)].concat();
        Some([numbers(self.largest.as_ref()?), self.smallest.as_ref().map(smallest).unwrap_or_default()])
    }

    /// Begins the next search where one before has ended.
    pub fn go_on_from(&mut self, found: Option<[Vec<f64>; 2]>) {
        let [largest, smallest] = found.map_or([None, None], |found| found.map(Some));
        self.largest = largest.map(DVector::from_vec);
        let whole = smallest.as_deref().and_then(<[f64]>::split_first);
        self.smallest =
            whole.map(|(value, rest)| Smallest { value: *value, vector: DVector::from_row_slice(rest) });
    }

    /// The same search, not begun.
    #[must_use]
    pub fn clone_anew(&self) -> Self {
        Self { largest: None, smallest: None, ..*self }
    }

    /// The largest stable step at these parameters on a batch, and the smallest curvature.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the network has no states or the curvature is not finite.
    pub fn find(&mut self, state: &State, graph: &Graph, data: &[Tensor]) -> Result<Found> {
        let curvature = Curvature::of(state.bind(graph, data), self.energy)?;
        let dim = curvature.dim();
        let (from, most, residual) = match self.largest.take().filter(|kept| kept.len() == dim) {
            Some(kept) => (beside_fixed(kept, 1.0)?, LATER as usize, 0.0),
            None => (lanczos::start(dim)?, most_products(dim), RESIDUAL),
        };
        let product = |z: &DVector<f64>| curvature.product(Matrix::GaussNewton, z);
        let (ends, vectors) = lanczos::ends_from(from, Sought::Largest, (residual, most), product)?;
        self.largest = Some(vectors.largest);
        let most = ends.largest.value + ends.largest.residual;
        if most > 0.0 {
            let smallest = match least_curvature(graph, self.energy.coordinates) {
                Some(least) => least,
                None if self.both => self.find_smallest(&curvature).unwrap_or(ends.smallest.value),
                None => ends.smallest.value,
            };
            return Ok(Found { stable: 2.0 / most, smallest: smallest.max(0.0) });
        }
        Err(Error::Invalid(format!(
            "the largest curvature of the energy is {most}; expected a positive number"
        )))
    }

    /// λ_min, or none where no product with the inverse could be had: the curvature in the errors is then conditioned worse than the
    /// dtype resolves. A later search that ends so leaves the value of the one before, which parameters have moved from by little.
    fn find_smallest(&mut self, curvature: &Curvature<'_>) -> Option<f64> {
        let kept = self.smallest.take().filter(|kept| kept.vector.len() == curvature.dim());
        self.smallest = match kept {
            None => first_smallest(curvature).ok(),
            Some(kept) => {
                let again = beside_fixed(kept.vector.clone(), BESIDE_SMALLEST).and_then(|from| {
                    curvature.smallest_from(from, (0.0, LATER_INVERSE as usize), LATER_INNER)
                });
                Some(again.map_or(kept, |(ritz, vector)| Smallest { value: ritz.value, vector }))
            }
        };
        self.smallest.as_ref().map(|found| found.value)
    }
}

/// A unit vector and the fixed one at this length.
fn beside_fixed(kept: DVector<f64>, length: f64) -> Result<DVector<f64>> {
    let fixed = lanczos::start(kept.len())?;
    let norm = fixed.norm();
    Ok(kept + fixed * (length / norm))
}

/// Products of the first search in `dim` coordinates.
fn most_products(dim: usize) -> usize {
    (ROOM / (size_of::<f64>() * dim.max(1))).clamp(LATER as usize, FIRST)
}

/// Bytes of a search in `dim` coordinates: the vectors of Lanczos, those kept, and those of an inner system.
pub fn bytes(dim: usize) -> usize {
    size_of::<f64>() * dim * (most_products(dim) + 9)
}
