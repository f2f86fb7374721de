//! Rows of a drawn network: what stands in which row, and in which order.
//!
//! A vertex stands below everything that it reads (Sugiyama's scheme). What a distant row reads passes through the rows
//! between as a line of its own, one per source, so that no line crosses a box; rows are ordered by the means of
//! neighbours' places, which leaves few crossings.

use std::collections::BTreeMap;

use crate::net::{DataId, Graph, Source, VertexId};

/// Most boxes in a row: a layer with more takes several.
const MOST_ACROSS: usize = 10;
/// Sweeps over the rows, down and up in turn.
const SWEEPS: usize = 16;

/// What stands in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    /// A data tensor that vertices read.
    Data(DataId),
    /// A vertex.
    Vertex(VertexId),
    /// The end mark of a loss, by its place in the list of losses.
    Loss(usize),
    /// The value of an earlier row on its way to a later one.
    Pass,
}

/// A line between neighbouring rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    /// Node of the upper row.
    pub(super) from: usize,
    /// Node of the lower row.
    pub(super) to: usize,
    /// How often the lower node reads it.
    pub(super) times: usize,
}

/// A network in rows.
#[derive(Debug, Clone, Default)]
pub(super) struct Layers {
    /// Everything that stands in a row.
    pub(super) nodes: Vec<Node>,
    /// Nodes by row, from the top, each from the left.
    pub(super) rows: Vec<Vec<usize>>,
    /// Lines between each row and the next, as many lists as rows (the last is empty).
    pub(super) links: Vec<Vec<Link>>,
    /// Row of each node.
    row_of: Vec<usize>,
}

impl Layers {
    /// Nodes that [`of`](Self::of) would put into rows, lines passing through not counted.
    pub(super) fn size(graph: &Graph) -> usize {
        read(graph).len() + graph.len() + graph.losses().len()
    }

    /// The rows of a network.
    pub(super) fn of(graph: &Graph) -> Self {
        let mut layers = Self::default();
        let targets = layers.stand(graph);
        layers.connect(&targets);
        layers.order();
        layers
    }

    /// Puts data, vertices and losses into rows; per node, what reads it and how often.
    fn stand(&mut self, graph: &Graph) -> Vec<BTreeMap<usize, usize>> {
        let topology = graph.topology();
        let mut depth = vec![1; graph.len()];
        for i in 0..graph.len() {
            depth[i] = topology.parents(i).map(|p| depth[p] + 1).max().unwrap_or(1);
        }
        let data = read(graph);
        let mut at: Vec<usize> = Vec::new();
        for (&d, readers) in &data {
            self.nodes.push(Node::Data(d));
            at.push(readers.iter().map(|&i| depth[i] - 1).min().unwrap_or(0));
        }
        let vertex = |i: VertexId| data.len() + i;
        self.nodes.extend((0..graph.len()).map(Node::Vertex));
        at.extend(&depth);
        for (k, term) in graph.losses().iter().enumerate() {
            self.nodes.push(Node::Loss(k));
            at.push(depth[term.vertex] + 1);
        }
        let mut by_depth = BTreeMap::<usize, Vec<usize>>::new();
        for (node, depth) in at.iter().enumerate() {
            by_depth.entry(*depth).or_default().push(node);
        }
        let chunks =
            by_depth.values().flat_map(|all| all.chunks(all.len().div_ceil(all.len().div_ceil(MOST_ACROSS))));
        self.rows = chunks.map(<[usize]>::to_vec).collect();
        self.row_of = vec![0; self.nodes.len()];
        for (row, nodes) in self.rows.iter().enumerate() {
            nodes.iter().for_each(|&node| self.row_of[node] = row);
        }
        let mut targets = vec![BTreeMap::new(); self.nodes.len()];
        for i in 0..graph.len() {
            for source in &topology.node(i).inputs {
                let from = match *source {
                    Source::Data(d) => data.range(..d).count(),
                    Source::Vertex(v) => vertex(v),
                };
                *targets[from].entry(vertex(i)).or_insert(0) += 1;
            }
        }
        for (k, term) in graph.losses().iter().enumerate() {
            targets[vertex(term.vertex)].insert(vertex(graph.len()) + k, 1);
        }
        targets
    }

