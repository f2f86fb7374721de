//! A network: a directed acyclic graph of operations with parameters, data and losses.

mod builder;

use std::any::Any;
use std::sync::Arc;

use candle_core::Tensor;

use super::latent_energy::LatentEnergy;
use super::layers::Dense;
use super::levels;
use super::loss::Loss;
use super::operation::{Linearization, Operation, OperationCost};
use super::topology::{DataId, Source, Topology, VertexId};
use crate::{Error, Result};

pub use builder::GraphBuilder;

/// Latent identities that [`Graph::levelled`] may insert: a bound on memory and time, far above what networks of the
/// literature need.
pub const MOST_IDENTITIES: usize = 100_000;

/// Parameters of a network by [`ParamId`](super::ParamId).
pub type Params = Vec<Tensor>;

/// A parameter or data tensor of a network: its name and its shape, that of data without the sample axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Unique name.
    pub name: String,
    /// Sizes.
    pub shape: Vec<usize>,
}

/// A loss on a vertex.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossTerm {
    /// The vertex whose value it judges.
    pub vertex: VertexId,
    /// The data tensor that holds the target, of the value's shape.
    pub target: DataId,
    /// Kind, reduction and precision.
    pub loss: Loss,
}

/// A network.
///
/// Vertex i has the value v_i, a state of its own if it is latent and f_i(inputs; θ) if it is deterministic. The energy
/// over states and parameters is
///
/// F = Σ over latent i of π_i Σ φ_i(v_i − f_i) + Σ losses,
///
/// sums over the batch and all axes, with φ(ε) = ½ε² where no other [`LatentEnergy`] is chosen. Parameters lie in a table and are referred to, so that any number of vertices may
/// use one.
#[derive(Debug, Clone)]
pub struct Graph {
    topology: Topology,
    operations: Vec<Arc<dyn Operation>>,
    names: Vec<String>,
    shapes: Vec<Vec<usize>>,
    params: Vec<Named>,
    data: Vec<Named>,
    losses: Vec<LossTerm>,
}

impl Graph {
    /// Its wiring.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Number of vertices; for a chain the number of layers.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no vertex.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The operation of a vertex.
    pub fn operation(&self, i: VertexId) -> &dyn Operation {
        self.operations[i].as_ref()
    }

    /// The name of a vertex.
    pub fn name(&self, i: VertexId) -> &str {
        &self.names[i]
    }

    /// The shape of a vertex's value, without the sample axis.
    pub fn shape(&self, i: VertexId) -> &[usize] {
        &self.shapes[i]
    }

    /// Names and shapes of the parameters.
    pub fn params(&self) -> &[Named] {
        &self.params
    }

    /// Names and shapes of the data tensors, without the sample axis.
    pub fn data(&self) -> &[Named] {
        &self.data
    }

    /// Its losses.
    pub fn losses(&self) -> &[LossTerm] {
        &self.losses
    }

