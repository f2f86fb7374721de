//! Pictures of a network and of one schedule on it, as the program sees both: nothing is measured for them.
//!
//! Above, the network in rows: what is latent, what is deterministic, where the losses are, which vertices share
//! parameters, and how many inference steps an error takes to each vertex. Below, the task graph that the recording engine
//! makes of a rule ([`crate::engine::recording`]), placed on processors by [`crate::theory::makespan`].
//!
//! The same network, rule and batch give the same bytes.

mod bars;
mod card;
mod cone;
mod key;
mod label;
mod layers;
mod network;
mod place;
mod recorded;
mod shapes;
mod shared;

#[cfg(test)]
mod tests;

use crate::net::Graph;
use crate::plot::canvas;
use crate::plot::plot_area::TITLE;
use crate::plot::scene::{Anchor, Scene, Type};
use crate::plot::style::{self, INK};
use crate::rule::Rule;
use crate::{Error, Result};

use bars::Bars;
pub use cone::Cone;
use label::{count, shorten, wrap};
use layers::Layers;
use network::Network;
use recorded::Recorded;
pub use recorded::MOST_PRODUCTS;

/// Most vertices of a network that is drawn: more have no room in which they can be read.
pub const MOST_VERTICES: usize = 200;
/// Most vertices, data tensors and losses together.
const MOST_NODES: usize = 400;
/// Most inputs of all vertices together.
const MOST_INPUTS: usize = 10_000;
/// Around everything.
const MARGIN: f64 = 26.0;
/// Headings of the panels.
const HEADING: Type = Type { size: 13.0, color: INK, bold: true };
/// Height of a line of the title, and of a heading with the space below it.
const LINES: (f64, f64) = (20.0, 26.0);
/// Between the panels.
const BETWEEN: f64 = 34.0;

/// What to draw.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    /// Title of the picture.
    pub title: String,
    /// The network.
    pub graph: &'a Graph,
    /// The rule whose schedule is drawn, with its inference steps.
    pub rule: Rule,
    /// B, samples of the batch.
    pub batch: usize,
    /// Processors that the schedule is placed on; without a number as many as there are products.
    pub processors: Option<usize>,
}

/// The light cone of a network.
///
/// # Errors
/// [`Error::Invalid`] if the network is too large to be drawn.
pub fn cone(graph: &Graph) -> Result<Cone> {
    let inputs: usize = (0..graph.len()).map(|i| graph.topology().node(i).inputs.len()).sum();
    let sizes = [
        (graph.len(), "vertices", MOST_VERTICES),
        (Layers::size(graph), "vertices, data tensors and losses together", MOST_NODES),
        (inputs, "inputs of vertices", MOST_INPUTS),
    ];
    match sizes.into_iter().find(|(size, _, most)| size > most) {
        None => Ok(Cone::of(graph.topology())),
        Some((size, what, most)) => Err(Error::Invalid(format!(
            "the network has {size} {what}, and at most {most} are drawn; draw a smaller one of its kind"
        ))),
    }
}

/// The picture as an SVG document.
///
/// # Errors
/// [`Error::Invalid`] if the network or the schedule is too large to be drawn, if the rule is not defined on the network,
/// and for a schedule on no processors.
pub fn svg(subject: &Subject<'_>) -> Result<String> {
    canvas::svg(&scene(subject)?)
}

/// The picture as shapes.
fn scene(subject: &Subject<'_>) -> Result<Scene> {
    let Subject { graph, rule, batch, processors, .. } = *subject;
    let cone = cone(graph)?;
    let recorded = Recorded::new(graph, &rule, batch, processors)?;
    let network = Network::new(graph, &cone);
    let bars = Bars::new(graph, &recorded, processors);

    let (upper, (width, lower)) = (network.size(), bars.size(network.size().0));
    let title = shorten(&subject.title, TITLE.size, TITLE.bold, 2.0 * width);
    let title = wrap(&title, TITLE.size, TITLE.bold, width);
    let head = MARGIN + LINES.0 * title.len() as f64;
    let below = head + LINES.1 + upper.1 + BETWEEN;
    let page = (width + 2.0 * MARGIN, below + LINES.1 + lower + MARGIN);
    // not Scene::new, which bounds figures: the limits above bound this one
    let mut scene = Scene { width: page.0.ceil() as u32, height: page.1.ceil() as u32, items: Vec::new() };
    for (k, line) in title.iter().enumerate() {
        scene.text((MARGIN, MARGIN + LINES.0 * k as f64), line.clone(), TITLE, Anchor::Start);
    }
    let latent = graph.topology().latent().count();
    let vertices = count(graph.len(), "vertex", "vertices");
    let losses = count(graph.losses().len(), "loss", "losses");
    let heading = format!("Network: {vertices}, {latent} of them latent; {losses}");
    scene.text((MARGIN, head + 8.0), heading, HEADING, Anchor::Start);
    network.draw(&mut scene, (MARGIN, head + LINES.1), width);
    let steps = rule.steps().map_or(String::new(), |steps| format!(", T = {}", steps.count));
    let rows = if processors.is_some() { "processor" } else { "vertex that has matrix products" };
    let name = style::printed_name(rule.name());
    let heading = format!("Schedule: {name}{steps}, batch {batch}; a row per {rows}");
    scene.text((MARGIN, below + 8.0), heading, HEADING, Anchor::Start);
    bars.draw(&mut scene, (MARGIN, below + LINES.1), width, graph, &recorded);
    Ok(scene)
}
