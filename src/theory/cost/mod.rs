//! Closed formulas for the work of a rule on a network, per weight update.
//!
//! Every formula here is equal, exactly, to what the counting engine counts when it executes the rule's
//! schedule; a property test over random networks holds the two together. Notation: L layers, T inference
//! steps, F_l, V_l and G_l the costs of forward, vjp and param_grad of layer l, n_l = B times the units of
//! layer l. GEMM counts for chains of dense layers:
//!
//! | rule | GEMMs | GEMMs, light cone | critical path | step by step |
//! | --- | --- | --- | --- | --- |
//! | BP | 3L − 1 | | 2L | 2L |
//! | sPC | 2L + 2T(L − 1) | 2L + (L − 1)(L + 2) at T = L | L + 2T + 1 | L + 2T + 1 |
//! | sPC, even/odd | | 2L + (L² + 2L − 4)/2 at T = L/2, L even | L + 2T + 2 for L ≥ 3 | L + 3T + 1 for L ≥ 3 |
//! | ePC | 2L + 2T(L − 1) | | L + 2T(L − 1) + 1 | L + 2T(L − 1) + 1 |
//! | sPC, conjugate gradients | 2L + 3T(L − 1) | 2L + 3(L − 1)(L + 2)/2 at T = L | L + 3T + 1 | L + 3T + 1 |
//! | ePC, conjugate gradients | 2L + 3T(L − 1) | | L + 3T(L − 1) + 1 | L + 3T(L − 1) + 1 |
//! | FPA | 2L + T(L − 1) | 2L + (L − 1)(L + 2)/2 at T = L | L + min(T, L − 1) + 1 | L + T + 1 |
//! | Z-IL, frontier | 3L − 1 | | 2L | 2L |
//! | Z-IL, all nodes | 2L + 2(L − 1)² | 2L + L(L − 1) | 3L − 2 | 3L − 1 |
//! | SeqIL | 2L + 2T(L − 1) | | 2L + 2T − 1 | L + TL + 1 |
//! | iPC, T updates | T(3L − 1) | (3L² + 3L − 2)/2 at T = L | L + 2T − 1 | L + 2T − 1 |
//! | PC-ALM, one step per multiplier | 2L + 2T(L − 1) | as sPC | L + 2T + 1 | L + 2T + 1 |
//! | EP, two phases of T steps | | 3L − 1 + L² + 2L − 4 at T = L/2, L even | L + 2T + 2 for L ≥ 3 | L + 6T + 1 for L ≥ 3 |
//! | AR, simultaneous | 2L + T(L − 1) | | L + min(T, L − 1) + 1 | L + T + 1 |
//! | AR, top down | 2L + T(L − 1) | | 2L | L + T(L − 1) + 1 |
//!
//! For L ≥ 2 and T ≥ 1; with the cone FPA and sPC also skip parameter gradients of layers without an error
//! while T < L − 1. *Critical path* is the dependency depth: sequential products if every product ran as soon
//! as its operands exist. *Step by step* is the depth if every inference step waits for the end of the one
//! before, which is how the literature counts and how a machine that launches one step at a time behaves. The
//! two differ where steps overlap: SeqIL's next sweep may start at the top before the last one has reached
//! the bottom, and FPA and AR combine *fixed* products linearly, so that more steps add work but no depth.

mod augmented;
mod conjugate;
mod inference;
mod relatives;

pub use augmented::{pcalm, Augmented};
pub use conjugate::{epc_conjugate, spc_conjugate};
pub use inference::{ep, epc_by, residuals_of_errors, residuals_of_states, spc_by, spc_even_odd, Carried};
pub(super) use inference::{lowest_in_colours, sweeps};
pub use relatives::{ar, fpa, fpa_nested, ipc, seqil, zil, zil_all};

use crate::net::{LayerCost, Loss, OutputEnergy, VerbCost};

/// A network and batch as the formulas see it.
#[derive(Debug, Clone)]
pub struct NetCost {
    /// Costs of layers 1..L.
    pub layers: Vec<LayerCost>,
    /// Element-wise operations per output of −∂loss/∂o.
    pub output_error_ops: u64,
    /// The same of a product with the second derivative of the loss.
    pub loss_curvature_ops: u64,
}

/// Work of one weight update under a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleCost {
    /// Products, FLOPs, element-wise work, elements moved.
    pub work: VerbCost,
    /// Sequential products with unlimited parallelism across layers; exact for chains of dense layers
    /// (one product per verb).
    pub critical_path: u64,
    /// The same if every inference step waits for the end of the one before.
    pub stepwise: u64,
}

impl NetCost {
    /// The formulas' view of layers with these costs under `loss`.
    pub fn new(layers: Vec<LayerCost>, loss: &Loss) -> Self {
        let (output_error_ops, loss_curvature_ops) = (loss.output_error_ops(), loss.curvature_ops());
        Self { layers, output_error_ops, loss_curvature_ops }
    }

    /// L.
    pub fn depth(&self) -> u64 {
        self.layers.len() as u64
    }

