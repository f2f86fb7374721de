//! Curvature of the energy in the two sets of variables that inference can descend, and what it allows.
//!
//! Per sample (the samples do not interact), with H = L−1 hidden layers, A = \[P_2 … P_L\] and T the unit
//! lower block-bidiagonal map from states to errors, (T z)_l = z_l − M_l z_{l−1}:
//!
//! ```text
//! states  ∂²F/∂v²:  H_ll = I + M_{l+1}ᵀ M_{l+1}   (I + c M_Lᵀ M_L for l = L−1),   H_{l,l+1} = −M_{l+1}ᵀ
//! errors  ∂²F/∂e²:  E = I + c AᵀA                                H = Tᵀ E T
//! S       = I/c + A Aᵀ                E⁻¹ = I − Aᵀ S⁻¹ A  (Woodbury),    det H = det E = det(c S)
//! ```
//!
//! The eigenvalues of E other than 1 are those of **c·S**, not of S: E Aᵀ = c Aᵀ S. The two agree for c = 1.
//! Plain descent with step γ on a quadratic is stable iff 0 < γ < 2/λ_max, hence
//! sPC iff γ < 2/λ_max(H) and ePC iff γ < 2/(c·λ_max(S)).
//!
//! Sources: the Hessian over states and its conditioning are those of Innocenti, Achour & Buckley 2025, arXiv 2505.13124;
//! S is the rescaling matrix of arXiv 2408.11979; the Hessian over errors is derived here and proved by tests.

use nalgebra::{DMatrix, DVector};

use super::{all_finite, LinearNet};
use crate::theory::lanczos::{largest_eigenvalue, symmetric_eigen};
use crate::{Error, Result};

/// Hidden units up to which the dense eigensolver is used, which needs milliseconds there.
const DENSE_UNITS: usize = 128;

/// Products allowed to each end of the spectrum: several times what 128 hidden layers need (about 250).
const MAX_PRODUCTS: usize = 2000;

/// Relative residual asked of the iteration. The eigenvalue's error is quadratic in it.
const RESIDUAL: f64 = 1e-8;

/// The two ends of a positive spectrum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extremes {
    /// λ_min.
    pub smallest: f64,
    /// λ_max; descent is stable iff the step is below 2/λ_max.
    pub largest: f64,
}

impl Extremes {
    /// κ = λ_max/λ_min. Descent at the best step needs of the order of κ steps.
    pub fn condition_number(&self) -> f64 {
        self.largest / self.smallest
    }

    /// 2/λ_max, the step from which descent no longer converges.
    pub fn step_bound(&self) -> f64 {
        2.0 / self.largest
    }
}

impl LinearNet {
    /// ∂²F/∂v² of one sample, dense, `[U, U]` with U = [`LinearNet::hidden_units`]; layer 1 comes first.
    ///
    /// `0×0` for a net without hidden layer. Cost: 2·Σ_{l=2..L} n_l n_{l−1}² FLOPs, U² numbers.
    pub fn state_hessian(&self) -> DMatrix<f64> {
        let units = self.hidden_units();
        let mut hessian = DMatrix::identity(units, units);
        let last = self.matrices.len() - 1;
        let mut start = 0;
        for (index, above) in self.matrices.iter().enumerate().skip(1) {
            let (rows, columns) = above.shape();
            let weight = if index == last { self.curvature } else { 1.0 };
            let mut block = hessian.view_mut((start, start), (columns, columns));
            block += above.tr_mul(above) * weight;
            if index < last {
                hessian.view_mut((start, start + columns), (columns, rows)).copy_from(&(-above.transpose()));
                hessian.view_mut((start + columns, start), (rows, columns)).copy_from(&(-above));
            }
            start += columns;
        }
        hessian
    }

    /// ∂²F/∂e² = I + c AᵀA of one sample, dense, `[U, U]`, for inspection and tests; layer 1 comes first.
    ///
    /// Cost: 2·n_L·U² FLOPs on top of forming A.
    pub fn error_hessian(&self) -> DMatrix<f64> {
        let units = self.hidden_units();
        let outputs = self.outputs();
        let seen = self.pull_back(DMatrix::identity(outputs, outputs));
        let mut jacobian = DMatrix::zeros(outputs, units);
        let mut start = 0;
        for block in &seen[..seen.len() - 1] {
            jacobian.view_mut((0, start), (outputs, block.ncols())).copy_from(block);
            start += block.ncols();
        }
        DMatrix::identity(units, units) + jacobian.tr_mul(&jacobian) * self.curvature
    }

