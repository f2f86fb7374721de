//! The recording engine: executes a schedule without numbers and keeps its task graph.
//!
//! A matrix product is a task that lasts its FLOPs. Element-wise work takes no time; where it waits for
//! several results it becomes a join.

use std::cell::{Cell, RefCell};

use super::{Engine, Shown};
use crate::net::{DataId, LatentEnergy, LayerCost, OperationCost, ParamId, Topology, VerbCost, VertexId};
use crate::theory::makespan::{Graph, Task, Verb};
use crate::Result;

/// A tensor that exists in name only: the task it comes from, if any.
pub type TaskId = Option<usize>;

/// A network's costs, executed by writing down who waits for whom.
#[derive(Debug)]
pub struct Recording {
    topology: Topology,
    vertices: Vec<OperationCost>,
    graph: RefCell<Graph>,
    /// The last barrier, and the number of tasks up to it.
    barrier: Cell<(TaskId, usize)>,
}

impl Recording {
    /// An engine over vertices with these costs.
    pub fn new(topology: Topology, vertices: Vec<OperationCost>) -> Self {
        Self { topology, vertices, graph: RefCell::default(), barrier: Cell::default() }
    }

    /// An engine over a chain of layers with these costs.
    pub fn chain(layers: &[LayerCost]) -> Self {
        Self::new(Topology::chain(&vec![1; layers.len()]), layers.iter().map(LayerCost::operation).collect())
    }

    /// The tasks recorded.
    pub fn into_graph(self) -> Graph {
        self.graph.into_inner()
    }

    /// Everything recorded later waits for everything recorded so far.
    pub fn barrier(&self) -> Result<()> {
        let (_, from) = self.barrier.get();
        let mut graph = self.graph.borrow_mut();
        let after = (from..graph.tasks().len()).collect();
        let index = graph.push(Task { verb: Verb::Barrier, layer: 0, duration: 0, after })?;
        self.barrier.set((Some(index), index));
        Ok(())
    }

    /// A watcher that puts a barrier after every inference step.
    pub fn stepwise(&self) -> impl FnMut(Shown<'_, TaskId>) -> Result<()> + '_ {
        |_| self.barrier()
    }

    fn task(&self, verb: Verb, i: VertexId, cost: VerbCost, parents: &[TaskId]) -> Result<TaskId> {
        if cost.gemm_flops == 0 {
            return self.join(&parents.iter().collect::<Vec<_>>());
        }
        let layer = i + 1;
        let mut after: Vec<usize> = parents.iter().copied().chain([self.barrier.get().0]).flatten().collect();
        after.sort_unstable();
        after.dedup();
        let task = Task { verb, layer, duration: cost.gemm_flops, after };
        self.graph.borrow_mut().push(task).map(Some)
    }

    fn join(&self, parents: &[&TaskId]) -> Result<TaskId> {
        let mut after: Vec<usize> = parents.iter().copied().copied().flatten().collect();
        after.sort_unstable();
        after.dedup();
        match after.as_slice() {
            [] => Ok(None),
            [only] => Ok(Some(*only)),
            _ => self
                .graph
                .borrow_mut()
                .push(Task { verb: Verb::Join, layer: 0, duration: 0, after })
                .map(Some),
        }
    }
}

/// What a verb waits for.
fn all(params: &[&TaskId], others: &[&TaskId]) -> Vec<TaskId> {
    params.iter().chain(others).map(|t| **t).collect()
}

impl Engine for Recording {
    type Value = TaskId;
    type Linearization = TaskId;
    type Param = TaskId;
    type Direction = TaskId;

    fn topology(&self) -> &Topology {
        &self.topology
    }

    fn data(&self, _: DataId) -> &TaskId {
        &None
    }

    fn param(&self, _: ParamId) -> &TaskId {
        &None
    }

    fn forward(&self, i: VertexId, params: &[&TaskId], inputs: &[&TaskId]) -> Result<(TaskId, TaskId)> {
        let value = self.task(Verb::Forward, i, self.vertices[i].forward, &all(params, inputs))?;
        Ok((value, value))
    }

    fn vjp(&self, i: VertexId, slot: usize, params: &[&TaskId], at: &TaskId, c: &TaskId) -> Result<TaskId> {
        self.task(Verb::Vjp, i, self.vertices[i].vjp[slot], &all(params, &[at, c]))
    }

    fn vjp_linear(
        &self,
        i: VertexId,
        slot: usize,
        params: &[&TaskId],
        at: &TaskId,
        c: &TaskId,
    ) -> Result<TaskId> {
        let cost = self.vertices[i].linear(i, slot)?;
        self.task(Verb::Vjp, i, cost, &all(params, &[at, c]))
    }

    fn param_grad(&self, i: VertexId, at: &TaskId, c: &TaskId) -> Result<Vec<TaskId>> {
        let task = self.task(Verb::ParamGrad, i, self.vertices[i].param_grad, &[*at, *c])?;
        Ok(vec![task; self.topology.node(i).params.len()])
    }

    fn add_directions(&self, a: &TaskId, b: &TaskId) -> Result<TaskId> {
        self.join(&[a, b])
    }

    fn apply_update(&self, param: &TaskId, _: f64, direction: &TaskId) -> Result<TaskId> {
        self.join(&[param, direction])
    }

    fn loss_error(&self, _: usize, value: &TaskId) -> Result<TaskId> {
        Ok(*value)
    }

    fn add(&self, a: &TaskId, b: &TaskId) -> Result<TaskId> {
        self.join(&[a, b])
    }

    fn sub(&self, a: &TaskId, b: &TaskId) -> Result<TaskId> {
        self.join(&[a, b])
    }

    fn scale(&self, _: f64, a: &TaskId) -> Result<TaskId> {
        Ok(*a)
    }

    fn add_scaled(&self, a: &TaskId, _: f64, b: &TaskId) -> Result<TaskId> {
        self.join(&[a, b])
    }

    fn square(&self, a: &TaskId) -> Result<TaskId> {
        Ok(*a)
    }

    fn over_root(&self, a: &TaskId, b: &TaskId, _: f64) -> Result<TaskId> {
        self.join(&[a, b])
    }

    fn influence(&self, _: LatentEnergy, error: &TaskId) -> Result<TaskId> {
        Ok(*error)
    }

    fn jvp(&self, i: VertexId, _: usize, params: &[&TaskId], at: &TaskId, d: &TaskId) -> Result<TaskId> {
        self.task(Verb::Jvp, i, self.vertices[i].forward, &all(params, &[at, d]))
    }

    fn loss_curvature(&self, _: usize, value: &TaskId, d: &TaskId) -> Result<TaskId> {
        self.join(&[value, d])
    }

    fn curvature(&self, _: LatentEnergy, error: &TaskId, d: &TaskId) -> Result<TaskId> {
        self.join(&[error, d])
    }

    fn sum_of_squares(&self, _: &TaskId) -> Result<Option<f64>> {
        Ok(None)
    }

    fn dot(&self, a: &TaskId, b: &TaskId) -> Result<TaskId> {
        self.join(&[a, b])
    }

    fn quotient(&self, a: &TaskId, b: &TaskId) -> Result<TaskId> {
        self.join(&[a, b])
    }

    fn scale_rows(&self, s: &TaskId, a: &TaskId) -> Result<TaskId> {
        self.join(&[s, a])
    }
}
