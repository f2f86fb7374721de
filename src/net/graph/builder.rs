//! Building a network.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Graph, LossTerm, Named};
use crate::net::latent_energy::LatentEnergy;
use crate::net::loss::Loss;
use crate::net::operation::Operation;
use crate::net::topology::{DataId, Node, ParamId, Source, Topology, VertexId};
use crate::{Error, Result};

/// Values of a vertex per sample: a bound on memory far above what networks of the literature need, so that sizes and costs can
/// be multiplied.
const MOST_VALUES: usize = 1 << 31;

/// Builds a network: vertices are added in topological order, so that no cycle can be written down.
#[derive(Debug, Default)]
pub struct GraphBuilder {
    nodes: Vec<Node>,
    operations: Vec<Arc<dyn Operation>>,
    names: Vec<String>,
    shapes: Vec<Vec<usize>>,
    params: Vec<Named>,
    frozen: Vec<bool>,
    data: Vec<Named>,
    losses: Vec<LossTerm>,
    taken: HashSet<String>,
    stage: usize,
    /// The first thing that is wrong with a tensor.
    problem: Option<String>,
}

impl GraphBuilder {
    /// No vertices yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// No vertices yet, over given tables of parameters and data tensors.
    pub(super) fn over(params: Vec<Named>, data: Vec<Named>, frozen: Vec<bool>) -> Self {
        let taken = params.iter().chain(&data).map(|named| named.name.clone()).collect();
        Self { params, data, frozen, taken, ..Self::default() }
    }

