//! Oracles of the rules that relax errors at the forward pass: FPA and AR.

use candle_core::{Tensor, Var};

use super::{descents, plain, variables, Backward, Problem};
use crate::net::{Activation, Dense, Params};
use crate::rule::{Ar, Feedback, Steps, Sweep};
use crate::{Error, Result};

impl Problem<'_> {
    /// v_l ← v_l − g_t (ε_l − J_{l+1}(vh_l)ᵀ ε_{l+1}), ε_l = v_l − vh_l, ε_L fixed.
    pub(super) fn fixed_prediction(&self, steps: Steps) -> Result<Vec<Vec<Tensor>>> {
        let forward = self.forward_states()?;
        let mut states = forward.clone();
        let last = self.output_error(&forward)?;
        for t in 0..steps.count {
            let errors = differences(&states, &forward, &last)?;
            for i in 0..states.len() {
                let carried = self.carried(i + 2, &forward[i], &errors[i + 1])?;
                let descent = (&errors[i] - carried)?;
                states[i] = (&states[i] - descent.affine(steps.size(t), 0.0)?)?;
            }
        }
        self.directions_at(&forward, &differences(&states, &forward, &last)?)
    }

    /// a_l ← a_l − g_t (a_l − J_{l+1}ᵀ a_{l+1}) from a_l = vh_l, a_L fixed.
    pub(super) fn activation_relaxation(&self, rule: &Ar) -> Result<Vec<Vec<Tensor>>> {
        let forward = self.forward_states()?;
        let mut a = forward.clone();
        a.push(self.output_error(&forward)?.neg()?);
        let hidden = forward.len();
        for t in 0..rule.steps.count {
            let old = a.clone();
            for i in (0..hidden).rev() {
                let above = if rule.sweep == Sweep::TopDown { &a[i + 1] } else { &old[i + 1] };
                let carried = match self.backward {
                    Some(backward) => self.carried_by(backward, rule, i + 2, &forward[i], above)?,
                    None if rule.derivatives && rule.feedback == Feedback::Transposed => {
                        self.carried(i + 2, &forward[i], above)?
                    }
                    None => {
                        return Err(Error::Invalid("this variant needs the layers that carry errors".into()))
                    }
                };
                a[i] = (&a[i] - (&a[i] - carried)?.affine(rule.steps.size(t), 0.0)?)?;
            }
        }
        let errors = a.iter().map(|a| Ok(a.neg()?)).collect::<Result<Vec<_>>>()?;
        self.directions_at(&forward, &errors)
    }

    /// ε_L = −∂loss/∂o at the forward pass.
    fn output_error(&self, forward: &[Tensor]) -> Result<Tensor> {
        let top = forward.last().unwrap_or(self.x);
        let o = Var::from_tensor(&self.layer(self.network.depth(), self.params, top)?)?;
        let grads = self.loss.tensor(o.as_tensor(), self.y)?.backward()?;
        Ok(gradient(&grads, &o)?.neg()?)
    }

    /// J_l(v)ᵀ e as the gradient of Σ f_l(v) ⊙ e.
    fn carried(&self, l: usize, v: &Tensor, e: &Tensor) -> Result<Tensor> {
        let v = Var::from_tensor(v)?;
        let paired = (self.layer(l, self.params, v.as_tensor())? * e)?.sum_all()?;
        gradient(&paired.backward()?, &v)
    }

    /// J_l(v)ᵀ e with backward weights in place of W_l, and with φ' or without, put together from the
    /// derivatives of φ_out and of the product, each differentiated alone.
    fn carried_by(&self, by: Backward<'_>, rule: &Ar, l: usize, v: &Tensor, e: &Tensor) -> Result<Tensor> {
        let layer: &Dense = &by.layers[l - 1];
        let own = &self.params[l - 1];
        let psi = match (rule.feedback, by.weights) {
            (Feedback::Learned, Some(weights)) => &weights[l - 1][0],
            _ => &own[0],
        };
        let product = |phi: Activation, v: &Tensor, w: &Tensor| -> Result<Tensor> {
            Ok(phi.apply(v)?.matmul(&w.t()?)?.affine(layer.scale, 0.0)?)
        };
        let delta = if rule.derivatives {
            let mut pre = product(layer.act_in, v, &own[0])?;
            if let Some(b) = own.get(1) {
                pre = pre.broadcast_add(b)?;
            }
            let pre = Var::from_tensor(&pre)?;
            let paired = (layer.act_out.apply(pre.as_tensor())? * e)?.sum_all()?;
            gradient(&paired.backward()?, &pre)?
        } else {
            e.clone()
        };
        let phi_in = if rule.derivatives { layer.act_in } else { Activation::Identity };
        let v = Var::from_tensor(v)?;
        let paired = (product(phi_in, v.as_tensor(), psi)? * delta)?.sum_all()?;
        let through = gradient(&paired.backward()?, &v)?;
        Ok(if layer.skip { (through + e)? } else { through })
    }

    /// (∂μ_l/∂θ_l at vh_{l−1})ᵀ ε_l of every layer, as the gradient of Σ f_l ⊙ ε_l.
    fn directions_at(&self, forward: &[Tensor], errors: &[Tensor]) -> Result<Vec<Vec<Tensor>>> {
        let vars = variables(self.params)?;
        let params: Params = plain(&vars);
        let below = [self.x].into_iter().chain(forward);
        let mut paired = Tensor::zeros((), self.x.dtype(), self.x.device())?;
        for (l, (v, e)) in (1..).zip(below.zip(errors)) {
            // negative, because `descents` changes the sign
            paired = (paired - (self.layer(l, &params, v)? * e)?.sum_all()?)?;
        }
        descents(&vars, &paired.backward()?)
    }
}

/// ε_l = v_l − vh_l, and the fixed ε_L.
fn differences(states: &[Tensor], forward: &[Tensor], last: &Tensor) -> Result<Vec<Tensor>> {
    let hidden = states.iter().zip(forward).map(|(v, vh)| Ok((v - vh)?));
    hidden.chain([Ok(last.clone())]).collect()
}

fn gradient(grads: &candle_core::backprop::GradStore, of: &Var) -> Result<Tensor> {
    Ok(match grads.get(of) {
        Some(g) => g.clone(),
        None => of.zeros_like()?,
    })
}