    /// H z without forming H, `z` of length U: (H z)_l = d_l − M_{l+1}ᵀ d_{l+1}, d_l = z_l − M_l z_{l−1},
    /// d_L = −c M_L z_{L−1}. The same two sweeps as one step of sPC.
    ///
    /// Cost: 4·Σ_{l=2..L} n_l n_{l−1} FLOPs.
    ///
    /// # Errors
    /// [`Error::Shape`] if `z` does not have one entry per hidden unit.
    pub fn apply_state_hessian(&self, z: &DVector<f64>) -> Result<DVector<f64>> {
        let z = self.split(z)?;
        let mut d: Vec<DVector<f64>> = Vec::with_capacity(z.len() + 1);
        for (l, part) in z.iter().enumerate() {
            d.push(if l == 0 { part.clone() } else { part - &self.matrices[l] * &z[l - 1] });
        }
        if let Some(top) = z.last() {
            d.push(self.readout() * top * -self.curvature);
        }
        let parts = (0..z.len()).map(|l| &d[l] - self.matrices[l + 1].tr_mul(&d[l + 1]));
        Ok(join(parts, self.hidden_units()))
    }

    /// All eigenvalues of ∂²F/∂v², ascending, by the dense solver.
    ///
    /// Cost: about (4/3)·U³ FLOPs; absolute error a few ε·λ_max, so κ is meaningless above about 1e15.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the net has no hidden layer or the Hessian is not finite.
    pub fn state_eigenvalues(&self) -> Result<Vec<f64>> {
        self.require_hidden()?;
        ascending(self.state_hessian(), "the inference Hessian")
    }

    /// λ_min and λ_max of ∂²F/∂v², for nets of any size.
    ///
    /// Up to 128 hidden units by the dense solver. Above, by Lanczos on H for λ_max and on H⁻¹ = T⁻¹(I −
    /// AᵀS⁻¹A)T⁻ᵀ for λ_min: iterating on H itself would need of the order of √κ products, and the inverse
    /// costs no more than two further sweeps. Relative error of λ_min about κ·ε.
    ///
    /// Cost: a few hundred times 4·Σ n_l n_{l−1} FLOPs plus [`LinearNet::rescaling_matrix`].
    ///
    /// # Errors
    /// [`Error::Invalid`] if the net has no hidden layer, S is not finite or not positive definite, or the
    /// iteration does not settle.
    pub fn state_extremes(&self) -> Result<Extremes> {
        self.require_hidden()?;
        if self.hidden_units() > DENSE_UNITS {
            return self.state_extremes_lanczos();
        }
        let eigenvalues = self.state_eigenvalues()?;
        match (eigenvalues.first(), eigenvalues.last()) {
            (Some(&smallest), Some(&largest)) => Ok(Extremes { smallest, largest }),
            _ => Err(Error::Invalid("the inference Hessian has no eigenvalue".into())),
        }
    }

    /// The iterative half of [`LinearNet::state_extremes`].
    pub(super) fn state_extremes_lanczos(&self) -> Result<Extremes> {
        let factor = self.rescaling_factor()?;
        let units = self.hidden_units();
        let top = largest_eigenvalue(units, RESIDUAL, MAX_PRODUCTS, |z| self.apply_state_hessian(z))?;
        let inverse = largest_eigenvalue(units, RESIDUAL, MAX_PRODUCTS, |g| {
            let mut u = self.split(g)?;
            // u = T⁻ᵀ g
            for l in (0..u.len() - 1).rev() {
                let from_above = self.matrices[l + 1].tr_mul(&u[l + 1]);
                u[l] += from_above;
            }
            // w = (I − Aᵀ S⁻¹ A) u, with A u by Horner's rule up the chain
            let mut seen = u[0].clone();
            for (l, part) in u.iter().enumerate().skip(1) {
                seen = &self.matrices[l] * seen + part;
            }
            let mut back = factor.solve(&(self.readout() * seen));
            for l in (0..u.len()).rev() {
                back = self.matrices[l + 1].tr_mul(&back);
                u[l] -= &back;
            }
            // z = T⁻¹ w
            for l in 1..u.len() {
                let from_below = &self.matrices[l] * &u[l - 1];
                u[l] += from_below;
            }
            Ok(join(u.into_iter(), units))
        })?;
        Ok(Extremes { smallest: 1.0 / inverse.value, largest: top.value })
    }

