//! What a bound says besides numbers.

use super::times::{over_bp, serial_time, Times};
use super::Source::{Ours, Paper};
use super::{Bound, OnMachine, Quantity, Source, Statement};
use crate::theory::cost::{NetCost, RuleCost};

/// What differs between rules besides numbers.
pub(super) struct Words {
    pub(super) rule: &'static str,
    pub(super) gemms: &'static str,
    pub(super) gemm_flops: &'static str,
    pub(super) critical_path: &'static str,
    pub(super) stepwise: &'static str,
    pub(super) serial: (&'static str, &'static str, Source),
    pub(super) layer_parallel: (&'static str, &'static str, Source),
    pub(super) equals_bp: &'static str,
    pub(super) statements: &'static [Statement],
}

/// Numbers from the rule's cost, and its time on the layer-parallel machine.
pub(super) fn assemble(
    net: &NetCost,
    updates: u64,
    cost: impl Fn(&NetCost) -> RuleCost,
    layer_parallel: u64,
    w: Words,
) -> Bound {
    let whole = cost(net);
    let on = |time: u64, (formula, order, source): (&'static str, &'static str, Source)| OnMachine {
        formula,
        time,
        over_bp: over_bp(net, time, updates),
        order,
        source,
    };
    Bound {
        rule: w.rule,
        updates,
        gemms: Quantity { formula: w.gemms, value: whole.work.gemms },
        gemm_flops: Quantity { formula: w.gemm_flops, value: whole.work.gemm_flops },
        moved: whole.work.moved,
        critical_path: Quantity { formula: w.critical_path, value: whole.critical_path },
        stepwise: Quantity { formula: w.stepwise, value: whole.stepwise },
        serial: on(serial_time(net, cost), w.serial),
        layer_parallel: on(layer_parallel, w.layer_parallel),
        slowest_layer: Times::new(net, true).slowest_layer(),
        equals_bp: w.equals_bp,
        statements: w.statements,
    }
}

pub(super) const ARRIVAL: Statement = Statement {
    text:
        "from a feed-forward start ε_l is first different from zero after L − l steps, so convergence takes \
           at least the distance to the output",
    source: Paper,
};

pub(super) const NOT_BOUNDED: Statement = Statement {
    text: "the paper states no bound for this rule; the formulas are the makespans of its schedule",
    source: Ours,
};
