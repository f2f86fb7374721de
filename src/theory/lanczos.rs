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

/// Both ends of a spectrum. Where products did not suffice, the residuals say how far the numbers can be off.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ends {
    /// Never below the smallest eigenvalue, up to rounding.
    pub smallest: Ritz,
    /// Never above the largest one.
    pub largest: Ritz,
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
    apply: impl FnMut(&DVector<f64>) -> Result<DVector<f64>>,
) -> Result<Ritz> {
    let krylov = Krylov::grown(start(dim)?, max_products, apply, |krylov| {
        let (_, top) = krylov.ends()?;
        Ok(top.residual <= tolerance * top.value.abs())
    })?;
    let (_, top) = krylov.ends()?;
    if krylov.settled {
        return Ok(top);
    }
    Err(Error::Invalid(format!(
        "the largest eigenvalue did not settle to a relative residual of {tolerance:e} within {max_products} products; \
         allow more products or a larger tolerance"
    )))
}

/// The unit Ritz vectors of both ends of a spectrum.
#[derive(Debug, Clone, PartialEq)]
pub struct EndVectors {
    /// Of the smallest.
    pub smallest: DVector<f64>,
    /// Of the largest.
    pub largest: DVector<f64>,
}

/// Which end of a spectrum a search goes on for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sought {
    /// The largest eigenvalue; the smallest is what has been found by then.
    Largest,
    /// Both.
    Both,
}

/// As [`ends`] from a start vector of one's own, until what is `sought` has settled; and the unit Ritz vectors, from which to start next
/// time. Few products suffice while a matrix changes little.
///
/// # Errors
/// As for [`ends`].
pub fn ends_from(
    from: DVector<f64>,
    sought: Sought,
    (tolerance, most): (f64, usize),
    apply: impl FnMut(&DVector<f64>) -> Result<DVector<f64>>,
) -> Result<(Ends, EndVectors)> {
    let krylov = Krylov::grown(from, most, apply, |krylov| {
        let (bottom, top) = krylov.ends()?;
        let settled = |end: Ritz| end.residual <= tolerance * end.value.abs();
        Ok(settled(top) && (sought == Sought::Largest || settled(bottom)))
    })?;
    let (smallest, largest) = krylov.ends()?;
    Ok((Ends { smallest, largest }, krylov.vectors()?))
}

/// Both ends of the spectrum of such a matrix, of which the smaller one settles slowly where it is close to its neighbours:
/// after at most `max_products` both are given, settled or not.
///
/// # Errors
/// As for [`largest_eigenvalue`], but for products that do not suffice.
pub fn ends(
    dim: usize,
    tolerance: f64,
    max_products: usize,
    apply: impl FnMut(&DVector<f64>) -> Result<DVector<f64>>,
) -> Result<Ends> {
    Ok(ends_from(start(dim)?, Sought::Both, (tolerance, max_products), apply)?.0)
}

/// A fixed Gaussian vector.
pub fn start(dim: usize) -> Result<DVector<f64>> {
    if dim == 0 {
        return Err(Error::Invalid("a matrix of size 0 has no eigenvalue; expected at least one row".into()));
    }
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(START_SEED);
    Ok(DVector::from_fn(dim, |_, _| StandardNormal.sample(&mut rng)))
}

/// A matrix in an orthonormal basis of the space that its products have reached, where it is tridiagonal.
struct Krylov {
    basis: Vec<DVector<f64>>,
    diagonal: Vec<f64>,
    beside: Vec<f64>,
    /// What couples the space to the rest; 0 if nothing does.
    beta: f64,
    settled: bool,
}

