//! The largest eigenvalue of a symmetric matrix that is only known through its products with vectors.
//!
//! Lanczos iteration with full reorthogonalisation (Golub & Van Loan, *Matrix Computations*, 4th ed.,
//! §10.1 and §10.3). Power iteration was the road not taken: inference Hessians of deep nets have the
//! spectrum of a discrete Laplacian, whose upper end is crowded (neighbours differ by about 3π²/H² for H
//! hidden layers), so power iteration needs of the order of H² products and Lanczos of the order of H.

use nalgebra::{DMatrix, DVector, SymmetricEigen};
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

use crate::{Error, Result};

/// Seed of the start vector: any fixed number makes two runs agree, this one has no meaning.
const START_SEED: u64 = 0x5eed;

/// An approximate eigenvalue together with a bound on how far it can be from a true one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ritz {
    /// The eigenvalue found; never above the largest one, up to rounding.
    pub value: f64,
    /// ‖A u − value·u‖ for the unit Ritz vector u: a true eigenvalue lies within this distance.
    pub residual: f64,
    /// Matrix-vector products spent.
    pub products: usize,
}

/// Largest (rightmost) eigenvalue of the symmetric `dim`×`dim` matrix A given as `apply`(z) = A z.
///
/// Stops when the residual is at most `tolerance`·|value|; the error of the value itself is then of the
/// order of the residual squared over the gap to the next eigenvalue. The start vector is a fixed
/// Gaussian one, so the result is reproducible; an eigenvector orthogonal to it is not found, which has
/// probability zero.
///
/// Cost: k products, 4·k²·dim FLOPs for the reorthogonalisation and k·dim numbers of memory, k = products
/// spent.
///
/// # Errors
/// [`Error::Invalid`] if `dim` is 0, a product has the wrong length or is not finite, or `max_products`
/// did not suffice; whatever `apply` returns.
pub fn largest_eigenvalue(
    dim: usize,
    tolerance: f64,
    max_products: usize,
    mut apply: impl FnMut(&DVector<f64>) -> Result<DVector<f64>>,
) -> Result<Ritz> {
    if dim == 0 {
        return Err(Error::Invalid("a matrix of size 0 has no eigenvalue; expected at least one row".into()));
    }
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(START_SEED);
    let mut q: DVector<f64> = DVector::from_fn(dim, |_, _| StandardNormal.sample(&mut rng));
    q /= q.norm();
    let mut basis = vec![q];
    let (mut diagonal, mut beside) = (Vec::new(), Vec::<f64>::new());
    let mut next_check = 1;
    for k in 1..=max_products.min(dim) {
        let mut w = apply(&basis[k - 1])?;
        if w.len() != dim {
            return Err(Error::Shape {
                what: "matrix-vector product inside Lanczos".into(),
                expected: vec![dim],
                got: vec![w.len()],
            });
        }
        if w.iter().any(|value| !value.is_finite()) {
            return Err(Error::Invalid(format!("matrix-vector product {k} inside Lanczos is not finite")));
        }
        diagonal.push(basis[k - 1].dot(&w));
        // Twice is enough (Kahan, in Parlett, *The Symmetric Eigenvalue Problem*, §6.9): without it rounding
        // brings copies of converged eigenvalues back.
        for _ in 0..2 {
            for direction in &basis {
                let overlap = direction.dot(&w);
                w.axpy(-overlap, direction, 1.0);
            }
        }
        let beta = w.norm();
        let scale = diagonal.iter().chain(&beside).fold(beta, |m: f64, value| m.max(value.abs()));
        let exhausted = k == dim || beta <= f64::EPSILON * scale;
        if exhausted || k >= next_check || k == max_products {
            // The small eigenproblem costs O(k³); on a growing schedule it stays cheaper than the products.
            next_check = k + (k / 8).max(4);
            let (value, last) = top_of_tridiagonal(&diagonal, &beside)?;
            let residual = beta * last.abs();
            if exhausted || residual <= tolerance * value.abs() {
                return Ok(Ritz { value, residual, products: k });
            }
        }
        w /= beta;
        beside.push(beta);
        basis.push(w);
    }
    Err(Error::Invalid(format!(
        "the largest eigenvalue did not settle to a relative residual of {tolerance:e} within {max_products} products; \
         allow more products or a larger tolerance"
    )))
}

