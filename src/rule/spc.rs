//! State-based predictive coding (sPC).

use super::colours::odd_then_even;
use super::conjugate::Conjugate;
use super::info::{has, Inference, Info};
use super::relaxation::Relaxation;
use super::residual::Residual;
use super::{Decay, LearningRule, Method, StepUnit, Steps};
use crate::engine::curvature::Coordinates;
use crate::engine::{Engine, LearnedOn, Watch};
use crate::net::VertexId;
use crate::theory::analysis::{self, Analysis};
use crate::theory::cost::{self, NetCost, RuleCost};
use crate::Result;

/// Simultaneous gradient descent of the energy over the states, then a local weight update
/// (Rao & Ballard 1999; Whittington & Bogacz 2017; the `sPC` of Goemaere et al., arXiv 2505.20137).
///
/// From the forward pass, T times, all hidden layers at once from the same old states:
///
/// v_l ← v_l − g_t (ε_l − J_{l+1}(v_l)ᵀ ε_{l+1}),  ε_l = v_l − f_l(v_{l−1}),  ε_L = −∂loss/∂o.
///
/// The step is that of plain descent; with another [`Method`] it is that of the method.
///
/// Then −∂F/∂θ_l = (∂μ_l/∂θ_l)ᵀ ε_l at the last states. 2L + 2T(L − 1) products without the light cone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spc {
    /// T and g.
    pub steps: Steps,
    /// Skip layers that no error has reached yet. Error l is exactly zero before step L − l, so the result
    /// is the same to the bit; off only to measure what it saves.
    pub light_cone: bool,
    /// Multiply the precision of vertex i by 1/g_t in step t = d_i alone, d_i being its
    /// [distance](crate::net::Topology::distances) from the losses: the step in which, on a chain, its first error goes on.
    ///
    /// Without it an error loses a factor g at every layer that it crosses. With it ε_l of a chain is g δ_l after step L − l, δ_l being
    /// the negative adjoint of backpropagation: in the step in which the error of layer l + 1 is carried down, π cancels the g of the
    /// step that follows, and in the own state it replaces the error by what reaches it. Schedules of the precision are the idea of
    /// Qi, Forasassi, Lukasiewicz & Salvatori (arXiv 2506.23800, their "spiking precision"); this is the schedule whose law is the
    /// one above, not a reproduction of their recipe.
    pub spike: bool,
    /// Move states at odd [distances](crate::net::Topology::distances) from the losses first, then, at the errors that this leaves,
    /// those at even ones: a sweep of Gauss and Seidel in two colours, in which an error crosses two layers per step. By plain descent
    /// whatever the method of the steps, and under the light cone.
    ///
    /// On a chain each half of a step is descent over states that do not meet in the energy, with the curvature H_ll = π_l + J_{l+1}ᵀ
    /// π_{l+1} J_{l+1} each (the loss's in place of π_L). Of a quadratic it lowers F while g < 2/max_l λ_max(H_ll), which is never less
    /// than the 2/λ_max(H) of sPC, and comes to rest where sPC does. Steps of 1 do not invert H_ll and lie beyond that bound as soon as
    /// some J_{l+1} is longer than 1. They are stable all the same while the largest curvature in errors is below 2, and then
    /// come near rest in several times fewer steps than sPC needs at its best step ([`Ep`](super::Ep) says why).
    pub even_odd: bool,
}

