//! The upper panel: the network in rows, data at the top and losses at the bottom.

use super::card::{tag_width, Card, Shape, LINE, NAME, PAD};
use super::cone::Cone;
use super::key;
use super::layers::{Layers, Link, Node};
use super::place;
use super::shapes;
use super::shared::shared;
use crate::net::Graph;
use crate::plot::scene::{Anchor, Scene, Spot};
use crate::plot::style::SOFT;

/// Height of a row of boxes.
const ROW: f64 = 46.0;
/// Height of a row without vertices.
const LOW_ROW: f64 = 36.0;
/// Between two rows: at least, at most, and per pixel that a line between them goes sideways.
const GAP: (f64, f64, f64) = (26.0, 80.0, 0.06);
/// Most room between the column of signs and the network that is not needed.
const MOST_SPARE: f64 = 120.0;
/// Length and half the width of an arrow's head.
const ARROW: (f64, f64) = (6.0, 3.0);

/// A network with the place of everything in it.
#[derive(Debug, Clone)]
pub(super) struct Network {
    layers: Layers,
    cards: Vec<Card>,
    /// Middle of each node.
    x: Vec<f64>,
    /// Upper edge and height of each row.
    rows: Vec<(f64, f64)>,
    size: (f64, f64),
    key: Vec<key::Entry>,
}

impl Network {
    /// Lays a network out.
    pub(super) fn new(graph: &Graph, cone: &Cone) -> Self {
        let (layers, shared) = (Layers::of(graph), shared(graph));
        let cards: Vec<Card> =
            layers.nodes.iter().map(|node| Card::of(*node, graph, cone, &shared)).collect();
        let widths: Vec<f64> = cards.iter().map(|b| b.width).collect();
        let (x, width) = place::middles(&layers, &widths);
        let (mut rows, mut y) = (Vec::new(), 0.0);
        for (nodes, links) in layers.rows.iter().zip(&layers.links) {
            let boxed = nodes.iter().any(|&node| matches!(layers.nodes[node], Node::Vertex(_)));
            let height = if boxed { ROW } else { LOW_ROW };
            rows.push((y, height));
            let sideways = links.iter().map(|l| (x[l.from] - x[l.to]).abs()).fold(0.0, f64::max);
            y += height + (GAP.2 * sideways).clamp(GAP.0, GAP.1);
        }
        let height = rows.last().map_or(0.0, |(top, height)| top + height);
        let key = key::entries(graph, cone, &shared, layers.links.iter().flatten().any(|l| l.times > 1));
        let size = (key::WIDTH + key::SPACE + width, height.max(key::height(&key)));
        Self { layers, cards, x, rows, size, key }
    }

    /// Width and height of the panel.
    pub(super) fn size(&self) -> (f64, f64) {
        self.size
    }

    /// Draws the panel with its upper left corner at `at`, as wide as `room`, which is no less than its own width.
    pub(super) fn draw(&self, scene: &mut Scene, (left, top): Spot, room: f64) {
        key::draw(scene, (left, top), &self.key);
        let spare = ((room - self.size.0) / 2.0).min(MOST_SPARE);
        let at = (left + key::WIDTH + key::SPACE + spare, top);
        for (row, links) in self.layers.links.iter().enumerate() {
            self.draw_lines(scene, at, row, links);
        }
        for (nodes, (y, height)) in self.layers.rows.iter().zip(&self.rows) {
            for &node in nodes {
                let (x, y) = (at.0 + self.x[node], at.1 + y);
                let content = &self.cards[node];
                match content.shape {
                    Shape::Latent => shapes::latent(scene, (x, y), content.width, ROW),
                    Shape::Deterministic => shapes::deterministic(scene, (x, y), content.width, ROW),
                    Shape::Data => shapes::data(scene, (x, y), content.width, LOW_ROW),
                    Shape::Loss => shapes::bar(scene, (x, y)),
                    Shape::Pass => scene.line([(x, y), (x, y + height)], 1.1, SOFT),
                }
                draw_text(scene, (x, y), content);
            }
        }
    }

