//! What the signs of the upper panel mean, in a column to its left.

use super::card::tag_width;
use super::cone::Cone;
use super::label::wrap;
use super::shapes;
use super::shared::Shared;
use crate::net::Graph;
use crate::plot::plot_area::NOTE;
use crate::plot::scene::{Anchor, Scene, Spot};
use crate::plot::style::SOFT;

/// Width of the column.
pub(super) const WIDTH: f64 = 250.0;
/// Between the column and the network.
pub(super) const SPACE: f64 = 24.0;
/// Width of a sample.
const SAMPLE: f64 = 44.0;
/// Height of a line of text, and what separates entries.
const LINE: (f64, f64) = (14.5, 9.0);
/// Most labels of shared parameters that are explained.
const MOST_LABELS: usize = 20;

/// What an entry shows beside its words.
#[derive(Debug, Clone, PartialEq)]
enum Sample {
    Latent,
    Deterministic,
    Data,
    Bar,
    Line(f64),
    Tag(String),
    Nothing,
}

/// One sign and its meaning.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    sample: Sample,
    lines: Vec<String>,
}

impl Entry {
    fn new(sample: Sample, words: &str) -> Self {
        Self { sample, lines: wrap(words, NOTE.size, NOTE.bold, WIDTH - SAMPLE - 8.0) }
    }
}

/// An entry for each sign that occurs; `repeated` says whether some vertex reads something more than once.
pub(super) fn entries(graph: &Graph, cone: &Cone, shared: &[Shared], repeated: bool) -> Vec<Entry> {
    let topology = graph.topology();
    let latent = topology.latent().next().is_some();
    let weighted = topology.latent().any(|i| topology.precision(i) != Some(1.0));
    let early = cone.arrival.iter().zip(&cone.distance).any(|(t, d)| t < d);
    let precision =
        if weighted { ", and an error of precision π, 1 if it is not said" } else { " and an error" };
    let signs = [
        (latent, Sample::Latent, format!("latent vertex: has a state of its own{precision}")),
        (
            topology.latent().count() < graph.len(),
            Sample::Deterministic,
            "deterministic vertex: its value follows from what it reads".to_owned(),
        ),
        (true, Sample::Data, "data that vertices read".to_owned()),
        (true, Sample::Bar, "loss: the network ends here".to_owned()),
        (repeated, Sample::Line(2.8), "read by one vertex more than once".to_owned()),
        (
            true,
            Sample::Nothing,
            "d: latent vertices on the shortest path to a loss, the vertex itself counted; an error comes up that path in d \
             inference steps of sPC"
                .to_owned(),
        ),
        (
            early,
            Sample::Nothing,
            "t: the steps in which one comes all the same, where a vertex reads a state that has moved before".to_owned(),
        ),
    ];
    let signs = signs.into_iter().filter(|(occurs, ..)| *occurs);
    let mut entries: Vec<Entry> = signs.map(|(_, sample, words)| Entry::new(sample, &words)).collect();
    let labels = shared.iter().take(MOST_LABELS);
    entries.extend(labels.map(|s| Entry::new(Sample::Tag(s.label.clone()), &s.words(graph))));
    if let Some(more) = shared.len().checked_sub(MOST_LABELS + 1) {
        entries.push(Entry::new(
            Sample::Nothing,
            &format!("further labels likewise, {} in all", MOST_LABELS + 1 + more),
        ));
    }
    entries
}

/// Height of the column.
pub(super) fn height(entries: &[Entry]) -> f64 {
    entries.iter().map(|entry| LINE.0 * entry.lines.len() as f64 + LINE.1).sum()
}

/// Draws the column with its upper left corner at `at`.
pub(super) fn draw(scene: &mut Scene, (left, top): Spot, entries: &[Entry]) {
    let mut y = top;
    for entry in entries {
        let (first, middle) = (y + LINE.0 / 2.0, left + SAMPLE / 2.0);
        match &entry.sample {
            Sample::Latent => shapes::latent(scene, (middle, first - 8.0), 36.0, 16.0),
            Sample::Deterministic => shapes::deterministic(scene, (middle, first - 7.0), 34.0, 14.0),
            Sample::Data => shapes::data(scene, (middle, first - 7.0), 32.0, 14.0),
            Sample::Bar => shapes::bar(scene, (middle, first - 2.0)),
            Sample::Line(width) => {
                scene.line([(left + 4.0, first), (left + SAMPLE - 4.0, first)], *width, SOFT)
            }
            Sample::Tag(tag) => shapes::tag(scene, (middle - tag_width(tag) / 2.0, first), tag),
            Sample::Nothing => {}
        }
        for (k, line) in entry.lines.iter().enumerate() {
            let at = (left + SAMPLE + 8.0, first + LINE.0 * k as f64);
            scene.text(at, line.clone(), NOTE, Anchor::Start);
        }
        y += LINE.0 * entry.lines.len() as f64 + LINE.1;
    }
}
