//! The exact minimum of the energy over the states (Innocenti et al. 2024, arXiv 2408.11979, Theorem 1 and
//! its proof; here with biases, skips, scales and any loss curvature).
//!
//! Writing v_l = μ_l + e_l makes the output affine in the errors, o = o_fwd + Σ_{l<L} P_{l+1} e_l with
//! P_l = M_L…M_l and P_{L+1} = I. With r = y − o_fwd, minimising ½Σ‖e_l‖² + (c/2)‖r − Σ P_{l+1} e_l‖² gives
//!
//! ```text
//! S = I/c + Σ_{l=2..L} P_l P_lᵀ        q = S⁻¹ r        ε_l = P_{l+1}ᵀ q  for all l ≤ L        F* = ½ Σ q·r
//! ```
//!
//! so one solve of size n_L, instead of one of the size of all hidden units together. ε_L = q is
//! c·(y − o), the negative gradient of the loss at the *relaxed* output, not the remaining difference y − o.

use nalgebra::{Cholesky, DMatrix, DVector, Dyn};

use super::{all_finite, check_data, LinearNet};
use crate::{Error, Result};

/// Everything a rule reports at one configuration of the states; names in brackets are those of a conformance
/// case.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// v_l, l = 1..L−1, each `[B, n_l]` (`state.l`).
    pub states: Vec<DMatrix<f64>>,
    /// o = f_L(v_{L−1}), `[B, n_L]` (`output`).
    pub output: DMatrix<f64>,
    /// ε_l, l = 1..L, each `[B, n_l]`; belief minus prediction, and c·(y − o) for the last (`error.l`).
    pub errors: Vec<DMatrix<f64>>,
    /// L numbers: ½‖ε_l‖² for l < L, then the loss; sums over the batch (`energy`).
    pub energies: Vec<f64>,
    /// ∂F/∂W_l = −scale_l·ε_lᵀ v_{l−1}, summed over the batch, to be subtracted (`grad.w.l`).
    pub weight_gradients: Vec<DMatrix<f64>>,
    /// ∂F/∂b_l = −Σ_batch ε_l where the layer has a bias (`grad.b.l`).
    pub bias_gradients: Vec<Option<DVector<f64>>>,
}

impl Snapshot {
    /// F, the sum of the energies.
    pub fn free_energy(&self) -> f64 {
        self.energies.iter().sum()
    }
}

impl LinearNet {
    /// S = I/c + Σ_{l=2..L} P_l P_lᵀ, `[n_L, n_L]`: how much more slack the states give the output than the
    /// loss alone (the rescaling matrix of arXiv 2408.11979). Layer 1 does not enter, because x is clamped.
    ///
    /// Symmetric positive definite up to overflow. Cost: 2·n_L·Σ_{l=2..L} n_{l−1}(n_l + n_L) FLOPs.
    pub fn rescaling_matrix(&self) -> DMatrix<f64> {
        let n = self.outputs();
        let mut sum = DMatrix::from_diagonal_element(n, n, 1.0 / self.curvature);
        let mut product = DMatrix::identity(n, n);
        for matrix in self.matrices[1..].iter().rev() {
            product = &product * matrix;
            sum += &product * product.transpose();
        }
        sum
    }

    /// The states that minimise F for clamped `x` `[B, n_0]` and target `y` `[B, n_L]`, and all that follows.
    ///
    /// Errors come from the closed form, not from subtracting states, so that they keep their relative
    /// accuracy where they are far smaller than the states. Weight gradients are the local ones at the
    /// equilibrium; by the envelope theorem they equal the total derivative of F*. Relative error of q about
    /// κ(S)·ε.
    ///
    /// Cost: [`LinearNet::rescaling_matrix`], n_L³/3 for the Cholesky factor, 2·B·n_L² for the solve,
    /// three forward passes for errors, states and gradients.
    ///
    /// # Errors
    /// [`Error::Shape`] if `x` or `y` do not fit the net; [`Error::Invalid`] if they are not finite, if S is
    /// not finite or not positive definite in `f64`, or if the result overflows.
    pub fn equilibrium(&self, x: &DMatrix<f64>, y: &DMatrix<f64>) -> Result<Snapshot> {
        let residual = y - self.outputs_for(x, y)?;
        let q = self.rescaling_factor()?.solve(&residual.transpose()).transpose();
        let errors = self.pull_back(q);
        let mut states: Vec<DMatrix<f64>> = Vec::with_capacity(errors.len() - 1);
        for (index, error) in errors[..errors.len() - 1].iter().enumerate() {
            let prediction = self.predict(index, states.last().unwrap_or(x));
            states.push(prediction + error);
        }
        self.assemble(x, states, errors)
    }

