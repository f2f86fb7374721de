//! A stack bound to parameters, a batch and memory: the products of each layer with what follows them.
//!
//! Which worker may access what: work is cut into (layer, tile) pairs. A worker that holds such a pair writes the
//! fields of that layer and tile, and reads those of its neighbours that no worker writes in the same phase; all
//! workers meet between phases. Tiles share no memory with each other. Every `unsafe fn` here has that as its contract.

use pulp::Arch;

use super::arena::{Grid, Tile, View};
use super::epilogue::{Advance, FirstError, Next, Restate};
use super::exchange::{copy, transpose_in};
use super::fields::{Field, Fields};
use super::memory::Scratch;
use super::predict::{Predict, Predicted};
use super::product::{Product, Weights};
use super::pull::{Pull, Pulled};
use super::real::Real;
use crate::stack::{Activation, Loss, Stack};

/// See the module.
pub(super) struct Net<'a, T> {
    pub(super) stack: &'a Stack,
    pub(super) fields: &'a Fields,
    pub(super) batch: usize,
    /// Samples of a panel.
    pub(super) panel: usize,
    pub(super) loss: Loss,
    /// Factor on ε_L.
    pub(super) mixing: f64,
    /// States are stored as deviations from the forward pass.
    pub(super) deviation: bool,
    /// θ, flat.
    pub(super) theta: *mut T,
    /// Transposed weights in the order in which products read them, at the offsets of the weights in θ.
    pub(super) packed: Option<*mut T>,
    /// Memory of `fields`.
    pub(super) block: *mut T,
    pub(super) arch: Arch,
}

// SAFETY: the pointers are to memory that outlives the call which made the `Net`; which worker may access which part of
// it at which time is the contract of its unsafe methods.
unsafe impl<T: Real> Sync for Net<'_, T> {}

