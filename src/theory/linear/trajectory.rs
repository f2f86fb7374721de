//! Where descent stands after T steps, without taking them: oracles for sPC and ePC on linear nets.
//!
//! On a quadratic, T steps of size γ multiply the distance to the minimum by (I − γ·Hessian)^T. Through an
//! eigendecomposition that is one power per eigenvalue, so no accumulated rounding of an iteration can hide
//! an error. Start is the feed-forward pass in both cases, steps are simultaneous and of constant size.

use nalgebra::DMatrix;

use super::{all_finite, LinearNet, Snapshot};
use crate::theory::lanczos::symmetric_eigen;
use crate::{Error, Result};

impl LinearNet {
    /// State descent (sPC): v(T) = v* + (I − γH)^T (v(0) − v*), H = ∂²F/∂v², v(0) the feed-forward pass.
    ///
    /// `x` is `[B, n_0]`, `y` `[B, n_L]`, `step_size` γ is per sample and may exceed the stability bound:
    /// finite trajectories are exact all the same. Cost: about 9·U³ FLOPs for U hidden units per sample,
    /// 4·B·U² for the batch, whatever T.
    ///
    /// # Errors
    /// Those of [`LinearNet::equilibrium`]; [`Error::Diverged`] if the states overflow.
    pub fn state_descent(
        &self,
        x: &DMatrix<f64>,
        y: &DMatrix<f64>,
        step_size: f64,
        steps: u32,
    ) -> Result<Snapshot> {
        check_step(step_size)?;
        let rest = self.equilibrium(x, y)?;
        if rest.states.is_empty() {
            return Ok(rest);
        }
        let start = self.forward(x)?;
        let units = self.hidden_units();
        let mut distance = DMatrix::zeros(x.nrows(), units);
        let mut column = 0;
        for (begin, end) in start.iter().zip(&rest.states) {
            distance.view_mut((0, column), end.shape()).copy_from(&(begin - end));
            column += end.ncols();
        }
        let hessian = self.state_hessian();
        if !all_finite(&hessian) {
            return Err(diverged("spc", "Hessian", step_size, steps));
        }
        let eigen = symmetric_eigen(hessian)?;
        let mut modes = distance * &eigen.eigenvectors;
        for (mut mode, value) in modes.column_iter_mut().zip(eigen.eigenvalues.iter()) {
            mode *= (1.0 - step_size * value).powf(f64::from(steps));
        }
        let distance = modes * eigen.eigenvectors.transpose();
        let mut column = 0;
        let mut states = rest.states;
        for state in &mut states {
            *state += distance.columns(column, state.ncols());
            column += state.ncols();
        }
        if !states.iter().all(all_finite) {
            return Err(diverged("spc", "state", step_size, steps));
        }
        self.snapshot(x, y, states)
    }

    /// Error descent (ePC): e(T) = e* − (I − γE)^T e*, E = ∂²F/∂e² = I + cAᵀA, e(0) = 0.
    ///
    /// Because E Aᵀ = c Aᵀ S, the whole trajectory stays in the n_L directions the output can see: e_l(T) =
    /// P_{l+1}ᵀ q_T with q_T = \[I − (I − γcS)^T\] S⁻¹ r. For T = 1 this is γ times the backpropagated
    /// gradient. Arguments as in [`LinearNet::state_descent`]. Cost: about 9·n_L³ FLOPs, three forward
    /// passes, whatever T.
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Invalid`] for data that does not fit or is not finite;
    /// [`Error::Diverged`] if the errors overflow.
    pub fn error_descent(
        &self,
        x: &DMatrix<f64>,
        y: &DMatrix<f64>,
        step_size: f64,
        steps: u32,
    ) -> Result<Snapshot> {
        check_step(step_size)?;
        let residual = y - self.outputs_for(x, y)?;
        let matrix = self.rescaling_matrix() * self.curvature;
        if !all_finite(&matrix) {
            return Err(diverged("epc", "rescaling matrix", step_size, steps));
        }
        let eigen = symmetric_eigen(matrix)?;
        let mut modes = residual * &eigen.eigenvectors;
        for (mut mode, value) in modes.column_iter_mut().zip(eigen.eigenvalues.iter()) {
            // c·S ≥ I, so anything below 1 is rounding; keeping it would turn a singular S into a division by
            // 0.
            let value = value.max(1.0);
            mode *= self.curvature * relaxed_fraction(step_size, value, steps) / value;
        }
        let pulled = self.pull_back(modes * eigen.eigenvectors.transpose());
        let mut states: Vec<DMatrix<f64>> = Vec::with_capacity(pulled.len() - 1);
        for (index, error) in pulled[..pulled.len() - 1].iter().enumerate() {
            let prediction = self.predict(index, states.last().unwrap_or(x));
            states.push(prediction + error);
        }
        let output = self.predict(self.matrices.len() - 1, states.last().unwrap_or(x));
        let mut errors = pulled;
        if let Some(last) = errors.last_mut() {
            *last = (y - output) * self.curvature;
        }
        if !(errors.iter().all(all_finite) && states.iter().all(all_finite)) {
            return Err(diverged("epc", "error", step_size, steps));
        }
        self.assemble(x, states, errors)
    }
}

/// f = 1 − (1 − ηλ)^T: the share of the way to the minimum that T steps of size η have covered along an eigenvector of
/// eigenvalue λ. Near 0 in every direction, the states stay at the forward pass and the rule's direction is BP's, as in
/// the runs of Goemaere et al. (arXiv 2505.20137) with T = 5 and η = 1e-3.
///
/// Above ηλ = 1 the distance alternates in sign, above 2 it grows. Not finite only if (1 − ηλ)^T overflows.
pub fn relaxed_fraction(step_size: f64, eigenvalue: f64, steps: u32) -> f64 {
    let moved = step_size * eigenvalue;
    if moved < 1.0 {
        // Published runs have ηλT near 1e-3, where 1 − (1 − ηλ)^T would lose half its digits.
        -libm::expm1(f64::from(steps) * libm::log1p(-moved))
    } else {
        1.0 - (1.0 - moved).powf(f64::from(steps))
    }
}

fn check_step(step_size: f64) -> Result<()> {
    if step_size.is_finite() {
        return Ok(());
    }
    Err(Error::Invalid(format!("the step size must be finite; got {step_size}")))
}

fn diverged(rule: &str, quantity: &str, step_size: f64, steps: u32) -> Error {
    Error::Diverged { rule: rule.into(), quantity: quantity.into(), steps: steps as usize, step_size }
}