    /// Whether a vertex or tensor has this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.taken.contains(name)
    }

    /// A data tensor (an input or a target) of this shape per sample.
    pub fn data(&mut self, name: &str, shape: &[usize]) -> DataId {
        self.note(name, shape);
        self.data.push(Named { name: name.to_owned(), shape: shape.to_vec() });
        self.data.len() - 1
    }

    /// A parameter.
    pub fn param(&mut self, name: &str, shape: &[usize]) -> ParamId {
        self.note(name, shape);
        self.params.push(Named { name: name.to_owned(), shape: shape.to_vec() });
        self.frozen.push(false);
        self.params.len() - 1
    }

    /// Keeps a parameter as it is: no direction is computed for it. A number that no parameter has changes nothing.
    pub fn freeze(&mut self, param: ParamId) {
        if let Some(frozen) = self.frozen.get_mut(param) {
            *frozen = true;
        }
    }

    /// Notes the name of a tensor, and what is wrong with the tensor for [`build`](Self::build) to refuse.
    fn note(&mut self, name: &str, shape: &[usize]) {
        let problem = if !self.taken.insert(name.to_owned()) {
            "has the name of another tensor or vertex; names must be unique"
        } else if shape.contains(&0) {
            "has an axis of size 0; every size must be at least 1"
        } else {
            return;
        };
        self.problem.get_or_insert_with(|| format!("tensor `{name}` {problem}"));
    }

    /// A deterministic vertex.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the vertex's name if inputs or parameters do not fit the operation.
    pub fn vertex(
        &mut self,
        name: &str,
        operation: impl Operation + 'static,
        inputs: &[Source],
        params: &[ParamId],
    ) -> Result<VertexId> {
        self.add(name, Arc::new(operation), inputs, params, None)
    }

    /// A latent vertex of precision π.
    ///
    /// # Errors
    /// As for [`vertex`](Self::vertex), and if π is not a positive number.
    pub fn latent(
        &mut self,
        name: &str,
        operation: impl Operation + 'static,
        inputs: &[Source],
        params: &[ParamId],
        precision: f64,
    ) -> Result<VertexId> {
        self.add(name, Arc::new(operation), inputs, params, Some(precision))
    }

    /// A vertex with a given operation.
    ///
    /// # Errors
    /// As for [`vertex`](Self::vertex) and [`latent`](Self::latent).
    pub fn add(
        &mut self,
        name: &str,
        operation: Arc<dyn Operation>,
        inputs: &[Source],
        params: &[ParamId],
        precision: Option<f64>,
    ) -> Result<VertexId> {
        let refuse = |problem: String| Err(Error::Invalid(format!("vertex `{name}` {problem}")));
        if self.taken.contains(name) {
            return refuse("has the name of another vertex or tensor; names must be unique".into());
        }
        let count = self.nodes.len();
        for source in inputs {
            match *source {
                Source::Vertex(v) if v >= count => {
                    return refuse(format!(
                        "reads vertex {v} (from 0); only {count} vertices come before it"
                    ));
                }
                Source::Data(d) if d >= self.data.len() => {
                    return refuse(format!(
                        "reads data tensor {d} (from 0); the network has {}",
                        self.data.len()
                    ));
                }
                _ => {}
            }
        }
        if let Some(p) = params.iter().find(|&&p| p >= self.params.len()) {
            return refuse(format!("uses parameter {p} (from 0); the network has {}", self.params.len()));
        }
        if let Some(precision) = precision.filter(|p| !(p.is_finite() && *p > 0.0)) {
            return refuse(format!("has precision {precision}; expected a positive number"));
        }
        let read = inputs.iter().map(|source| match *source {
            Source::Data(d) => &self.data[d].shape[..],
            Source::Vertex(v) => &self.shapes[v][..],
        });
        let read: Vec<&[usize]> = read.collect();
        let own: Vec<&[usize]> = params.iter().map(|&p| &self.params[p].shape[..]).collect();
        let shape = match operation.shape(&read, &own) {
            Ok(shape) => shape,
            Err(problem) => return refuse(format!("({}) {problem}", operation.kind())),
        };
        let count = shape.iter().try_fold(1usize, |n, &size| n.checked_mul(size));
        if count.is_none_or(|n| n > MOST_VALUES) {
            return refuse(format!("has {shape:?} values per sample; at most {MOST_VALUES} are computed"));
        }
        let (inputs, params, stage) = (inputs.to_vec(), params.to_vec(), self.stage);
        self.nodes.push(Node { inputs, params, precision, energy: LatentEnergy::Gaussian, stage });
        self.operations.push(operation);
        self.names.push(name.to_owned());
        self.taken.insert(name.to_owned());
        self.shapes.push(shape);
        Ok(self.nodes.len() - 1)
    }

    /// Gives a latent vertex another energy than ½π‖v − f‖².
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such vertex, or it has no state.
    pub fn energy(&mut self, i: VertexId, energy: LatentEnergy) -> Result<()> {
        match self.nodes.get_mut(i).filter(|node| node.precision.is_some()) {
            Some(node) => node.energy = energy,
            None => {
                return Err(Error::Invalid(format!(
                    "vertex {i} (from 0) has no state, so it has no energy; expected a latent vertex"
                )))
            }
        }
        Ok(())
    }

    /// Vertices that are added from here on belong to the next stage; see [`Topology::stages`].
    pub fn next_stage(&mut self) {
        self.stage += 1;
    }

    /// The shape of a data tensor, without the sample axis.
    pub fn data_shape(&self, d: DataId) -> &[usize] {
        &self.data[d].shape
    }

    /// Shapes of the parameters.
    pub fn param_shapes(&self) -> impl Iterator<Item = &[usize]> {
        self.params.iter().map(|named| &named.shape[..])
    }

    /// The shape of a vertex's value, without the sample axis.
    pub fn shape(&self, i: VertexId) -> &[usize] {
        &self.shapes[i]
    }

    /// A loss on the value of a vertex.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the target has another shape than the value.
    pub fn loss(&mut self, vertex: VertexId, target: DataId, loss: Loss) -> Result<()> {
        let (Some(value), Some(wanted)) = (self.shapes.get(vertex), self.data.get(target)) else {
            return Err(Error::Invalid(format!(
                "a loss on vertex {vertex} with target {target} (both from 0); the network has {} vertices and {} data tensors",
                self.shapes.len(),
                self.data.len()
            )));
        };
        if loss.kind.judges_distributions() && value.is_empty() {
            return Err(Error::Invalid(format!(
                "vertex `{}` has one number per sample, over which {} has no softmax; expected an axis of outputs",
                self.names[vertex], loss.kind
            )));
        }
        if *value != wanted.shape {
            return Err(Error::Invalid(format!(
                "vertex `{}` has {value:?} values per sample but the target `{}` of its loss has {:?}; expected one shape",
                self.names[vertex], wanted.name, wanted.shape
            )));
        }
        self.losses.push(LossTerm { vertex, target, loss });
        Ok(())
    }

    /// The network.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no loss, a vertex leads to none, a parameter or data tensor is used by no vertex,
    /// or a tensor has the name of another or an axis of size 0.
    pub fn build(self) -> Result<Graph> {
        if let Some(problem) = self.problem {
            return Err(Error::Invalid(problem));
        }
        if self.losses.is_empty() {
            return Err(Error::Invalid("the network has no loss; expected one or more".into()));
        }
        let used = |p: ParamId| self.nodes.iter().any(|node| node.params.contains(&p));
        if let Some(p) = (0..self.params.len()).find(|&p| !used(p)) {
            let name = &self.params[p].name;
            return Err(Error::Invalid(format!("parameter `{name}` is used by no vertex; remove it")));
        }
        let read = |d: DataId| {
            self.nodes.iter().any(|node| node.inputs.contains(&Source::Data(d)))
                || self.losses.iter().any(|loss| loss.target == d)
        };
        if let Some(d) = (0..self.data.len()).find(|&d| !read(d)) {
            let name = &self.data[d].name;
            return Err(Error::Invalid(format!(
                "data tensor `{name}` is read by no vertex and no loss; remove it"
            )));
        }
        let vertices = self.losses.iter().map(|loss| loss.vertex).collect();
        let topology = Topology::new(self.nodes, vertices, self.frozen).map_err(|(i, problem)| {
            Error::Invalid(format!(
                "vertex `{}` {problem}; every vertex must lead to a loss and read earlier vertices",
                self.names[i]
            ))
        })?;
        let Self { operations, names, shapes, params, data, losses, .. } = self;
        Ok(Graph { topology, operations, names, shapes, params, data, losses })
    }
}
