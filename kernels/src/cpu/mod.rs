//! The engine on the CPU: whole rules in one call, on a fixed set of threads.
//!
//! A call allocates nothing inside the inference loop and takes no lock there; its memory is kept for the next call.
//! Equal calls give equal bits on any number of threads: each element is summed in the same order, whichever thread
//! sums it. The one exception is the MQ optimiser, whose rates follow from sums over blocks of parameters, which
//! threads cut differently.

pub(crate) mod activation;
mod arena;
mod epilogue;
mod exchange;
mod fields;
mod fixed_prediction;
mod gradient;
mod lanes;
mod loss;
mod memory;
mod micro;
mod momentum;
mod net;
mod optimiser;
mod partition;
pub(crate) mod peak;
mod pool;
mod predict;
mod product;
pub(crate) mod rate;
mod real;
mod rules;
mod spin_pool;
mod stencil;
pub(crate) mod taps;
mod vjp;
mod wait;

pub(crate) use memory::Workspace;
pub(crate) use pool::Pool;
pub use real::Number;
pub(crate) use real::Real;
pub use wait::without_workers_ns;

use std::sync::Mutex;

use pulp::Arch;

use crate::loss::OutputError;
use crate::schedule::{Optimiser, Rule, Schedule};
use crate::stack::Stack;
use crate::tune;
use arena::{Tile, PANEL};
use fields::Field;
use memory::Scratch;
use net::Net;
use optimiser::BoundOptimiser;
use partition::Partition;
use stencil::Progress;

/// The inputs of a call; the caller has checked that the sizes fit the stack.
pub(crate) struct Task<'a, T> {
    pub(crate) stack: &'a Stack,
    pub(crate) schedule: &'a Schedule,
    pub(crate) output: OutputError,
    /// x, `[B, n_0]`.
    pub(crate) x: &'a [T],
    /// y, `[B, n_L]`.
    pub(crate) y: &'a [T],
    pub(crate) batch: usize,
}

/// Where a call puts its results.
pub(crate) enum Result<'a, T> {
    /// In one buffer: directions in the form of θ (the moved θ under a rule that moves it), then o `[B, n_L]`; and if
    /// `traces`, v_1..v_{L−1} and ε_1..ε_L, each `[B, n_l]`.
    Learned { theta: &'a [T], out: &'a mut [T], traces: bool },
    /// θ moved, by the rule itself or by the optimiser, whose state lies behind it.
    Trained { theta: &'a mut [T], optimiser: Optimiser },
}

/// The lowest layer whose error is not known to be exactly zero at the end.
fn reached(schedule: &Schedule, depth: usize) -> usize {
    let steps = schedule.steps.len();
    match schedule.rule {
        Rule::Bp | Rule::Zil | Rule::Ar { .. } => 1,
        Rule::Spc { light_cone: true, .. } | Rule::Fpa { light_cone: true } => {
            depth.saturating_sub(steps).max(1)
        }
        // under iPC no directions are taken at the last point, so its errors matter for results only
        Rule::Ipc { light_cone: true, evaluate, .. } => {
            depth.saturating_sub(if evaluate { steps } else { steps.saturating_sub(1) }).max(1)
        }
        _ if steps == 0 => depth,
        _ => 1,
    }
}

/// Elements of the buffer of [`Result::Learned`].
pub(crate) fn learned_elements(stack: &Stack, batch: usize, traces: bool) -> usize {
    let units = |from: usize, to: usize| (from..=to).map(|l| stack.units(l)).sum::<usize>();
    let depth = stack.depth();
    let traced = if traces { units(1, depth - 1) + units(1, depth) } else { 0 };
    stack.parameters() + batch * (stack.units(depth) + traced)
}

/// Whether the results depend on the number of threads.
fn sums_over_blocks<T>(result: &Result<'_, T>) -> bool {
    matches!(result, Result::Trained { optimiser: Optimiser::Mq { .. }, .. })
}

