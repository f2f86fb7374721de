//! The counting engine: executes a schedule without numbers and counts its work.
//!
//! Values carry only their size and the earliest time they could exist, in sequential matrix products,
//! if every independent product ran at once. The latest of those times is the critical path.
//!
//! A schedule that waits for the end of each inference step before it begins the next is deeper: call
//! [`Counting::barrier`] from the rule's watcher, as [`Counting::stepwise`] does, to count that instead.

use std::cell::Cell;

use super::{Engine, MaybeZero};
use crate::net::{LayerCost, Loss, VerbCost};
use crate::Result;

/// Totals of one execution.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Products, FLOPs, element-wise work and elements moved.
    pub work: VerbCost,
    /// Sequential matrix products with unlimited parallelism across layers.
    pub critical_path: u64,
}

/// A tensor that exists in name only.
#[derive(Debug, Clone, Copy)]
pub struct Ghost {
    elements: u64,
    ready: u64,
}

/// A network's costs, executed by counting.
#[derive(Debug)]
pub struct Counting {
    layers: Vec<LayerCost>,
    params: Vec<Ghost>,
    inputs: u64,
    output_error_ops: u64,
    totals: Cell<Totals>,
    /// No product may begin before this time.
    floor: Cell<u64>,
}

impl Counting {
    /// An engine over layers with these costs; `inputs` is B·D.
    pub fn new(layers: Vec<LayerCost>, inputs: u64, loss: &Loss) -> Self {
        let params = layers.iter().map(|l| Ghost { elements: l.parameters, ready: 0 }).collect();
        let output_error_ops = loss.output_error_ops();
        Self { layers, params, inputs, output_error_ops, totals: Cell::default(), floor: Cell::default() }
    }

    /// Every later product waits for everything counted so far.
    pub fn barrier(&self) {
        self.floor.set(self.totals.get().critical_path);
    }

    /// A watcher that puts a barrier after every inference step.
    pub fn stepwise(&self) -> impl FnMut(usize, &[MaybeZero<Ghost>], &Ghost) -> Result<()> + '_ {
        |_, _, _| {
            self.barrier();
            Ok(())
        }
    }

    /// What has been counted so far.
    pub fn totals(&self) -> Totals {
        self.totals.get()
    }

    fn spend(&self, work: VerbCost, ready: u64) {
        let mut totals = self.totals.get();
        totals.work += work;
        totals.critical_path = totals.critical_path.max(ready);
        self.totals.set(totals);
    }

    fn elementwise(&self, ops: u64, parts: &[&Ghost]) -> Ghost {
        let elements = parts[0].elements;
        let ready = parts.iter().map(|p| p.ready).max().unwrap_or(0);
        let moved = elements * (parts.len() as u64 + 1);
        self.spend(VerbCost { elementwise: ops * elements, moved, ..VerbCost::default() }, ready);
        Ghost { elements, ready }
    }

    fn verb(&self, work: VerbCost, after: u64, elements: u64) -> Ghost {
        let ready = after.max(self.floor.get()) + work.gemms;
        self.spend(work, ready);
        Ghost { elements, ready }
    }
}

impl Engine for Counting {
    type Value = Ghost;
    type Local = Ghost;
    type Params = Ghost;
    type Direction = Ghost;

    fn depth(&self) -> usize {
        self.layers.len()
    }

    fn input(&self) -> Ghost {
        Ghost { elements: self.inputs, ready: 0 }
    }

    fn params(&self, l: usize) -> &Ghost {
        &self.params[l - 1]
    }

    fn forward_with(&self, l: usize, params: &Ghost, below: &Ghost) -> Result<(Ghost, Ghost)> {
        let layer = &self.layers[l - 1];
        let mu = self.verb(layer.forward, below.ready.max(params.ready), layer.outputs);
        Ok((mu, Ghost { elements: below.elements, ready: mu.ready }))
    }

    fn vjp_with(&self, l: usize, params: &Ghost, at: &Ghost, e: &Ghost) -> Result<Ghost> {
        let after = at.ready.max(e.ready).max(params.ready);
        Ok(self.verb(self.layers[l - 1].vjp, after, at.elements))
    }

    fn vjp_linear_with(&self, l: usize, params: &Ghost, at: &Ghost, e: &Ghost) -> Result<Ghost> {
        let after = at.ready.max(e.ready).max(params.ready);
        Ok(self.verb(self.layers[l - 1].vjp_linear, after, at.elements))
    }

    fn moved(&self, _: usize, params: &Ghost, _: f64, direction: &Ghost) -> Result<Ghost> {
        Ok(self.elementwise(2, &[params, direction]))
    }

    fn param_grad(&self, l: usize, at: &Ghost, e: &Ghost) -> Result<Ghost> {
        let layer = &self.layers[l - 1];
        Ok(self.verb(layer.param_grad, at.ready.max(e.ready), layer.parameters))
    }

    fn output_error(&self, o: &Ghost) -> Result<Ghost> {
        Ok(self.elementwise(self.output_error_ops, &[o]))
    }

    fn add(&self, a: &Ghost, b: &Ghost) -> Result<Ghost> {
        Ok(self.elementwise(1, &[a, b]))
    }

    fn sub(&self, a: &Ghost, b: &Ghost) -> Result<Ghost> {
        Ok(self.elementwise(1, &[a, b]))
    }

    fn scale(&self, _: f64, a: &Ghost) -> Result<Ghost> {
        Ok(self.elementwise(1, &[a]))
    }

    fn add_scaled(&self, a: &Ghost, _: f64, b: &Ghost) -> Result<Ghost> {
        Ok(self.elementwise(2, &[a, b]))
    }
}
