//! Products with the inverse of the Gauss–Newton matrix, and from them its smallest eigenvalue.
//!
//! In the errors the matrix is M = Π + BᵀCB: Π the precisions (times φ'' of energies that are not Gaussian), B the Jacobian of what
//! the losses judge, C their curvature. In the states it is EᵀME, where E takes a change of all states to that of all errors,
//! de_i = dv_i − Σ J dv_parent. E is unit lower triangular in topological order, so its inverse and that of its transpose are one
//! sweep each, without error of cancellation however ill-conditioned the product is:
//!
//! (EᵀME)⁻¹ = E⁻¹ M⁻¹ E⁻ᵀ.
//!
//! M differs from Π by a matrix whose rank is at most the number of outputs, samples times. Where Π is one number times the identity,
//! conjugate gradients solve it in at most one iteration more than that, in exact arithmetic; other Π cost more.

use candle_core::Tensor;
use nalgebra::DVector;

use super::point::{Coordinates, Curvature};
use super::sweeps::plus;
use crate::theory::conjugate_gradient::{solve, Solved};
use crate::theory::lanczos::{self, Ritz, Sought};
use crate::{Error, Result};

/// Relative residual of the inner system.
const RESIDUAL: f64 = 1e-13;

/// Iterations of the inner system at most.
const ITERATIONS: usize = 10_000;

/// Relative residual with which an inner system that went no further is taken all the same: rounding of ill-conditioned ones.
const ENOUGH: f64 = 1e-8;

/// How far the inner system of a product with the inverse is solved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Inner {
    /// Iterations at most; fewer where its relative residual is 1e-13.
    pub most: usize,
    /// Relative residual above which a product is an error.
    pub enough: f64,
}

impl Default for Inner {
    fn default() -> Self {
        Self { most: ITERATIONS, enough: ENOUGH }
    }
}

impl Curvature<'_> {
    /// The inverse of the Gauss–Newton matrix times z.
    ///
    /// # Errors
    /// As for [`product`](Self::product); [`Error::Invalid`] if the inner system does not settle.
    pub fn inverse_product(&self, z: &DVector<f64>) -> Result<DVector<f64>> {
        self.inverse_product_by(Inner::default(), z)
    }

    fn inverse_product_by(&self, inner: Inner, z: &DVector<f64>) -> Result<DVector<f64>> {
        match self.coordinates {
            Coordinates::Errors => self.solve(inner, z),
            Coordinates::States => {
                let solved = self.solve(inner, &self.join(&self.risen(&self.split(z)?)?)?)?;
                self.join(&self.tangents(Coordinates::Errors, &self.split(&solved)?)?.0)
            }
        }
    }

    /// λ_min of the Gauss–Newton matrix: the inverse of the largest eigenvalue of its inverse.
    ///
    /// # Errors
    /// As for [`inverse_product`](Self::inverse_product), and for [`lanczos::largest_eigenvalue`].
    pub fn smallest(&self, tolerance: f64, most: usize) -> Result<Ritz> {
        let inverse = lanczos::largest_eigenvalue(self.dim, tolerance, most, |z| self.inverse_product(z))?;
        Ok(inverted(inverse))
    }

    /// λ_min as the largest eigenvalue of the inverse in the space of at most `most` products with it from a start vector of one's own,
    /// and its unit Ritz vector, from which to start next time. It is given settled to `tolerance` or not.
    ///
    /// # Errors
    /// As for [`smallest`](Self::smallest), but for products that do not suffice.
    pub fn smallest_from(
        &self,
        from: DVector<f64>,
        (tolerance, most): (f64, usize),
        inner: Inner,
    ) -> Result<(Ritz, DVector<f64>)> {
        let inverse = |z: &DVector<f64>| self.inverse_product_by(inner, z);
        let (ends, vectors) = lanczos::ends_from(from, Sought::Largest, (tolerance, most), inverse)?;
        Ok((inverted(ends.largest), vectors.largest))
    }

    /// M⁻¹ z.
    fn solve(&self, inner: Inner, z: &DVector<f64>) -> Result<DVector<f64>> {
        let product = |z: &DVector<f64>| self.join(&self.gauss_newton(Coordinates::Errors, &self.split(z)?)?);
        let Solved { x, residual, iterations } = solve(z, RESIDUAL, inner.most, product)?;
        let enough = inner.enough;
        if residual <= enough {
            return Ok(x);
        }
        Err(Error::Invalid(format!(
            "a system with the curvature of the energy has a relative residual of {residual:.1e} after {iterations} iterations; \
             expected {enough:e} or less"
        )))
    }

    /// E⁻ᵀ y: y_i and what children carry down to it, by latent vertex.
    fn risen(&self, y: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>> {
        let (graph, topology) = (self.engine.graph, self.engine.graph.topology());
        let mut carried: Vec<Option<Tensor>> = vec![None; graph.len()];
        for i in (0..graph.len()).rev() {
            let mut sum = y[i].clone();
            for &(child, slot) in topology.children(i) {
                if let Some(c) = &carried[child] {
                    let own = graph.own(child, self.engine.params);
                    sum = plus(sum, graph.operation(child).vjp(&own, &self.at[child], slot, c)?)?;
                }
            }
            carried[i] = sum;
        }
        Ok(carried)
    }
}

/// An eigenvalue of a matrix from one of its inverse.
fn inverted(inverse: Ritz) -> Ritz {
    let value = 1.0 / inverse.value;
    Ritz { value, residual: inverse.residual * value * value, products: inverse.products }
}
