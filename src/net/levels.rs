//! Levels of a graph: how many latent vertices lie between a vertex and the losses.

use super::topology::{Source, Topology, VertexId};

/// For every vertex the largest number of latent vertices that a path from its value to a loss crosses (itself not
/// counted).
pub fn heights(topology: &Topology) -> Vec<usize> {
    let mut heights = vec![0; topology.len()];
    for i in (0..topology.len()).rev() {
        let over = |&(child, _): &(VertexId, usize)| heights[child] + usize::from(topology.is_latent(child));
        heights[i] = topology.children(i).iter().map(over).max().unwrap_or(0);
    }
    heights
}

/// The moments at which Z-IL reads a levelled graph: `levels[t]` holds the vertices read after t updates, in reverse
/// topological order. A latent vertex with d further latent vertices between itself and every loss is read after d + 1
/// updates; a deterministic one when all that reads it has been read.
///
/// # Errors
/// The first vertex from whose state paths of different length lead to losses.
pub fn levels(topology: &Topology) -> Result<Vec<Vec<VertexId>>, VertexId> {
    let heights = heights(topology);
    for i in 0..topology.len() {
        if !(topology.is_latent(i) || topology.follows_state(i)) {
            continue;
        }
        let short = topology
            .children(i)
            .iter()
            .any(|&(child, _)| heights[child] + usize::from(topology.is_latent(child)) != heights[i]);
        if short || (heights[i] > 0 && !topology.losses_at(i).is_empty()) {
            return Err(i);
        }
    }
    let moment = |i: VertexId| heights[i] + usize::from(topology.is_latent(i));
    let last = (0..topology.len()).map(moment).max().unwrap_or(0);
    let mut levels = vec![Vec::new(); last + 1];
    for i in (0..topology.len()).rev() {
        levels[moment(i)].push(i);
    }
    Ok(levels)
}

/// Where latent identities must be inserted for a graph to be levelled: per vertex, how many of them follow it one
/// after another, and for each of its uses how many of those the use comes after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gaps {
    /// Identities that follow the vertex.
    pub(super) follow: Vec<usize>,
    /// Per vertex and child (as in [`Topology::children`]), how many of them lie before the child.
    pub(super) before_child: Vec<Vec<usize>>,
    /// Per vertex, how many of them lie before its losses.
    pub(super) before_loss: Vec<usize>,
}

/// The gaps of a graph. A vertex on which no state has an influence needs none: its paths may differ.
pub(super) fn gaps(topology: &Topology) -> Gaps {
    let heights = heights(topology);
    let mut gaps = Gaps { follow: Vec::new(), before_child: Vec::new(), before_loss: Vec::new() };
    for i in 0..topology.len() {
        let levelled = topology.is_latent(i) || topology.follows_state(i);
        let missing = |height: usize| if levelled { heights[i] - height } else { 0 };
        let children = topology.children(i).iter();
        let before_child: Vec<usize> =
            children.map(|&(c, _)| missing(heights[c] + usize::from(topology.is_latent(c)))).collect();
        let before_loss = if topology.losses_at(i).is_empty() { 0 } else { missing(0) };
        gaps.follow.push(before_child.iter().copied().chain([before_loss]).max().unwrap_or(0));
        gaps.before_child.push(before_child);
        gaps.before_loss.push(before_loss);
    }
    gaps
}

/// The source that stands for `source` once `identities` of the identities behind it have been passed.
pub(super) fn behind(source: Source, identities: usize) -> Source {
    match source {
        Source::Vertex(v) => Source::Vertex(v + identities),
        data => data,
    }
}
