//! Rules whose products stay at the forward pass: FPA and activation relaxation.

use super::exchange::copy;
use super::fields::Field;
use super::memory::Scratch;
use super::net::Net;
use super::partition::Partition;
use super::real::Real;
use super::vjp::AfterVjp;
use crate::schedule::lowest;

/// FPA from errors of zero, AR from the negative activations. (`Error`, `Delta`) and (`OtherError`, `OtherDelta`)
/// alternate: one is read while the other is written. `State` stays at the forward pass.
///
/// # Safety
/// As for [`infer`](super::rules::infer).
pub(super) unsafe fn fixed<T: Real>(
    net: &Net<'_, T>,
    steps: &[f64],
    light_cone: bool,
    partition: Partition<'_>,
    scratch: &mut Scratch<T>,
) {
    let depth = net.depth();
    let buffers = [(Field::Error, Field::Delta), (Field::OtherError, Field::OtherDelta)];
    // SAFETY: the caller's; between phases the workers of the partition have met.
    unsafe {
        for (t, g) in steps.iter().enumerate() {
            let ((e, d), (e2, d2)) = (buffers[t % 2], buffers[(t + 1) % 2]);
            partition.layers(depth - 1, lowest(depth, t, light_cone), |k, at| {
                // the output error never changes, so it has one buffer
                let read = if k + 1 == depth { (Field::Delta, Field::Error) } else { (d, e) };
                net.vjp(k + 1, read, scratch, at, |_| AfterVjp::Fixed {
                    e: Some(net.view(e, k, at)),
                    to: net.view(e2, k, at),
                    d: net.maybe(Field::OutputSlope, k, at).map(|slope| (slope, net.view(d2, k, at))),
                    g: T::of(*g),
                    arriving: light_cone && t + 1 + k == depth,
                });
            });
        }
        if steps.len() % 2 == 1 {
            let low = lowest(depth, steps.len() - 1, light_cone);
            partition.layers(depth - 1, low, |k, at| {
                copy(net.view(Field::OtherError, k, at), net.view(Field::Error, k, at), at);
                if let Some(d) = net.apart(Field::Delta, Field::Error, k, at) {
                    copy(net.view(Field::OtherDelta, k, at), d, at);
                }
            });
        }
    }
}

/// AR from the output down; each layer reads the errors that have just moved.
///
/// # Safety
/// As for [`infer`](super::rules::infer).
pub(super) unsafe fn in_place<T: Real>(
    net: &Net<'_, T>,
    steps: &[f64],
    partition: Partition<'_>,
    scratch: &mut Scratch<T>,
) {
    partition.tiles(|at| {
        for g in steps {
            for l in (2..=net.depth()).rev() {
                let k = l - 1;
                // SAFETY: the caller's; a tile's layers are done one after another.
                unsafe {
                    net.vjp(l, (Field::Delta, Field::Error), scratch, at, |_| AfterVjp::Fixed {
                        e: None,
                        to: net.view(Field::Error, k, at),
                        d: net
                            .maybe(Field::OutputSlope, k, at)
                            .map(|slope| (slope, net.view(Field::Delta, k, at))),
                        g: T::of(*g),
                        arriving: false,
                    });
                }
                partition.sync();
            }
        }
    });
}