impl<T: Real> Net<'_, T> {
    /// Tiles of the batch.
    pub(super) fn grid(&self, width: usize) -> Grid {
        Grid::new(self.batch, self.panel, width)
    }

    /// L.
    pub(super) fn depth(&self) -> usize {
        self.stack.depth()
    }

    /// A field of a layer, one tile.
    pub(super) fn view(&self, field: Field, l: usize, at: Tile) -> View<T> {
        // SAFETY: `block` was allocated for `fields`, which were laid out for this batch.
        unsafe { self.fields.view(self.block, field, l, at) }
    }

    /// The same, if the layer has that field.
    pub(super) fn maybe(&self, field: Field, l: usize, at: Tile) -> Option<View<T>> {
        self.fields.has(field, l).then(|| self.view(field, l, at))
    }

    /// The same, if it is memory of its own.
    pub(super) fn apart(&self, field: Field, from: Field, l: usize, at: Tile) -> Option<View<T>> {
        self.fields.apart(field, from, l).then(|| self.view(field, l, at))
    }

    pub(super) fn weights(&self, l: usize) -> Weights<T> {
        let layer = self.stack.layer(l);
        // SAFETY: the offset lies within θ.
        let ptr = unsafe { self.theta.add(self.stack.weights(l).start) };
        Weights { ptr, inputs: layer.inputs, outputs: layer.outputs }
    }

    /// b_l, or nothing.
    ///
    /// # Safety
    /// No code writes b_l while the slice lives.
    unsafe fn bias(&self, l: usize) -> &[T] {
        let range = self.stack.biases(l);
        // SAFETY: the range lies within θ.
        unsafe { std::slice::from_raw_parts(self.theta.add(range.start), range.len()) }
    }

    /// Field that states below and in the output live in during the forward pass.
    fn forward_field(&self) -> Field {
        if self.deviation {
            Field::F
        } else {
            Field::V
        }
    }

    /// What layer l + 1 will read of state l.
    fn next(&self, l: usize, at: Tile, deviation: bool) -> Next<T> {
        let act = self.stack.layer(l + 1).act_in;
        Next {
            act,
            h: self.apart(Field::H, Field::V, l, at),
            p: self.maybe(Field::P, l, at),
            from: deviation.then(|| self.view(Field::F, l, at)),
        }
    }

    /// v_0 = x and y, from row-major `[B, n]`.
    ///
    /// # Safety
    /// The contract of the module, for state 0 and layer L.
    pub(super) unsafe fn load(&self, x: &[T], y: &[T], at: Tile) {
        // SAFETY: the caller's.
        unsafe {
            transpose_in(x, self.view(Field::V, 0, at), at);
            transpose_in(y, self.view(Field::Y, self.depth(), at), at);
        }
        let (v, next) = (self.view(Field::V, 0, at), self.next(0, at, false));
        self.arch.dispatch(Restate { v, sum: None, rows: at.rows(v.rows), next });
    }

    /// W_l times what a field of the state below holds.
    fn product(&self, l: usize, input: Field, scratch: &mut Scratch<T>, at: Tile) -> Product<T> {
        let z = scratch.view(self.stack.units(l), at);
        let (w, scale, h) = (self.weights(l), self.stack.layer(l).scale, self.view(input, l - 1, at));
        Product::forward(w, scale, h, z, at).of_batch(self.batch)
    }

    /// v_l = f_l(v_{l−1}), plus e_l if `rebuild`; the output at l = L.
    ///
    /// # Safety
    /// The contract of the module, for layer l.
    pub(super) unsafe fn forward_layer(&self, l: usize, scratch: &mut Scratch<T>, at: Tile, rebuild: bool) {
        let layer = self.stack.layer(l);
        let own = self.forward_field();
        let from = if l == 1 { Field::V } else { own };
        let input = if self.fields.apart(Field::H, Field::V, l - 1) { Field::H } else { from };
        // SAFETY: the caller's.
        unsafe {
            let z = self.product(l, input, scratch, at);
            let slope = self.slope(l, at);
            let then = if l == self.depth() {
                let o = self.view(if self.deviation { Field::F } else { Field::M }, l, at);
                Predicted::Output { o, from: None, slope }
            } else {
                Predicted::State {
                    v: self.view(own, l, at),
                    plus: rebuild.then(|| self.view(Field::E, l, at)),
                    also: if rebuild { None } else { self.maybe(Field::M, l, at) },
                    slope,
                    next: self.next(l, at, false),
                }
            };
            self.arch.dispatch(Predict {
                z,
                bias: self.bias(l),
                act: layer.act_out,
                from: None,
                below: layer.skip.then(|| self.view(from, l - 1, at)),
                keep: self.maybe(Field::Z, l, at),
                then,
            });
            if l == self.depth() && self.deviation {
                copy(self.view(Field::F, l, at), self.view(Field::M, l, at), at);
            }
        }
    }

    /// Where φ_out'(pre_l) goes in a forward pass: S if it is to last, else D; nowhere if it is 1.
    fn slope(&self, l: usize, at: Tile) -> Option<View<T>> {
        let to = self.maybe(Field::S, l, at);
        to.or_else(|| {
            (self.stack.layer(l).act_out != Activation::Identity).then(|| self.view(Field::D, l, at))
        })
    }

    /// v_1 = μ_1 + e_1, without a product: μ_1 = f_1(x) never changes.
    ///
    /// # Safety
    /// The contract of the module, for layer 1.
    pub(super) unsafe fn rebuild_first(&self, at: Tile) {
        let [m, e, v] = [Field::M, Field::E, Field::V].map(|f| self.view(f, 1, at));
        let next = self.next(1, at, false);
        self.arch.dispatch(Restate { v, sum: Some((m, e)), rows: at.rows(v.rows), next });
    }

    /// ε_l = v_l − f_l(v_{l−1}) and δ_l (φ_out' alone if `slope_only`), 1 ≤ l ≤ L; the output at l = L.
    ///
    /// # Safety
    /// The contract of the module, for layer l; no worker moves states meanwhile.
    pub(super) unsafe fn predict(&self, l: usize, scratch: &mut Scratch<T>, at: Tile, slope_only: bool) {
        let layer = self.stack.layer(l);
        // SAFETY: the caller's.
        unsafe {
            let z = self.product(l, Field::H, scratch, at);
            let then = if l == self.depth() {
                let from = self.deviation.then(|| self.view(Field::F, l, at));
                Predicted::Output { o: self.view(Field::M, l, at), from, slope: self.slope(l, at) }
            } else {
                Predicted::Error {
                    v: self.view(Field::V, l, at),
                    e: self.view(Field::E, l, at),
                    d: self.apart(Field::D, Field::E, l, at),
                    slope_only,
                }
            };
            self.arch.dispatch(Predict {
                z,
                bias: if self.deviation { &[] } else { self.bias(l) },
                act: layer.act_out,
                from: if self.deviation { self.maybe(Field::Z, l, at) } else { None },
                below: layer.skip.then(|| self.view(Field::V, l - 1, at)),
                keep: None,
                then,
            });
        }
    }

    /// ε_1 = v_1 − μ_1 without a product.
    ///
    /// # Safety
    /// The contract of the module, for layer 1; no worker moves states meanwhile.
    pub(super) unsafe fn first_error(&self, at: Tile) {
        let view = |field| self.view(field, 1, at);
        let slope = self.maybe(Field::S, 1, at);
        self.arch.dispatch(FirstError {
            v: view(Field::V),
            m: (!self.deviation).then(|| view(Field::M)),
            e: view(Field::E),
            d: self.apart(Field::D, Field::E, 1, at).zip(slope),
            rows: at.rows(self.stack.units(1)),
        });
    }

    /// J_lᵀ applied to what field D of layer l holds, and what becomes of it; l > 1.
    ///
    /// # Safety
    /// The contract of the module, for layer l − 1.
    pub(super) unsafe fn pull(
        &self,
        l: usize,
        (delta, carried): (Field, Field),
        scratch: &mut Scratch<T>,
        at: Tile,
        then: impl FnOnce(Next<T>) -> Pulled<T>,
    ) {
        let layer = self.stack.layer(l);
        let out = scratch.view(self.stack.units(l - 1), at);
        let (w, d) = (self.weights(l), self.view(delta, l, at));
        let mut r = Product::backward(w, layer.scale, d, out, at).of_batch(self.batch);
        if let Some(packed) = self.packed {
            // SAFETY: packed as the weights are, layer after layer, with the same offsets.
            r = r.packed(unsafe { packed.add(self.stack.weights(l).start) });
        }
        // a deviation's slope does not follow from its φ_in and is therefore kept, as for gelu
        let act = match layer.act_in {
            Activation::Identity => Activation::Identity,
            _ if self.deviation => Activation::Gelu,
            other => other,
        };
        // what the caller promises is what the operation asks for
        self.arch.dispatch(Pull {
            r,
            act,
            h: self.view(Field::H, l - 1, at),
            p: self.maybe(Field::P, l - 1, at),
            skip: layer.skip.then(|| self.view(carried, l, at)),
            then: then(self.next(l - 1, at, self.deviation)),
        });
    }

    /// Moves state l by what field R holds.
    ///
    /// # Safety
    /// The contract of the module, for layer l.
    pub(super) unsafe fn advance(&self, l: usize, at: Tile, arriving: bool) {
        self.arch.dispatch(Advance {
            v: self.view(Field::V, l, at),
            step: self.view(Field::R, l, at),
            arriving: arriving.then(|| (self.view(Field::E, l, at), self.apart(Field::D, Field::E, l, at))),
            next: self.next(l, at, self.deviation),
        });
    }

    /// ε_L = −∂loss/∂o and δ_L, of the whole tile by the first worker of a partition.
    ///
    /// # Safety
    /// The contract of the module, for layer L; the output is there.
    pub(super) unsafe fn output_error(&self, at: Tile) {
        if at.part.0 > 0 {
            return;
        }
        let depth = self.depth();
        let [o, y, e] = [Field::M, Field::Y, Field::E].map(|f| self.view(f, depth, at));
        let slope = self.slope(depth, at);
        let d = self.apart(Field::D, Field::E, depth, at);
        // SAFETY: the caller's.
        unsafe {
            super::loss::error(self.loss, self.mixing, o, y, e);
            if let (Some(d), Some(slope)) = (d, slope) {
                for j in 0..d.rows {
                    let d = d.row_mut(j);
                    if self.fields.has(Field::S, depth) {
                        d.copy_from_slice(slope.row(j));
                    }
                    super::epilogue::times(d, e.row(j));
                }
            }
        }
    }
}
