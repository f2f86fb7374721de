//! The oracle: every rule as its paper's energy, differentiated by Candle's autograd in f64, on any graph.
//!
//! It shares the operations' forward function with the contenders and nothing else: no vjp, no param_grad, no
//! schedule. A wrong sign, a missing factor or a stale error in a rule shows up here.

mod adjoints;
mod augmented;
mod conjugate;
mod path;

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};

use path::{plus, Path, States};

use crate::net::{Graph, OutputEnergy, Params, VertexId};
use crate::rule::{Ep, Ipc, Rule, SeqIl, Spc, Steps};
use crate::{Error, Result};

/// A network on a batch, in f64 on the CPU.
#[derive(Debug, Clone, Copy)]
pub struct Problem<'a> {
    /// Structure.
    pub graph: &'a Graph,
    /// θ.
    pub params: &'a [Tensor],
    /// Inputs and targets.
    pub data: &'a [Tensor],
    /// Backward weights where a rule keeps its own.
    pub feedback: Option<&'a [Option<Tensor>]>,
}

/// Values and predictions of all vertices at given states.
struct Point {
    values: Vec<Tensor>,
    predictions: Vec<Tensor>,
}

/// −∂F/∂θ of every parameter under `rule`; under iPC the sum of its T directions, each at its own point.
///
/// # Errors
/// If a tensor does not fit, or a variant is not defined on the network.
pub fn directions(problem: &Problem<'_>, rule: &Rule) -> Result<Vec<Tensor>> {
    match rule {
        // Z-IL is backpropagation: that is its claim, so that is its oracle
        Rule::Bp(_) | Rule::Zil(_) => problem.loss_directions(),
        Rule::Spc(r) => problem.state_descent(r),
        Rule::Epc(r) => problem.error_descent(r.steps),
        Rule::Fpa(r) => problem.fixed_prediction(r),
        Rule::SeqIl(r) => problem.sequential_descent(r),
        Rule::Ipc(r) => problem.incremental_descent(r),
        Rule::Ar(r) => problem.activation_relaxation(r),
        Rule::PcAlm(r) => problem.augmented_descent(r),
        Rule::Ep(r) => problem.nudged(r),
    }
}

