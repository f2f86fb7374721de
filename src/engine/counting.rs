//! The counting engine: executes a schedule without numbers and counts its work.
//!
//! Values carry only their size and the earliest time they could exist, in sequential matrix products,
//! if every independent product ran at once. The latest of those times is the critical path.
//!
//! A schedule that waits for the end of each inference step before it begins the next is deeper: call
//! [`Counting::barrier`] from the rule's watcher, as [`Counting::stepwise`] does, to count that instead.

use std::cell::Cell;

use super::{Engine, Shown};
use crate::net::{
    DataId, Graph, LatentEnergy, LayerCost, Loss, OperationCost, OutputEnergy, ParamId, Topology, VerbCost,
    VertexId,
};
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
pub struct SymbolicTensor {
    elements: u64,
    ready: u64,
}

/// A network's costs, executed by counting.
#[derive(Debug)]
pub struct Counting {
    topology: Topology,
    vertices: Vec<OperationCost>,
    params: Vec<SymbolicTensor>,
    data: Vec<SymbolicTensor>,
    /// Per loss the element-wise operations of its derivative, per element.
    loss_ops: Vec<u64>,
    /// The same of its second derivative.
    loss_curvature_ops: Vec<u64>,
    totals: Cell<Totals>,
    /// No product may begin before this time.
    floor: Cell<u64>,
}

impl Counting {
    /// An engine over a network on a batch.
    pub fn new(graph: &Graph, batch: usize) -> Self {
        let elements = |batch: usize, shape: &[usize]| SymbolicTensor {
            elements: (batch * shape.iter().product::<usize>()) as u64,
            ready: 0,
        };
        Self {
            topology: graph.topology().clone(),
            vertices: graph.costs(batch),
            params: graph.params().iter().map(|named| elements(1, &named.shape)).collect(),
            data: graph.data().iter().map(|named| elements(batch, &named.shape)).collect(),
            loss_ops: graph.losses().iter().map(|term| term.loss.output_error_ops()).collect(),
            loss_curvature_ops: graph.losses().iter().map(|term| term.loss.curvature_ops()).collect(),
            totals: Cell::default(),
            floor: Cell::default(),
        }
    }

    /// An engine over a chain of layers with these costs; `inputs` is B·D.
    pub fn chain(layers: &[LayerCost], inputs: u64, loss: &Loss) -> Self {
        let tensor = |elements| SymbolicTensor { elements, ready: 0 };
        Self {
            topology: Topology::chain(&vec![1; layers.len()]),
            vertices: layers.iter().map(LayerCost::operation).collect(),
            params: layers.iter().map(|layer| tensor(layer.parameters)).collect(),
            data: vec![tensor(inputs)],
            loss_ops: vec![loss.output_error_ops()],
            loss_curvature_ops: vec![loss.curvature_ops()],
            totals: Cell::default(),
            floor: Cell::default(),
        }
    }

    /// Every later product waits for everything counted so far.
    pub fn barrier(&self) {
        self.floor.set(self.totals.get().critical_path);
    }

