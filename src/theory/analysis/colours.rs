//! Rules whose states move in two colours.

use super::least;
use super::statements::{assemble, Description, ANEW, NOT_BOUNDED};
use super::times::Times;
use super::Source::Ours;
use super::{Analysis, Statement};
use crate::theory::cost::{self, NetCost};

/// sPC, T steps in two colours. Layer-parallel time: Σ F_l + Σ_t of the longest chain of products within step t.
pub fn spc_even_odd(net: &NetCost, steps: u64) -> Analysis {
    const ARRIVAL: Statement = Statement {
        text: "from a feed-forward start ε_l is first different from zero after ⌈(L − l)/2⌉ steps, L − l halves of a step: as many as \
               the steps of all states at once that the paper states",
        source: Ours,
    };
    let times = Times::new(net, true);
    let parallel = times.forwards() + (0..steps).map(|t| step(&times, t)).sum::<u64>();
    let description = Description {
        rule: "spc-evenodd",
        gemms: "2L + 2 Σ_{l<L} max(0, T + 1 − ⌈(L−l)/2⌉), less L − 1 − 2T where 2T < L − 1",
        gemm_flops: "Σ F_l + Σ_{l<L} max(0, T + 1 − ⌈(L−l)/2⌉) (F_{l+1} + V_{l+1}) + Σ_{l≥L−2T} G_l",
        critical_path: "L + 2T + 2",
        stepwise: "L + 3T + 1",
        inference: (
            "Σ F_l + Σ_{l<L} max(0, T + 1 − ⌈(L−l)/2⌉) (F_{l+1} + V_{l+1})",
            "O(T)·BP, about L/4·BP at T = L/2",
            Ours,
        ),
        layer_parallel: (
            "Σ F_l + Σ_t max_{l moved second} (max(V_{l+2} + V_{l+1}, V_l + F_l) + F_{l+1})",
            "O(1 + T/L)·BP",
            Ours,
        ),
        because: ANEW,
        equals_bp: "never at finite output precision",
        statements: &[ARRIVAL, NOT_BOUNDED],
    };
    assemble(net, 1, |n| cost::spc_even_odd(n, steps), |n| least::colours(n, steps), parallel, description)
}

/// EP, two phases of T steps in two colours, one after the other.
pub fn ep(net: &NetCost, steps: u64) -> Analysis {
    const LIMIT: Statement = Statement {
        text: "at rest the directions are BP's but for O(β²); before rest they say nothing of layers that ⌈(L − l)/2⌉ steps have not reached",
        source: Ours,
    };
    let times = Times::new(net, true);
    let parallel = times.forwards() + 2 * (0..steps).map(|t| step(&times, t)).sum::<u64>();
    let description = Description {
        rule: "ep",
        gemms: "3L − 1 + 4 Σ_{l<L} max(0, T + 1 − ⌈(L−l)/2⌉) where 2T ≥ L − 1",
        gemm_flops: "Σ F_l + 2 Σ_{l<L} max(0, T + 1 − ⌈(L−l)/2⌉) (F_{l+1} + V_{l+1}) + 2 Σ_{l≥max(2,L−2T)} G_l + G_1 where 2T ≥ L − 1",
        critical_path: "L + 2T + 2",
        stepwise: "L + 6T + 1",
        inference: (
            "Σ F_l + 2 Σ_{l<L} max(0, T + 1 − ⌈(L−l)/2⌉) (F_{l+1} + V_{l+1})",
            "O(T)·BP, about L/2·BP at T = L/2",
            Ours,
        ),
        layer_parallel: (
            "Σ F_l + 2 Σ_t max_{l moved second} (max(V_{l+2} + V_{l+1}, V_l + F_l) + F_{l+1})",
            "O(1 + T/L)·BP",
            Ours,
        ),
        because: "as for sPC; the two phases share what they multiply at the forward pass by cotangents that differ in sign only",
        equals_bp: "at rest, as β → 0",
        statements: &[LIMIT, NOT_BOUNDED],
    };
    assemble(net, 1, |n| cost::ep(n, steps), |n| least::phases(n, steps), parallel, description)
}

/// The longest chain of products within step t, from 0. The state of layer l at an odd distance from the loss waits for V_{l+1}. One at
/// an even distance waits for V_{l+1} at the new error of layer l + 1, that is for V_{l+2} before it, and for its own error, that is
/// for V_l and F_l if the layer below has moved in this step. F_{l+1} follows either.
fn step(times: &Times, t: u64) -> u64 {
    let depth = times.depth();
    let moved = |distance: usize| distance < depth && cost::sweeps(distance as u64, t + 1) > 0;
    let chain = |distance: usize| {
        let l = depth - distance;
        if distance % 2 == 1 {
            return times.vjp(l + 1) + times.forward(l + 1);
        }
        let above = times.vjp(l + 2) + times.vjp(l + 1);
        let own = if moved(distance + 1) { times.vjp(l) + times.forward(l) } else { 0 };
        above.max(own) + times.forward(l + 1)
    };
    (1..depth).filter(|&d| moved(d)).map(chain).max().unwrap_or(0)
}
