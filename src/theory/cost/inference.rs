//! The cost of what inference does besides plain descent: passes over memory, and another order of the same products.

use super::{elementwise, epc, spc, updates, NetCost, RuleCost};
use crate::net::VerbCost;

/// What a method of inference does to every descent before it steps along it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried {
    /// Nothing.
    Nothing,
    /// A share of the last sum is added, once there is one: u = d + β u.
    Momentum,
    /// The same, and the sum is added to the descent once more; neither in the first step, the first not in the second.
    LookingAhead,
    /// Two moments, and one over the root of the other.
    Moments,
}

impl Carried {
    /// Work on a coordinate of n numbers that moves from step `first` (from 0) to the last of `steps`.
    fn work(self, n: u64, first: u64, steps: u64) -> VerbCost {
        let (one, sum) = (elementwise(n, 1, 1), elementwise(n, 2, 2));
        let from = |step: u64| steps.saturating_sub(step.max(first));
        match self {
            Self::Nothing => VerbCost::default(),
            Self::Momentum => sum * from(first + 1),
            Self::LookingAhead => sum * (from((first + 1).max(2)) + from(1)),
            Self::Moments => (one * 5 + elementwise(n, 3, 2)) * from(0) + sum * (2 * from(first + 1)),
        }
    }
}

/// sPC by another method than plain descent: the work of sPC, and what the method does to every descent of a state.
pub fn spc_by(net: &NetCost, steps: u64, light_cone: bool, carried: Carried) -> RuleCost {
    let mut cost = spc(net, steps, light_cone, false);
    for (l, own, _) in net.hidden() {
        let first = steps - updates(net.depth(), l, steps, light_cone);
        cost.work += carried.work(own.outputs, first, steps);
    }
    cost
}

/// ePC by another method: the same, of every error.
pub fn epc_by(net: &NetCost, steps: u64, carried: Carried) -> RuleCost {
    let mut cost = epc(net, steps);
    for (_, own, _) in net.hidden() {
        cost.work += carried.work(own.outputs, 0, steps);
    }
    cost
}

/// The sum of squares of every descent of a state in T steps of sPC: what a bound on the residual costs where no step is left out.
pub fn residuals_of_states(net: &NetCost, steps: u64, light_cone: bool) -> VerbCost {
    let one = |n: u64| VerbCost::elementwise(2 * n, n);
    let depth = net.depth();
    net.hidden().map(|(l, own, _)| one(own.outputs) * updates(depth, l, steps, light_cone)).sum()
}

/// The same of every error in T steps of ePC.
pub fn residuals_of_errors(net: &NetCost, steps: u64) -> VerbCost {
    net.hidden().map(|(_, own, _)| VerbCost::elementwise(2 * own.outputs, own.outputs) * steps).sum()
}

/// Steps in which a state at distance d from the loss moves, of T steps that each move odd distances and then even ones: all but the
/// first ⌈d/2⌉ − 1.
pub(in crate::theory) fn sweeps(distance: u64, steps: u64) -> u64 {
    (steps + 1).saturating_sub(distance.div_ceil(2))
}

/// The lowest layer with an error after T steps in two colours.
pub(in crate::theory) fn lowest_in_colours(depth: u64, steps: u64) -> u64 {
    depth.saturating_sub(2 * steps).max(1)
}

/// EP: a forward pass and twice the relaxation of sPC in two colours, each with its errors of the losses times ±β; and directions from the
/// cotangents of both, each times 1/(2β): G_l twice and a sum of the parameters' size, but once of layer 1, whose cotangents are added
/// instead.
pub fn ep(net: &NetCost, steps: u64) -> RuleCost {
    let (depth, outputs) = (net.depth(), net.layers.last().map_or(0, |l| l.outputs));
    let nudged = elementwise(outputs, 1, 1) * 2;
    let mut work = net.forward() + net.output_error() + nudged;
    work += colours(net, steps) * 2;
    if depth > 1 {
        work += (net.output_error() * 2 + nudged) * steps;
    }
    for (l, own) in (1..).zip(&net.layers).filter(|(l, _)| *l >= lowest_in_colours(depth, steps)) {
        let n = own.outputs;
        work += match l {
            1 => own.param_grad + elementwise(n, 1, 1) + elementwise(n, 2, 2),
            _ => (own.param_grad + elementwise(n, 1, 1)) * 2 + elementwise(own.parameters, 1, 2),
        };
    }
    let RuleCost { critical_path, .. } = spc_even_odd(net, steps);
    let stepwise = match (depth, steps) {
        (1, _) | (_, 0) => critical_path,
        (2, _) => depth + 4 * steps + 1,
        _ => depth + 6 * steps + 1,
    };
    RuleCost { work, critical_path, stepwise }
}

/// sPC in two colours: c_l = max(0, T + 1 − ⌈(L − l)/2⌉) moves of layer l < L, each at the price of F_{l+1} + V_{l+1}; per move the step,
/// its own error anew, and the error of the layer above, which the move changes as well; and from the second move on the own error
/// subtracted.
pub fn spc_even_odd(net: &NetCost, steps: u64) -> RuleCost {
    let depth = net.depth();
    let mut work = net.forward() + net.output_error() + colours(net, steps);
    if depth > 1 {
        work += net.output_error() * steps;
    }
    work += net.param_grads(lowest_in_colours(depth, steps));
    let (critical_path, stepwise) = match (depth, steps) {
        (1, _) => (2, 2),
        (_, 0) => (depth + 1, depth + 1),
        (2, _) => (depth + 2 * steps + 1, depth + 2 * steps + 1),
        _ => (depth + 2 * steps + 2, depth + 3 * steps + 1),
    };
    RuleCost { work, critical_path, stepwise }
}

/// Relaxation in two colours, the errors of the loss left out.
fn colours(net: &NetCost, steps: u64) -> VerbCost {
    let mut work = VerbCost::default();
    for (l, own, above) in net.hidden() {
        let distance = net.depth() - l;
        let count = sweeps(distance, steps);
        work += (above.forward + above.vjp + elementwise(own.outputs, 2, 2)) * count;
        work += elementwise(own.outputs, 1, 2) * (count + count.saturating_sub(1));
        if l > 1 {
            work += elementwise(own.outputs, 1, 2) * sweeps(distance + 1, steps);
        }
    }
    work
}