    /// A watcher that puts a barrier after every inference step.
    pub fn stepwise(&self) -> impl FnMut(Shown<'_, SymbolicTensor>) -> Result<()> + '_ {
        |_| {
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

    fn elementwise(&self, ops: u64, parts: &[&SymbolicTensor]) -> SymbolicTensor {
        let elements = parts[0].elements;
        let ready = parts.iter().map(|p| p.ready).max().unwrap_or(0);
        let moved = elements * (parts.len() as u64 + 1);
        self.spend(VerbCost { elementwise: ops * elements, moved, ..VerbCost::default() }, ready);
        SymbolicTensor { elements, ready }
    }

    fn verb(&self, work: VerbCost, after: u64, elements: u64) -> SymbolicTensor {
        let ready = after.max(self.floor.get()) + work.gemms;
        self.spend(work, ready);
        SymbolicTensor { elements, ready }
    }
}

/// When the last of several tensors exists.
fn ready(tensors: &[&SymbolicTensor]) -> u64 {
    tensors.iter().map(|t| t.ready).max().unwrap_or(0)
}

impl Engine for Counting {
    type Value = SymbolicTensor;
    type Linearization = Vec<SymbolicTensor>;
    type Param = SymbolicTensor;
    type Direction = SymbolicTensor;

    fn topology(&self) -> &Topology {
        &self.topology
    }

    fn data(&self, d: DataId) -> &SymbolicTensor {
        &self.data[d]
    }

    fn param(&self, p: ParamId) -> &SymbolicTensor {
        &self.params[p]
    }

    /// The linearisation is the inputs, ready when the prediction is.
    fn forward(
        &self,
        i: VertexId,
        params: &[&SymbolicTensor],
        inputs: &[&SymbolicTensor],
    ) -> Result<(SymbolicTensor, Vec<SymbolicTensor>)> {
        let vertex = &self.vertices[i];
        let value = self.verb(vertex.forward, ready(params).max(ready(inputs)), vertex.outputs);
        let at = inputs.iter().map(|t| SymbolicTensor { elements: t.elements, ready: value.ready }).collect();
        Ok((value, at))
    }

    fn vjp(
        &self,
        i: VertexId,
        slot: usize,
        params: &[&SymbolicTensor],
        at: &Vec<SymbolicTensor>,
        c: &SymbolicTensor,
    ) -> Result<SymbolicTensor> {
        let after = at[slot].ready.max(c.ready).max(ready(params));
        Ok(self.verb(self.vertices[i].vjp[slot], after, at[slot].elements))
    }

    fn vjp_linear(
        &self,
        i: VertexId,
        slot: usize,
        params: &[&SymbolicTensor],
        at: &Vec<SymbolicTensor>,
        c: &SymbolicTensor,
    ) -> Result<SymbolicTensor> {
        let after = at[slot].ready.max(c.ready).max(ready(params));
        let work = self.vertices[i].linear(i, slot)?;
        Ok(self.verb(work, after, at[slot].elements))
    }

    fn param_grad(
        &self,
        i: VertexId,
        at: &Vec<SymbolicTensor>,
        c: &SymbolicTensor,
    ) -> Result<Vec<SymbolicTensor>> {
        let after = at.iter().map(|t| t.ready).max().unwrap_or(0).max(c.ready);
        let done = self.verb(self.vertices[i].param_grad, after, 0);
        let own = self.topology.node(i).params.iter();
        Ok(own.map(|&p| SymbolicTensor { ready: done.ready, ..self.params[p] }).collect())
    }

    fn add_directions(&self, a: &SymbolicTensor, b: &SymbolicTensor) -> Result<SymbolicTensor> {
        Ok(self.elementwise(1, &[a, b]))
    }

    fn apply_update(
        &self,
        param: &SymbolicTensor,
        _: f64,
        direction: &SymbolicTensor,
    ) -> Result<SymbolicTensor> {
        Ok(self.elementwise(2, &[param, direction]))
    }

    fn loss_error(&self, k: usize, value: &SymbolicTensor) -> Result<SymbolicTensor> {
        Ok(self.elementwise(self.loss_ops[k], &[value]))
    }

    fn add(&self, a: &SymbolicTensor, b: &SymbolicTensor) -> Result<SymbolicTensor> {
        Ok(self.elementwise(1, &[a, b]))
    }

    fn sub(&self, a: &SymbolicTensor, b: &SymbolicTensor) -> Result<SymbolicTensor> {
        Ok(self.elementwise(1, &[a, b]))
    }

    fn scale(&self, _: f64, a: &SymbolicTensor) -> Result<SymbolicTensor> {
        Ok(self.elementwise(1, &[a]))
    }

    fn add_scaled(&self, a: &SymbolicTensor, _: f64, b: &SymbolicTensor) -> Result<SymbolicTensor> {
        Ok(self.elementwise(2, &[a, b]))
    }

    fn square(&self, a: &SymbolicTensor) -> Result<SymbolicTensor> {
        Ok(self.elementwise(1, &[a]))
    }

    fn over_root(&self, a: &SymbolicTensor, b: &SymbolicTensor, _: f64) -> Result<SymbolicTensor> {
        Ok(self.elementwise(3, &[a, b]))
    }

    fn influence(&self, energy: LatentEnergy, error: &SymbolicTensor) -> Result<SymbolicTensor> {
        Ok(self.elementwise(energy.influence_ops(), &[error]))
    }

    /// Counted as the forward function.
    fn jvp(
        &self,
        i: VertexId,
        slot: usize,
        params: &[&SymbolicTensor],
        at: &Vec<SymbolicTensor>,
        d: &SymbolicTensor,
    ) -> Result<SymbolicTensor> {
        let after = at[slot].ready.max(d.ready).max(ready(params));
        Ok(self.verb(self.vertices[i].forward, after, self.vertices[i].outputs))
    }

    fn loss_curvature(&self, k: usize, value: &SymbolicTensor, d: &SymbolicTensor) -> Result<SymbolicTensor> {
        Ok(self.elementwise(self.loss_curvature_ops[k], &[d, value]))
    }

    fn curvature(
        &self,
        energy: LatentEnergy,
        error: &SymbolicTensor,
        d: &SymbolicTensor,
    ) -> Result<SymbolicTensor> {
        Ok(self.elementwise(energy.curvature_ops() + 1, &[d, error]))
    }

    fn sum_of_squares(&self, a: &SymbolicTensor) -> Result<Option<f64>> {
        self.spend(VerbCost::elementwise(2 * a.elements, a.elements), a.ready);
        Ok(None)
    }

    /// Two operations per pair of elements, both read. The numbers per sample that come out have no elements: they are not counted.
    fn dot(&self, a: &SymbolicTensor, b: &SymbolicTensor) -> Result<SymbolicTensor> {
        let ready = a.ready.max(b.ready);
        self.spend(VerbCost::elementwise(2 * a.elements, 2 * a.elements), ready);
        Ok(SymbolicTensor { elements: 0, ready })
    }

    fn quotient(&self, a: &SymbolicTensor, b: &SymbolicTensor) -> Result<SymbolicTensor> {
        Ok(self.elementwise(1, &[a, b]))
    }

    fn scale_rows(&self, s: &SymbolicTensor, a: &SymbolicTensor) -> Result<SymbolicTensor> {
        let ready = s.ready.max(a.ready);
        self.spend(VerbCost::elementwise(a.elements, 2 * a.elements), ready);
        Ok(SymbolicTensor { elements: a.elements, ready })
    }
}
