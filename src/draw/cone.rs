//! The light cone of a network: after how many inference steps an error can be where.

use crate::net::{Topology, VertexId};

/// No number of steps is enough.
const NEVER: usize = usize::MAX;

/// How far each vertex is from the losses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cone {
    /// [`Topology::distances`].
    pub distance: Vec<usize>,
    /// The first inference step of sPC after which the vertex has an error (a latent one) or something reaches it (a
    /// deterministic one). Less than the distance where a state above it has moved before, because that leaves an error at
    /// all vertices which read that state.
    pub arrival: Vec<usize>,
}

impl Cone {
    /// The cone of a network. O(vertices · edges) at worst.
    pub fn of(topology: &Topology) -> Self {
        let distance = topology.distances();
        Self { arrival: arrivals(topology, &distance), distance }
    }

    /// The largest distance: the steps after which every vertex has an error. 0 without latent vertices.
    pub fn depth(&self) -> usize {
        self.distance.iter().copied().max().unwrap_or(0)
    }
}

/// First arrivals: the least solution of what a step of sPC does, found by repeating it until nothing changes.
fn arrivals(topology: &Topology, distance: &[usize]) -> Vec<usize> {
    let latent = |i: VertexId| topology.is_latent(i);
    // down the paths to the losses alone
    let mut arrival = distance.to_vec();
    // the step in which the value of a vertex first changes
    let mut changed = vec![NEVER; topology.len()];
    loop {
        let before = (arrival.clone(), changed.clone());
        for i in (0..topology.len()).rev() {
            let judged = topology.losses_at(i).first().map(|_| 0);
            let pulled = topology.children(i).iter().map(|&(child, _)| arrival[child]).chain(judged).min();
            let pulled = pulled.unwrap_or(NEVER);
            if latent(i) {
                changed[i] = changed[i].min(pulled.min(arrival[i]).saturating_add(1));
                arrival[i] = arrival[i].min(changed[i]);
            } else {
                arrival[i] = arrival[i].min(pulled);
            }
        }
        for i in 0..topology.len() {
            let moved = topology.parents(i).map(|parent| changed[parent]).min().unwrap_or(NEVER);
            if latent(i) {
                arrival[i] = arrival[i].min(moved);
            } else {
                changed[i] = changed[i].min(moved);
            }
        }
        if before == (arrival.clone(), changed.clone()) {
            return arrival;
        }
    }
}
