//! Lower bounds: what no program that computes a rule's result can go below.
//!
//! *The result* of one sample is the parameter directions of one batch, or under iPC the moved parameters. How a rule's
//! steps are carried out is up to the program: turning the light cone off, say, changes a count and no bound.
//!
//! *The programs* are those that use a layer through its three products on the whole batch (forward, VJP, parameter
//! VJP), multiplied the classical way at 2·B·n_in·n_out FLOPs, and that know nothing of an activation but that it is
//! not linear. So multiplication with fewer operations (Strassen's), and closed forms of linear networks, are outside.
//!
//! *The argument* is the same for every rule. A product must be made if none of the others has its operands, up to
//! linear combinations at one linearisation, and its result reaches a direction. Element-wise work is left out, which
//! can only lower a bound. For rules that linearise anew in every step the bound is the work of the light cone's
//! schedule without what reaches no direction; a test takes exactly that off the recorded task graph. Rules whose
//! linearisation stays at the forward pass (FPA, AR, Z-IL) combine the same products over and over, so their bound is
//! that of the adjoints.

use std::fmt;

use super::times::inference_only;
use crate::net::VerbCost;
use crate::theory::cost::{self, NetCost};

/// Matrix products and their FLOPs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// How many.
    pub gemms: u64,
    /// Their FLOPs.
    pub gemm_flops: u64,
}

/// The bounds of a rule on a network and batch, per sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Least {
    /// Of a whole weight update (of T of them under iPC), which is what is timed.
    pub update: Work,
    /// Of inference alone, parameter gradients left out.
    pub inference: Work,
    /// Parameters that must be read: all of them, because the output depends on every layer.
    pub read: u64,
    /// Parameters that change.
    pub written: u64,
    /// Why nothing can do with fewer.
    pub because: &'static str,
}

/// Products that a rule cannot do without, and the lowest layer whose parameters it moves.
pub(super) struct Needed {
    work: VerbCost,
    lowest: u64,
}

impl Least {
    pub(super) fn new(net: &NetCost, needed: impl Fn(&NetCost) -> Needed, because: &'static str) -> Self {
        let work = |net: &NetCost| {
            let VerbCost { gemms, gemm_flops, .. } = needed(net).work;
            Work { gemms, gemm_flops }
        };
        let parameters = |from: u64| net.layers.iter().skip(from as usize - 1).map(|l| l.parameters).sum();
        Self {
            update: work(net),
            inference: work(&inference_only(net)),
            read: parameters(1),
            written: parameters(needed(net).lowest),
            because,
        }
    }
}

/// Adjoints of the forward pass, carried down `layers` layers from the output: each forward product, each VJP on the
/// way, and the parameter gradients of the layers reached, once.
pub(super) fn adjoints(net: &NetCost, layers: u64) -> Needed {
    let lowest = net.depth().saturating_sub(layers).max(1);
    let carried: VerbCost = net.hidden().filter(|(l, ..)| *l >= lowest).map(|(_, _, above)| above.vjp).sum();
    Needed { work: net.forward() + carried + net.param_grads(lowest), lowest }
}

/// AR: the activations of all layers are directions from the start, and move once there is a sweep.
pub(super) fn relaxed_activations(net: &NetCost, steps: u64, derivatives: bool) -> Needed {
    let carried = |above: &crate::net::LayerCost| if derivatives { above.vjp } else { above.vjp_linear };
    let back: VerbCost = net.hidden().filter(|_| steps > 0).map(|(_, _, above)| carried(above)).sum();
    Needed { work: net.forward() + back + net.param_grads(1), lowest: 1 }
}

/// sPC inside the light cone: the work of its schedule.
pub(super) fn states(net: &NetCost, steps: u64) -> Needed {
    let lowest = net.depth().saturating_sub(steps).max(1);
    Needed { work: cost::spc(net, steps, true, false).work, lowest }
}

/// sPC by conjugate gradients inside the light cone: the work of its schedule.
pub(super) fn conjugate_states(net: &NetCost, steps: u64) -> Needed {
    Needed { work: cost::spc_conjugate(net, steps, true).work, ..states(net, steps) }
}

/// ePC by conjugate gradients: T times three sweeps over all layers.
pub(super) fn conjugate_sweeps(net: &NetCost, steps: u64) -> Needed {
    Needed { work: cost::epc_conjugate(net, steps).work, ..sweeps(net, steps) }
}

/// sPC in two colours: the work of its schedule, which leaves alone what no error has reached.
pub(super) fn colours(net: &NetCost, steps: u64) -> Needed {
    let lowest = cost::lowest_in_colours(net.depth(), steps);
    Needed { work: cost::spc_even_odd(net, steps).work, lowest }
}

/// EP: the work of its schedule, less what both phases multiply at one linearisation, the forward pass's, by cotangents that differ in
/// sign only: the first VJP into every state that moves, and the parameter VJP of the lowest layer with an error.
pub(super) fn phases(net: &NetCost, steps: u64) -> Needed {
    let (depth, lowest) = (net.depth(), cost::lowest_in_colours(net.depth(), steps));
    let mut work = cost::ep(net, steps).work;
    let mut once = |verb: VerbCost| {
        work.gemms -= verb.gemms;
        work.gemm_flops -= verb.gemm_flops;
    };
    for (l, _, above) in net.hidden() {
        if cost::sweeps(depth - l, steps) > 0 {
            once(above.vjp);
        }
    }
    if lowest > 1 {
        once(net.layers[lowest as usize - 1].param_grad);
    }
    Needed { work, lowest }
}

/// ePC and SeqIL: T sweeps over all layers.
pub(super) fn sweeps(net: &NetCost, steps: u64) -> Needed {
    Needed { work: cost::epc(net, steps).work, lowest: if steps > 0 { 1 } else { net.depth() } }
}

/// iPC inside the light cone, less the last move of the states, which no parameter feels.
pub(super) fn states_and_parameters(net: &NetCost, steps: u64) -> Needed {
    let depth = net.depth();
    if steps == 0 {
        // nothing moves
        return Needed { work: VerbCost::default(), lowest: depth + 1 };
    }
    let mut work = cost::ipc(net, steps, true, false).work;
    for (_, _, above) in net.hidden().filter(|(l, ..)| *l + steps >= depth) {
        work.gemms -= above.vjp.gemms;
        work.gemm_flops -= above.vjp.gemm_flops;
    }
    Needed { work, lowest: depth + 1 - steps.min(depth) }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} GEMMs, {} FLOPs", self.gemms, self.gemm_flops)
    }
}
