//! Each rule as a schedule of fused products. Equations and signs are in `pcnbench`'s rules of the same names; this
//! file documents what each field holds, and which layers are in the light cone.

use super::fields::Field;
use super::fixed_prediction::{fixed, in_place};
use super::gradient;
use super::memory::Scratch;
use super::momentum::Carried;
use super::net::Net;
use super::optimiser::{self, BoundOptimiser};
use super::partition::Partition;
use super::real::Real;
use super::stencil::Stencil;
use super::vjp::AfterVjp;
use crate::layer::Activation;
use crate::schedule::{lowest, Rule, Schedule};
use crate::tune;

/// Inference, from the loaded batch to states and errors at the last point, for the partition's part of the work.
///
/// # Safety
/// The contract of [`super::net`]: no other partition has the tiles of this one, and all workers of the pool run this
/// same call. With an optimiser, the caller is the only worker and has the only tile of the batch.
pub(super) unsafe fn infer<T: Real>(
    net: &Net<'_, T>,
    schedule: &Schedule,
    partition: Partition<'_>,
    scratch: &mut Scratch<T>,
    optimiser: Option<&BoundOptimiser<T>>,
) {
    // SAFETY: the caller's.
    unsafe {
        partition.upwards(net.depth(), |l, at| net.forward_layer(l, scratch, at, false));
        partition.tiles(|at| net.output_error(at));
        match schedule.rule {
            Rule::Bp | Rule::Zil => backward(net, partition, scratch, optimiser),
            Rule::Spc { light_cone, .. } => spc(net, schedule, light_cone, partition, scratch),
            Rule::Epc => epc(net, schedule, partition, scratch),
            Rule::Fpa { light_cone } => {
                if !light_cone {
                    partition.layers(net.depth() - 1, 1, |l, at| {
                        gradient::clear(net, &[Field::Error, Field::Delta], l, at)
                    });
                }
                fixed(net, &schedule.steps, light_cone, partition, scratch);
            }
            Rule::Ar { top_down } => {
                partition.layers(net.depth() - 1, 1, |l, at| gradient::start_at_activations(net, l, at));
                if top_down {
                    in_place(net, &schedule.steps, partition, scratch);
                } else {
                    fixed(net, &schedule.steps, false, partition, scratch);
                }
            }
            Rule::SeqIl { .. } => seqil(net, &schedule.steps, partition, scratch),
            Rule::Ipc { light_cone, weight_step, evaluate } => {
                ipc(net, &schedule.steps, (light_cone, evaluate), weight_step, partition, scratch);
            }
        }
    }
}

/// `Delta` holds φ_out' from the forward pass and becomes δ on the way down; `Error` holds −adjoints where a skip, a
/// product or the caller reads them.
///
/// Z-IL's frontier is the same: its states move after their layer has been read, so that only a reader of the final
/// states asks for `State` + `Error`.
///
/// With an optimiser, parameters move during the pass, each layer's after the product with their transpose.
unsafe fn backward<T: Real>(
    net: &Net<'_, T>,
    partition: Partition<'_>,
    scratch: &mut Scratch<T>,
    optimiser: Option<&BoundOptimiser<T>>,
) {
    partition.tiles(|at| {
        for l in (2..=net.depth()).rev() {
            let k = l - 1;
            // SAFETY: the caller's; a tile's layers are done one after another.
            unsafe {
                net.vjp(l, (Field::Delta, Field::Error), scratch, at, |_| AfterVjp::Adjoint {
                    e: net.maybe(Field::Error, k, at),
                    d: net.apart(Field::Delta, Field::Error, k, at),
                });
                if let Some(optimiser) = optimiser {
                    optimiser::update_layer(net, l, optimiser, scratch);
                }
            }
            partition.sync();
        }
        if let Some(optimiser) = optimiser {
            // SAFETY: the caller's.
            unsafe { optimiser::update_layer(net, 1, optimiser, scratch) };
        }
    });
}