/// Runs a whole call; on the caller's thread alone while other processes keep the workers from running.
///
/// # Errors
/// As for [`Pool::run`]; nothing has been changed then.
pub(crate) fn execute<T: Real>(
    space: &mut Workspace<T>,
    pool: &Pool,
    task: &Task<'_, T>,
    result: Result<'_, T>,
) -> crate::Result<()> {
    let Task { stack, schedule, output, x, y, batch } = *task;
    let traces = matches!(result, Result::Learned { traces: true, .. });
    let plan_for =
        |threads| tune::plan(stack, &schedule.rule, schedule.steps.len(), batch, threads, T::LANES);
    let all = plan_for(pool.threads());
    let alone = all.workers > 1 && !sums_over_blocks(&result) && pool.is_contended();
    let plan = if alone { plan_for(1) } else { all };
    let _missing = alone.then(|| wait::Missing::new(all.workers - 1));
    let directions = matches!(
        result,
        Result::Trained { optimiser, .. } if !matches!(optimiser, Optimiser::Sgd { .. })
    );
    space.prepare(stack, schedule, batch, traces, directions, &plan);
    let Workspace { fields, block, packed, scratches, sums, .. } = space;
    let fields = &*fields;

    let moves = matches!(schedule.rule, Rule::Ipc { .. });
    let (theta, out, optimiser) = match result {
        Result::Learned { theta, out, .. } => {
            let to = out.as_mut_ptr();
            if moves {
                out[..theta.len()].copy_from_slice(theta);
                (to, Some(Shared(to)), None)
            } else {
                out[..theta.len()].fill(T::ZERO);
                // only read: no rule but iPC writes θ, and no optimiser runs
                (theta.as_ptr().cast_mut(), Some(Shared(to)), None)
            }
        }
        Result::Trained { theta, optimiser } => {
            let (own, state) = theta.split_at_mut(stack.parameters());
            let (state, sums) = (state.as_mut_ptr(), sums.as_mut_ptr());
            (own.as_mut_ptr(), None, (!moves).then_some(BoundOptimiser { kind: optimiser, state, sums }))
        }
    };
    let net = Net {
        stack,
        fields,
        batch,
        panel: if plan.batch_parallel { plan.tile } else { PANEL },
        output: if let Rule::SeqIl { mixing } = schedule.rule { output.times(mixing) } else { output },
        deviation: matches!(schedule.rule, Rule::Spc { deviation: true, .. }),
        theta,
        packed: plan.pack.then(|| packed.as_mut_slice().as_mut_ptr()),
        block: block.as_mut_slice().as_mut_ptr(),
        arch: Arch::new(),
    };
    let low = reached(schedule, stack.depth());

    let progress = match schedule.rule {
        Rule::Spc { light_cone, .. } if !plan.batch_parallel && stack.depth() > 1 => {
            let stencil = rules::stencil(&net, schedule.steps.len(), light_cone, plan.workers);
            Progress::new(stencil.blocks(), net.grid(net.panel).tiles())
        }
        _ => Progress::new(0, 1),
    };

    let members = if plan.batch_parallel { plan.workers_per_tile } else { 1 };
    // one worker with the whole batch in one tile may move parameters during the backward pass
    let during_backward = optimiser.as_ref().filter(|optimiser| {
        let backward = matches!(schedule.rule, Rule::Bp | Rule::Zil);
        backward && optimiser.layer_by_layer() && plan.workers == 1 && net.grid(net.panel).tiles() == 1
    });
    pool.run(plan.workers, members, |worker| {
        let mut own = lock(&scratches[worker.index]);
        // SAFETY: every worker of the pool runs this same function. Under `Partition::BatchParallel`, a partition of
        // workers holds whole tiles that no other partition has, and each of its members has its own units of every
        // layer. Under `Partition::LayerParallel`, the workers divide layers and tiles among themselves and meet
        // between phases. `prepare` and the caller have ensured that buffers are as long as stack and batch require.
        unsafe {
            if let Some(packed) = net.packed {
                for (l, blocks) in gradient::panels(stack, worker) {
                    product::pack(net.weights(l), blocks, packed.add(stack.weights(l).start));
                }
                worker.meet();
            }
            if plan.batch_parallel {
                let (grid, sharers) = (net.grid(plan.tile), plan.workers_per_tile);
                for i in (worker.index / sharers..grid.tiles()).step_by(worker.count / sharers) {
                    let tile = Tile { part: (worker.index % sharers, sharers), ..grid.tile(i) };
                    let partition = Partition::BatchParallel { tile, worker };
                    net.load(x, y, tile);
                    partition.sync();
                    rules::infer(&net, schedule, partition, &mut own, during_backward);
                }
                worker.meet();
            } else {
                let partition = Partition::LayerParallel {
                    worker,
                    batch,
                    lanes: T::LANES,
                    share_units: plan.workers_per_tile > 1,
                    progress: &progress,
                };
                partition.tiles(|at| net.load(x, y, at));
                rules::infer(&net, schedule, partition, &mut own, None);
            }
            if let (Some(optimiser), None) = (&optimiser, during_backward) {
                optimiser::update(&net, low, optimiser, &mut own, worker);
            }
            if let Some(out) = &out {
                if !moves {
                    for (i, block) in gradient::blocks(stack, low, worker.count).enumerate() {
                        if i % worker.count == worker.index {
                            let (w, b) = gradient::place(&net, block);
                            let tile = own.tile.as_mut_slice();
                            block.directions(&net, false, 1.0, (out.0.add(w), out.0.add(b)), tile);
                        }
                    }
                }
                // other workers may still read states and errors before this
                worker.meet();
                let grid = net.grid(net.panel);
                for at in worker.share(grid.tiles()).map(|i| grid.tile(i)) {
                    write_out(&net, schedule, low, traces, at, out.0.add(stack.parameters()));
                }
            }
        }
    })
}

