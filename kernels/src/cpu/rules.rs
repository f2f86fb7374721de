//! Each rule as a schedule of fused products. Equations and signs are in `pcnbench`'s rules of the same names; what is
//! said here is which field holds what, and which layers are in the light cone.

use super::crew::Crew;
use super::fields::Field;
use super::frozen::{fixed, in_place};
use super::gradient;
use super::learner::{self, Learner};
use super::memory::Scratch;
use super::net::Net;
use super::pull::Pulled;
use super::real::Real;
use super::stencil::Stencil;
use crate::schedule::{Rule, Schedule};
use crate::stack::Activation;
use crate::tune;

/// The lowest layer that has moved after t + 1 steps from the forward pass (L if there is none to move).
pub(super) fn lowest(depth: usize, t: usize, light_cone: bool) -> usize {
    if light_cone {
        depth.saturating_sub(t + 1).max(1)
    } else {
        1
    }
}

/// Inference, from the loaded batch to states and errors at the last point, for the partition's part of the work.
///
/// # Safety
/// The contract of [`super::net`]: no other partition has the tiles of this one, and all workers of the pool run this
/// same call. With a learner that is the one worker with the one tile of the batch.
pub(super) unsafe fn infer<T: Real>(
    net: &Net<'_, T>,
    schedule: &Schedule,
    crew: Crew<'_>,
    scratch: &mut Scratch<T>,
    learner: Option<&Learner<T>>,
) {
    // SAFETY: the caller's.
    unsafe {
        crew.upwards(net.depth(), |l, at| net.forward_layer(l, scratch, at, false));
        crew.tiles(|at| net.output_error(at));
        match schedule.rule {
            Rule::Bp | Rule::Zil => backward(net, crew, scratch, learner),
            Rule::Spc { light_cone, .. } => spc(net, &schedule.steps, light_cone, crew, scratch),
            Rule::Epc => epc(net, &schedule.steps, crew, scratch),
            Rule::Fpa { light_cone } => {
                if !light_cone {
                    crew.layers(net.depth() - 1, 1, |l, at| {
                        gradient::clear(net, &[Field::E, Field::D], l, at)
                    });
                }
                fixed(net, &schedule.steps, light_cone, crew, scratch);
            }
            Rule::Ar { top_down } => {
                crew.layers(net.depth() - 1, 1, |l, at| gradient::start_at_activations(net, l, at));
                if top_down {
                    in_place(net, &schedule.steps, crew, scratch);
                } else {
                    fixed(net, &schedule.steps, false, crew, scratch);
                }
            }
            Rule::SeqIl { .. } => seqil(net, &schedule.steps, crew, scratch),
            Rule::Ipc { light_cone, weight_step, evaluate } => {
                ipc(net, &schedule.steps, (light_cone, evaluate), weight_step, crew, scratch);
            }
        }
    }
}

/// D holds φ_out' from the forward pass and becomes δ on the way down; E holds −adjoints where a skip, a product or the
/// caller reads them.
///
/// Z-IL's frontier is the same: its states move after their layer has been read, so that only a reader of the final
/// states asks for V + E.
///
/// With a learner, parameters move on the way, each layer's when the product with their transpose is done.
unsafe fn backward<T: Real>(
    net: &Net<'_, T>,
    crew: Crew<'_>,
    scratch: &mut Scratch<T>,
    learner: Option<&Learner<T>>,
) {
    crew.tiles(|at| {
        for l in (2..=net.depth()).rev() {
            let k = l - 1;
            // SAFETY: the caller's; a tile's layers are done one after another.
            unsafe {
                net.pull(l, (Field::D, Field::E), scratch, at, |_| Pulled::Adjoint {
                    e: net.maybe(Field::E, k, at),
                    d: net.apart(Field::D, Field::E, k, at),
                });
                if let Some(learner) = learner {
                    learner::update_layer(net, l, learner, scratch);
                }
            }
            crew.sync();
        }
        if let Some(learner) = learner {
            // SAFETY: the caller's.
            unsafe { learner::update_layer(net, 1, learner, scratch) };
        }
    });
}

/// Cell (l, t) moves state l from errors and renews its error; cell (L, t) renews the output and its error.
unsafe fn spc<T: Real>(
    net: &Net<'_, T>,
    steps: &[f64],
    light_cone: bool,
    crew: Crew<'_>,
    scratch: &mut Scratch<T>,
) {
    let depth = net.depth();
    // SAFETY: the caller's; the stencil says which cells may be done when, and layers are cleared before.
    unsafe {
        if net.deviation {
            crew.layers(depth - 1, 1, |l, at| gradient::clear(net, &[Field::V, Field::H], l, at));
        }
        if !light_cone {
            crew.layers(depth - 1, 1, |l, at| gradient::clear(net, &[Field::E, Field::D], l, at));
        }
        if depth > 1 {
            crew.cells(&stencil(net, steps.len(), light_cone, crew.workers()), |k, t, at| {
                if k == depth {
                    net.predict(depth, scratch, at, false);
                    net.output_error(at);
                    return;
                }
                let arriving = light_cone && t + 1 + k == depth;
                net.pull(k + 1, (Field::D, Field::E), scratch, at, |next| Pulled::Move {
                    v: net.view(Field::V, k, at),
                    e: net.view(Field::E, k, at),
                    d: if k > 1 { net.apart(Field::D, Field::E, k, at) } else { None },
                    g: T::of(steps[t]),
                    arriving,
                    next,
                });
                match k {
                    1 => net.first_error(at),
                    // what has just arrived is predicted by a state that has not moved
                    _ if arriving => {}
                    _ => net.predict(k, scratch, at, false),
                }
            });
        }
        if net.deviation {
            crew.layers(depth - 1, 1, |l, at| gradient::undo_deviation(net, l, at));
        }
    }
}