/// Cell (l, t) moves state l from errors and renews its error; cell (L, t) renews the output and its error. `Momentum` of
/// layer l belongs to its state: the cell that moves the one reads and writes the other.
unsafe fn spc<T: Real>(
    net: &Net<'_, T>,
    schedule: &Schedule,
    light_cone: bool,
    partition: Partition<'_>,
    scratch: &mut Scratch<T>,
) {
    let (depth, steps, momentum) = (net.depth(), &schedule.steps, schedule.carried());
    // SAFETY: the caller's; the stencil says which cells may be done when, and layers are cleared before.
    unsafe {
        if net.deviation {
            partition
                .layers(depth - 1, 1, |l, at| gradient::clear(net, &[Field::State, Field::Activated], l, at));
        }
        if !light_cone {
            // nothing arrives: every layer takes all steps, and so its first one too, from an error and a sum of zero
            let fields = [Field::Error, Field::Delta, Field::Momentum];
            partition.layers(depth - 1, 1, |l, at| gradient::clear(net, &fields, l, at));
        }
        if depth > 1 {
            partition.cells(&stencil(net, steps.len(), light_cone, partition.workers()), |k, t, at| {
                if k == depth {
                    net.predict(depth, scratch, at, false);
                    net.output_error(at);
                    return;
                }
                let arriving = light_cone && t + 1 + k == depth;
                net.vjp(k + 1, (Field::Delta, Field::Error), scratch, at, |next| AfterVjp::Move {
                    v: net.view(Field::State, k, at),
                    e: net.view(Field::Error, k, at),
                    d: if k > 1 { net.apart(Field::Delta, Field::Error, k, at) } else { None },
                    g: T::of(steps[t]),
                    arriving,
                    momentum: momentum
                        .map(|m| Carried::new(net.view(Field::Momentum, k, at), m[t], steps[t])),
                    next,
                });
                match k {
                    1 => net.first_error(at),
                    // a layer that an error has just reached is predicted by a state that has not moved
                    _ if arriving => {}
                    _ => net.predict(k, scratch, at, false),
                }
            });
        }
        if net.deviation {
            partition.layers(depth - 1, 1, |l, at| gradient::undo_deviation(net, l, at));
        }
    }
}

/// The order of sPC's cells on this net for `workers` workers.
pub(super) fn stencil<T>(net: &Net<'_, T>, steps: usize, light_cone: bool, workers: usize) -> Stencil {
    let diagonals = if light_cone { steps } else { steps + net.stack.depth() - 1 };
    let window = tune::window(net.stack, std::mem::size_of::<T>(), diagonals, workers);
    Stencil::new(net.stack.depth(), steps, light_cone, window)
}

/// `Error` holds e; `Delta` holds φ_out' on the way up and δ of the adjoint b on the way down (b itself where φ_out is
/// the identity); `PendingStep` holds b where a skip needs it and `Delta` does not.
unsafe fn epc<T: Real>(
    net: &Net<'_, T>,
    schedule: &Schedule,
    partition: Partition<'_>,
    scratch: &mut Scratch<T>,
) {
    let (depth, steps, momentum) = (net.depth(), &schedule.steps, schedule.carried());
    partition.tiles(|at| {
        // SAFETY: the caller's; a tile's layers are done one after another.
        unsafe {
            for (t, g) in steps.iter().enumerate().take(if depth > 1 { steps.len() } else { 0 }) {
                for l in (2..=depth).rev() {
                    let k = l - 1;
                    let carried = match net.stack.layer(l).act_out {
                        _ if l == depth => Field::Error,
                        Activation::Identity => Field::Delta,
                        _ => Field::PendingStep,
                    };
                    let plain = net.stack.layer(k).act_out == Activation::Identity;
                    // nothing is carried further than layer 1
                    let own = (k > 1).then(|| net.view(Field::Delta, k, at));
                    net.vjp(l, (Field::Delta, carried), scratch, at, |_| AfterVjp::Descend {
                        e: net.view(Field::Error, k, at),
                        d: if plain { None } else { own },
                        keep: if plain { own } else { net.maybe(Field::PendingStep, k, at) },
                        g: T::of(*g),
                        first: t == 0,
                        momentum: momentum.map(|m| Carried::new(net.view(Field::Momentum, k, at), m[t], *g)),
                    });
                    partition.sync();
                }
                net.rebuild_first(at);
                partition.sync();
                for l in 2..=depth {
                    net.forward_layer(l, scratch, at, l < depth);
                    partition.sync();
                }
                net.output_error(at);
                partition.sync();
            }
            // parameters learn from e, not from b
            for l in 1..depth {
                if steps.is_empty() {
                    gradient::clear(net, &[Field::Error, Field::Delta], l, at);
                } else {
                    gradient::learn_from_error(net, l, at);
                }
            }
        }
    });
}