/// A buffer that workers write disjoint parts of.
struct Shared<T>(*mut T);

// SAFETY: see the places that write through it.
unsafe impl<T: Real> Sync for Shared<T> {}

fn lock<T>(scratch: &Mutex<Scratch<T>>) -> std::sync::MutexGuard<'_, Scratch<T>> {
    // scratch is written before it is read, so it is valid after a panic
    scratch.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// o, and states and errors if asked for, of one tile.
///
/// # Safety
/// All inference is done; `to` has the elements that [`learned_elements`] counts behind the parameters, and no other
/// code reads or writes this tile's samples of them meanwhile.
unsafe fn write_out<T: Real>(
    net: &Net<'_, T>,
    schedule: &Schedule,
    low: usize,
    traces: bool,
    at: arena::Tile,
    to: *mut T,
) {
    let depth = net.depth();
    // SAFETY: the caller's; offsets add up as `learned_elements` counts them.
    unsafe {
        exchange::transpose_out(net.view(Field::Prediction, depth, at), to, at);
        if !traces {
            return;
        }
        let mut to = to.add(net.batch * net.stack.units(depth));
        // these rules never read the moved states, and their fields hold the forward pass
        let plus_error = matches!(schedule.rule, Rule::Fpa { .. } | Rule::Zil);
        for l in 1..=depth {
            if l < low {
                gradient::clear(net, &[Field::Error], l, at);
            }
        }
        for l in 1..depth {
            let (v, e) = (net.view(Field::State, l, at), net.view(Field::Error, l, at));
            if plus_error {
                (0..v.rows).for_each(|j| epilogue::plus(v.row_mut(j), e.row(j)));
            }
            exchange::transpose_out(v, to, at);
            to = to.add(net.batch * net.stack.units(l));
        }
        for l in 1..=depth {
            exchange::transpose_out(net.view(Field::Error, l, at), to, at);
            to = to.add(net.batch * net.stack.units(l));
        }
    }
}
