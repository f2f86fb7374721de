//! The minimum of the energy over the states, where inference without end would come to rest.

use candle_core::Tensor;
use nalgebra::DVector;

use super::point::{evaluate, Coordinates, Curvature};
use super::products::Matrix;
use crate::engine::reference::Reference;
use crate::theory::conjugate_gradient::solve;
use crate::{Error, Result};

/// A point at which the gradient is all but zero.
#[derive(Debug, Clone)]
pub struct Minimum {
    /// ε_i of latent vertices.
    pub errors: Vec<Option<Tensor>>,
    /// Value of every vertex.
    pub values: Vec<Tensor>,
    /// F.
    pub energy: f64,
    /// ‖∇F‖ in the errors over what it was at the forward pass.
    pub residual: f64,
    /// Systems solved.
    pub iterations: usize,
}

/// Systems solved at most.
const ITERATIONS: usize = 300;

/// Halvings of one step at most.
const HALVINGS: usize = 30;

/// The minimum that Newton steps in the errors reach from the forward pass (Gauss–Newton steps where the Hessian is not positive), each
/// halved until the energy falls by a ten-thousandth of what its slope promises. Systems are solved in the errors, where few
/// iterations suffice at any depth. Of several minima the one that is reached is given.
///
/// `tolerance` bounds [`Minimum::residual`]; rounding ends the search where no halved step lowers the energy any more.
///
/// # Errors
/// [`Error::Invalid`] if it was not reached, and as for [`Curvature::product`].
pub fn minimum(engine: Reference<'_>, tolerance: f64) -> Result<Minimum> {
    let count = engine.graph.len();
    let mut errors: Vec<Option<Tensor>> = vec![None; count];
    let (mut first, mut iterations) = (None, 0);
    loop {
        let here = Curvature::around(engine, Coordinates::Errors, &errors)?;
        let energy = energy(&engine, &here.values, &here.errors)?;
        let slope = here.descent()?;
        let length = slope.norm();
        let start = *first.get_or_insert(length);
        let residual = if start > 0.0 { length / start } else { 0.0 };
        if residual <= tolerance {
            let Curvature { values, errors, .. } = here;
            return Ok(Minimum { errors, values, energy, residual, iterations });
        }
        let lower = match iterations < ITERATIONS {
            true => step(&here, &slope, energy)?,
            false => None,
        };
        let Some(lower) = lower else {
            return Err(Error::Invalid(format!(
                "the minimum of the energy was not reached: the gradient is {residual:.1e} of what it was at the forward pass after \
                 {iterations} steps, expected {tolerance:e}; where activations have kinks there may be none with gradient 0"
            )));
        };
        errors = lower;
        iterations += 1;
    }
}

/// One step down, or none if rounding hides the fall.
fn step(here: &Curvature<'_>, slope: &DVector<f64>, energy_here: f64) -> Result<Option<Vec<Option<Tensor>>>> {
    let solved = |matrix| solve(slope, 1e-10, 1000, |z: &DVector<f64>| here.product(matrix, z));
    // where the energy is not convex, and where an activation's kink lies within a difference, the Hessian gives no step down
    let full = match solved(Matrix::Hessian).ok().filter(|found| found.residual < 0.1) {
        Some(found) => found.x,
        None => solved(Matrix::GaussNewton)?.x,
    };
    let promised = slope.dot(&full);
    let parts = here.split(&full)?;
    for halving in 0..HALVINGS {
        let share = 0.5f64.powi(halving as i32);
        let moved = here.moved(&parts, share)?;
        let (values, _, errors) = evaluate(&here.engine, Coordinates::Errors, &moved)?;
        let there = energy(&here.engine, &values, &errors)?;
        // the last digits of a sum of squares: below them a fall cannot be told from none
        let rounding = 1e-14 * energy_here.abs();
        if there <= energy_here - 1e-4 * share * promised || (there - energy_here).abs() <= rounding {
            return Ok(Some(moved));
        }
    }
    Ok(None)
}

fn energy(engine: &Reference<'_>, values: &[Tensor], errors: &[Option<Tensor>]) -> Result<f64> {
    let outputs: Vec<Tensor> = engine.graph.losses().iter().map(|term| values[term.vertex].clone()).collect();
    Ok(engine.energies(errors, &outputs)?.iter().sum())
}
