//! The oracle: every rule as its paper's energy, differentiated by Candle's autograd in f64.
//!
//! It shares the layers' forward function with the contenders and nothing else: no vjp, no param_grad, no
//! schedule. A wrong sign, a missing factor or a stale error in a rule shows up here.

mod adjoints;

use candle_core::{Tensor, Var};

use crate::net::{Dense, Loss, Network, Params};
use crate::rule::{Ipc, Rule, SeqIl, Steps};
use crate::{Error, Result};

/// A network on a batch, in f64 on the CPU.
#[derive(Debug, Clone, Copy)]
pub struct Problem<'a> {
    /// Structure.
    pub network: &'a Network,
    /// θ.
    pub params: &'a Params,
    /// x, `[B, D]`.
    pub x: &'a Tensor,
    /// y, `[B, n_L]`.
    pub y: &'a Tensor,
    /// The output energy.
    pub loss: Loss,
    /// What carries errors down, for rules that do so by other means than the transposed Jacobian.
    pub backward: Option<Backward<'a>>,
}

/// The network's layers as plain numbers, and backward weights if there are any.
#[derive(Debug, Clone, Copy)]
pub struct Backward<'a> {
    /// Layers 1..L.
    pub layers: &'a [Dense],
    /// Backward weights, one tensor per layer; `None` for the transposed forward ones.
    pub weights: Option<&'a Params>,
}

/// −∂F/∂θ of every layer under `rule`; under iPC the sum of its T directions, each at its own point.
pub fn directions(problem: &Problem<'_>, rule: &Rule) -> Result<Vec<Vec<Tensor>>> {
    match rule {
        // Z-IL is backpropagation: that is its claim, so that is its oracle
        Rule::Bp(_) | Rule::Zil(_) => problem.loss_directions(),
        Rule::Spc(r) => problem.state_descent(r.steps),
        Rule::Epc(r) => problem.error_descent(r.steps),
        Rule::Fpa(r) => problem.fixed_prediction(r.steps),
        Rule::SeqIl(r) => problem.sequential_descent(r),
        Rule::Ipc(r) => problem.incremental_descent(r),
        Rule::Ar(r) => problem.activation_relaxation(r),
    }
}

