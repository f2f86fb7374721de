//! The rules that descend the energy.

use super::least;
use super::statements::{assemble, Description, ANEW, ARRIVAL, NOT_BOUNDED};
use super::times::Times;
use super::Source::Ours;
use super::{Analysis, Statement};
use crate::theory::cost::{self, Augmented, NetCost};

/// sPC, T steps. Layer-parallel time: Σ F_l + T max_{l≥2} (V_l + F_l), the maximum over the layers inside the
/// light cone only if it is on.
pub fn spc(net: &NetCost, steps: u64, light_cone: bool) -> Analysis {
    simultaneous(net, steps, light_cone, &[ARRIVAL, NOT_BOUNDED])
}

/// sPC whose precisions cancel the step in which an error goes on: its products are those of sPC.
pub fn spc_spike(net: &NetCost, steps: u64, light_cone: bool) -> Analysis {
    const LAW: Statement = Statement {
        text: "the first error of every layer is step × BP's, whatever its distance; sPC's is step^(L − l) × BP's",
        source: Ours,
    };
    simultaneous(net, steps, light_cone, &[ARRIVAL, LAW, NOT_BOUNDED])
}

/// PC-ALM: the products of sPC with as many steps of the states.
pub fn pcalm(net: &NetCost, schedule: Augmented) -> Analysis {
    const LIMIT: Statement = Statement {
        text: "where it comes to rest every error is zero and every multiplier is BP's negative adjoint, whatever the step, the \
               penalty and the rate; whether it does is not said",
        source: Ours,
    };
    let moves = schedule.steps * schedule.inner;
    let analysis = simultaneous(net, moves, true, &[ARRIVAL, LIMIT, NOT_BOUNDED]);
    Analysis { moved: cost::pcalm(net, schedule).work.moved, equals_bp: "at rest", ..analysis }
}

fn simultaneous(net: &NetCost, steps: u64, light_cone: bool, statements: &'static [Statement]) -> Analysis {
    let times = Times::new(net, true);
    let parallel = times.forwards() + times.steps(steps, light_cone, |l| times.vjp(l) + times.forward(l));
    let description = Description {
        rule: "spc",
        gemms: if light_cone {
            "2L + 2 Σ_{l<L} max(0, T − (L−1−l)), less L − 1 − T where T < L − 1"
        } else {
            "2L + 2T(L − 1)"
        },
        gemm_flops: if light_cone {
            "Σ F_l + Σ_{l<L} max(0, T − (L−1−l)) (F_{l+1} + V_{l+1}) + Σ_{l≥L−T} G_l"
        } else {
            "Σ F_l + T Σ_{l≥2} (F_l + V_l) + Σ G_l"
        },
        critical_path: "L + 2T + 1",
        stepwise: "L + 2T + 1",
        inference: (
            if light_cone {
                "Σ F_l + Σ_{l<L} max(0, T − (L−1−l)) (F_{l+1} + V_{l+1})"
            } else {
                "Σ F_l + T Σ_{l≥2} (F_l + V_l)"
            },
            "O(T)·BP, O(L)·BP at T = L",
            Ours,
        ),
        layer_parallel: (
            if light_cone {
                "Σ F_l + Σ_t max_{l≥max(2,L−t)} (V_l + F_l)"
            } else {
                "Σ F_l + T max_{l≥2} (V_l + F_l)"
            },
            "O(1 + T/L)·BP, 3/2·BP at T = L for large L",
            Ours,
        ),
        because: ANEW,
        equals_bp: "never at finite output precision",
        statements,
    };
    assemble(
        net,
        1,
        |n| cost::spc(n, steps, light_cone, false),
        |n| least::states(n, steps),
        parallel,
        description,
    )
}

/// ePC, T steps: sequential over depth, so a processor per layer does not help.
pub fn epc(net: &NetCost, steps: u64) -> Analysis {
    let times = Times::new(net, true);
    let sweep: u64 = (2..=times.depth()).map(|l| times.vjp(l) + times.forward(l)).sum();
    let formula = "Σ F_l + T Σ_{l≥2} (V_l + F_l)";
    let description = Description {
        rule: "epc",
        gemms: "2L + 2T(L − 1)",
        gemm_flops: "Σ F_l + T Σ_{l≥2} (F_l + V_l) + Σ G_l",
        critical_path: "L + 2T(L − 1) + 1",
        stepwise: "L + 2T(L − 1) + 1",
        inference: (formula, "O(T)·BP", Ours),
        layer_parallel: (formula, "O(T)·BP", Ours),
        because: ANEW,
        equals_bp: "hidden errors are step × BP after T = 1; equal in direction as step · T → 0",
        statements: &[
            NOT_BOUNDED,
            Statement { text: "the error reaches every layer in the first step", source: Ours },
        ],
    };
    let parallel = times.forwards() + steps * sweep;
    assemble(net, 1, |n| cost::epc(n, steps), |n| least::sweeps(n, steps), parallel, description)
}

