//! A chain of states with its predictions and errors: what the rules that relax states share.

use crate::engine::{forward_pass, Engine, Forward, MaybeZero};
use crate::Result;

/// States v_0..v_{L−1}, predictions μ_1..μ_{L−1}, errors ε_1..ε_L and the output, all at the same point.
///
/// ε_l = v_l − μ_l for l < L and ε_L = −∂loss/∂o. Errors known to be exactly zero are `None`, and nothing is
/// spent on them: from the forward pass an error travels one layer per simultaneous step, so layer l has none
/// before step L − l (the light cone; Zahid, Guo & Fountas, arXiv 2304.02658).
pub(super) struct Chain<E: Engine + ?Sized> {
    /// `states[l]` is v_l.
    pub(super) states: Vec<E::Value>,
    /// `predictions[l − 1]` is μ_l, l < L.
    pub(super) predictions: Vec<E::Value>,
    /// `locals[l − 1]` is layer l linearised at v_{l−1}.
    pub(super) locals: Vec<E::Local>,
    /// `errors[l − 1]` is ε_l.
    pub(super) errors: Vec<MaybeZero<E::Value>>,
    /// o.
    pub(super) output: E::Value,
    /// `params[l − 1]` is θ_l where it was moved.
    pub(super) params: Vec<Option<E::Params>>,
}

impl<E: Engine + ?Sized> Chain<E> {
    /// The forward pass, where every hidden error is zero; computed as numbers without the light cone.
    pub(super) fn start(engine: &E, light_cone: bool) -> Result<Self> {
        let depth = engine.depth();
        let Forward { states, locals, output } = forward_pass(engine)?;
        let predictions = states[1..].to_vec();
        let mut errors: Vec<MaybeZero<E::Value>> = vec![None; depth];
        if !light_cone {
            for l in 1..depth {
                errors[l - 1] = Some(engine.sub(&states[l], &predictions[l - 1])?);
            }
        }
        errors[depth - 1] = Some(engine.output_error(&output)?);
        Ok(Self { states, predictions, locals, errors, output, params: vec![None; depth] })
    }

    /// −∂F/∂v_l = J_{l+1}(v_l)ᵀ ε_{l+1} − ε_l, l < L; `None` where both errors are zero.
    pub(super) fn descent(&self, engine: &E, l: usize) -> Result<MaybeZero<E::Value>> {
        let above = self.errors[l].as_ref().map(|above| {
            let params = self.params[l].as_ref().unwrap_or(engine.params(l + 1));
            engine.vjp_with(l + 1, params, &self.locals[l], above)
        });
        match (above.transpose()?, &self.errors[l - 1]) {
            (Some(pulled), Some(own)) => Ok(Some(engine.sub(&pulled, own)?)),
            (Some(pulled), None) => Ok(Some(pulled)),
            (None, Some(own)) => Ok(Some(engine.scale(-1.0, own)?)),
            (None, None) => Ok(None),
        }
    }

    /// Moves every state by g along its descent, all from the same old states. Returns the lowest layer that
    /// moved; L if none did. Predictions and errors are those of the old point until [`refresh`](Self::refresh).
    pub(super) fn move_states(&mut self, engine: &E, g: f64) -> Result<usize> {
        let depth = engine.depth();
        let mut lowest = depth;
        let mut moved = Vec::with_capacity(depth);
        for l in 1..depth {
            if let Some(descent) = self.descent(engine, l)? {
                lowest = lowest.min(l);
                moved.push((l, engine.add_scaled(&self.states[l], g, &descent)?));
            }
        }
        for (l, state) in moved {
            self.states[l] = state;
        }
        Ok(lowest)
    }

    /// Predictions and errors at the present states and parameters, given that no state below layer `lowest`
    /// moved. μ_l is unchanged for l ≤ `lowest` unless θ_l was moved.
    pub(super) fn refresh(&mut self, engine: &E, lowest: usize) -> Result<()> {
        let depth = engine.depth();
        let mut output_moved = false;
        for l in 1..=depth {
            if l <= lowest && self.params[l - 1].is_none() {
                continue;
            }
            let params = self.params[l - 1].as_ref().unwrap_or(engine.params(l));
            let (mu, local) = engine.forward_with(l, params, &self.states[l - 1])?;
            self.locals[l - 1] = local;
            if l < depth {
                self.predictions[l - 1] = mu;
            } else {
                self.output = mu;
                output_moved = true;
            }
        }
        for l in lowest..depth {
            self.errors[l - 1] = Some(engine.sub(&self.states[l], &self.predictions[l - 1])?);
        }
        if output_moved {
            self.errors[depth - 1] = Some(engine.output_error(&self.output)?);
        }
        Ok(())
    }
}