impl Problem<'_> {
    /// Evaluates the graph with the value of latent vertex i from `value`, given its prediction.
    fn evaluate(
        &self,
        params: &[Tensor],
        mut value: impl FnMut(VertexId, &Tensor) -> Result<Tensor>,
    ) -> Result<Point> {
        let (mut values, mut predictions) = (Vec::new(), Vec::new());
        for i in 0..self.graph.len() {
            let inputs = self.graph.inputs(i, self.data, &values);
            let (prediction, _) = self.graph.operation(i).forward(&self.graph.own(i, params), &inputs)?;
            let latent = self.graph.topology().is_latent(i);
            values.push(if latent { value(i, &prediction)? } else { prediction.clone() });
            predictions.push(prediction);
        }
        Ok(Point { values, predictions })
    }

    fn at_states(&self, params: &[Tensor], states: &States) -> Result<Point> {
        self.evaluate(params, |i, prediction| Ok(states[i].as_ref().unwrap_or(prediction).clone()))
    }

    /// States of the forward pass.
    fn forward_states(&self) -> Result<States> {
        let point = self.evaluate(self.params, |_, prediction| Ok(prediction.clone()))?;
        let topology = self.graph.topology();
        let state = |(i, v): (usize, Tensor)| topology.is_latent(i).then_some(v);
        Ok(point.values.into_iter().enumerate().map(state).collect())
    }

    /// Σ losses, with precisions of all losses times `factor`.
    fn losses(&self, values: &[Tensor], factor: f64) -> Result<Tensor> {
        sum(self.graph.losses().iter().map(|term| {
            let mut loss = term.loss;
            loss.precision *= factor;
            loss.tensor(&values[term.vertex], &self.data[term.target])
        }))
    }

    /// F over given states.
    fn energy(&self, params: &[Tensor], states: &States, factor: f64) -> Result<Tensor> {
        let Point { values, predictions } = self.at_states(params, states)?;
        let topology = self.graph.topology();
        let hidden = topology.latent().map(|i| {
            let sum = topology.energy(i).tensor(&(&values[i] - &predictions[i])?)?;
            Ok(sum.affine(topology.precision(i).unwrap_or(1.0), 0.0)?)
        });
        sum(hidden.chain([self.losses(&values, factor)]))
    }

    /// −∂F/∂θ with the states held fixed.
    fn local_directions(&self, params: &[Tensor], states: &States, factor: f64) -> Result<Vec<Tensor>> {
        let vars = variables(params)?;
        let grads = self.energy(&plain(&vars), states, factor)?.backward()?;
        descents(self.graph, &vars, &grads)
    }

    fn loss_directions(&self) -> Result<Vec<Tensor>> {
        Ok(crate::engine::autograd::Autograd::new(self.params)?.directions(self.graph, self.data)?.0)
    }

    /// −∂F/∂v_i of the states that are `free`.
    fn descent(
        &self,
        params: &[Tensor],
        states: &States,
        factor: f64,
        free: impl Fn(VertexId) -> bool,
    ) -> Result<States> {
        let (vars, tracked) = tracked(states, free)?;
        let grads = self.energy(params, &tracked, factor)?.backward()?;
        let negated = |var: &Option<Var>| match var {
            Some(var) => Ok(Some(gradient(&grads, var)?.neg()?)),
            None => Ok(None),
        };
        vars.iter().map(negated).collect()
    }

    /// v_i − g ∂F/∂v_i for the states that are `free`.
    fn descended(
        &self,
        params: &[Tensor],
        states: &States,
        factor: f64,
        g: f64,
        free: impl Fn(VertexId) -> bool,
    ) -> Result<States> {
        let along = self.descent(params, states, factor, free)?;
        plus(states, g, &along)
    }

    fn state_descent(&self, rule: &Spc) -> Result<Vec<Tensor>> {
        let (topology, distances) = (self.graph.topology(), self.graph.topology().distances());
        let (mut states, mut path) = (self.forward_states()?, Path::new(rule.steps));
        for t in 0..rule.steps.count {
            let g = rule.steps.size(t);
            let spiked = |i: VertexId| if rule.spike && distances[i] == t { 1.0 / g } else { 1.0 };
            let own = |i: VertexId| (spiked(i) * topology.precision(i).unwrap_or(1.0), topology.energy(i));
            let graph = &self.graph.clone().with_energies(own);
            let now = Problem { graph, ..*self };
            if rule.even_odd {
                for odd in [true, false] {
                    let free = |i: VertexId| (distances[i] % 2 == 1) == odd;
                    states = now.descended(self.params, &states, 1.0, g, free)?;
                }
                continue;
            }
            let along = now.descent(self.params, &states, 1.0, |_| true)?;
            if path.ends(&along)? {
                break;
            }
            states = path.next(states, along, |here, p| now.curvature_in_states(here, p))?;
        }
        self.local_directions(self.params, &states, 1.0)
    }

    /// One state at a time in reverse order, each on the energy of the states as they stand.
    fn sequential_descent(&self, rule: &SeqIl) -> Result<Vec<Tensor>> {
        let factor = rule.mixing.map_or(1.0, |beta| beta / (1.0 + beta));
        let mut states = self.forward_states()?;
        for t in 0..rule.steps.count {
            for i in self.graph.topology().latent().rev() {
                states = self.descended(self.params, &states, factor, rule.steps.size(t), |v| v == i)?;
            }
        }
        self.local_directions(self.params, &states, factor)
    }

    /// E + s β losses descended from the forward pass by states at odd distances from the losses and then by the others, for both
    /// signs s; the difference of what is left of −∂(E + s β losses)/∂θ, over 2β.
    fn nudged(&self, rule: &Ep) -> Result<Vec<Tensor>> {
        let distances = self.graph.topology().distances();
        let phase = |factor: f64| {
            let mut states = self.forward_states()?;
            for t in 0..rule.steps.count {
                for odd in [true, false] {
                    let free = |i: VertexId| (distances[i] % 2 == 1) == odd;
                    states = self.descended(self.params, &states, factor, rule.steps.size(t), free)?;
                }
            }
            self.local_directions(self.params, &states, factor)
        };
        let (more, less) = (phase(rule.nudge)?, phase(-rule.nudge)?);
        let each = more.iter().zip(&less).map(|(a, b)| Ok((a - b)?.affine(0.5 / rule.nudge, 0.0)?));
        each.collect()
    }

    /// States and parameters at once, on the same energy.
    fn incremental_descent(&self, rule: &Ipc) -> Result<Vec<Tensor>> {
        let mut states = self.forward_states()?;
        let mut params: Params = self.params.to_vec();
        let mut total = self.params.iter().map(|p| Ok(p.zeros_like()?)).collect::<Result<Vec<Tensor>>>()?;
        for t in 0..rule.steps.count {
            let directions = self.local_directions(&params, &states, 1.0)?;
            states = self.descended(&params, &states, 1.0, rule.steps.size(t), |_| true)?;
            for ((p, sum), d) in params.iter_mut().zip(&mut total).zip(&directions) {
                *p = (&*p + d.affine(rule.weight_step, 0.0)?)?;
                *sum = (&*sum + d)?;
            }
        }
        Ok(total)
    }

    fn error_descent(&self, steps: Steps) -> Result<Vec<Tensor>> {
        let topology = self.graph.topology();
        let mut path = Path::new(steps);
        let zeros = |v: &Option<Tensor>| Ok(v.as_ref().map(Tensor::zeros_like).transpose()?);
        let mut errors: States = self.forward_states()?.iter().map(zeros).collect::<Result<_>>()?;
        for _ in 0..steps.count {
            let (vars, free) = tracked(&errors, |_| true)?;
            // F as a function of the errors: half squares plus the losses of the rebuilt network
            let values = self.rebuilt(&free)?.values;
            let hidden = topology.latent().filter_map(|i| {
                let (precision, error) = (topology.precision(i)?, free[i].as_ref()?);
                let sum = topology.energy(i).tensor(error);
                Some(sum.and_then(|sum| Ok(sum.affine(precision, 0.0)?)))
            });
            let grads = sum(hidden.chain([self.losses(&values, 1.0)]))?.backward()?;
            let along = vars.iter().map(|var| match var {
                Some(var) => Ok(Some(gradient(&grads, var)?.neg()?)),
                None => Ok(None),
            });
            let along: States = along.collect::<Result<_>>()?;
            if path.ends(&along)? {
                break;
            }
            errors = path.next(errors, along, |here, p| self.curvature_in_errors(here, p))?;
        }
        let values = self.rebuilt(&errors)?.values.into_iter().enumerate();
        let states = values.map(|(i, v)| topology.is_latent(i).then_some(v)).collect();
        self.local_directions(self.params, &states, 1.0)
    }

    /// The network with states v_i = f_i + e_i.
    fn rebuilt(&self, errors: &States) -> Result<Point> {
        self.evaluate(self.params, |i, prediction| match &errors[i] {
            Some(e) => Ok((prediction + e)?),
            None => Ok(prediction.clone()),
        })
    }
}

