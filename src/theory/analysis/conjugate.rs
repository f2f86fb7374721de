//! The rules that descend the energy by conjugate gradients.

use super::least;
use super::statements::{assemble, Description, ARRIVAL, NOT_BOUNDED};
use super::times::Times;
use super::Source::Ours;
use super::{Analysis, Statement};
use crate::theory::cost::{self, NetCost};

/// Why nothing can do with fewer.
const BECAUSE: &str =
    "every step linearises every layer at new states, and the length of a step hangs on all of its products";

const ENDS: Statement = Statement {
    text: "on a linear network under a squared error the minimum is reached in as many steps as a sample's quadratic has different \
           eigenvalues",
    source: Ours,
};

/// sPC, T steps: three phases each, because inner products over all layers stand between them. The first direction of a layer is its
/// descent, so its first tangent waits for no other layer.
pub fn spc_conjugate(net: &NetCost, steps: u64, light_cone: bool) -> Analysis {
    let times = Times::new(net, true);
    let (depth, later) = (times.depth(), times.depth().saturating_sub(1) as u64);
    let step = |t: u64| {
        let lowest = if light_cone { depth.saturating_sub(t as usize).max(2) } else { 2 };
        let first = |l: usize| if light_cone { l as u64 + t == depth as u64 } else { t == 0 };
        let slowest = |time: &dyn Fn(usize) -> u64| (lowest..=depth).map(time).max().unwrap_or(0);
        let others = slowest(&|l| if first(l) { 0 } else { times.forward(l) });
        let alone = slowest(&|l| if first(l) { times.vjp(l) + times.forward(l) } else { 0 });
        (slowest(&|l| times.vjp(l)) + others).max(alone) + slowest(&|l| times.forward(l))
    };
    let growing: u64 = (0..steps.min(later)).map(step).sum();
    let parallel = times.forwards() + growing + steps.saturating_sub(later) * step(later);
    let description = Description {
        rule: "spc-cg",
        gemms: "2L + 3 Σ_{l<L} max(0, T − (L−1−l)), less L − 1 − T where T < L − 1",
        gemm_flops: "Σ F_l + Σ_{l<L} max(0, T − (L−1−l)) (2F_{l+1} + V_{l+1}) + Σ_{l≥L−T} G_l",
        critical_path: "L + 3T + 1",
        stepwise: "L + 3T + 1",
        inference: (
            "Σ F_l + Σ_{l<L} max(0, T − (L−1−l)) (2F_{l+1} + V_{l+1})",
            "O(T)·BP, O(L)·BP at T = L",
            Ours,
        ),
        layer_parallel: (
            "Σ F_l + Σ_t (max V_l + 2 max F_l) over l ≥ max(2, L−t), first tangents overlapping V_l",
            "O(1 + T/L)·BP, 2·BP at T = L for large L",
            Ours,
        ),
        because: BECAUSE,
        equals_bp: "never at finite output precision",
        statements: &[ARRIVAL, ENDS, NOT_BOUNDED],
    };
    let cost = |n: &NetCost| cost::spc_conjugate(n, steps, light_cone);
    assemble(net, 1, cost, |n| least::conjugate_states(n, steps), parallel, description)
}

/// ePC, T steps: three sweeps each, sequential over depth.
pub fn epc_conjugate(net: &NetCost, steps: u64) -> Analysis {
    let times = Times::new(net, true);
    let sweep: u64 = (2..=times.depth()).map(|l| times.vjp(l) + 2 * times.forward(l)).sum();
    let formula = "Σ F_l + T Σ_{l≥2} (V_l + 2F_l)";
    let description = Description {
        rule: "epc-cg",
        gemms: "2L + 3T(L − 1)",
        gemm_flops: "Σ F_l + T Σ_{l≥2} (2F_l + V_l) + Σ G_l",
        critical_path: "L + 3T(L − 1) + 1",
        stepwise: "L + 3T(L − 1) + 1",
        inference: (formula, "O(T)·BP", Ours),
        layer_parallel: (formula, "O(T)·BP", Ours),
        because: BECAUSE,
        equals_bp: "hidden errors of a sample are a number of its own × BP after T = 1",
        statements: &[
            NOT_BOUNDED,
            ENDS,
            Statement { text: "the error reaches every layer in the first step", source: Ours },
        ],
    };
    let parallel = times.forwards() + steps * sweep;
    let cost = |n: &NetCost| cost::epc_conjugate(n, steps);
    assemble(net, 1, cost, |n| least::conjugate_sweeps(n, steps), parallel, description)
}
