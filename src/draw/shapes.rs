//! The shapes of a drawn network: what is what can be told without colours.

use super::card::{tag_width, TAG};
use crate::plot::scene::{Anchor, Scene, Spot};
use crate::plot::style::{Rgb, INK};

/// Half the width, and height, of the bar that ends at a loss.
const BAR: (f64, f64) = (20.0, 4.0);
/// Fill and edge of latent vertices.
const LATENT: (Rgb, Rgb) = ((222, 235, 247), (0, 90, 145));
/// Fill and edge of deterministic vertices.
const DETERMINISTIC: (Rgb, Rgb) = ((248, 248, 248), (90, 90, 90));
/// Fill and edge of data.
const DATA: (Rgb, Rgb) = ((235, 240, 230), (110, 125, 95));
/// Behind labels of shared parameters.
const LABELLED: Rgb = (124, 60, 120);

/// A field with round ends around (x, y), the middle of its upper edge.
pub(super) fn latent(scene: &mut Scene, (x, y): Spot, width: f64, height: f64) {
    let radius = (height / 2.0).min(16.0);
    let corners = [
        (x + width / 2.0 - radius, y + radius, -90.0),
        (x + width / 2.0 - radius, y + height - radius, 0.0),
        (x - width / 2.0 + radius, y + height - radius, 90.0),
        (x - width / 2.0 + radius, y + radius, 180.0),
    ];
    let arc = |(cx, cy, from): (f64, f64, f64)| {
        (0..=6).map(move |k| (from + 15.0 * f64::from(k)).to_radians()).map(move |a| {
            let (sin, cos) = (libm::sin(a), libm::cos(a));
            (cx + radius * cos, cy + radius * sin)
        })
    };
    outlined(scene, corners.into_iter().flat_map(arc).collect(), LATENT, 1.8);
}

/// A rectangle around (x, y), the middle of its upper edge.
pub(super) fn deterministic(scene: &mut Scene, (x, y): Spot, width: f64, height: f64) {
    let (l, r, b) = (x - width / 2.0, x + width / 2.0, y + height);
    outlined(scene, vec![(l, y), (r, y), (r, b), (l, b)], DETERMINISTIC, 1.1);
}

/// A parallelogram around (x, y), the middle of its upper edge.
pub(super) fn data(scene: &mut Scene, (x, y): Spot, width: f64, height: f64) {
    let (l, r, b) = (x - width / 2.0, x + width / 2.0, y + height);
    outlined(scene, vec![(l + 5.0, y), (r + 5.0, y), (r - 5.0, b), (l - 5.0, b)], DATA, 1.1);
}

/// The bar at which a network ends, (x, y) the middle of its upper edge.
pub(super) fn bar(scene: &mut Scene, (x, y): Spot) {
    scene.cell((x - BAR.0, y), (x + BAR.0, y + BAR.1), INK);
}

/// Labels of shared parameters, (x, y) the middle of the left edge of their field.
pub(super) fn tag(scene: &mut Scene, (x, y): Spot, tag: &str) {
    scene.cell((x, y - 7.0), (x + tag_width(tag), y + 7.0), LABELLED);
    scene.text((x + 4.0, y), tag, TAG, Anchor::Start);
}

/// A filled polygon with an edge.
fn outlined(scene: &mut Scene, mut points: Vec<Spot>, (fill, edge): (Rgb, Rgb), width: f64) {
    scene.area(points.clone(), fill, 1.0);
    points.extend_from_within(..1);
    scene.line(points, width, edge);
}