    pub(super) fn forward(&self) -> VerbCost {
        self.layers.iter().map(|l| l.forward).sum()
    }

    pub(super) fn param_grads(&self, from_layer: u64) -> VerbCost {
        self.layers.iter().skip(from_layer.saturating_sub(1) as usize).map(|l| l.param_grad).sum()
    }

    fn output_error(&self) -> VerbCost {
        let outputs = self.layers.last().map_or(0, |l| l.outputs);
        elementwise(outputs, self.output_error_ops, 1)
    }

    /// Hidden layers l = 1..L−1 as (l, own cost, cost of the layer above).
    pub(super) fn hidden(&self) -> impl Iterator<Item = (u64, &LayerCost, &LayerCost)> {
        self.layers.windows(2).zip(1u64..).map(|(pair, l)| (l, &pair[0], &pair[1]))
    }
}

/// One element-wise pass: `ops` per element, `operands` tensors read and one written.
fn elementwise(elements: u64, ops: u64, operands: u64) -> VerbCost {
    VerbCost { elementwise: elements * ops, moved: elements * (operands + 1), ..VerbCost::default() }
}

/// ΣF_l + Σ_{l≥2} V_l + ΣG_l; 3L − 1 GEMMs, critical path 2L.
pub fn bp(net: &NetCost) -> RuleCost {
    let back: VerbCost = net.hidden().map(|(_, _, above)| above.vjp).sum();
    let work = net.forward() + net.output_error() + back + net.param_grads(1);
    RuleCost { work, critical_path: 2 * net.depth(), stepwise: 2 * net.depth() }
}

/// How often a simultaneous rule updates layer l in T steps from the forward pass: T, or under the light cone
/// max(0, T − (L − 1 − l)), because the error above first differs from zero after L − 1 − l steps.
fn updates(depth: u64, l: u64, steps: u64, light_cone: bool) -> u64 {
    if light_cone {
        steps.saturating_sub(depth - 1 - l)
    } else {
        steps
    }
}

/// Element-wise work of `count` simultaneous updates of a state with n elements: v + g·d and ε = v − μ, and
/// the own error subtracted from d unless it is known to be zero. Without the light cone the errors at the
/// forward pass are computed too.
fn relaxation(n: u64, count: u64, light_cone: bool) -> VerbCost {
    let own_subtractions = if light_cone { count.saturating_sub(1) } else { count + 1 };
    (elementwise(n, 2, 2) + elementwise(n, 1, 2)) * count + elementwise(n, 1, 2) * own_subtractions
}

/// The lowest layer with an error after T simultaneous steps, from 1.
fn lowest_with_error(depth: u64, steps: u64, light_cone: bool) -> u64 {
    if light_cone {
        depth.saturating_sub(steps).max(1)
    } else {
        1
    }
}

/// sPC: layer l < L is updated c_l times, each at the price of F_{l+1} + V_{l+1} and 4 n_l element-wise
/// operations; c_l = T, or max(0, T − (L − 1 − l)) under the light cone.
///
/// Under the light cone the very first update of a layer has no own error to subtract, and layers that no
/// error has reached have no parameter gradient. With T = L and equal layers the cone leaves
/// 2·Σ c_l = (L − 1)(L + 2) relaxation products of 2L(L − 1).
///
/// `spike`: in step L − l the error of layer l is multiplied by a precision of its own.
pub fn spc(net: &NetCost, steps: u64, light_cone: bool, spike: bool) -> RuleCost {
    let depth = net.depth();
    let mut work = net.forward() + net.output_error();
    for (l, own, above) in net.hidden() {
        let count = updates(depth, l, steps, light_cone);
        if spike && depth - l < steps {
            work += elementwise(own.outputs, 1, 1);
        }
        work += (above.forward + above.vjp) * count + relaxation(own.outputs, count, light_cone);
    }
    if depth > 1 {
        work += net.output_error() * steps;
    }
    work += net.param_grads(lowest_with_error(depth, steps, light_cone));
    let critical_path = if depth > 1 { depth + 2 * steps + 1 } else { 2 };
    RuleCost { work, critical_path, stepwise: critical_path }
}

/// ePC: T sweeps of Σ_{l≥2} (F_l + V_l), and 4 n_l element-wise operations per error and step (2 n_l in
/// the first, where every error is zero).
pub fn epc(net: &NetCost, steps: u64) -> RuleCost {
    let depth = net.depth();
    let mut work = net.forward() + net.output_error();
    for (_, own, above) in net.hidden() {
        let n = own.outputs;
        work += (above.forward + above.vjp + elementwise(n, 1, 2)) * steps;
        work += elementwise(n, 1, 1) * steps.min(1);
        work += (elementwise(n, 1, 2) + elementwise(n, 2, 2)) * steps.saturating_sub(1);
    }
    if depth > 1 {
        work += net.output_error() * steps;
    }
    work += net.param_grads(if steps > 0 { 1 } else { depth });
    let critical_path = if depth > 1 { depth + 2 * steps * (depth - 1) + 1 } else { 2 };
    RuleCost { work, critical_path, stepwise: critical_path }
}
