//! A stack bound to parameters, a batch and memory: the products of each layer with their epilogues.
//!
//! Contract of access: work is cut into (layer, tile) pairs. A worker that holds such a pair writes the
//! fields of that layer and tile, and reads those of its neighbours that no worker writes in the same phase; all
//! workers meet between phases. Tiles share no memory with each other. This is the contract of every `unsafe fn` here.

use pulp::Arch;

use super::arena::{Grid, Tile, View};
use super::epilogue::{Advance, FirstError, Next, Restate};
use super::exchange::{copy, transpose_in};
use super::fields::{Field, Fields};
use super::memory::Scratch;
use super::predict::{Predict, Predicted};
use super::product::{Product, Weights};
use super::real::Real;
use super::vjp::{AfterVjp, Vjp};
use crate::layer::Activation;
use crate::loss::OutputError;
use crate::stack::Stack;

/// See the module.
pub(super) struct Net<'a, T> {
    pub(super) stack: &'a Stack,
    pub(super) fields: &'a Fields,
    pub(super) batch: usize,
    /// Samples of a panel.
    pub(super) panel: usize,
    pub(super) output: OutputError,
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

    /// The same, if it does not share its memory with `from`.
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

    /// The field of states, and of the output, during the forward pass.
    fn forward_field(&self) -> Field {
        if self.deviation {
            Field::ForwardState
        } else {
            Field::State
        }
    }

    /// The fields that layer l + 1 reads of state l.
    fn next(&self, l: usize, at: Tile, deviation: bool) -> Next<T> {
        let act = self.stack.layer(l + 1).act_in;
        Next {
            act,
            h: self.apart(Field::Activated, Field::State, l, at),
            p: self.maybe(Field::InputSlope, l, at),
            from: deviation.then(|| self.view(Field::ForwardState, l, at)),
        }
    }

    /// v_0 = x and y, from row-major `[B, n]`.
    ///
    /// # Safety
    /// The contract of the module, for state 0 and layer L.
    pub(super) unsafe fn load(&self, x: &[T], y: &[T], at: Tile) {
        // SAFETY: the caller's.
        unsafe {
            transpose_in(x, self.view(Field::State, 0, at), at);
            transpose_in(y, self.view(Field::Target, self.depth(), at), at);
        }
        let (v, next) = (self.view(Field::State, 0, at), self.next(0, at, false));
        self.arch.dispatch(Restate { v, sum: None, rows: at.rows(v.rows), next });
    }

    /// W_l times a field of the layer below.
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
        let from = if l == 1 { Field::State } else { own };
        let input =
            if self.fields.apart(Field::Activated, Field::State, l - 1) { Field::Activated } else { from };
        // SAFETY: the caller's.
        unsafe {
            let z = self.product(l, input, scratch, at);
            let slope = self.slope(l, at);
            let then = if l == self.depth() {
                let o =
                    self.view(if self.deviation { Field::ForwardState } else { Field::Prediction }, l, at);
                Predicted::Output { o, from: None, slope }
            } else {
                Predicted::State {
                    v: self.view(own, l, at),
                    plus: rebuild.then(|| self.view(Field::Error, l, at)),
                    also: if rebuild { None } else { self.maybe(Field::Prediction, l, at) },
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
                keep: self.maybe(Field::PreActivation, l, at),
                then,
            });
            if l == self.depth() && self.deviation {
                copy(self.view(Field::ForwardState, l, at), self.view(Field::Prediction, l, at), at);
            }
        }
    }

    /// The field for φ_out'(pre_l) in a forward pass: `OutputSlope` if the layer has it, else `Delta`; none if the
    /// slope is 1.
    fn slope(&self, l: usize, at: Tile) -> Option<View<T>> {
        let to = self.maybe(Field::OutputSlope, l, at);
        to.or_else(|| {
            (self.stack.layer(l).act_out != Activation::Identity).then(|| self.view(Field::Delta, l, at))
        })
    }

    /// v_1 = μ_1 + e_1, without a product: μ_1 = f_1(x) never changes.
    ///
    /// # Safety
    /// The contract of the module, for layer 1.
    pub(super) unsafe fn rebuild_first(&self, at: Tile) {
        let [m, e, v] = [Field::Prediction, Field::Error, Field::State].map(|f| self.view(f, 1, at));
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
            let z = self.product(l, Field::Activated, scratch, at);
            let then = if l == self.depth() {
                let from = self.deviation.then(|| self.view(Field::ForwardState, l, at));
                Predicted::Output { o: self.view(Field::Prediction, l, at), from, slope: self.slope(l, at) }
            } else {
                Predicted::Error {
                    v: self.view(Field::State, l, at),
                    e: self.view(Field::Error, l, at),
                    d: self.apart(Field::Delta, Field::Error, l, at),
                    slope_only,
                }
            };
            self.arch.dispatch(Predict {
                z,
                bias: if self.deviation { &[] } else { self.bias(l) },
                act: layer.act_out,
                from: if self.deviation { self.maybe(Field::PreActivation, l, at) } else { None },
                below: layer.skip.then(|| self.view(Field::State, l - 1, at)),
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
        let slope = self.maybe(Field::OutputSlope, 1, at);
        self.arch.dispatch(FirstError {
            v: view(Field::State),
            m: (!self.deviation).then(|| view(Field::Prediction)),
            e: view(Field::Error),
            d: self.apart(Field::Delta, Field::Error, 1, at).zip(slope),
            rows: at.rows(self.stack.units(1)),
        });
    }

    /// The vector-Jacobian product J_lᵀ δ of layer l > 1, δ in field `delta`, and its epilogue `then`.
    ///
    /// # Safety
    /// The contract of the module, for layer l − 1.
    pub(super) unsafe fn vjp(
        &self,
        l: usize,
        (delta, carried): (Field, Field),
        scratch: &mut Scratch<T>,
        at: Tile,
        then: impl FnOnce(Next<T>) -> AfterVjp<T>,
    ) {
        let layer = self.stack.layer(l);
        let out = scratch.view(self.stack.units(l - 1), at);
        let (w, d) = (self.weights(l), self.view(delta, l, at));
        let mut r = Product::backward(w, layer.scale, d, out, at).of_batch(self.batch);
        if let Some(packed) = self.packed {
            // SAFETY: packed as the weights are, layer after layer, with the same offsets.
            r = r.packed(unsafe { packed.add(self.stack.weights(l).start) });
        }
        // the slope at a deviation cannot be computed from its φ_in and is therefore stored, as for gelu
        let act = match layer.act_in {
            Activation::Identity => Activation::Identity,
            _ if self.deviation => Activation::Gelu,
            other => other,
        };
        // the contract of the caller is the contract of the operation
        self.arch.dispatch(Vjp {
            r,
            act,
            h: self.view(Field::Activated, l - 1, at),
            p: self.maybe(Field::InputSlope, l - 1, at),
            skip: layer.skip.then(|| self.view(carried, l, at)),
            then: then(self.next(l - 1, at, self.deviation)),
        });
    }

    /// Moves state l by its `PendingStep`.
    ///
    /// # Safety
    /// The contract of the module, for layer l.
    pub(super) unsafe fn advance(&self, l: usize, at: Tile, arriving: bool) {
        self.arch.dispatch(Advance {
            v: self.view(Field::State, l, at),
            step: self.view(Field::PendingStep, l, at),
            arriving: arriving
                .then(|| (self.view(Field::Error, l, at), self.apart(Field::Delta, Field::Error, l, at))),
            next: self.next(l, at, self.deviation),
        });
    }

    /// ε_L = −∂loss/∂o and δ_L, of the whole tile by the first worker of a partition.
    ///
    /// # Safety
    /// The contract of the module, for layer L; the output has been computed.
    pub(super) unsafe fn output_error(&self, at: Tile) {
        if at.part.0 > 0 {
            return;
        }
        let depth = self.depth();
        let [o, y, e] = [Field::Prediction, Field::Target, Field::Error].map(|f| self.view(f, depth, at));
        let slope = self.slope(depth, at);
        let d = self.apart(Field::Delta, Field::Error, depth, at);
        // SAFETY: the caller's.
        unsafe {
            super::loss::error(self.output, o, y, e);
            if let (Some(d), Some(slope)) = (d, slope) {
                for j in 0..d.rows {
                    let d = d.row_mut(j);
                    if self.fields.has(Field::OutputSlope, depth) {
                        d.copy_from_slice(slope.row(j));
                    }
                    super::epilogue::times(d, e.row(j));
                }
            }
        }
    }
}
