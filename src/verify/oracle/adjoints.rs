//! Oracles of the rules that relax errors at the forward pass: FPA and AR.
//!
//! Both are said by two maps. For fixed numbers c_j, one array per latent vertex, let
//!
//! G(c) = Σ losses + Σ over latent j of ⟨c_j, f_j⟩, B_i(c) = ∂G/∂v_i, H_θ(c) = ∂G/∂θ,
//!
//! taken at the forward pass with c held constant and deterministic vertices substituted away.

use candle_core::{Tensor, Var};

use super::{descents, gradient, plain, sum, tracked, variables, Point, Problem, States};
use crate::net::{Activation, Dense, Elementwise, OutputEnergy, VertexId};
use crate::rule::{Ar, Feedback, Fpa, Sweep};
use crate::{Error, Result};

impl Problem<'_> {
    /// G(c).
    fn paired(&self, point: &Point, c: &States) -> Result<Tensor> {
        let pairs = self.graph.topology().latent().filter_map(|i| {
            let pair = (point.predictions[i].clone() * c[i].as_ref()?).and_then(|p| p.sum_all());
            Some(pair.map_err(Error::from))
        });
        sum(pairs.chain([self.losses(&point.values, 1.0)]))
    }

    /// B_i(c) of every latent vertex at the states `forward`.
    fn pulled(&self, forward: &States, c: &States) -> Result<States> {
        let (vars, free) = tracked(forward, |_| true)?;
        let grads = self.paired(&self.at_states(self.params, &free)?, c)?.backward()?;
        vars.iter().map(|var| var.as_ref().map(|var| gradient(&grads, var)).transpose()).collect()
    }

    /// −H(c) at the states `forward`.
    fn directions_at(&self, forward: &States, c: &States) -> Result<Vec<Tensor>> {
        let vars = variables(self.params)?;
        let grads = self.paired(&self.at_states(&plain(&vars), forward)?, c)?.backward()?;
        descents(self.graph, &vars, &grads)
    }

    /// v_i ← v_i − g_t (π_i ψ_i(ε_i) + B_i(−π ψ(ε))), ε_i = v_i − vh_i, all i at once or stage after stage; directions −H(−π ψ(ε)).
    pub(super) fn fixed_prediction(&self, rule: &Fpa) -> Result<Vec<Tensor>> {
        let topology = self.graph.topology();
        let forward = self.forward_states()?;
        let mut states = forward.clone();
        let negated = |states: &States| -> Result<States> {
            let each = states.iter().zip(&forward).enumerate().map(|(i, (v, vh))| match (v, vh) {
                (Some(v), Some(vh)) => {
                    let precision = topology.precision(i).unwrap_or(1.0);
                    Ok(Some(topology.energy(i).influence(&(v - vh)?)?.affine(-precision, 0.0)?))
                }
                _ => Ok(None),
            });
            each.collect()
        };
        let all = vec![topology.latent().collect()];
        for stage in if rule.nested { topology.stages() } else { all }.into_iter().rev() {
            for t in 0..rule.steps.count {
                let c = negated(&states)?;
                let pulled = self.pulled(&forward, &c)?;
                for &i in &stage {
                    if let (Some(v), Some(c), Some(b)) = (&states[i], &c[i], &pulled[i]) {
                        states[i] = Some((v - (b - c)?.affine(rule.steps.size(t), 0.0)?)?);
                    }
                }
            }
        }
        self.directions_at(&forward, &negated(&states)?)
    }

    /// a_i ← a_i − g_t (a_i − B_i(a)) from a_i = vh_i; directions −H(a).
    pub(super) fn activation_relaxation(&self, rule: &Ar) -> Result<Vec<Tensor>> {
        let forward = self.forward_states()?;
        let mut a = forward.clone();
        for t in 0..rule.steps.count {
            let old = a.clone();
            for i in self.graph.topology().latent().rev() {
                let read = if rule.sweep == Sweep::TopDown { &a } else { &old };
                let pulled = if rule.derivatives && rule.feedback == Feedback::Transposed {
                    self.pulled(&forward, read)?.swap_remove(i)
                } else {
                    Some(self.carried_down(rule, i, &forward, read)?)
                };
                if let (Some(own), Some(b)) = (&a[i], pulled) {
                    a[i] = Some((own - (own - b)?.affine(rule.steps.size(t), 0.0)?)?);
                }
            }
        }
        self.directions_at(&forward, &a)
    }

    /// What reaches vertex i of a chain of dense layers under backward weights or without φ'.
    fn carried_down(&self, rule: &Ar, i: VertexId, forward: &States, a: &States) -> Result<Tensor> {
        let layers = self.graph.as_stack()?;
        let v = forward[i].as_ref().ok_or_else(|| Error::Invalid("a chain without states".into()))?;
        let above = match &a[i + 1] {
            Some(above) => above.clone(),
            None => {
                let top = self.at_states(self.params, forward)?.values.swap_remove(i + 1);
                let o = Var::from_tensor(&top)?;
                let term = &self.graph.losses()[0];
                gradient(&term.loss.tensor(o.as_tensor(), &self.data[term.target])?.backward()?, &o)?
            }
        };
        let own = self.graph.own(i + 1, self.params);
        let psi = match (rule.feedback, self.feedback) {
            (Feedback::Learned, Some(table)) => table[self.graph.topology().node(i + 1).params[0]].as_ref(),
            _ => None,
        };
        carried_by(&layers[i + 1], &own, psi.unwrap_or(own[0]), rule.derivatives, v, &above)
    }
}

/// Jᵀ e of a dense layer with `psi` in place of W, and with φ' or without, put together from the derivatives of φ_out
/// and of the product, each differentiated alone.
fn carried_by(
    layer: &Dense,
    own: &[&Tensor],
    psi: &Tensor,
    derivatives: bool,
    v: &Tensor,
    e: &Tensor,
) -> Result<Tensor> {
    let product = |phi: Activation, v: &Tensor, w: &Tensor| -> Result<Tensor> {
        Ok(phi.apply(v)?.matmul(&w.t()?)?.affine(layer.scale, 0.0)?)
    };
    let delta = if derivatives {
        let mut pre = product(layer.act_in, v, own[0])?;
        if let Some(b) = own.get(1) {
            pre = pre.broadcast_add(b)?;
        }
        let pre = Var::from_tensor(&pre)?;
        let paired = (layer.act_out.apply(pre.as_tensor())? * e)?.sum_all()?;
        gradient(&paired.backward()?, &pre)?
    } else {
        e.clone()
    };
    let phi_in = if derivatives { layer.act_in } else { Activation::Identity };
    let v = Var::from_tensor(v)?;
    let paired = (product(phi_in, v.as_tensor(), psi)? * delta)?.sum_all()?;
    let through = gradient(&paired.backward()?, &v)?;
    Ok(if layer.skip { (through + e)? } else { through })
}