    /// λ_min and λ_max of ∂²F/∂e² = I + c AᵀA, through the n_L eigenvalues of c·S.
    ///
    /// λ_min is 1 whenever there are more hidden units than outputs, so inference in the errors is
    /// conditioned by λ_max alone. Cost: [`LinearNet::rescaling_matrix`] plus about (4/3)·n_L³ FLOPs.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the net has no hidden layer or S is not finite.
    pub fn error_extremes(&self) -> Result<Extremes> {
        self.require_hidden()?;
        let eigenvalues = ascending(self.rescaling_matrix() * self.curvature, "the rescaling matrix")?;
        let outputs = eigenvalues.len();
        let units = self.hidden_units();
        // c S has n_L eigenvalues and E has U. Sorted from above they agree; what is left over in E is 1,
        // and what is left over in c S (fewer units than outputs) is 1 too but belongs to no error.
        let smallest = if units > outputs { 1.0 } else { eigenvalues[outputs - units] };
        Ok(Extremes { smallest, largest: eigenvalues[outputs - 1] })
    }

    fn require_hidden(&self) -> Result<()> {
        if self.hidden().is_empty() {
            return Err(Error::Invalid(
                "a net of one layer has no hidden state to infer; expected at least two layers".into(),
            ));
        }
        Ok(())
    }

    /// Cuts a vector over all hidden units into one per layer.
    fn split(&self, z: &DVector<f64>) -> Result<Vec<DVector<f64>>> {
        if z.len() != self.hidden_units() {
            return Err(Error::Shape {
                what: "vector over the hidden units".into(),
                expected: vec![self.hidden_units()],
                got: vec![z.len()],
            });
        }
        let mut start = 0;
        Ok(self
            .hidden()
            .iter()
            .map(|matrix| {
                let part = z.rows(start, matrix.nrows()).into_owned();
                start += matrix.nrows();
                part
            })
            .collect())
    }
}

/// The opposite of `split`.
fn join(parts: impl Iterator<Item = DVector<f64>>, units: usize) -> DVector<f64> {
    let values: Vec<f64> = parts.flat_map(|part| part.iter().copied().collect::<Vec<_>>()).collect();
    DVector::from_iterator(units, values)
}

/// Sorted eigenvalues of a symmetric matrix.
fn ascending(matrix: DMatrix<f64>, what: &str) -> Result<Vec<f64>> {
    if !all_finite(&matrix) {
        return Err(Error::Invalid(format!(
            "{what} of the linear net is not finite; lower the scale of its weights"
        )));
    }
    let mut eigenvalues: Vec<f64> = symmetric_eigen(matrix)?.eigenvalues.iter().copied().collect();
    eigenvalues.sort_by(f64::total_cmp);
    Ok(eigenvalues)
}

/// Spectrum of ∂²F/∂v² for H = `hidden` layers of equal `width` with orthogonal M_2..M_H and an orthonormal
/// readout (M_L M_Lᵀ = I, `outputs` ≤ `width`), at loss curvature 1; ascending, H·width values.
///
/// An orthogonal change of basis leaves one tridiagonal matrix per unit, diagonal 2 and neighbours −1.
/// Directions the readout sees end in 2 (fixed end): 2 − 2cos(kπ/(H+1)), k = 1..H, multiplicity `outputs`.
/// Those it does not see end in 1 (free end): 2 − 2cos((2k−1)π/(2H+1)), multiplicity `width − outputs`. So
/// λ_max < 4 at any depth and κ ≈ 16H²/π² (4H²/π² if nothing is unseen). The first layer does not matter.
/// Cost: H cosines of each kind.
///
/// # Errors
/// [`Error::Invalid`] if a number is 0 or `outputs > width`.
pub fn orthogonal_spectrum(hidden: usize, width: usize, outputs: usize) -> Result<Vec<f64>> {
    if hidden == 0 || outputs == 0 || outputs > width {
        return Err(Error::Invalid(format!(
            "an orthogonal chain needs at least one hidden layer and 1 ≤ outputs ≤ width; got {hidden} hidden layers, \
             {outputs} outputs, width {width}"
        )));
    }
    let h = hidden as f64;
    let mut spectrum = Vec::with_capacity(hidden * width);
    for k in 1..=hidden {
        let k = k as f64;
        // 2 − 2cos θ as 4 sin²(θ/2): the small eigenvalues decide κ and must not be differences of 2 and 2.
        let seen = (0.5 * k * std::f64::consts::PI / (h + 1.0)).sin();
        let unseen = (0.5 * (2.0 * k - 1.0) * std::f64::consts::PI / (2.0 * h + 1.0)).sin();
        spectrum.extend(std::iter::repeat_n(4.0 * seen * seen, outputs));
        spectrum.extend(std::iter::repeat_n(4.0 * unseen * unseen, width - outputs));
    }
    spectrum.sort_by(f64::total_cmp);
    Ok(spectrum)
}
