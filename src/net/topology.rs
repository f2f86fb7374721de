//! The wiring of a network: which vertex reads which, which have states, which carry losses.
//!
//! Shapes and operations are not in it ([`super::Graph`] adds them): this is all that a learning rule knows of a network,
//! and all that counting and recording a schedule need besides costs.

use super::latent_energy::LatentEnergy;

/// Index of a vertex; vertices are numbered in topological order.
pub type VertexId = usize;
/// Index into the table of parameters.
pub type ParamId = usize;
/// Index into the table of data tensors (inputs and targets).
pub type DataId = usize;

/// What a vertex reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A data tensor.
    Data(DataId),
    /// The value of an earlier vertex.
    Vertex(VertexId),
}

/// The wiring of one vertex.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it reads, by input slot; one source may stand there twice.
    pub inputs: Vec<Source>,
    /// Its parameters, by parameter slot.
    pub params: Vec<ParamId>,
    /// π of a latent vertex, which has a state of its own and the energy π Σ φ(v − f(inputs)); `None` for a deterministic one,
    /// whose value is f(inputs).
    pub precision: Option<f64>,
    /// φ of a latent vertex, whose energy is then π Σ φ(v − f(inputs)).
    pub energy: LatentEnergy,
    /// Which part of the network it belongs to, a time step say: see [`Topology::stages`].
    pub stage: usize,
}

/// A directed acyclic graph of vertices.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Topology {
    nodes: Vec<Node>,
    losses: Vec<VertexId>,
    frozen: Vec<bool>,
    children: Vec<Vec<(VertexId, usize)>>,
    losses_at: Vec<Vec<usize>>,
    follows_state: Vec<bool>,
    reaches_params: Vec<bool>,
    learns: Vec<bool>,
}

impl Topology {
    /// Vertices in topological order, the vertex of each loss, and for each parameter whether it is frozen.
    ///
    /// # Errors
    /// A vertex and what is wrong with it: it reads itself or a later vertex, or leads to no loss.
    pub fn new(
        nodes: Vec<Node>,
        losses: Vec<VertexId>,
        frozen: Vec<bool>,
    ) -> Result<Self, (VertexId, &'static str)> {
        let count = nodes.len();
        let mut children = vec![Vec::new(); count];
        for (i, node) in nodes.iter().enumerate() {
            for (slot, source) in node.inputs.iter().enumerate() {
                if let Source::Vertex(parent) = *source {
                    if parent >= i {
                        return Err((i, "reads a vertex that does not come before it"));
                    }
                    children[parent].push((i, slot));
                }
            }
        }
        let mut losses_at = vec![Vec::new(); count];
        for (k, &vertex) in losses.iter().enumerate() {
            losses_at[vertex].push(k);
        }
        let mut leads = vec![false; count];
        for i in (0..count).rev() {
            leads[i] = !losses_at[i].is_empty() || children[i].iter().any(|&(child, _)| leads[child]);
            if !leads[i] {
                return Err((i, "leads to no loss"));
            }
        }
        let mut topology = Self {
            follows_state: vec![false; count],
            reaches_params: vec![false; count],
            learns: vec![false; count],
            nodes,
            losses,
            frozen,
            children,
            losses_at,
        };
        for i in 0..count {
            let own = topology.nodes[i].params.iter().any(|&p| !topology.frozen[p]);
            let parents: Vec<VertexId> = topology.parents(i).collect();
            let latent = |p: VertexId| topology.is_latent(p);
            let follows = parents.iter().any(|&p| latent(p) || topology.follows_state[p]);
            let reaches = own || parents.iter().any(|&p| !latent(p) && topology.reaches_params[p]);
            let learns = own || parents.iter().any(|&p| topology.learns[p]);
            (topology.follows_state[i], topology.reaches_params[i], topology.learns[i]) =
                (follows, reaches, learns);
        }
        Ok(topology)
    }

    /// A chain of layers with `params[l - 1]` parameters at layer l: the first reads data tensor 0, all but the last
    /// are latent with precision 1, and the last carries the loss.
    pub fn chain(params: &[usize]) -> Self {
        let depth = params.len();
        let mut next = 0;
        let node = |(i, &count): (usize, &usize)| {
            let own = next..next + count;
            next += count;
            Node {
                inputs: vec![i.checked_sub(1).map_or(Source::Data(0), Source::Vertex)],
                params: own.collect(),
                precision: (i + 1 < depth).then_some(1.0),
                energy: LatentEnergy::Gaussian,
                stage: 0,
            }
        };
        let nodes: Vec<Node> = params.iter().enumerate().map(node).collect();
        let losses = depth.checked_sub(1).into_iter().collect();
        let frozen = vec![false; next];
        Self::new(nodes, losses, frozen).unwrap_or_default()
    }

    /// Latent vertices by stage, in order of the stages, for schedules that relax one part of a network after another: the
    /// time steps of a recurrent network. Where all belong to one, each is a stage of its own.
    pub fn stages(&self) -> Vec<Vec<VertexId>> {
        let first = self.nodes.first().map_or(0, |node| node.stage);
        let one = self.nodes.iter().all(|node| node.stage == first);
        let mut stages = std::collections::BTreeMap::<usize, Vec<VertexId>>::new();
        for i in self.latent() {
            stages.entry(if one { i } else { self.nodes[i].stage }).or_default().push(i);
        }
        stages.into_values().collect()
    }

    /// Number of vertices.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no vertex.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The wiring of a vertex.
    pub fn node(&self, i: VertexId) -> &Node {
        &self.nodes[i]
    }

    /// Number of parameters.
    pub fn params(&self) -> usize {
        self.frozen.len()
    }

