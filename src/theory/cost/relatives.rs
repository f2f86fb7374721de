//! Costs of the rules between backpropagation and predictive coding.

use super::{elementwise, lowest_with_error, relaxation, spc, updates, NetCost, RuleCost};
use crate::net::VerbCost;

/// FPA: layer l < L is updated c_l times as under sPC, each at the price of V_{l+1}; nothing is predicted
/// anew. With T = L and equal layers the light cone leaves Σ c_l = (L − 1)(L + 2)/2 products of T(L − 1).
pub fn fpa(net: &NetCost, steps: u64, light_cone: bool) -> RuleCost {
    let depth = net.depth();
    let mut work = net.forward() + net.output_error();
    for (l, own, above) in net.hidden() {
        let count = updates(depth, l, steps, light_cone);
        work += above.vjp * count + relaxation(own.outputs, count, light_cone);
    }
    work += net.param_grads(lowest_with_error(depth, steps, light_cone));
    RuleCost {
        work,
        critical_path: depth + steps.min(depth - 1) + 1,
        stepwise: if depth > 1 { depth + steps + 1 } else { 2 },
    }
}

/// FPA, layer after layer: each layer l < L, from the top, T times at the price of V_{l+1}; a layer's T products do not
/// depend on each other.
pub fn fpa_nested(net: &NetCost, steps: u64) -> RuleCost {
    let depth = net.depth();
    let mut work = net.forward() + net.output_error();
    for (_, own, above) in net.hidden() {
        work += above.vjp * steps + relaxation(own.outputs, steps, true);
    }
    let moved = steps > 0 && depth > 1;
    work += net.param_grads(if moved { 1 } else { depth });
    RuleCost {
        work,
        critical_path: if moved { 2 * depth } else { depth + 1 },
        stepwise: depth + steps * (depth - 1) + 1,
    }
}

/// Z-IL, frontier only: ΣF_l + Σ_{l≥2} V_l + ΣG_l, backpropagation's products, and 3 n_l element-wise
/// operations per hidden layer to move its state and read the error off it.
pub fn zil(net: &NetCost) -> RuleCost {
    let depth = net.depth();
    let mut work = net.forward() + net.output_error() + net.param_grads(1);
    for (_, own, above) in net.hidden() {
        work += above.vjp + elementwise(own.outputs, 2, 2) + elementwise(own.outputs, 1, 2);
    }
    RuleCost { work, critical_path: 2 * depth, stepwise: 2 * depth }
}

/// Z-IL, all nodes: sPC with T = L − 1, each parameter gradient taken on the way instead of at the end.
pub fn zil_all(net: &NetCost, light_cone: bool) -> RuleCost {
    let depth = net.depth();
    let RuleCost { work, .. } = spc(net, depth - 1, light_cone, false);
    RuleCost { work, critical_path: (3 * depth - 2).max(2), stepwise: 3 * depth - 1 }
}

/// SeqIL: T sweeps of Σ_{l≥2} (F_l + V_l); element-wise v + g·d, the own error subtracted from the second
/// sweep on, one error per hidden layer at the end of a sweep and, above layer 1, one more within it.
/// `mixing` scales every output error.
pub fn seqil(net: &NetCost, steps: u64, mixing: bool) -> RuleCost {
    let depth = net.depth();
    let outputs = net.layers.last().map_or(0, |l| l.outputs);
    let output_error = net.output_error() + elementwise(outputs, 1, 1) * u64::from(mixing);
    let mut work = net.forward() + output_error;
    for (l, own, above) in net.hidden() {
        let n = own.outputs;
        work += (above.forward + above.vjp + elementwise(n, 2, 2) + elementwise(n, 1, 2)) * steps;
        work += elementwise(n, 1, 2) * (steps.saturating_sub(1) + if l > 1 { steps } else { 0 });
    }
    if depth > 1 {
        work += output_error * steps;
    }
    work += net.param_grads(if steps > 0 { 1 } else { depth });
    let (critical_path, stepwise) = match (depth, steps) {
        (1, _) => (2, 2),
        (_, 0) => (depth + 1, depth + 1),
        _ => (2 * depth + 2 * steps - 1, depth + steps * depth + 1),
    };
    RuleCost { work, critical_path, stepwise }
}

/// iPC: in each of T updates every layer with an error has its parameters moved (G_l and two operations per
/// parameter) and every layer with an error of its own or above it its state (V_{l+1}); between updates, and
/// after the last one if that point is evaluated, the layers whose input or parameters moved predict anew.
///
/// Under the light cone layer l has an error in max(0, T − (L − l)) of the updates. For T ≥ L that leaves
/// T(3L − 1) − L(L − 1) − (L − 1)(L − 2)/2 products (the last point not evaluated).
pub fn ipc(net: &NetCost, steps: u64, light_cone: bool, evaluate: bool) -> RuleCost {
    let depth = net.depth();
    let refreshes = if evaluate { steps } else { steps.saturating_sub(1) };
    // of `count` moments t = 0, 1, … those at which layer l has an error
    let with_error = |l: u64, count: u64| if light_cone { count.saturating_sub(depth - l) } else { count };
    let mut work = net.forward() + net.output_error() * (1 + refreshes);
    for (layer, l) in net.layers.iter().zip(1..) {
        work += (layer.param_grad + elementwise(layer.parameters, 2, 2)) * with_error(l, steps);
        work += layer.forward * with_error(l, refreshes);
    }
    for (l, own, above) in net.hidden() {
        let n = own.outputs;
        let initial = u64::from(!light_cone);
        work += (above.vjp + elementwise(n, 2, 2)) * updates(depth, l, steps, light_cone);
        work += elementwise(n, 1, 2) * with_error(l, steps);
        work += elementwise(n, 1, 2) * (updates(depth, l, refreshes, light_cone) + initial);
    }
    let critical_path = if steps == 0 { depth } else { depth + steps + refreshes };
    RuleCost { work, critical_path, stepwise: critical_path }
}

/// AR: T sweeps of Σ_{l≥2} V_l (without derivatives the cheaper product alone), 3 n_l element-wise
/// operations per hidden layer and sweep, and n_l for the sign of the start.
pub fn ar(net: &NetCost, steps: u64, top_down: bool, derivatives: bool) -> RuleCost {
    let depth = net.depth();
    let mut work = net.forward() + net.output_error() + net.param_grads(1);
    for (_, own, above) in net.hidden() {
        let n = own.outputs;
        let carried: VerbCost = if derivatives { above.vjp } else { above.vjp_linear };
        work += (carried + elementwise(n, 1, 2) + elementwise(n, 2, 2)) * steps + elementwise(n, 1, 1);
    }
    let (critical_path, stepwise) = match (depth, steps, top_down) {
        (1, _, _) => (2, 2),
        (_, 0, _) => (depth + 1, depth + 1),
        (_, _, true) => (2 * depth, depth + steps * (depth - 1) + 1),
        (_, _, false) => (depth + steps.min(depth - 1) + 1, depth + steps + 1),
    };
    RuleCost { work, critical_path, stepwise }
}