    /// Lines from each node to those that read it, row by row.
    fn connect(&mut self, targets: &[BTreeMap<usize, usize>]) {
        self.links = vec![Vec::new(); self.rows.len()];
        for (from, targets) in targets.iter().enumerate() {
            let Some(last) = targets.keys().map(|&to| self.row_of[to]).max() else { continue };
            let mut here = from;
            for row in self.row_of[from]..last {
                for (&to, &times) in targets.iter().filter(|(to, _)| self.row_of[**to] == row + 1) {
                    self.links[row].push(Link { from: here, to, times });
                }
                if row + 1 < last {
                    let pass = self.nodes.len();
                    self.nodes.push(Node::Pass);
                    self.row_of.push(row + 1);
                    self.rows[row + 1].push(pass);
                    self.links[row].push(Link { from: here, to: pass, times: 1 });
                    here = pass;
                }
            }
        }
    }

    /// Orders the rows so that few lines cross.
    fn order(&mut self) {
        let mut place = self.places();
        let (mut best, mut fewest) = (self.rows.clone(), self.crossings(&place));
        for sweep in 0..SWEEPS {
            let down = sweep % 2 == 0;
            for step in 1..self.rows.len() {
                let row = if down { step } else { self.rows.len() - 1 - step };
                self.order_row(row, down, &mut place);
            }
            let crossings = self.crossings(&place);
            if crossings < fewest {
                (best, fewest) = (self.rows.clone(), crossings);
            }
        }
        self.rows = best;
    }

    /// Place of each node in its row.
    fn places(&self) -> Vec<usize> {
        let mut place = vec![0; self.nodes.len()];
        for nodes in &self.rows {
            nodes.iter().enumerate().for_each(|(at, &node)| place[node] = at);
        }
        place
    }

    /// Orders one row by the means of its neighbours' places in the row above, or below.
    fn order_row(&mut self, row: usize, by_above: bool, place: &mut [usize]) {
        let mut sums = BTreeMap::<usize, (usize, usize)>::new();
        for link in if by_above { &self.links[row - 1] } else { &self.links[row] } {
            let (own, other) = if by_above { (link.to, link.from) } else { (link.from, link.to) };
            let sum = sums.entry(own).or_default();
            *sum = (sum.0 + place[other], sum.1 + 1);
        }
        let wanted = |node: usize| match sums.get(&node) {
            Some((sum, count)) => *sum as f64 / *count as f64,
            None => place[node] as f64,
        };
        let mut keyed: Vec<(f64, usize)> = self.rows[row].iter().map(|&node| (wanted(node), node)).collect();
        keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.rows[row] = keyed.into_iter().map(|(_, node)| node).collect();
        for (at, &node) in self.rows[row].iter().enumerate() {
            place[node] = at;
        }
    }

    /// Crossings of lines, all rows together. O(links · log links).
    fn crossings(&self, place: &[usize]) -> usize {
        let between = |(row, links): (usize, &Vec<Link>)| {
            let below = self.rows.get(row + 1).map_or(0, Vec::len);
            let mut ends: Vec<(usize, usize)> = links.iter().map(|l| (place[l.from], place[l.to])).collect();
            ends.sort_unstable();
            // a Fenwick tree of the ends so far; those further right than the next one cross it
            let (mut tree, mut crossings) = (vec![0; below + 1], 0);
            for (seen, (_, to)) in ends.into_iter().enumerate() {
                let (mut left, mut at) = (0, to + 1);
                while at > 0 {
                    left += tree[at];
                    at &= at - 1;
                }
                crossings += seen - left;
                at = to + 1;
                while at <= below {
                    tree[at] += 1;
                    at += at & at.wrapping_neg();
                }
            }
            crossings
        };
        self.links.iter().enumerate().map(between).sum()
    }
}

/// Data tensors that vertices read, each with its readers.
fn read(graph: &Graph) -> BTreeMap<DataId, Vec<VertexId>> {
    let mut read = BTreeMap::<DataId, Vec<VertexId>>::new();
    for i in 0..graph.len() {
        for source in &graph.topology().node(i).inputs {
            if let Source::Data(d) = *source {
                read.entry(d).or_default().push(i);
            }
        }
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two lines cross in one of the two orders of the lower row, and the order that is found has no crossing.
    #[test]
    fn crossings_are_counted_and_removed() {
        let link = |from, to| Link { from, to, times: 1 };
        let mut layers = Layers {
            nodes: vec![Node::Pass; 6],
            rows: vec![vec![0, 1, 2], vec![3, 4, 5]],
            links: vec![vec![link(0, 5), link(1, 4), link(2, 3)], vec![]],
            row_of: vec![0, 0, 0, 1, 1, 1],
        };
        assert_eq!(layers.crossings(&layers.places()), 3);
        layers.order();
        assert_eq!(layers.crossings(&layers.places()), 0);
        assert_eq!(layers.rows.concat().len(), 6);
    }
}