/// `Delta` holds φ_out' from the last predictions until its layer has moved, then δ.
unsafe fn seqil<T: Real>(
    net: &Net<'_, T>,
    steps: &[f64],
    partition: Partition<'_>,
    scratch: &mut Scratch<T>,
) {
    let depth = net.depth();
    partition.tiles(|at| {
        // SAFETY: the caller's; a tile's layers are done one after another.
        unsafe {
            for (t, g) in steps.iter().enumerate().take(if depth > 1 { steps.len() } else { 0 }) {
                for l in (2..=depth).rev() {
                    let k = l - 1;
                    net.vjp(l, (Field::Delta, Field::Error), scratch, at, |next| AfterVjp::Sweep {
                        v: net.view(Field::State, k, at),
                        e: net.view(Field::Error, k, at),
                        d: if k > 1 { net.apart(Field::Delta, Field::Error, k, at) } else { None },
                        g: T::of(*g),
                        first: t == 0,
                        next,
                    });
                    partition.sync();
                }
                net.first_error(at);
                for l in 2..=depth {
                    net.predict(l, scratch, at, t + 1 < steps.len());
                }
                partition.sync();
                net.output_error(at);
                partition.sync();
            }
            if steps.is_empty() {
                (1..depth).for_each(|l| gradient::clear(net, &[Field::Error, Field::Delta], l, at));
            }
        }
    });
}

/// Four phases per step, every gradient at the same point: steps of the states into `PendingStep`, then the weights
/// move, then the states, then errors follow from both.
unsafe fn ipc<T: Real>(
    net: &Net<'_, T>,
    steps: &[f64],
    (light_cone, evaluate): (bool, bool),
    weight_step: f64,
    partition: Partition<'_>,
    scratch: &mut Scratch<T>,
) {
    let depth = net.depth();
    // SAFETY: the caller's; between phases the workers of the partition have met.
    unsafe {
        if !light_cone {
            partition
                .layers(depth - 1, 1, |l, at| gradient::clear(net, &[Field::Error, Field::Delta], l, at));
        }
        for (t, g) in steps.iter().enumerate() {
            let low = lowest(depth, t, light_cone);
            let reached = if light_cone { depth.saturating_sub(t).max(1) } else { 1 };
            let arriving = |k: usize| light_cone && t + 1 + k == depth;
            partition.layers(depth - 1, low, |k, at| {
                net.vjp(k + 1, (Field::Delta, Field::Error), scratch, at, |_| AfterVjp::Step {
                    e: net.view(Field::Error, k, at),
                    step: net.view(Field::PendingStep, k, at),
                    g: T::of(*g),
                    arriving: arriving(k),
                });
            });
            if let Some(worker) = partition.layer_parallel() {
                gradient::descend(net, reached, weight_step, scratch.tile.as_mut_slice(), worker);
                worker.meet();
            }
            partition.layers(depth - 1, low, |k, at| net.advance(k, at, arriving(k)));
            if t + 1 < steps.len() || evaluate {
                partition.layers(depth, reached, |l, at| {
                    net.predict(l, scratch, at, false);
                    if l == depth {
                        net.output_error(at);
                    }
                });
            }
        }
    }
}
