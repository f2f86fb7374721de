//! The optimisers: they move the parameters along their directions, block by block, while a block of directions is in
//! cache.

use super::gradient::{blocks, blocks_of, descend, place, Block};
use super::memory::Scratch;
use super::net::Net;
use super::pool::Worker;
use super::real::Real;
use crate::schedule::Optimiser;

/// An optimiser with the memory that it works on.
pub(super) struct BoundOptimiser<T> {
    pub(super) kind: Optimiser,
    /// Behind the P parameters.
    pub(super) state: *mut T,
    /// One sum of |Δ| per block, for MQ.
    pub(super) sums: *mut T,
}

// SAFETY: each worker writes its own blocks' parts of both.
unsafe impl<T: Real> Sync for BoundOptimiser<T> {}

/// One update of all layers; those below `to` have directions of exactly zero.
///
/// # Safety
/// The contract of [`super::net`]: all workers run this call, and no other code reads or writes θ or the optimiser's
/// state meanwhile.
pub(super) unsafe fn update<T: Real>(
    net: &Net<'_, T>,
    to: usize,
    optimiser: &BoundOptimiser<T>,
    own: &mut Scratch<T>,
    worker: &Worker<'_>,
) {
    if let Optimiser::Sgd { rate } = optimiser.kind {
        // SAFETY: the caller's.
        unsafe { descend(net, to, rate, own.tile.as_mut_slice(), worker) };
        return;
    }
    for (i, block) in blocks(net.stack, 1, worker.count).enumerate() {
        if i % worker.count == worker.index {
            // SAFETY: the caller's; blocks do not overlap.
            unsafe { update_block(net, to, optimiser, own, (i, block)) };
        }
    }
    if let Optimiser::Mq { decay, .. } = optimiser.kind {
        worker.meet();
        if worker.index == 0 {
            let mut totals = vec![T::ZERO; net.depth()];
            for (i, block) in blocks(net.stack, 1, worker.count).enumerate() {
                // SAFETY: all workers have met, and only this one goes on with the sums.
                totals[block.layer - 1] += unsafe { *optimiser.sums.add(i) };
            }
            for (l, total) in (1..=net.depth()).zip(totals) {
                let elements = net.stack.weights(l).len() + net.stack.biases(l).len();
                // SAFETY: the optimiser's state is one element per layer.
                let v = unsafe { &mut *optimiser.state.add(l - 1) };
                *v = T::of(decay) * *v + T::of((1.0 - decay) / elements.max(1) as f64) * total;
            }
        }
    }
}

impl<T> BoundOptimiser<T> {
    /// Whether a layer's parameters may move as soon as no code reads them any more. MQ may not: its sums are numbered
    /// over all layers.
    pub(super) fn layer_by_layer(&self) -> bool {
        !matches!(self.kind, Optimiser::Mq { .. })
    }
}

/// The part of [`update`] for layer l, by one worker, while the weights and states of the layer are still in cache. The
/// optimiser must allow it ([`layer_by_layer`](BoundOptimiser::layer_by_layer)).
///
/// # Safety
/// The contract of [`super::net`]: no other thread touches the layer's parameters or their state, or writes what its
/// directions are computed from.
pub(super) unsafe fn update_layer<T: Real>(
    net: &Net<'_, T>,
    l: usize,
    optimiser: &BoundOptimiser<T>,
    own: &mut Scratch<T>,
) {
    for block in blocks_of(net.stack, l, 1) {
        // SAFETY: the caller's.
        unsafe {
            if let Optimiser::Sgd { rate } = optimiser.kind {
                block.descend(net, rate, own.tile.as_mut_slice());
            } else {
                update_block(net, l, optimiser, own, (0, block));
            }
        }
    }
}

/// One update of block i, by an optimiser other than SGD.
///
/// # Safety
/// As for [`update`], for the block.
unsafe fn update_block<T: Real>(
    net: &Net<'_, T>,
    to: usize,
    optimiser: &BoundOptimiser<T>,
    own: &mut Scratch<T>,
    (i, block): (usize, Block),
) {
    let parameters = net.stack.parameters();
    let (scratch, tile) = (own.block.as_mut_slice(), own.tile.as_mut_slice());
    let elements = block.rows * net.stack.units(block.layer - 1);
    let biases = if net.stack.layer(block.layer).bias { block.rows } else { 0 };
    let (w, b) = scratch[..elements + biases].split_at_mut(elements);
    let (at_w, at_b) = place(net, block);
    // SAFETY: the caller's; the block's elements lie within θ and the state behind it.
    unsafe {
        if block.layer >= to {
            block.directions(net, false, 1.0, (w.as_mut_ptr(), b.as_mut_ptr()), tile);
        } else {
            w.fill(T::ZERO);
            b.fill(T::ZERO);
        }
        for (d, at) in [(w, at_w), (b, at_b)] {
            let slice = |from: *mut T| std::slice::from_raw_parts_mut(from.add(at), d.len());
            let theta = slice(net.theta);
            net.arch.dispatch(|| match optimiser.kind {
                Optimiser::Sgd { .. } | Optimiser::Mq { .. } => {}
                Optimiser::Momentum { rate, mu } => {
                    momentum(T::of(rate), T::of(mu), theta, d, slice(optimiser.state))
                }
                Optimiser::Adam { rate, betas, epsilon, update } => {
                    let (m, s) = (slice(optimiser.state), slice(optimiser.state.add(parameters)));
                    adam(rate, betas, T::of(epsilon), update, theta, d, m, s);
                }
            });
            if let Optimiser::Mq { rate, min_rate, r, .. } = optimiser.kind {
                let v = *optimiser.state.add(block.layer - 1);
                let mean = T::ONE / T::of(net.batch as f64);
                let factor = T::of(rate) / (v + T::of(r)) + T::of(min_rate);
                let mut sum = T::ZERO;
                for (p, d) in theta.iter_mut().zip(&*d) {
                    let delta = mean * *d;
                    *p += delta * factor;
                    sum += delta.abs();
                }
                let sums = &mut *optimiser.sums.add(i);
                *sums = sum + if at == at_b && at != at_w { *sums } else { T::ZERO };
            }
        }
    }
}

#[inline(always)]
fn momentum<T: Real>(rate: T, mu: T, theta: &mut [T], d: &[T], m: &mut [T]) {
    for ((p, d), m) in theta.iter_mut().zip(d).zip(m) {
        *m = mu * *m + *d;
        *p += rate * *m;
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments)] // the equation has that many symbols
fn adam<T: Real>(
    rate: f64,
    (beta1, beta2): (f64, f64),
    epsilon: T,
    update: i32,
    theta: &mut [T],
    d: &[T],
    m: &mut [T],
    s: &mut [T],
) {
    let (keep1, add1, keep2, add2) = (T::of(beta1), T::of(1.0 - beta1), T::of(beta2), T::of(1.0 - beta2));
    let step = T::of(rate / (1.0 - beta1.powi(update)));
    let correct = T::of(1.0 / (1.0 - beta2.powi(update)));
    for (((p, d), m), s) in theta.iter_mut().zip(d).zip(m).zip(s) {
        *m = keep1 * *m + add1 * *d;
        *s = keep2 * *s + add2 * (*d * *d);
        *p += step * *m / ((*s * correct).sqrt() + epsilon);
    }
}
