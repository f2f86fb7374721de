//! Oracle of conjugate gradients: the curvature of Gauss and Newton along a direction, from the forward functions of operations and the
//! values of energies, by automatic differentiation and differences. No jvp, and no second derivative that is written out but Huber's.

use candle_core::{Tensor, Var};

use super::path::States;
use super::{gradient, Point, Problem};
use crate::net::{LatentEnergy, LossKind, VertexId};
use crate::Result;

/// Half the width of differences, in units of the largest change: what five points leave out is its fourth power.
const WIDTH: f64 = 1e-3;

/// Σ a b of every sample, over all vertices that have both.
pub(super) fn rows(a: &States, b: &States) -> Result<Tensor> {
    let mut sum: Option<Tensor> = None;
    for (a, b) in a.iter().zip(b) {
        if let (Some(a), Some(b)) = (a, b) {
            let own = row_sums(&(a * b)?)?;
            sum = Some(match sum {
                Some(sum) => (sum + own)?,
                None => own,
            });
        }
    }
    sum.ok_or_else(|| crate::Error::Invalid("a network without states has no inner products".into()))
}

/// Every sample of a times its number in s.
pub(super) fn by_rows(s: &Tensor, a: &States) -> Result<States> {
    let each = a.iter().map(|a| match a {
        Some(a) => {
            let flat = a.reshape((s.dim(0)?, ()))?;
            Ok(Some(flat.broadcast_mul(&s.unsqueeze(1)?)?.reshape(a.dims())?))
        }
        None => Ok(None),
    });
    each.collect()
}

impl Problem<'_> {
    /// p·G p of every sample over the states.
    pub(super) fn curvature_in_states(&self, states: &States, p: &States) -> Result<Tensor> {
        self.curvature(&self.at_states(self.params, states)?, p, true)
    }

    /// p·G p of every sample over the errors.
    pub(super) fn curvature_in_errors(&self, errors: &States, p: &States) -> Result<Tensor> {
        self.curvature(&self.rebuilt(errors)?, p, false)
    }

    fn curvature(&self, at: &Point, p: &States, in_states: bool) -> Result<Tensor> {
        let topology = self.graph.topology();
        let mut tangents: Vec<Tensor> = Vec::new();
        let mut sum = rows(p, p)?.zeros_like()?;
        for i in 0..self.graph.len() {
            let predicted = self.tangent(i, at, &tangents)?;
            tangents.push(match &p[i] {
                Some(p) if in_states => p.clone(),
                Some(p) => (&predicted + p)?,
                None => predicted.clone(),
            });
            if topology.is_latent(i) {
                let (d, energy) = ((&tangents[i] - &predicted)?, topology.energy(i));
                let error = (&at.values[i] - &at.predictions[i])?;
                let curved = match energy {
                    LatentEnergy::Huber => inside(&error, &d)?,
                    _ => second_derivative(&error, &d, |e| energy.tensor(e))?,
                };
                sum =
                    (sum + row_sums(&(curved * &d)?)?.affine(topology.precision(i).unwrap_or(1.0), 0.0)?)?;
            }
        }
        for term in self.graph.losses() {
            let (o, y, d) = (&at.values[term.vertex], &self.data[term.target], &tangents[term.vertex]);
            let curved = match term.loss.kind {
                LossKind::Huber => inside(&(o - y)?, d)?.affine(term.loss.weight(o)?, 0.0)?,
                _ => second_derivative(o, d, |o| term.loss.tensor(o, y))?,
            };
            sum = (sum + row_sums(&(curved * d)?)?)?;
        }
        Ok(sum)
    }

    /// What the prediction of vertex i changes by where the vertices that it reads change by `tangents`: of every unit the derivative by
    /// all inputs, times their changes. Samples do not meet, so one pass gives the unit of all of them.
    fn tangent(&self, i: VertexId, at: &Point, tangents: &[Tensor]) -> Result<Tensor> {
        let vars = at.values[..i].iter().map(Var::from_tensor).collect::<Result<Vec<_>, _>>()?;
        let values: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
        let inputs = self.graph.inputs(i, self.data, &values);
        let (value, _) = self.graph.operation(i).forward(&self.graph.own(i, self.params), &inputs)?;
        let units = value.reshape((value.dim(0)?, ()))?;
        let mut columns = Vec::new();
        for k in 0..units.dim(1)? {
            let grads = units.narrow(1, k, 1)?.sum_all()?.backward()?;
            let mut column = Tensor::zeros(value.dim(0)?, value.dtype(), value.device())?;
            for (var, tangent) in vars.iter().zip(tangents) {
                if grads.get(var).is_some() {
                    column = (column + row_sums(&(gradient(&grads, var)? * tangent)?)?)?;
                }
            }
            columns.push(column);
        }
        Ok(Tensor::stack(&columns, 1)?.reshape(value.dims())?)
    }
}

/// d where |x| ≤ 1, else 0: Huber's second derivative, whose jump no difference resolves.
fn inside(x: &Tensor, d: &Tensor) -> Result<Tensor> {
    Ok((x.abs()?.le(1f64)?.to_dtype(d.dtype())? * d)?)
}

/// The change of the gradient of `energy` along d, from four gradients beside x.
fn second_derivative(x: &Tensor, d: &Tensor, energy: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    let largest = d.abs()?.flatten_all()?.max(0)?.to_scalar::<f64>()?;
    if largest == 0.0 {
        return Ok(d.zeros_like()?);
    }
    let h = WIDTH / largest;
    let slope = |times: f64| -> Result<Tensor> {
        let var = Var::from_tensor(&(x + d.affine(times * h, 0.0)?)?)?;
        gradient(&energy(var.as_tensor())?.backward()?, &var)
    };
    let (near, far) = ((slope(1.0)? - slope(-1.0)?)?, (slope(2.0)? - slope(-2.0)?)?);
    Ok((near.affine(8.0, 0.0)? - far)?.affine(1.0 / (12.0 * h), 0.0)?)
}

fn row_sums(t: &Tensor) -> Result<Tensor> {
    Ok(t.reshape((t.dim(0)?, ()))?.sum(1)?)
}