impl LearningRule for Spc {
    const VARIANTS: &'static [Info] = &[
        Info::new("spc", "spc", Inference::Chosen, true, true),
        Info::new("spc-decay", "spc", Inference::Chosen, true, true),
        Info::new("spc-momentum", "spc", Inference::Chosen, true, true).on_cpu(),
        Info::new("spc-nesterov", "spc", Inference::Chosen, true, true).on_cpu(),
        Info::new("spc-chebyshev", "spc", Inference::Chosen, true, true).on_cpu(),
        Info::new("spc-cg", "spc", Inference::Chosen, true, false),
        Info::new("spc-adam", "spc", Inference::Chosen, true, false),
        Info::new("spc-evenodd", "spc", Inference::Chosen, true, false),
        Info::new("spc-auto", "spc", Inference::Chosen, true, true),
        Info::new("spc-full", "spc", Inference::Chosen, true, true),
        Info::new("spc-spike", "spc", Inference::Chosen, true, false),
    ];

    fn variant(name: &str, steps: Steps) -> Self {
        Self {
            steps: steps.switched(name),
            light_cone: !has(name, "full"),
            spike: has(name, "spike"),
            even_odd: has(name, "evenodd"),
        }
    }

    fn name(&self) -> &'static str {
        match (self.steps.method, self.steps.decay) {
            _ if self.even_odd => "spc-evenodd",
            (Method::HeavyBall { .. }, _) => "spc-momentum",
            (Method::Nesterov, _) => "spc-nesterov",
            (Method::Chebyshev { .. }, _) => "spc-chebyshev",
            (Method::ConjugateGradient, _) => "spc-cg",
            (Method::Adam, _) => "spc-adam",
            (Method::Plain, _) if self.steps.unit == StepUnit::Stable => "spc-auto",
            (Method::Plain, _) if self.spike => "spc-spike",
            (Method::Plain, _) if !self.light_cone => "spc-full",
            (Method::Plain, Decay::Inverse) => "spc-decay",
            (Method::Plain, Decay::None) => "spc",
        }
    }

    fn steps(&self) -> Option<Steps> {
        Some(self.steps)
    }

    fn with_steps(self, steps: Steps) -> Self {
        Self { steps, ..self }
    }

    fn coordinates(&self) -> Option<Coordinates> {
        Some(Coordinates::States)
    }

    fn learn<E: Engine>(&self, engine: &E, watch: &mut Watch<'_, E::Value>) -> Result<LearnedOn<E>> {
        let topology = engine.topology();
        let mut net = Relaxation::start(engine, self.light_cone || self.even_odd, None)?;
        net.show(0, watch)?;
        let colours = if self.even_odd { odd_then_even(topology).to_vec() } else { Vec::new() };
        let (mut conjugate, mut residual) = (Conjugate::new(), Residual::of(&self.steps));
        let distances = if self.spike { topology.distances() } else { Vec::new() };
        for t in 0..self.steps.count {
            let g = self.steps.size(t);
            net.precisions = self.spike.then(|| {
                let at = |i: VertexId| if distances[i] == t { 1.0 / g } else { 1.0 };
                (0..topology.len()).map(|i| topology.precision(i).unwrap_or(1.0) * at(i)).collect()
            });
            match colours.as_slice() {
                [] => {
                    let by_conjugates = self.steps.method == Method::ConjugateGradient;
                    if by_conjugates || residual.is_some() {
                        let descents = net.descents()?;
                        if let Some(residual) = &mut residual
                            && residual.reached(engine, &descents)?
                        {
                            break;
                        }
                        match by_conjugates {
                            true => net.move_conjugate(&mut conjugate, descents)?,
                            false => net.move_along(&self.steps.stride(t), descents)?,
                        }
                    } else {
                        net.move_states(&self.steps.stride(t))?;
                    }
                    net.precisions = None;
                    net.refresh()?;
                }
                colours => {
                    for colour in colours {
                        net.move_colour(g, colour)?;
                        net.refresh()?;
                    }
                    net.precisions = None;
                }
            }
            net.show(t + 1, watch)?;
        }
        net.learned()
    }

    fn cost(&self, net: &NetCost) -> RuleCost {
        let steps = self.steps.count as u64;
        let mut cost = match (self.even_odd, self.steps.method) {
            (true, _) => cost::spc_even_odd(net, steps),
            (_, Method::Plain) => cost::spc(net, steps, self.light_cone, self.scales()),
            (_, Method::ConjugateGradient) => cost::spc_conjugate(net, steps, self.light_cone),
            (_, method) => cost::spc_by(net, steps, self.light_cone, method.carried()),
        };
        if self.steps.residual > 0.0 {
            cost.work += cost::residuals_of_states(net, steps, self.light_cone);
        }
        cost
    }

    fn analysis(&self, net: &NetCost) -> Analysis {
        let steps = self.steps.count as u64;
        let conjugate = self.steps.method == Method::ConjugateGradient;
        let analysis = match (self.even_odd, self.spike) {
            (true, _) => analysis::spc_even_odd(net, steps),
            _ if conjugate => analysis::spc_conjugate(net, steps, self.light_cone),
            (_, true) => analysis::spc_spike(net, steps, self.light_cone),
            (_, false) => analysis::spc(net, steps, self.light_cone),
        };
        Analysis { moved: self.cost(net).work.moved, ..analysis }
    }
}

impl Spc {
    /// Whether some error is multiplied by a precision other than 1 on a network whose own precisions are 1.
    fn scales(&self) -> bool {
        self.spike && self.steps.size != 1.0
    }
}