/// The sum of tensors of one shape; an error if there is none.
fn sum(mut terms: impl Iterator<Item = Result<Tensor>>) -> Result<Tensor> {
    let first = terms.next().ok_or_else(|| Error::Invalid("an energy without terms".into()))??;
    terms.try_fold(first, |total, term| Ok((total + term?)?))
}

/// States that are `free` as variables, and all states with those in their places.
fn tracked(states: &States, free: impl Fn(VertexId) -> bool) -> Result<(Vec<Option<Var>>, States)> {
    let var = |(i, v): (usize, &Option<Tensor>)| match v.as_ref().filter(|_| free(i)) {
        Some(v) => Ok(Some(Var::from_tensor(v)?)),
        None => Ok(None),
    };
    let vars = states.iter().enumerate().map(var).collect::<Result<Vec<_>>>()?;
    let place = |(state, var): (&Option<Tensor>, &Option<Var>)| match var {
        Some(var) => Some(var.as_tensor().clone()),
        None => state.clone(),
    };
    let places = states.iter().zip(&vars).map(place).collect();
    Ok((vars, places))
}

/// The gradient by a variable; zero where what was differentiated does not depend on it.
fn gradient(grads: &GradStore, of: &Var) -> Result<Tensor> {
    Ok(match grads.get(of) {
        Some(g) => g.clone(),
        None => of.zeros_like()?,
    })
}

/// Parameters as variables (the same bits, new storage).
fn variables(params: &[Tensor]) -> Result<Vec<Var>> {
    params.iter().map(|t| Ok(Var::from_tensor(t)?)).collect()
}

/// Variables as the tensors an operation takes.
fn plain(vars: &[Var]) -> Params {
    vars.iter().map(|v| v.as_tensor().clone()).collect()
}

/// −gradient of every variable; zero of a frozen parameter.
fn descents(graph: &Graph, vars: &[Var], grads: &GradStore) -> Result<Vec<Tensor>> {
    let descent = |(p, v): (usize, &Var)| match graph.topology().is_frozen(p) {
        true => Ok(v.zeros_like()?),
        false => Ok(gradient(grads, v)?.neg()?),
    };
    vars.iter().enumerate().map(descent).collect()
}