/// The order of sPC's cells on this net for `workers` workers.
pub(super) fn stencil<T>(net: &Net<'_, T>, steps: usize, light_cone: bool, workers: usize) -> Stencil {
    let diagonals = if light_cone { steps } else { steps + net.stack.depth() - 1 };
    let window = tune::window(net.stack, std::mem::size_of::<T>(), diagonals, workers);
    Stencil::new(net.stack.depth(), steps, light_cone, window)
}

/// E holds e; D holds φ_out' on the way up and δ of the adjoint b on the way down (b itself where φ_out is the
/// identity); R holds b where a skip needs it and D does not.
unsafe fn epc<T: Real>(net: &Net<'_, T>, steps: &[f64], crew: Crew<'_>, scratch: &mut Scratch<T>) {
    let depth = net.depth();
    crew.tiles(|at| {
        // SAFETY: the caller's; a tile's layers are done one after another.
        unsafe {
            for (t, g) in steps.iter().enumerate().take(if depth > 1 { steps.len() } else { 0 }) {
                for l in (2..=depth).rev() {
                    let k = l - 1;
                    let carried = match net.stack.layer(l).act_out {
                        _ if l == depth => Field::E,
                        Activation::Identity => Field::D,
                        _ => Field::R,
                    };
                    let plain = net.stack.layer(k).act_out == Activation::Identity;
                    // nothing is carried further than layer 1
                    let own = (k > 1).then(|| net.view(Field::D, k, at));
                    net.pull(l, (Field::D, carried), scratch, at, |_| Pulled::Descend {
                        e: net.view(Field::E, k, at),
                        d: if plain { None } else { own },
                        keep: if plain { own } else { net.maybe(Field::R, k, at) },
                        g: T::of(*g),
                        first: t == 0,
                    });
                    crew.sync();
                }
                net.rebuild_first(at);
                crew.sync();
                for l in 2..=depth {
                    net.forward_layer(l, scratch, at, l < depth);
                    crew.sync();
                }
                net.output_error(at);
                crew.sync();
            }
            // parameters learn from e, not from b
            for l in 1..depth {
                if steps.is_empty() {
                    gradient::clear(net, &[Field::E, Field::D], l, at);
                } else {
                    gradient::learn_from_error(net, l, at);
                }
            }
        }
    });
}

/// D holds φ_out' from the last predictions until its layer has moved, then δ.
unsafe fn seqil<T: Real>(net: &Net<'_, T>, steps: &[f64], crew: Crew<'_>, scratch: &mut Scratch<T>) {
    let depth = net.depth();
    crew.tiles(|at| {
        // SAFETY: the caller's; a tile's layers are done one after another.
        unsafe {
            for (t, g) in steps.iter().enumerate().take(if depth > 1 { steps.len() } else { 0 }) {
                for l in (2..=depth).rev() {
                    let k = l - 1;
                    net.pull(l, (Field::D, Field::E), scratch, at, |next| Pulled::Sweep {
                        v: net.view(Field::V, k, at),
                        e: net.view(Field::E, k, at),
                        d: if k > 1 { net.apart(Field::D, Field::E, k, at) } else { None },
                        g: T::of(*g),
                        first: t == 0,
                        next,
                    });
                    crew.sync();
                }
                net.first_error(at);
                for l in 2..=depth {
                    net.predict(l, scratch, at, t + 1 < steps.len());
                }
                crew.sync();
                net.output_error(at);
                crew.sync();
            }
            if steps.is_empty() {
                (1..depth).for_each(|l| gradient::clear(net, &[Field::E, Field::D], l, at));
            }
        }
    });
}

/// Four phases per step, every gradient at the same point: steps of the states into R, then the weights move, then the
/// states, then errors follow from both.
unsafe fn ipc<T: Real>(
    net: &Net<'_, T>,
    steps: &[f64],
    (light_cone, evaluate): (bool, bool),
    weight_step: f64,
    crew: Crew<'_>,
    scratch: &mut Scratch<T>,
) {
    let depth = net.depth();
    // SAFETY: the caller's; between phases the workers of the partition have met.
    unsafe {
        if !light_cone {
            crew.layers(depth - 1, 1, |l, at| gradient::clear(net, &[Field::E, Field::D], l, at));
        }
        for (t, g) in steps.iter().enumerate() {
            let low = lowest(depth, t, light_cone);
            let reached = if light_cone { depth.saturating_sub(t).max(1) } else { 1 };
            let arriving = |k: usize| light_cone && t + 1 + k == depth;
            crew.layers(depth - 1, low, |k, at| {
                net.pull(k + 1, (Field::D, Field::E), scratch, at, |_| Pulled::Step {
                    e: net.view(Field::E, k, at),
                    step: net.view(Field::R, k, at),
                    g: T::of(*g),
                    arriving: arriving(k),
                });
            });
            if let Some(worker) = crew.together() {
                gradient::descend(net, reached, weight_step, scratch.tile.as_mut_slice(), worker);
                worker.meet();
            }
            crew.layers(depth - 1, low, |k, at| net.advance(k, at, arriving(k)));
            if t + 1 < steps.len() || evaluate {
                crew.layers(depth, reached, |l, at| {
                    net.predict(l, scratch, at, false);
                    if l == depth {
                        net.output_error(at);
                    }
                });
            }
        }
    }
}
