//! Linear systems with a symmetric positive definite matrix that is only known through its products with vectors.
//!
//! Conjugate gradients (Hestenes & Stiefel 1952; Golub & Van Loan, *Matrix Computations*, 4th ed., §11.3): as many iterations as the
//! matrix has different eigenvalues, in exact arithmetic.

use nalgebra::DVector;

use crate::{Error, Result};

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Solved {
    /// x with A x ≈ b.
    pub x: DVector<f64>,
    /// ‖b − A x‖/‖b‖ as the recursion has it; 0 for b = 0.
    pub residual: f64,
    /// Products spent.
    pub iterations: usize,
}

/// Solves A x = b to a relative residual of `tolerance`, or as far as `most` products go.
///
/// # Errors
/// [`Error::Invalid`] if a product has the wrong length or is not finite, or if A has no positive curvature along a direction of
/// search; whatever `apply` returns.
pub fn solve(
    b: &DVector<f64>,
    tolerance: f64,
    most: usize,
    mut apply: impl FnMut(&DVector<f64>) -> Result<DVector<f64>>,
) -> Result<Solved> {
    let start = b.norm();
    let mut found = Solved { x: DVector::zeros(b.len()), residual: 0.0, iterations: 0 };
    if start == 0.0 {
        return Ok(found);
    }
    let (mut r, mut p) = (b.clone(), b.clone());
    let mut square = r.norm_squared();
    found.residual = 1.0;
    while found.residual > tolerance && found.iterations < most {
        let product = apply(&p)?;
        if product.len() != b.len() {
            let what = "matrix-vector product inside conjugate gradients".into();
            return Err(Error::Shape { what, expected: vec![b.len()], got: vec![product.len()] });
        }
        let curvature = p.dot(&product);
        if !(curvature.is_finite() && curvature > 0.0) {
            return Err(Error::Invalid(format!(
                "conjugate gradients need a positive definite matrix, but along a direction of search it is {curvature}"
            )));
        }
        let step = square / curvature;
        found.x.axpy(step, &p, 1.0);
        r.axpy(-step, &product, 1.0);
        let next = r.norm_squared();
        p = &r + (next / square) * p;
        square = next;
        found.iterations += 1;
        found.residual = square.sqrt() / start;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A diagonal with three different entries is solved in three products.
    #[test]
    fn as_many_products_as_eigenvalues() {
        let diagonal = DVector::from_fn(30, |i, _| [1.0, 4.0, 1e6][i % 3]);
        let b = DVector::from_fn(30, |i, _| 1.0 + (i as f64).sin());
        let found = solve(&b, 1e-12, 100, |z| Ok(z.component_mul(&diagonal))).unwrap();
        assert!((3..=5).contains(&found.iterations), "{found:?}");
        let off = (found.x.component_mul(&diagonal) - &b).norm() / b.norm();
        assert!(off < 1e-11, "{off}");
    }

    /// Zero, too few products, a matrix that is not positive, a product of another length.
    #[test]
    fn ends_and_refusals() {
        let b = DVector::from_element(4, 1.0);
        assert_eq!(solve(&(&b * 0.0), 1e-9, 5, |z| Ok(z.clone())).unwrap().iterations, 0);
        let ramp = DVector::from_fn(4, |i, _| 1.0 + i as f64);
        let few = solve(&b, 1e-12, 2, |z| Ok(z.component_mul(&ramp))).unwrap();
        assert!(few.residual > 1e-3 && few.iterations == 2);
        assert!(solve(&b, 1e-9, 5, |z| Ok(-z)).is_err());
        assert!(solve(&b, 1e-9, 5, |z| Ok(z * f64::NAN)).is_err());
        assert!(solve(&b, 1e-9, 5, |_| Ok(DVector::zeros(3))).is_err());
    }
}