/// SeqIL, T sweeps: Σ F_l + T max_{m≥2} (F_m + Σ_{k≥m} V_k) layer-parallel, because layer m can predict anew
/// as soon as the sweep has passed it.
pub fn seqil(net: &NetCost, steps: u64, mixing: bool) -> Analysis {
    let times = Times::new(net, true);
    let mut passed = 0;
    let mut sweep = 0;
    for l in (2..=times.depth()).rev() {
        passed += times.vjp(l);
        sweep = sweep.max(passed + times.forward(l));
    }
    let description = Description {
        rule: "seqil",
        gemms: "2L + 2T(L − 1)",
        gemm_flops: "Σ F_l + T Σ_{l≥2} (F_l + V_l) + Σ G_l",
        critical_path: "2L + 2T − 1",
        stepwise: "L + TL + 1",
        inference: ("Σ F_l + T Σ_{l≥2} (F_l + V_l)", "O(T)·BP", Ours),
        layer_parallel: ("Σ F_l + T max_{m≥2} (F_m + Σ_{k≥m} V_k)", "O(T)·BP; about (1 + T)/2·BP", Ours),
        because: ANEW,
        equals_bp: "never at a finite step and output precision",
        statements: &[
            NOT_BOUNDED,
            Statement {
                text:
                    "the error reaches every layer in the first sweep; sweeps that overlap need a depth of \
                       2L + 2T − 1 products only",
                source: Ours,
            },
        ],
    };
    let parallel = times.forwards() + steps * sweep;
    assemble(net, 1, |n| cost::seqil(n, steps, mixing), |n| least::sweeps(n, steps), parallel, description)
}

/// iPC, T steps, T weight updates.
pub fn ipc(net: &NetCost, steps: u64, light_cone: bool, evaluate: bool) -> Analysis {
    let times = Times::new(net, true);
    let refreshes = if evaluate { steps } else { steps.saturating_sub(1) };
    let depth = times.depth() as u64;
    // layer 1 predicts anew, too, once its own parameters have moved
    let first = if light_cone { refreshes.saturating_sub(depth - 1) } else { refreshes };
    let both = |l: usize| times.vjp(l) + times.forward(l);
    let slowest = (2..=times.depth()).map(both).max().unwrap_or(0);
    let mut parallel = times.forwards() + times.steps(refreshes, light_cone, both);
    parallel += first * times.forward(1).saturating_sub(slowest);
    if refreshes < steps {
        let vjps = |count| times.steps(count, light_cone, |l| times.vjp(l));
        parallel += vjps(steps) - vjps(refreshes);
    }
    let description = Description {
        rule: "ipc",
        gemms: match (light_cone, evaluate) {
            (false, false) => "T(3L − 1)",
            (false, true) => "T(3L − 1) + L",
            (true, false) => "T(3L − 1) − (L − 1)(3L − 2)/2 at T ≥ L",
            (true, true) => "T(3L − 1) + L − (L − 1)(3L − 2)/2 at T ≥ L",
        },
        gemm_flops: match (light_cone, evaluate) {
            (false, false) => "T (Σ F_l + Σ_{l≥2} V_l + Σ G_l)",
            (false, true) => "T (Σ F_l + Σ_{l≥2} V_l + Σ G_l) + Σ F_l",
            (true, false) => "Σ F_l + Σ_l max(0, T − (L−l)) (V_{l≥2} + G_l) + Σ_l max(0, T − 1 − (L−l)) F_l",
            (true, true) => "Σ F_l + Σ_l max(0, T − (L−l)) (F_l + V_{l≥2} + G_l)",
        },
        critical_path: if evaluate { "L + 2T" } else { "L + 2T − 1" },
        stepwise: if evaluate { "L + 2T" } else { "L + 2T − 1" },
        inference: (
            match (light_cone, evaluate) {
                (false, false) => "T (Σ F_l + Σ_{l≥2} V_l)",
                (false, true) => "T (Σ F_l + Σ_{l≥2} V_l) + Σ F_l",
                (true, false) => "Σ F_l + Σ_{l≥2} max(0, T − (L−l)) V_l + Σ_l max(0, T − 1 − (L−l)) F_l",
                (true, true) => "Σ F_l + Σ_l max(0, T − (L−l)) (F_l + V_{l≥2})",
            },
            "O(1)·BP per weight update",
            Ours,
        ),
        layer_parallel: (
            match (light_cone, evaluate) {
                (false, false) => "Σ F_l + (T − 1) max_l (V_{l≥2} + F_l) + max_{l≥2} V_l",
                (false, true) => "Σ F_l + T max_l (V_{l≥2} + F_l)",
                (true, false) => "Σ F_l + Σ_{t<T−1} max_{l≥L−t} (V_{l≥2} + F_l) + max_{l≥max(2,L−T+1)} V_l",
                (true, true) => "Σ F_l + Σ_{t<T} max_{l≥L−t} (V_{l≥2} + F_l)",
            },
            "O(1/T + 1/L)·BP per weight update",
            Ours,
        ),
        because: "as for sPC; only the last move of the states reaches no parameter",
        equals_bp: "never: its T small updates are taken at T different points",
        statements: &[
            NOT_BOUNDED,
            Statement {
                text: "2 sequential products per weight update at any depth; but from a new batch layer l learns \
                       nothing in the first L − l of them",
                source: Ours,
            },
        ],
    };
    let needed = |n: &NetCost| least::states_and_parameters(n, steps);
    assemble(net, steps.max(1), |n| cost::ipc(n, steps, light_cone, evaluate), needed, parallel, description)
}