    /// The parameters of a vertex.
    pub fn own<'a>(&self, i: VertexId, params: &'a [Tensor]) -> Vec<&'a Tensor> {
        self.topology.node(i).params.iter().map(|&p| &params[p]).collect()
    }

    /// What a vertex reads, given the values of earlier vertices.
    pub fn inputs<'a>(&self, i: VertexId, data: &'a [Tensor], values: &'a [Tensor]) -> Vec<&'a Tensor> {
        let read = |source: &Source| match *source {
            Source::Data(d) => &data[d],
            Source::Vertex(v) => &values[v],
        };
        self.topology.node(i).inputs.iter().map(read).collect()
    }

    /// Values of all vertices in the forward pass. Trailing data tensors that only losses read may be left out.
    ///
    /// # Errors
    /// If a tensor does not fit.
    pub fn forward(&self, params: &[Tensor], data: &[Tensor]) -> Result<Vec<Tensor>> {
        let mut values = Vec::with_capacity(self.len());
        for i in 0..self.len() {
            let inputs = self.inputs(i, data, &values);
            let (value, _): (Tensor, Linearization) =
                self.operations[i].forward(&self.own(i, params), &inputs)?;
            values.push(value);
        }
        Ok(values)
    }

    /// The longest sum over one sample: over an axis of a parameter or of a value, or over what one output of a parameter with
    /// several axes reads (the window of a convolution, through all channels).
    pub fn longest_sum(&self) -> usize {
        let axes = |shape: &[usize]| shape.iter().copied().max().unwrap_or(1);
        let params = self.params.iter().map(|named| {
            let read: usize = named.shape.iter().skip(1).product();
            read.max(axes(&named.shape))
        });
        params.chain(self.shapes.iter().map(|shape| axes(shape))).max().unwrap_or(1)
    }

    /// Rows per sample that a parameter's gradient is summed over, at most: positions of a convolution, steps of a sequence.
    pub fn most_rows(&self) -> usize {
        let rows = |shape: &Vec<usize>| {
            let all: usize = shape.iter().product();
            all / shape.iter().copied().min().unwrap_or(1).max(1)
        };
        self.shapes.iter().filter(|shape| shape.len() > 1).map(rows).max().unwrap_or(1)
    }

    /// Work of each vertex's verbs on a batch.
    pub fn costs(&self, batch: usize) -> Vec<OperationCost> {
        let cost = |i: VertexId| {
            let node = self.topology.node(i);
            let read = |source: &Source| match *source {
                Source::Data(d) => &self.data[d].shape[..],
                Source::Vertex(v) => &self.shapes[v][..],
            };
            let inputs: Vec<&[usize]> = node.inputs.iter().map(read).collect();
            let params: Vec<&[usize]> = node.params.iter().map(|&p| &self.params[p].shape[..]).collect();
            self.operations[i].cost(batch, &inputs, &params)
        };
        (0..self.len()).map(cost).collect()
    }

    /// Whether every operation is a dense layer.
    pub fn is_dense(&self) -> bool {
        self.operations.iter().all(|operation| (operation.as_ref() as &dyn Any).is::<Dense>())
    }

    /// The layers of a chain of dense layers as the fused engine takes it: each vertex reads the one before, parameters
    /// stand in the order of the layers, all vertices but the last are latent with precision 1, and the last carries
    /// the only loss.
    ///
    /// # Errors
    /// Why it is no such chain, naming the vertex.
    pub fn as_stack(&self) -> Result<Vec<Dense>> {
        let refuse = |i: VertexId, why: &str| {
            Error::Invalid(format!(
                "vertex `{}` {why}; the kernels take chains of dense layers, use engine reference",
                self.names[i]
            ))
        };
        let (mut layers, mut next, last) = (Vec::new(), 0, self.len() - 1);
        for (i, operation) in self.operations.iter().enumerate() {
            let node = self.topology.node(i);
            let below = i.checked_sub(1).map_or(Source::Data(0), Source::Vertex);
            let operation: &dyn Operation = operation.as_ref();
            let Some(dense) = (operation as &dyn Any).downcast_ref::<Dense>() else {
                return Err(refuse(i, &format!("is a {} operation", operation.kind())));
            };
            if node.inputs != [below] {
                let expected = if i == 0 { "data tensor 0" } else { "the vertex before it" };
                return Err(refuse(i, &format!("does not read {expected} alone")));
            }
            match node.precision {
                None if i < last => return Err(refuse(i, "has no state")),
                Some(_) if i == last => return Err(refuse(i, "is the last and has a state")),
                Some(precision) if precision != 1.0 => {
                    return Err(refuse(i, &format!("has precision {precision}")));
                }
                Some(_) if node.energy != LatentEnergy::Gaussian => {
                    return Err(refuse(i, &format!("has the energy {}", node.energy)));
                }
                _ => {}
            }
            let own = next..next + dense.param_shapes().len();
            if !own.clone().eq(node.params.iter().copied())
                || node.params.iter().any(|&p| self.topology.is_frozen(p))
            {
                return Err(refuse(i, "shares a parameter or keeps one frozen"));
            }
            next = own.end;
            layers.push(*dense);
        }
        match self.losses.as_slice() {
            [LossTerm { vertex, target: 1, .. }] if *vertex == last => Ok(layers),
            _ => Err(refuse(last, "does not carry the only loss, with data tensor 1 as its target")),
        }
    }

    /// The same network with the precision π and the energy φ that `of` gives every latent vertex.
    #[must_use]
    pub fn with_energies(self, of: impl Fn(VertexId) -> (f64, LatentEnergy)) -> Self {
        Self { topology: self.topology.with_energies(of), ..self }
    }

    /// The graph in which all paths from a state to a loss cross equally many states: latent identities of precision 1
    /// are inserted behind vertices from which some path to a loss is too short. Z-IL runs on it (Salvatori et al.,
    /// arXiv 2103.04689). Also returned is the number of each vertex in it.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it would need more than [`MOST_IDENTITIES`] identities.
    pub fn levelled(&self) -> Result<(Self, Vec<VertexId>)> {
        let gaps = levels::gaps(&self.topology);
        if gaps.follow.iter().sum::<usize>() > MOST_IDENTITIES {
            let longest = (0..self.len()).max_by_key(|&i| gaps.follow[i]).unwrap_or_default();
            return Err(Error::Invalid(format!(
                "levelling the network for Z-IL needs more than {MOST_IDENTITIES} latent identities, {} of them behind vertex \
                 `{}`; use another rule",
                gaps.follow[longest], self.names[longest]
            )));
        }
        let mut to = Vec::with_capacity(self.len());
        let mut next = 0;
        for follow in &gaps.follow {
            to.push(next);
            next += 1 + follow;
        }
        let frozen = (0..self.params.len()).map(|p| self.topology.is_frozen(p)).collect();
        let (params, data) = (self.params.clone(), self.data.clone());
        let mut built = GraphBuilder::over(params, data, frozen);
        for (i, (operation, name)) in self.operations.iter().zip(&self.names).enumerate() {
            let mut node = self.topology.node(i).clone();
            for (slot, source) in node.inputs.iter_mut().enumerate() {
                if let Source::Vertex(parent) = *source {
                    let children = self.topology.children(parent);
                    let use_ = children.iter().position(|&child| child == (i, slot)).unwrap_or_default();
                    *source = levels::behind(Source::Vertex(to[parent]), gaps.before_child[parent][use_]);
                }
            }
            built.add(name, operation.clone(), &node.inputs, &node.params, node.precision)?;
            for k in 1..=gaps.follow[i] {
                let identity = super::layers::Act(super::layers::Activation::Identity);
                let before = Source::Vertex(to[i] + k - 1);
                let mut own = format!("{name}, identity {k}");
                while built.has(&own) || self.names.contains(&own) {
                    own.push('\'');
                }
                built.latent(&own, identity, &[before], &[], 1.0)?;
            }
        }
        for &LossTerm { vertex, target, loss } in &self.losses {
            built.loss(to[vertex] + gaps.before_loss[vertex], target, loss)?;
        }
        Ok((built.build()?, to))
    }
}
