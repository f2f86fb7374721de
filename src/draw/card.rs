//! What a drawn network says of a vertex, a data tensor and a loss, and how large their boxes are.

use super::cone::Cone;
use super::label::{clean, shorten, width};
use super::layers::Node;
use super::shared::Shared;
use crate::net::{Graph, LatentEnergy, VertexId};
use crate::plot::number;
use crate::plot::scene::Type;
use crate::plot::style::{INK, PAPER, SOFT};

/// Names.
pub(super) const NAME: Type = Type { size: 11.5, color: INK, bold: true };
/// What stands below a name.
pub(super) const LINE: Type = Type { size: 10.0, color: SOFT, bold: false };
/// Labels of shared parameters.
pub(super) const TAG: Type = Type { size: 9.5, color: PAPER, bold: true };
/// From the edge of a box to its text.
pub(super) const PAD: f64 = 10.0;
/// Width of a text in a box.
const ROOM: f64 = 132.0;
/// Width of the labels of shared parameters in a box.
const TAG_ROOM: f64 = 64.0;

/// What a box looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A field with round ends: a latent vertex.
    Latent,
    /// A rectangle: a deterministic vertex.
    Deterministic,
    /// A parallelogram: a data tensor.
    Data,
    /// A bar with text below: a loss.
    Loss,
    /// A line that passes through.
    Pass,
}

/// A box and its text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Card {
    /// What it looks like.
    pub(super) shape: Shape,
    /// The name, shortened if it must be.
    pub(super) name: String,
    /// Further lines.
    pub(super) lines: Vec<String>,
    /// Labels of shared parameters; empty for none.
    pub(super) tag: String,
    /// Width in pixels.
    pub(super) width: f64,
}

impl Card {
    fn new(shape: Shape, name: String, lines: Vec<String>, tag: String) -> Self {
        let head =
            width(&name, NAME.size, NAME.bold) + if tag.is_empty() { 0.0 } else { 6.0 + tag_width(&tag) };
        let widest = lines.iter().map(|line| width(line, LINE.size, LINE.bold)).fold(head, f64::max);
        Self { shape, name, lines, tag, width: (widest + 2.0 * PAD).max(48.0) }
    }

    /// The box of a node; a line that passes through has no text and no width to speak of.
    pub(super) fn of(node: Node, graph: &Graph, cone: &Cone, shared: &[Shared]) -> Self {
        let name = |name: &str, room: f64| shorten(name, NAME.size, NAME.bold, room);
        let line = |text: &str| shorten(text, LINE.size, LINE.bold, ROOM);
        match node {
            Node::Pass => Self {
                shape: Shape::Pass,
                name: String::new(),
                lines: vec![],
                tag: String::new(),
                width: 2.0,
            },
            Node::Data(d) => {
                Self::new(Shape::Data, name(&graph.data()[d].name, ROOM), vec!["data".into()], String::new())
            }
            Node::Loss(k) => {
                let term = &graph.losses()[k];
                let target = line(&format!("target {}", clean(&graph.data()[term.target].name)));
                Self::new(
                    Shape::Loss,
                    String::new(),
                    vec![line(term.loss.kind.name()), target],
                    String::new(),
                )
            }
            Node::Vertex(i) => {
                let labels: Vec<&str> =
                    shared.iter().filter(|s| s.users.contains(&i)).map(|s| s.label.as_str()).collect();
                let tag = shorten(&labels.join(" "), TAG.size, TAG.bold, TAG_ROOM);
                let room = if tag.is_empty() { ROOM } else { ROOM - 6.0 - tag_width(&tag) };
                let lines = vec![line(graph.operation(i).kind()), line(&where_it_is(graph, i, cone))];
                let latent = graph.topology().is_latent(i);
                let shape = if latent { Shape::Latent } else { Shape::Deterministic };
                Self::new(shape, name(graph.name(i), room), lines, tag)
            }
        }
    }
}

/// Width of the field behind labels of shared parameters.
pub(super) fn tag_width(tag: &str) -> f64 {
    width(tag, TAG.size, TAG.bold) + 8.0
}

/// Whether a vertex is latent, with its precision if that is not 1, and its place in the light cone.
fn where_it_is(graph: &Graph, i: VertexId, cone: &Cone) -> String {
    let mut parts = Vec::new();
    if let Some(precision) = graph.topology().precision(i) {
        parts.push("latent".to_owned());
        parts.extend((precision != 1.0).then(|| format!("π = {}", number::short(precision, 3))));
        let energy = graph.topology().energy(i);
        parts.extend((energy != LatentEnergy::Gaussian).then(|| energy.to_string()));
    }
    let (distance, arrival) = (cone.distance[i], cone.arrival[i]);
    parts.push(format!("d = {distance}"));
    parts.extend((arrival < distance).then(|| format!("t = {arrival}")));
    parts.join(", ")
}
