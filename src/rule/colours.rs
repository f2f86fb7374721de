//! States in two colours, for schedules that move one colour after the other.

use crate::net::{Topology, VertexId};

/// The states of one colour, and what their steps look at.
#[derive(Debug, Clone)]
pub(super) struct Colour {
    /// Latent vertices.
    pub(super) own: Vec<VertexId>,
    /// Vertices whose cotangents reach one of them, from the last to the first: the union of their [cones](Topology::cone).
    pub(super) read: Vec<VertexId>,
}

/// Latent vertices at odd [distances](Topology::distances) from the losses, then those at even ones.
///
/// On a chain no state has its colour in common with one that it predicts or that predicts it, so moving a colour at once is moving
/// its states one after another: a sweep in the sense of Gauss and Seidel. On a graph in which paths of unequal length join, or two
/// states are read by one vertex, such states may have one colour; they then move at once from each other's old values, as all
/// states of sPC do.
pub(super) fn odd_then_even(topology: &Topology) -> [Colour; 2] {
    let distances = topology.distances();
    [1, 0].map(|parity| {
        let own: Vec<VertexId> = topology.latent().filter(|&i| distances[i] % 2 == parity).collect();
        let mut read = vec![false; topology.len()];
        for &i in &own {
            topology.cone(i).into_iter().zip(&mut read).for_each(|(near, read)| *read |= near);
        }
        let read = (0..topology.len()).rev().filter(|&i| read[i]).collect();
        Colour { own, read }
    })
}
