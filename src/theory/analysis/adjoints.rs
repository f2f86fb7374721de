//! The rules that approach backpropagation's adjoints at the forward pass.

use super::least;
use super::statements::{assemble, Description, ADJOINTS, ARRIVAL, NOT_BOUNDED};
use super::times::Times;
use super::Source::{Ours, Paper};
use super::{Analysis, Statement};
use crate::theory::cost::{self, NetCost};

/// Backpropagation: what the others are measured against.
pub fn bp(net: &NetCost) -> Analysis {
    let times = Times::new(net, true);
    let formula = "Σ F_l + Σ_{l≥2} V_l";
    let description = Description {
        rule: "bp",
        gemms: "3L − 1",
        gemm_flops: "Σ F_l + Σ_{l≥2} V_l + Σ G_l",
        critical_path: "2L",
        stepwise: "2L",
        inference: (formula, "BP", Paper),
        layer_parallel: (formula, "BP", Paper),
        because: ADJOINTS,
        equals_bp: "always",
        statements: &[Statement {
            text: "every product of inference waits for the one before: a processor per layer does not help one batch",
            source: Ours,
        }],
    };
    assemble(net, 1, cost::bp, |n| least::adjoints(n, u64::MAX), times.forwards() + times.vjps(), description)
}

/// FPA, T steps.
pub fn fpa(net: &NetCost, steps: u64, light_cone: bool) -> Analysis {
    let times = Times::new(net, true);
    let parallel = times.forwards() + times.steps(steps, light_cone, |l| times.vjp(l));
    let description = Description {
        rule: "fpa",
        gemms: if light_cone {
            "2L + Σ_{l<L} max(0, T − (L−1−l)), less L − 1 − T where T < L − 1"
        } else {
            "2L + T(L − 1)"
        },
        gemm_flops: if light_cone {
            "Σ F_l + Σ_{l<L} max(0, T − (L−1−l)) V_{l+1} + Σ_{l≥L−T} G_l"
        } else {
            "Σ F_l + T Σ_{l≥2} V_l + Σ G_l"
        },
        critical_path: "L + min(T, L − 1) + 1",
        stepwise: "L + T + 1",
        inference: (
            if light_cone {
                "Σ F_l + Σ_{l<L} max(0, T − (L−1−l)) V_{l+1}"
            } else {
                "Σ F_l + T Σ_{l≥2} V_l"
            },
            "O(T)·BP, O(L)·BP at T = L",
            Ours,
        ),
        layer_parallel: (
            if light_cone { "Σ F_l + Σ_t max_{l≥max(2,L−t)} V_l" } else { "Σ F_l + T max_{l≥2} V_l" },
            "≥ BP at T ≥ L; O(1 + T/L)·BP, about BP at T = L for equal layers",
            // the paper lets every step wait for the slowest layer of all
            if light_cone { Ours } else { Paper },
        ),
        because: "predictions and Jacobians stay at the forward pass, so each error is a multiple of BP's adjoint: those of the layers \
                  reached, once",
        equals_bp: "step 1 and T ≥ L − 1, or T → ∞ with a step in (0, 2)",
        statements: &[
            ARRIVAL,
            Statement {
                text: "at least BP at convergence even with a processor per layer: each of the t_c ≥ L steps lasts \
                       as long as the slowest layer's VJP, which BP pays for once",
                source: Paper,
            },
            Statement {
                text: "every error is BP's times P[Binomial(T, step) ≥ L − l], so iterating buys nothing but \
                       locality; with the light cone early steps do not wait for slow lower layers",
                source: Ours,
            },
        ],
    };
    assemble(
        net,
        1,
        |n| cost::fpa(n, steps, light_cone),
        |n| least::adjoints(n, steps),
        parallel,
        description,
    )
}

/// FPA, layer after layer, T steps each.
pub fn fpa_nested(net: &NetCost, steps: u64) -> Analysis {
    let times = Times::new(net, true);
    let description = Description {
        rule: "fpa-nested",
        gemms: "2L + T(L − 1)",
        gemm_flops: "Σ F_l + T Σ_{l≥2} V_l + Σ G_l",
        critical_path: "2L",
        stepwise: "L + T(L − 1) + 1",
        inference: ("Σ F_l + T Σ_{l≥2} V_l", "O(T)·BP", Ours),
        layer_parallel: ("Σ F_l + T Σ_{l≥2} V_l", "O(T)·BP: one layer works at a time", Ours),
        because: "predictions and Jacobians stay at the forward pass, so each error is a multiple of BP's adjoint: those of the layers \
                  reached, once",
        equals_bp: "step 1 and T ≥ 1, or T → ∞ with a step in (0, 2)",
        statements: &[Statement {
            text: "every error is BP's times (1 − (1 − step)^T)^(L − l), so iterating buys nothing but locality, and a layer's T \
                   products are one product T times",
            source: Ours,
        }],
    };
    assemble(
        net,
        1,
        |n| cost::fpa_nested(n, steps),
        |n| least::adjoints(n, if steps > 0 { u64::MAX } else { 0 }),
        times.forwards() + steps * times.vjps(),
        description,
    )
}

