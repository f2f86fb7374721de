//! Rules whose products stay at the forward pass: FPA and activation relaxation.

use super::crew::Crew;
use super::exchange::copy;
use super::fields::Field;
use super::memory::Scratch;
use super::net::Net;
use super::pull::Pulled;
use super::real::Real;
use super::rules::lowest;

/// FPA from errors of zero, AR from the negative activations. (E, D) and (E2, D2) take turns: one is read while the
/// other is written. V stays at the forward pass.
///
/// # Safety
/// As for [`infer`](super::rules::infer).
pub(super) unsafe fn fixed<T: Real>(
    net: &Net<'_, T>,
    steps: &[f64],
    light_cone: bool,
    crew: Crew<'_>,
    scratch: &mut Scratch<T>,
) {
    let depth = net.depth();
    let sides = [(Field::E, Field::D), (Field::E2, Field::D2)];
    // SAFETY: the caller's; between phases the workers of the partition have met.
    unsafe {
        for (t, g) in steps.iter().enumerate() {
            let ((e, d), (e2, d2)) = (sides[t % 2], sides[(t + 1) % 2]);
            crew.layers(depth - 1, lowest(depth, t, light_cone), |k, at| {
                // the output error never changes and has one side only
                let read = if k + 1 == depth { (Field::D, Field::E) } else { (d, e) };
                net.pull(k + 1, read, scratch, at, |_| Pulled::Fixed {
                    e: Some(net.view(e, k, at)),
                    to: net.view(e2, k, at),
                    d: net.maybe(Field::S, k, at).map(|slope| (slope, net.view(d2, k, at))),
                    g: T::of(*g),
                    arriving: light_cone && t + 1 + k == depth,
                });
            });
        }
        if steps.len() % 2 == 1 {
            let low = lowest(depth, steps.len() - 1, light_cone);
            crew.layers(depth - 1, low, |k, at| {
                copy(net.view(Field::E2, k, at), net.view(Field::E, k, at), at);
                if let Some(d) = net.apart(Field::D, Field::E, k, at) {
                    copy(net.view(Field::D2, k, at), d, at);
                }
            });
        }
    }
}

/// AR from the output down, each layer reading what has just moved.
///
/// # Safety
/// As for [`infer`](super::rules::infer).
pub(super) unsafe fn in_place<T: Real>(
    net: &Net<'_, T>,
    steps: &[f64],
    crew: Crew<'_>,
    scratch: &mut Scratch<T>,
) {
    crew.tiles(|at| {
        for g in steps {
            for l in (2..=net.depth()).rev() {
                let k = l - 1;
                // SAFETY: the caller's; a tile's layers are done one after another.
                unsafe {
                    net.pull(l, (Field::D, Field::E), scratch, at, |_| Pulled::Fixed {
                        e: None,
                        to: net.view(Field::E, k, at),
                        d: net.maybe(Field::S, k, at).map(|slope| (slope, net.view(Field::D, k, at))),
                        g: T::of(*g),
                        arriving: false,
                    });
                }
                crew.sync();
            }
        }
    });
}
