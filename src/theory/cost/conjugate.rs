//! The cost of inference by conjugate gradients.
//!
//! Numbers per sample (inner products, α, β) are not counted; what is read and written to make them and to multiply by them is.

use super::{elementwise, epc, spc, updates, NetCost, RuleCost};
use crate::net::VerbCost;

/// An inner product of every sample: two tensors of n elements are read.
fn dot(n: u64) -> VerbCost {
    VerbCost::elementwise(2 * n, 2 * n)
}

/// What a hidden layer of n elements costs besides in the steps from `first` to the last of `steps`: r·r and the square of what its error
/// changes by; after its own first step r·r' with the last r', and p = r + βp; after step 0 r·p.
fn layer(n: u64, first: u64, steps: u64) -> VerbCost {
    let from = |step: u64| steps.saturating_sub(step.max(first));
    let direction = elementwise(n, 1, 1) + elementwise(n, 1, 2);
    dot(n) * (2 * from(0)) + (dot(n) + direction) * from(first + 1) + dot(n) * from(1)
}

/// The product with the second derivative of the loss and its inner product, per step.
fn judged(net: &NetCost) -> VerbCost {
    let outputs = net.layers.last().map_or(0, |l| l.outputs);
    elementwise(outputs, net.loss_curvature_ops, 2) + dot(outputs)
}

/// sPC by conjugate gradients: in every step of a layer that sPC moves also the tangent F_{l+1}; what it changes the error by, where the
/// layer below moves; and αp is written before it is added.
pub fn spc_conjugate(net: &NetCost, steps: u64, light_cone: bool) -> RuleCost {
    let depth = net.depth();
    let mut cost = spc(net, steps, light_cone, false);
    let count = |l: u64| updates(depth, l, steps, light_cone);
    for (l, own, above) in net.hidden() {
        let n = own.outputs;
        cost.work +=
            layer(n, steps - count(l), steps) + (above.forward + VerbCost::elementwise(0, 2 * n)) * count(l);
        if l > 1 {
            cost.work += elementwise(n, 1, 2) * count(l - 1);
        }
    }
    if depth > 1 {
        cost.work += judged(net) * steps;
        cost.critical_path = depth + 3 * steps + 1;
        cost.stepwise = cost.critical_path;
    }
    cost
}

/// ePC by conjugate gradients: in every step also a sweep of tangents Σ_{l≥2} F_l; αp is written before it is added, from the second step
/// on, because the first adds it to nothing.
pub fn epc_conjugate(net: &NetCost, steps: u64) -> RuleCost {
    let depth = net.depth();
    let mut cost = epc(net, steps);
    for (l, own, above) in net.hidden() {
        let n = own.outputs;
        cost.work += layer(n, 0, steps) + above.forward * steps;
        cost.work += VerbCost::elementwise(0, 2 * n) * steps.saturating_sub(1);
        if l > 1 {
            cost.work += elementwise(n, 1, 2) * steps;
        }
    }
    if depth > 1 {
        cost.work += judged(net) * steps;
        cost.critical_path = depth + 3 * steps * (depth - 1) + 1;
        cost.stepwise = cost.critical_path;
    }
    cost
}
