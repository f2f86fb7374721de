//! The cost of augmented-Lagrangian predictive coding.

use super::{elementwise, spc, NetCost, RuleCost};

/// What the work of PC-ALM depends on besides the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Augmented {
    /// T, updates of the multipliers.
    pub steps: u64,
    /// Steps of the states per update of the multipliers.
    pub inner: u64,
    /// Whether the last update of the multipliers is made.
    pub post: bool,
    /// Whether errors are multiplied by a penalty other than 1.
    pub penalised: bool,
    /// Whether errors are multiplied by a rate other than 1 on their way into the multipliers.
    pub rated: bool,
}

/// PC-ALM: the work of sPC with T times `inner` steps under the light cone, and per layer l < L the multipliers: an addition per update
/// but for the first, which finds them zero, and an addition per step, and at the end, to every error that has one.
pub fn pcalm(net: &NetCost, schedule: Augmented) -> RuleCost {
    let Augmented { steps, inner, post, penalised, rated } = schedule;
    let (depth, moves) = (net.depth(), steps * inner);
    let mut cost = spc(net, moves, true, false);
    for (l, own, _) in net.hidden() {
        let (n, distance) = (own.outputs, depth - l);
        if moves < distance {
            // no error has come so far
            continue;
        }
        // the error is there after move `distance`, in the update of the multipliers after it
        let first = (distance - 1) / inner;
        let updates = steps - first - u64::from(!post);
        let plain = (moves.min((first + 1) * inner) - distance) + u64::from(updates == 0);
        let shifted = moves.saturating_sub((first + 1) * inner) + u64::from(updates > 0);
        let (scaled, added, scaled_and_added) =
            (elementwise(n, 1, 1), elementwise(n, 1, 2), elementwise(n, 2, 2));
        cost.work += if penalised { scaled * plain + scaled_and_added * shifted } else { added * shifted };
        cost.work += scaled * u64::from(rated && updates > 0);
        cost.work += (if rated { scaled_and_added } else { added }) * updates.saturating_sub(1);
    }
    cost
}