impl Krylov {
    /// From a start vector until `settled` says so, the space is invariant, or `most` products are spent.
    fn grown(
        from: DVector<f64>,
        most: usize,
        mut apply: impl FnMut(&DVector<f64>) -> Result<DVector<f64>>,
        settled: impl Fn(&Self) -> Result<bool>,
    ) -> Result<Self> {
        let (dim, norm) = (from.len(), from.norm());
        if most == 0 || norm == 0.0 {
            return Err(Error::Invalid("Lanczos needs a start vector other than 0 and one product".into()));
        }
        let mut own =
            Self { basis: vec![from / norm], diagonal: vec![], beside: vec![], beta: 0.0, settled: false };
        let mut next_check = 1;
        for k in 1..=most.min(dim) {
            let mut w = apply(&own.basis[k - 1])?;
            if w.len() != dim {
                return Err(Error::Shape {
                    what: "matrix-vector product inside Lanczos".into(),
                    expected: vec![dim],
                    got: vec![w.len()],
                });
            }
            if w.iter().any(|value| !value.is_finite()) {
                return Err(Error::Invalid(format!(
                    "matrix-vector product {k} inside Lanczos is not finite"
                )));
            }
            own.diagonal.push(own.basis[k - 1].dot(&w));
            // Twice is enough (Kahan, in Parlett, *The Symmetric Eigenvalue Problem*, §6.9): without it rounding
            // brings copies of converged eigenvalues back.
            for _ in 0..2 {
                for direction in &own.basis {
                    let overlap = direction.dot(&w);
                    w.axpy(-overlap, direction, 1.0);
                }
            }
            own.beta = w.norm();
            let all = own.diagonal.iter().chain(&own.beside);
            let scale = all.fold(own.beta, |m: f64, value| m.max(value.abs()));
            let exhausted = k == dim || own.beta <= f64::EPSILON * scale;
            if exhausted || k >= next_check || k == most {
                // The small eigenproblem costs O(k³); on a growing schedule it stays cheaper than the products.
                next_check = k + (k / 8).max(4);
                own.settled = exhausted || settled(&own)?;
                if own.settled || k == most {
                    return Ok(own);
                }
            }
            w /= own.beta;
            own.beside.push(own.beta);
            own.basis.push(w);
        }
        Ok(own)
    }

    fn eigen(&self) -> Result<SymmetricEigen<f64, nalgebra::Dyn>> {
        let k = self.diagonal.len();
        symmetric_eigen(DMatrix::from_fn(k, k, |i, j| match i.abs_diff(j) {
            0 => self.diagonal[i],
            1 => self.beside[i.min(j)],
            _ => 0.0,
        }))
    }

    /// Smallest and largest Ritz value.
    fn ends(&self) -> Result<(Ritz, Ritz)> {
        let (eigen, products) = (self.eigen()?, self.diagonal.len());
        let ritz = |at: usize| Ritz {
            value: eigen.eigenvalues[at],
            residual: self.beta * eigen.eigenvectors[(products - 1, at)].abs(),
            products,
        };
        Ok((ritz(eigen.eigenvalues.imin()), ritz(eigen.eigenvalues.imax())))
    }

    /// The unit vectors of the smallest and the largest Ritz value.
    fn vectors(&self) -> Result<EndVectors> {
        let eigen = self.eigen()?;
        let vector = |at: usize| {
            let zero = DVector::zeros(self.basis[0].len());
            let weights = eigen.eigenvectors.column(at);
            self.basis.iter().zip(weights.iter()).fold(zero, |mut sum, (direction, &weight)| {
                sum.axpy(weight, direction, 1.0);
                sum
            })
        };
        let values = &eigen.eigenvalues;
        Ok(EndVectors { smallest: vector(values.imin()), largest: vector(values.imax()) })
    }
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

    /// Both ends of the Laplacian, and both again from their Ritz vectors in a few products.
    #[test]
    fn both_ends_and_a_warm_start() {
        let n = 60;
        let laplacian = |z: &DVector<f64>| {
            Ok(DVector::from_fn(n, |i, _| {
                2.0 * z[i] - if i > 0 { z[i - 1] } else { 0.0 } - if i + 1 < n { z[i + 1] } else { 0.0 }
            }))
        };
        let exact = |k: usize| 2.0 - 2.0 * (k as f64 * std::f64::consts::PI / (n as f64 + 1.0)).cos();
        let Ends { smallest, largest } = ends(n, 1e-9, n, laplacian).unwrap();
        assert!((smallest.value - exact(1)).abs() < 1e-12 && (largest.value - exact(n)).abs() < 1e-12);
        let (cold, vectors) = ends_from(start(n).unwrap(), Sought::Both, (1e-6, n), laplacian).unwrap();
        let both = &vectors.smallest + &vectors.largest;
        for (from, sought) in [(vectors.largest, Sought::Largest), (both, Sought::Both)] {
            let (warm, _) = ends_from(from, sought, (1e-6, n), laplacian).unwrap();
            assert!(warm.largest.products <= 5 && cold.largest.products > 10, "{warm:?} after {cold:?}");
            assert!((warm.largest.value - exact(n)).abs() < 1e-9);
            assert!(sought == Sought::Largest || (warm.smallest.value - exact(1)).abs() < 1e-9);
        }
        // too few products: what was found, with a residual that says so
        let few = ends(n, 1e-9, 5, laplacian).unwrap();
        assert!(few.largest.value < exact(n) && few.largest.residual > 1e-3, "{few:?}");
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
