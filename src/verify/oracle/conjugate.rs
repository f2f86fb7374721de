//! Oracle of conjugate gradients: the curvature of Gauss and Newton along a direction, by automatic differentiation of the forward functions
//! of operations and of the first derivatives of energies and losses, which the oracle of every rule holds against their values. No jvp,
//! and no second derivative that is written out but Huber's.

use candle_core::{Tensor, Var};

use super::path::{row_sums, rows, States};
use super::{gradient, Point, Problem};
use crate::net::loss::weight;
use crate::net::{LatentEnergy, LossKind, OutputEnergy, VertexId};
use crate::Result;

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
                    _ => along(&error, &d, |e| energy.influence(e))?,
                };
                sum =
                    (sum + row_sums(&(curved * &d)?)?.affine(topology.precision(i).unwrap_or(1.0), 0.0)?)?;
            }
        }
        for term in self.graph.losses() {
            let (o, y, d) = (&at.values[term.vertex], &self.data[term.target], &tangents[term.vertex]);
            let curved = match term.loss.kind {
                LossKind::Huber => inside(&(o - y)?, d)?.affine(weight(&term.loss, o)?, 0.0)?,
                _ => along(o, d, |o| Ok(term.loss.output_error(o, y)?.neg()?))?,
            };
            sum = (sum + row_sums(&(curved * d)?)?)?;
        }
        Ok(sum)
    }

    /// What the prediction of vertex i changes by where the vertices that it reads change by `tangents`.
    fn tangent(&self, i: VertexId, at: &Point, tangents: &[Tensor]) -> Result<Tensor> {
        let vars = at.values[..i].iter().map(Var::from_tensor).collect::<Result<Vec<_>, _>>()?;
        let values: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
        let inputs = self.graph.inputs(i, self.data, &values);
        let (value, _) = self.graph.operation(i).forward(&self.graph.own(i, self.params), &inputs)?;
        derivative(&value, &vars, tangents)
    }
}

/// What `value` changes by where variables change by `tangents`: of every unit the derivative by all variables, times their changes.
/// Samples do not meet, so one pass gives the unit of all of them.
fn derivative(value: &Tensor, vars: &[Var], tangents: &[Tensor]) -> Result<Tensor> {
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

/// The derivative of a function at x along d.
fn along(x: &Tensor, d: &Tensor, of: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    let var = Var::from_tensor(x)?;
    let value = of(var.as_tensor())?;
    derivative(&value, &[var], std::slice::from_ref(d))
}

/// d where |x| ≤ 1, else 0: Huber's second derivative, whose jump no difference resolves.
fn inside(x: &Tensor, d: &Tensor) -> Result<Tensor> {
    Ok((x.abs()?.le(1f64)?.to_dtype(d.dtype())? * d)?)
}
