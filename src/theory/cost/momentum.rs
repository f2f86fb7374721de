//! The cost of momentum in inference.

use super::{elementwise, epc, spc, updates, NetCost, RuleCost};

/// sPC with momentum: the work of sPC, and β u + descent in every update of a state but its first, which finds u = 0.
pub fn spc_momentum(net: &NetCost, steps: u64, light_cone: bool) -> RuleCost {
    let mut cost = spc(net, steps, light_cone, false);
    for (l, own, _) in net.hidden() {
        let count = updates(net.depth(), l, steps, light_cone);
        cost.work += elementwise(own.outputs, 2, 2) * count.saturating_sub(1);
    }
    cost
}

/// ePC with momentum: the same, of every error.
pub fn epc_momentum(net: &NetCost, steps: u64) -> RuleCost {
    let mut cost = epc(net, steps);
    for (_, own, _) in net.hidden() {
        cost.work += elementwise(own.outputs, 2, 2) * steps.saturating_sub(1);
    }
    cost
}