    /// Whether a parameter stays as it is.
    pub fn is_frozen(&self, p: ParamId) -> bool {
        self.frozen[p]
    }

    /// Whether several vertices use a parameter.
    pub fn is_shared(&self, p: ParamId) -> bool {
        self.nodes.iter().filter(|node| node.params.contains(&p)).nth(1).is_some()
    }

    /// The vertex of each loss.
    pub fn losses(&self) -> &[VertexId] {
        &self.losses
    }

    /// Indices of the losses on a vertex.
    pub fn losses_at(&self, i: VertexId) -> &[usize] {
        &self.losses_at[i]
    }

    /// Vertices that vertex `i` reads, one entry per input slot that is no data tensor.
    pub fn parents(&self, i: VertexId) -> impl Iterator<Item = VertexId> + '_ {
        self.nodes[i].inputs.iter().filter_map(|source| match *source {
            Source::Vertex(v) => Some(v),
            Source::Data(_) => None,
        })
    }

    /// Vertices that read vertex `i`, each with the input slot, in topological order.
    pub fn children(&self, i: VertexId) -> &[(VertexId, usize)] {
        &self.children[i]
    }

    /// π of a latent vertex.
    pub fn precision(&self, i: VertexId) -> Option<f64> {
        self.nodes[i].precision
    }

    /// φ of a latent vertex.
    pub fn energy(&self, i: VertexId) -> LatentEnergy {
        self.nodes[i].energy
    }

    /// The first latent vertex whose energy is not ½‖v − f‖².
    pub fn first_weighted(&self) -> Option<VertexId> {
        let plain = |i: VertexId| self.precision(i) == Some(1.0) && self.energy(i) == LatentEnergy::Gaussian;
        self.latent().find(|&i| !plain(i))
    }

    /// Latent vertices on the shortest path from each vertex to a loss, the vertex itself counted if it is latent: the inference
    /// steps that an error takes down that path.
    pub fn distances(&self) -> Vec<usize> {
        let mut distance = vec![usize::MAX; self.len()];
        for i in (0..self.len()).rev() {
            let judged = self.losses_at(i).first().map(|_| 0);
            let below = self.children(i).iter().map(|&(child, _)| distance[child]);
            // every vertex leads to a loss
            let nearest = below.chain(judged).min().unwrap_or(0);
            distance[i] = nearest.saturating_add(usize::from(self.is_latent(i)));
        }
        distance
    }

    /// The same wiring with the precision and energy that `of` gives every latent vertex.
    #[must_use]
    pub(super) fn with_energies(mut self, of: impl Fn(VertexId) -> (f64, LatentEnergy)) -> Self {
        for (i, node) in self.nodes.iter_mut().enumerate().filter(|(_, node)| node.precision.is_some()) {
            let (precision, energy) = of(i);
            (node.precision, node.energy) = (Some(precision), energy);
        }
        self
    }

    /// Whether the vertex has a state of its own.
    pub fn is_latent(&self, i: VertexId) -> bool {
        self.nodes[i].precision.is_some()
    }

    /// Latent vertices in topological order.
    pub fn latent(&self) -> impl DoubleEndedIterator<Item = VertexId> + '_ {
        (0..self.len()).filter(|&i| self.is_latent(i))
    }

    /// Whether the prediction of vertex `i` depends on some state.
    pub fn follows_state(&self, i: VertexId) -> bool {
        self.follows_state[i]
    }

    /// Whether a path through deterministic vertices alone leads back from `i` to a parameter that learns (its own, for
    /// one).
    pub fn reaches_params(&self, i: VertexId) -> bool {
        self.reaches_params[i]
    }

    /// Whether some parameter that learns has an influence on vertex `i`.
    pub fn learns(&self, i: VertexId) -> bool {
        self.learns[i]
    }

    /// Whether some parameter of the vertex itself learns.
    pub fn has_params(&self, i: VertexId) -> bool {
        self.nodes[i].params.iter().any(|&p| !self.frozen[p])
    }

    /// Parameters that learn, in groups that belong together: those of one vertex, each in the group of its first use.
    pub fn groups(&self) -> Vec<Vec<ParamId>> {
        let mut seen = vec![false; self.params()];
        let mut own = |node: &Node| -> Vec<ParamId> {
            let learns = |p: &ParamId| !self.frozen[*p] && !std::mem::replace(&mut seen[*p], true);
            node.params.iter().copied().filter(learns).collect()
        };
        self.nodes.iter().map(&mut own).filter(|group| !group.is_empty()).collect()
    }

    /// What the gradient of the energy by the state of `i` alone comes from: its children, and those of deterministic
    /// children, up to the next latent ones.
    pub fn cone(&self, i: VertexId) -> Vec<bool> {
        let mut cone = vec![false; self.len()];
        let mut open: Vec<VertexId> = vec![i];
        while let Some(v) = open.pop() {
            for &(child, _) in self.children(v) {
                if !std::mem::replace(&mut cone[child], true) && !self.is_latent(child) {
                    open.push(child);
                }
            }
        }
        cone
    }

    /// What must be up to date before latent vertex `i` can be moved alone: its [`cone`](Self::cone) and the
    /// deterministic vertices that these read.
    pub fn needed_by(&self, i: VertexId) -> Vec<bool> {
        let mut needed = self.cone(i);
        for v in (0..self.len()).rev().filter(|&v| v > i) {
            if needed[v] {
                let deterministic: Vec<VertexId> = self.parents(v).filter(|&p| !self.is_latent(p)).collect();
                deterministic.into_iter().for_each(|p| needed[p] = true);
            }
        }
        needed
    }
}