/// Largest eigenvalue of a symmetric tridiagonal matrix and the last entry of its unit eigenvector.
fn top_of_tridiagonal(diagonal: &[f64], beside: &[f64]) -> Result<(f64, f64)> {
    let k = diagonal.len();
    let matrix = DMatrix::from_fn(k, k, |i, j| match i.abs_diff(j) {
        0 => diagonal[i],
        1 => beside[i.min(j)],
        _ => 0.0,
    });
    let eigen = symmetric_eigen(matrix)?;
    let top = eigen.eigenvalues.imax();
    Ok((eigen.eigenvalues[top], eigen.eigenvectors[(k - 1, top)]))
}

/// Full eigendecomposition of a symmetric matrix that is known to be finite and not empty.
///
/// The library's own entry point iterates without limit; this one gives up instead of hanging.
pub(crate) fn symmetric_eigen(matrix: DMatrix<f64>) -> Result<SymmetricEigen<f64, nalgebra::Dyn>> {
    let rows = matrix.nrows();
    SymmetricEigen::try_new(matrix, f64::EPSILON, 1000 + 100 * rows).ok_or_else(|| {
        Error::Invalid(format!("the eigenvalues of a symmetric {rows}×{rows} matrix could not be computed"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves A u = λ u for a matrix with known spectrum, crowded at the top (1-D Laplacian, n = 200:
    /// λ_k = 2 − 2cos(kπ/(n+1))). Without it a wrong stopping rule would return a value below λ_max and
    /// every step bound derived from it would be above the stability limit.
    #[test]
    fn largest_eigenvalue_of_a_laplacian() {
        let n = 200;
        let laplacian = |z: &DVector<f64>| {
            Ok(DVector::from_fn(n, |i, _| {
                2.0 * z[i] - if i > 0 { z[i - 1] } else { 0.0 } - if i + 1 < n { z[i + 1] } else { 0.0 }
            }))
        };
        let found = largest_eigenvalue(n, 1e-9, n, laplacian).unwrap();
        let exact = 2.0 - 2.0 * (n as f64 * std::f64::consts::PI / (n as f64 + 1.0)).cos();
        assert!((found.value - exact).abs() < 1e-12 * exact, "{found:?} against {exact}");
        assert!(largest_eigenvalue(n, 1e-9, 5, laplacian).is_err(), "five products cannot suffice");
    }

    /// The rightmost eigenvalue, not the one of largest magnitude (−5); an invariant subspace (the identity
    /// has one of dimension 1) ends the iteration instead of dividing by zero.
    #[test]
    fn sign_and_early_end() {
        let diagonal = DVector::from_vec(vec![-5.0, 1.0, 2.0]);
        let found = largest_eigenvalue(3, 1e-12, 10, |z| Ok(z.component_mul(&diagonal))).unwrap();
        assert!((found.value - 2.0).abs() < 1e-13);
        let one = largest_eigenvalue(50, 1e-12, 10, |z| Ok(z.clone())).unwrap();
        assert!((one.value - 1.0).abs() < 1e-14 && one.products == 1, "{one:?}");
        let zero = largest_eigenvalue(4, 1e-12, 10, |z| Ok(z * 0.0)).unwrap();
        assert_eq!(zero.value, 0.0);
    }

    /// Refusals are errors with a sentence, never panics.
    #[test]
    fn refusals() {
        assert!(largest_eigenvalue(0, 1e-9, 10, |z| Ok(z.clone())).is_err());
        assert!(largest_eigenvalue(3, 1e-9, 0, |z| Ok(z.clone())).is_err());
        assert!(largest_eigenvalue(3, 1e-9, 10, |_| Ok(DVector::zeros(2))).is_err());
        assert!(largest_eigenvalue(3, 1e-9, 10, |z| Ok(z * f64::NAN)).is_err());
    }
}