    /// Everything of a [`Snapshot`] at given hidden states, by definition rather than by closed form.
    ///
    /// Cost: one forward pass for the errors, one for the gradients.
    ///
    /// # Errors
    /// [`Error::Shape`] if `x`, `y` or a state does not fit, [`Error::Invalid`] if the number of states is
    /// not L−1, an input is not finite, or the result overflows.
    pub fn snapshot(
        &self,
        x: &DMatrix<f64>,
        y: &DMatrix<f64>,
        states: Vec<DMatrix<f64>>,
    ) -> Result<Snapshot> {
        check_data("input x", x, x.nrows(), self.matrices[0].ncols())?;
        check_data("target y", y, x.nrows(), self.outputs())?;
        if states.len() != self.hidden().len() {
            return Err(Error::Invalid(format!(
                "a chain of {} layers has {} hidden states; got {}",
                self.matrices.len(),
                self.hidden().len(),
                states.len()
            )));
        }
        for (index, (state, matrix)) in states.iter().zip(self.hidden()).enumerate() {
            check_data(&format!("state {}", index + 1), state, x.nrows(), matrix.nrows())?;
        }
        let mut errors = Vec::with_capacity(self.matrices.len());
        for index in 0..self.matrices.len() {
            let below = if index == 0 { x } else { &states[index - 1] };
            let prediction = self.predict(index, below);
            errors.push(match states.get(index) {
                Some(state) => state - prediction,
                None => (y - prediction) * self.curvature,
            });
        }
        self.assemble(x, states, errors)
    }

    /// Cholesky factor of S, or the reason why there is none.
    pub(super) fn rescaling_factor(&self) -> Result<Cholesky<f64, Dyn>> {
        let matrix = self.rescaling_matrix();
        if !all_finite(&matrix) {
            return Err(Error::Invalid(
                "S = I/c + Σ P Pᵀ of the linear net is not finite; the product of its weights overflows, lower \
                 their scale or the depth"
                    .into(),
            ));
        }
        // Mathematically S ≥ I/c. In f64 that is lost when c·Σ P Pᵀ is near 1/ε and its rank is below n_L.
        // The factor may then still exist by luck of rounding, so a pivot that is all rounding, relative to
        // its own diagonal entry (outputs may have very different scales), counts as zero.
        let noise = f64::EPSILON * matrix.nrows() as f64;
        let diagonal = matrix.diagonal();
        Cholesky::new(matrix)
            .filter(|factor| {
                let pivots = factor.l_dirty().diagonal();
                pivots.iter().zip(diagonal.iter()).all(|(pivot, entry)| pivot * pivot > noise * entry)
            })
            .ok_or_else(|| {
                Error::Invalid(format!(
                    "S = I/c + Σ P Pᵀ of the linear net is not positive definite in f64; the loss curvature c = {} is \
                     too large for these weights",
                    self.curvature
                ))
            })
    }

    /// P_{l+1}ᵀ q for l = 1..L: a vector at the output seen from every layer, `[B, n_l]` each.
    pub(super) fn pull_back(&self, q: DMatrix<f64>) -> Vec<DMatrix<f64>> {
        let mut errors = Vec::with_capacity(self.matrices.len());
        errors.push(q);
        for (index, matrix) in self.matrices[1..].iter().rev().enumerate() {
            errors.push(&errors[index] * matrix);
        }
        errors.reverse();
        errors
    }

    /// Output, energies and local gradients from states and errors that belong together.
    pub(super) fn assemble(
        &self,
        x: &DMatrix<f64>,
        states: Vec<DMatrix<f64>>,
        errors: Vec<DMatrix<f64>>,
    ) -> Result<Snapshot> {
        let last = self.matrices.len() - 1;
        let output = self.predict(last, states.last().unwrap_or(x));
        let mut energies: Vec<f64> = errors.iter().map(|error| 0.5 * error.norm_squared()).collect();
        // ε_L = c(y − o), so (c/2)‖y − o‖² = ‖ε_L‖²/(2c).
        energies[last] /= self.curvature;
        let mut weight_gradients = Vec::with_capacity(errors.len());
        let mut bias_gradients = Vec::with_capacity(errors.len());
        for (index, (layer, error)) in self.layers.iter().zip(&errors).enumerate() {
            let below = if index == 0 { x } else { &states[index - 1] };
            weight_gradients.push(error.tr_mul(below) * -layer.scale);
            bias_gradients.push(layer.bias.is_some().then(|| -error.row_sum().transpose()));
        }
        let snapshot = Snapshot { states, output, errors, energies, weight_gradients, bias_gradients };
        let finite = snapshot.free_energy().is_finite()
            && all_finite(&snapshot.output)
            && snapshot.states.iter().chain(&snapshot.weight_gradients).all(all_finite);
        if !finite {
            return Err(Error::Invalid(
                "the energy or the gradients of the linear net are not finite; lower the scale of its weights or data"
                    .into(),
            ));
        }
        Ok(snapshot)
    }
}
