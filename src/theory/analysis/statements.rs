//! What an analysis says besides numbers.

use super::least::{Least, Needed};
use super::times::{inference_flops, over_bp, Times};
use super::Source::{Ours, Paper};
use super::{Analysis, Inference, Quantity, Source, Statement};
use crate::theory::cost::{NetCost, RuleCost};

/// What differs between rules besides numbers.
pub(super) struct Description {
    pub(super) rule: &'static str,
    pub(super) gemms: &'static str,
    pub(super) gemm_flops: &'static str,
    pub(super) critical_path: &'static str,
    pub(super) stepwise: &'static str,
    pub(super) inference: (&'static str, &'static str, Source),
    pub(super) layer_parallel: (&'static str, &'static str, Source),
    pub(super) because: &'static str,
    pub(super) equals_bp: &'static str,
    pub(super) statements: &'static [Statement],
}

/// Numbers from the rule's cost, and its time on the layer-parallel machine.
pub(super) fn assemble(
    net: &NetCost,
    updates: u64,
    cost: impl Fn(&NetCost) -> RuleCost,
    needed: impl Fn(&NetCost) -> Needed,
    layer_parallel: u64,
    description: Description,
) -> Analysis {
    let whole = cost(net);
    let on = |flops: u64, (formula, order, source): (&'static str, &'static str, Source)| Inference {
        formula,
        flops,
        over_bp: over_bp(net, flops, updates),
        order,
        source,
    };
    Analysis {
        rule: description.rule,
        updates,
        gemms: Quantity { formula: description.gemms, value: whole.work.gemms },
        gemm_flops: Quantity { formula: description.gemm_flops, value: whole.work.gemm_flops },
        moved: whole.work.moved,
        inference: on(inference_flops(net, cost), description.inference),
        least: Least::new(net, needed, description.because),
        critical_path: Quantity { formula: description.critical_path, value: whole.critical_path },
        stepwise: Quantity { formula: description.stepwise, value: whole.stepwise },
        layer_parallel: on(layer_parallel, description.layer_parallel),
        slowest_layer: Times::new(net, true).slowest_layer(),
        equals_bp: description.equals_bp,
        statements: description.statements,
    }
}

pub(super) const ARRIVAL: Statement = Statement {
    text:
        "from a feed-forward start ε_l is first different from zero after L − l steps, so convergence takes \
           at least the distance to the output",
    source: Paper,
};

pub(super) const NOT_BOUNDED: Statement = Statement {
    text: "the paper states nothing of this rule; the layer-parallel formula is the makespan of its schedule",
    source: Ours,
};

/// Why the products of the adjoints cannot be saved.
pub(super) const ADJOINTS: &str =
    "each layer's output, adjoint and direction is one product of operands that no other product has";

/// Why those of a schedule that linearises anew cannot be.
pub(super) const ANEW: &str =
    "every step linearises at states that no earlier step had, so none of its products is another's, nor a combination of \
     others, and each reaches a direction";