impl Problem<'_> {
    fn layer(&self, l: usize, params: &Params, v: &Tensor) -> Result<Tensor> {
        Ok(self.network.layer(l).forward(&params[l - 1], v)?.0)
    }

    /// F over given hidden states v_1..v_{L−1}.
    fn energy(&self, params: &Params, states: &[Tensor]) -> Result<Tensor> {
        let mut below = self.x.clone();
        let mut total: Option<Tensor> = None;
        for (i, v) in states.iter().enumerate() {
            let mu = self.layer(i + 1, params, &below)?;
            let term = (v - mu)?.sqr()?.sum_all()?.affine(0.5, 0.0)?;
            total = Some(match total {
                Some(t) => (t + term)?,
                None => term,
            });
            below = v.clone();
        }
        let loss = self.loss.tensor(&self.layer(self.network.depth(), params, &below)?, self.y)?;
        Ok(match total {
            Some(t) => (t + loss)?,
            None => loss,
        })
    }

    /// −∂F/∂θ with the hidden states held fixed.
    fn local_directions(&self, states: &[Tensor]) -> Result<Vec<Vec<Tensor>>> {
        self.local_directions_at(self.params, states)
    }

    fn local_directions_at(&self, params: &Params, states: &[Tensor]) -> Result<Vec<Vec<Tensor>>> {
        let vars = variables(params)?;
        let grads = self.energy(&plain(&vars), states)?.backward()?;
        descents(&vars, &grads)
    }

    fn loss_directions(&self) -> Result<Vec<Vec<Tensor>>> {
        Ok(crate::engine::autograd::Autograd::new(self.params)?
            .directions(self.network, &self.loss, self.x, self.y)?
            .0)
    }

    fn forward_states(&self) -> Result<Vec<Tensor>> {
        let mut states = Vec::new();
        let mut v = self.x.clone();
        for l in 1..self.network.depth() {
            v = self.layer(l, self.params, &v)?;
            states.push(v.clone());
        }
        Ok(states)
    }

    fn state_descent(&self, steps: Steps) -> Result<Vec<Vec<Tensor>>> {
        let mut states = self.forward_states()?;
        for t in 0..steps.count {
            let vars = states.iter().map(|v| Ok(Var::from_tensor(v)?)).collect::<Result<Vec<_>>>()?;
            let free: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
            let grads = self.energy(self.params, &free)?.backward()?;
            states = descend(&vars, &grads, steps.size(t))?;
        }
        self.local_directions(&states)
    }

    /// One state at a time from the output down, each on the energy of the states as they stand.
    fn sequential_descent(&self, rule: &SeqIl) -> Result<Vec<Vec<Tensor>>> {
        let mut problem = *self;
        if let Some(beta) = rule.mixing {
            problem.loss.precision *= beta / (1.0 + beta);
        }
        let mut states = problem.forward_states()?;
        for t in 0..rule.steps.count {
            for i in (0..states.len()).rev() {
                let var = Var::from_tensor(&states[i])?;
                let mut free = states.clone();
                free[i] = var.as_tensor().clone();
                let grads = problem.energy(problem.params, &free)?.backward()?;
                states[i] = descend(&[var], &grads, rule.steps.size(t))?.remove(0);
            }
        }
        problem.local_directions(&states)
    }

    /// States and parameters at once, on the same energy.
    fn incremental_descent(&self, rule: &Ipc) -> Result<Vec<Vec<Tensor>>> {
        let mut states = self.forward_states()?;
        let mut params = self.params.clone();
        let mut sum: Vec<Vec<Tensor>> = self
            .params
            .iter()
            .map(|own| own.iter().map(|p| Ok(p.zeros_like()?)).collect::<Result<_>>())
            .collect::<Result<_>>()?;
        for t in 0..rule.steps.count {
            let directions = self.local_directions_at(&params, &states)?;
            let vars = states.iter().map(|v| Ok(Var::from_tensor(v)?)).collect::<Result<Vec<_>>>()?;
            let free: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
            let grads = self.energy(&params, &free)?.backward()?;
            states = descend(&vars, &grads, rule.steps.size(t))?;
            for ((own, total), d) in params.iter_mut().zip(&mut sum).zip(&directions) {
                for ((p, s), d) in own.iter_mut().zip(total).zip(d) {
                    *p = (&*p + d.affine(rule.weight_step, 0.0)?)?;
                    *s = (&*s + d)?;
                }
            }
        }
        Ok(sum)
    }

    fn error_descent(&self, steps: Steps) -> Result<Vec<Vec<Tensor>>> {
        let mut errors =
            self.forward_states()?.iter().map(|v| Ok(v.zeros_like()?)).collect::<Result<Vec<_>>>()?;
        for t in 0..steps.count {
            let vars = errors.iter().map(|e| Ok(Var::from_tensor(e)?)).collect::<Result<Vec<_>>>()?;
            let free: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
            // F as a function of the errors: sum of half squares plus the loss of the rebuilt network
            let output = self.layer(self.network.depth(), self.params, &self.rebuilt(&free)?.1)?;
            let mut energy = self.loss.tensor(&output, self.y)?;
            for e in &free {
                energy = (energy + e.sqr()?.sum_all()?.affine(0.5, 0.0)?)?;
            }
            errors = descend(&vars, &energy.backward()?, steps.size(t))?;
        }
        self.local_directions(&self.rebuilt(&errors)?.0)
    }

    /// States v_l = f_l(v_{l−1}) + e_l, and the topmost of them (x if there is none).
    fn rebuilt(&self, errors: &[Tensor]) -> Result<(Vec<Tensor>, Tensor)> {
        let mut states = Vec::new();
        let mut v = self.x.clone();
        for (i, e) in errors.iter().enumerate() {
            v = (self.layer(i + 1, self.params, &v)? + e)?;
            states.push(v.clone());
        }
        Ok((states, v))
    }
}

/// v − g·∂F/∂v for every variable, as plain tensors.
fn descend(vars: &[Var], grads: &candle_core::backprop::GradStore, g: f64) -> Result<Vec<Tensor>> {
    vars.iter()
        .map(|v| {
            let grad =
                grads.get(v).ok_or_else(|| Error::Invalid("the energy does not depend on a state".into()))?;
            Ok((v.as_detached_tensor() - grad.affine(g, 0.0)?)?)
        })
        .collect()
}

/// Parameters as variables (the same bits, new storage).
fn variables(params: &Params) -> Result<Vec<Vec<Var>>> {
    params.iter().map(|own| own.iter().map(|t| Ok(Var::from_tensor(t)?)).collect()).collect()
}

/// Variables as the tensors a layer takes.
fn plain(vars: &[Vec<Var>]) -> Params {
    vars.iter().map(|own| own.iter().map(|v| v.as_tensor().clone()).collect()).collect()
}

/// −gradient of every variable; zero where what was differentiated does not depend on it.
fn descents(vars: &[Vec<Var>], grads: &candle_core::backprop::GradStore) -> Result<Vec<Vec<Tensor>>> {
    vars.iter()
        .map(|own| {
            own.iter()
                .map(|v| match grads.get(v) {
                    Some(g) => Ok(g.neg()?),
                    None => Ok(v.zeros_like()?),
                })
                .collect()
        })
        .collect()
}