    /// Lines from a row to the next one.
    fn draw_lines(&self, scene: &mut Scene, (left, top): Spot, row: usize, links: &[Link]) {
        let Some((below, _)) = self.rows.get(row + 1) else { return };
        let (upper, height) = self.rows[row];
        for link in links {
            let x = left + self.x[link.from];
            // a data tensor in a row of vertices is less high than they are
            let own = if self.cards[link.from].shape == Shape::Data { LOW_ROW } else { height };
            let (to, end) = (left + self.port(links, link), top + below);
            let mut points = vec![(x, top + upper + own), (x, top + upper + height)];
            let pointed = matches!(self.cards[link.to].shape, Shape::Latent | Shape::Deterministic);
            points.push((to, if pointed { end - ARROW.0 } else { end }));
            points.dedup();
            scene.line(points, if link.times > 1 { 2.8 } else { 1.1 }, SOFT);
            if pointed {
                let (y, half) = (end - ARROW.0, ARROW.1);
                scene.area([(to - half, y), (to + half, y), (to, end)], SOFT, 1.0);
            }
        }
    }

    /// Where a line meets the upper edge of its lower node: lines into one box stand side by side, in the order of their
    /// upper ends.
    fn port(&self, links: &[Link], link: &Link) -> f64 {
        let into: Vec<&Link> = links.iter().filter(|other| other.to == link.to).collect();
        let key = |l: &Link| (self.x[l.from], l.from);
        let before = into.iter().filter(|other| key(other) < key(link)).count();
        let step = (0.6 * self.cards[link.to].width / into.len() as f64).min(14.0);
        self.x[link.to] + (before as f64 - (into.len() as f64 - 1.0) / 2.0) * step
    }
}

fn draw_text(scene: &mut Scene, (x, y): Spot, content: &Card) {
    let right = x + content.width / 2.0 - PAD;
    let middle = if content.tag.is_empty() {
        x
    } else {
        let from = right - tag_width(&content.tag);
        shapes::tag(scene, (from, y + 12.0), &content.tag);
        (x - content.width / 2.0 + PAD + from - 6.0) / 2.0
    };
    // a loss has its bar in place of a name
    let first = if content.name.is_empty() { 13.5 } else { 25.5 };
    if !content.name.is_empty() {
        scene.text((middle, y + 12.0), content.name.clone(), NAME, Anchor::Middle);
    }
    for (k, line) in content.lines.iter().enumerate() {
        scene.text((x, y + first + 12.5 * k as f64), line.clone(), LINE, Anchor::Middle);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::plot::scene::Item;
    use crate::verify::case;

    /// Lines go around boxes: between rows, or down beside them.
    #[test]
    fn no_line_crosses_a_box() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/graphs");
        let mut lines = 0;
        for file in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let graph = case::read(&file).unwrap().graph;
            let network = Network::new(&graph, &Cone::of(graph.topology()));
            let mut scene = Scene { width: 1, height: 1, items: Vec::new() };
            for (row, links) in network.layers.links.iter().enumerate() {
                network.draw_lines(&mut scene, (0.0, 0.0), row, links);
            }
            let row_of =
                |node: usize| network.layers.rows.iter().position(|row| row.contains(&node)).unwrap();
            let boxes = 0..network.cards.len();
            let boxes: Vec<(f64, f64, f64, f64)> = boxes
                .map(|node| {
                    let ((top, _), half) = (network.rows[row_of(node)], network.cards[node].width / 2.0);
                    let low = matches!(network.cards[node].shape, Shape::Data | Shape::Loss);
                    (
                        network.x[node] - half,
                        top,
                        network.x[node] + half,
                        top + if low { LOW_ROW } else { ROW },
                    )
                })
                .collect();
            for item in &scene.items {
                let Item::Line { points, .. } = item else { continue };
                for step in (0..=40 * (points.len() - 1)).filter(|step| step % (40 * (points.len() - 1)) != 0)
                {
                    let (a, b) = (points[step / 40], points[(step / 40 + 1).min(points.len() - 1)]);
                    let share = (step % 40) as f64 / 40.0;
                    let (x, y) = (a.0 + share * (b.0 - a.0), a.1 + share * (b.1 - a.1));
                    let inside = |&&(l, t, r, b): &&(f64, f64, f64, f64)| {
                        // a line that passes through is 2 wide and no box
                        r - l > 2.5 && x > l && x < r && y > t && y < b
                    };
                    assert_eq!(boxes.iter().find(inside), None, "{} at ({x}, {y})", file.display());
                }
                lines += 1;
            }
            for (i, a) in boxes.iter().enumerate() {
                let apart = |b: &(f64, f64, f64, f64)| a.2 < b.0 || b.2 < a.0 || a.3 < b.1 || b.3 < a.1;
                assert!(boxes[..i].iter().all(apart), "{}: boxes overlap", file.display());
            }
        }
        assert!(lines > 300, "{lines}");
    }
}