/// Z-IL, frontier only.
pub fn zil(net: &NetCost) -> Analysis {
    let times = Times::new(net, true);
    let formula = "Σ F_l + Σ_{l≥2} V_l";
    let description = Description {
        rule: "zil",
        gemms: "3L − 1",
        gemm_flops: "Σ F_l + Σ_{l≥2} V_l + Σ G_l",
        critical_path: "2L",
        stepwise: "2L",
        inference: (formula, "BP", Ours),
        layer_parallel: (formula, "BP", Ours),
        because: ADJOINTS,
        equals_bp: "always",
        statements: &[Statement {
            text: "updating only the layer about to be read is backpropagation, product by product",
            source: Ours,
        }],
    };
    assemble(
        net,
        1,
        cost::zil,
        |n| least::adjoints(n, u64::MAX),
        times.forwards() + times.vjps(),
        description,
    )
}

/// Z-IL, all nodes: L − 1 steps of sPC.
pub fn zil_all(net: &NetCost, light_cone: bool) -> Analysis {
    let times = Times::new(net, true);
    let steps = times.depth() as u64 - 1;
    let parallel = times.forwards() + times.steps(steps, light_cone, |l| times.vjp(l) + times.forward(l));
    let description = Description {
        rule: "zil-all",
        gemms: if light_cone { "2L + L(L − 1)" } else { "2L + 2(L − 1)²" },
        gemm_flops: if light_cone {
            "Σ F_l + Σ_{l<L} l (F_{l+1} + V_{l+1}) + Σ G_l"
        } else {
            "Σ F_l + (L − 1) Σ_{l≥2} (F_l + V_l) + Σ G_l"
        },
        critical_path: "max(2, 3L − 2)",
        stepwise: "3L − 1",
        inference: (
            if light_cone {
                "Σ F_l + Σ_{l<L} l (F_{l+1} + V_{l+1})"
            } else {
                "Σ F_l + (L − 1) Σ_{l≥2} (F_l + V_l)"
            },
            "O(L)·BP",
            Ours,
        ),
        layer_parallel: (
            if light_cone {
                "Σ F_l + Σ_{t<L−1} max_{l≥L−t} (V_l + F_l)"
            } else {
                "Σ F_l + (L − 1) max_{l≥2} (V_l + F_l)"
            },
            "≥ BP; 3/2·BP for large L and equal layers",
            Ours,
        ),
        because:
            "what each layer learns from is BP's adjoint; what other nodes do meanwhile reaches no direction",
        equals_bp: "always",
        statements: &[
            ARRIVAL,
            Statement {
                text: "at least BP even with a processor per layer, by the argument for FPA",
                source: Paper,
            },
        ],
    };
    assemble(
        net,
        1,
        |n| cost::zil_all(n, light_cone),
        |n| least::adjoints(n, u64::MAX),
        parallel,
        description,
    )
}

/// AR, T sweeps.
pub fn ar(net: &NetCost, steps: u64, top_down: bool, derivatives: bool) -> Analysis {
    let times = Times::new(net, derivatives);
    let sweep = if top_down { times.vjps() } else { times.steps(1, false, |l| times.vjp(l)) };
    let description = Description {
        rule: if top_down { "ar-topdown" } else { "ar" },
        gemms: "2L + T(L − 1)",
        gemm_flops: "Σ F_l + T Σ_{l≥2} V_l + Σ G_l",
        critical_path: if top_down { "2L" } else { "L + min(T, L − 1) + 1" },
        stepwise: if top_down { "L + T(L − 1) + 1" } else { "L + T + 1" },
        inference: ("Σ F_l + T Σ_{l≥2} V_l", if top_down { "O(T)·BP, BP at T = 1" } else { "O(T)·BP" }, Ours),
        layer_parallel: if top_down {
            ("Σ F_l + T Σ_{l≥2} V_l", "O(T)·BP, BP at T = 1", Ours)
        } else {
            ("Σ F_l + T max_{l≥2} V_l", "O(1 + T/L)·BP, ≥ BP at T ≥ L − 1", Ours)
        },
        because: "Jacobians stay at the forward pass, so sweeps combine the same products; each layer's is needed at least once",
        equals_bp: if top_down {
            "step 1 and T = 1, or T → ∞"
        } else {
            "step 1 and T ≥ L − 1, or T → ∞"
        },
        statements: &[
            NOT_BOUNDED,
            Statement {
                text: "simultaneous sweeps obey FPA's binomial law, plus C(T,k) step^k (1 − step)^(T−k) of the \
                       activation k layers up, carried down: nothing starts at zero, so there is no light cone",
                source: Ours,
            },
        ],
    };
    let parallel = times.forwards() + steps * sweep;
    let needed = |n: &NetCost| least::relaxed_activations(n, steps, derivatives);
    assemble(net, 1, |n| cost::ar(n, steps, top_down, derivatives), needed, parallel, description)
}
