//! Small texts at points of a plane, put where they cover nothing.

use super::font;
use super::plot_area::{PlotArea, NOTE};
use super::scene::{Anchor, Scene, Spot, Type};
use super::style::{Rgb, Style, INK};

/// Left, top, right, bottom.
type Area = (f64, f64, f64, f64);

/// Markers keep this much free around their middle.
const MARKER: f64 = 5.0;
/// Ends this near to each other share one label.
const SHARED: f64 = 14.0;

/// Writes `T = …` at both ends of each curve of numbers of steps and places, in its colour; an end of 0 steps has no
/// label, and one without room for it neither. `lines` are further lines that a label should rather not cross.
pub fn at_ends(
    scene: &mut Scene,
    plot_area: &PlotArea,
    curves: &[(Style, Vec<(usize, Spot)>)],
    lines: &[[Spot; 2]],
) {
    let markers: Vec<Spot> =
        curves.iter().flat_map(|(_, curve)| curve.iter().map(|(_, spot)| *spot)).collect();
    let pairs = curves.iter().flat_map(|(_, curve)| curve.windows(2).map(|pair| [pair[0].1, pair[1].1]));
    let strokes: Vec<[Spot; 2]> = pairs.chain(lines.iter().copied()).collect();
    let mut wanted: Vec<(Rgb, String, Spot)> = Vec::new();
    for (style, curve) in curves {
        let ends = [curve.first(), curve.last().filter(|_| curve.len() > 1)];
        for (steps, spot) in ends.into_iter().flatten().filter(|(steps, _)| *steps > 0) {
            wanted.push((style.color, format!("T = {steps}"), *spot));
        }
    }
    beside(scene, plot_area, wanted, &markers, &strokes);
}

/// Writes each text beside its spot in its colour, unless the same text stands near already or there is no room.
/// Texts cover no marker and no other text, and cross `lines` only where nothing else is left.
pub fn beside(
    scene: &mut Scene,
    plot_area: &PlotArea,
    wanted: Vec<(Rgb, String, Spot)>,
    markers: &[Spot],
    lines: &[[Spot; 2]],
) {
    let markers: Vec<Area> = markers.iter().map(|spot| around(*spot, MARKER)).collect();
    let strokes: Vec<Area> = lines.iter().copied().flat_map(stepping).collect();
    let mut written: Vec<(Area, String, Spot)> = Vec::new();
    for (color, text, spot) in wanted {
        let near = |at: &Spot| (at.0 - spot.0).hypot(at.1 - spot.1) < SHARED;
        if written.iter().any(|(_, other, at)| *other == text && near(at)) {
            continue;
        }
        let texts: Vec<Area> = written.iter().map(|(area, ..)| *area).collect();
        let free = |a: &&Area| inside(a, plot_area) && clear(a, &markers) && clear(a, &texts);
        let candidates = candidates(spot, font::width(&text, NOTE.size, NOTE.bold));
        let best = candidates.iter().filter(free).find(|a| clear(a, &strokes));
        if let Some(area) = best.or(candidates.iter().find(free)) {
            let at = (area.0 + 1.0, (area.1 + area.3) / 2.0);
            scene.text(at, text.clone(), Type { color: dark(color), ..NOTE }, Anchor::Start);
            written.push((*area, text, spot));
        }
    }
}

fn around((x, y): Spot, radius: f64) -> Area {
    (x - radius, y - radius, x + radius, y + radius)
}

/// Areas along a line, close enough together that no text fits between them.
fn stepping([a, b]: [Spot; 2]) -> Vec<Area> {
    let count = ((b.0 - a.0).hypot(b.1 - a.1) / 6.0).ceil().clamp(1.0, 1000.0);
    let at = |share: f64| (a.0 + share * (b.0 - a.0), a.1 + share * (b.1 - a.1));
    (0..=count as usize).map(|i| around(at(i as f64 / count), 1.0)).collect()
}

/// Places for a text beside a spot, the best first.
fn candidates((x, y): Spot, width: f64) -> Vec<Area> {
    const SIDES: [(f64, f64); 8] = [
        (1.0, 0.0),
        (-1.0, 0.0),
        (0.0, 1.0),
        (0.0, -1.0),
        (0.8, -0.8),
        (0.8, 0.8),
        (-0.8, -0.8),
        (-0.8, 0.8),
    ];
    let (w, h) = (width / 2.0 + 1.0, 6.5);
    let at = |gap: f64| SIDES.map(|(dx, dy)| (x + dx * (gap + w), y + dy * (gap + h)));
    let middles = [7.0, 11.0, 17.0].into_iter().flat_map(at);
    middles.map(|(cx, cy)| (cx - w, cy - h, cx + w, cy + h)).collect()
}

fn inside(area: &Area, plot_area: &PlotArea) -> bool {
    let (left, top, right, bottom) = *area;
    left > plot_area.left + 2.0
        && top > plot_area.top
        && right < plot_area.right
        && bottom < plot_area.bottom - 2.0
}

fn clear(area: &Area, others: &[Area]) -> bool {
    others.iter().all(|o| area.2 <= o.0 || o.2 <= area.0 || area.3 <= o.1 || o.3 <= area.1)
}

/// A colour dark enough for small text on white.
fn dark((r, g, b): Rgb) -> Rgb {
    let mix = |c: u8, ink: u8| ((2 * u16::from(c) + u16::from(ink)) / 3) as u8;
    (mix(r, INK.0), mix(g, INK.1), mix(b, INK.2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::axes::Axis;
    use crate::plot::scene::{bounds, Item};
    use crate::plot::style;

    #[test]
    fn labels_share_avoid_and_give_up() {
        let axis = Axis::linear("", 0.0, 1.0, |v| v.to_string()).unwrap();
        let plot_area =
            PlotArea { left: 0.0, top: 0.0, right: 300.0, bottom: 200.0, x: axis.clone(), y: axis };
        let style = style::of("spc", "reference");
        let label = |curves: &[Vec<(usize, Spot)>]| -> Vec<String> {
            let curves: Vec<_> = curves.iter().map(|c| (style, c.clone())).collect();
            let mut scene = Scene::new(300.0, 200.0);
            at_ends(&mut scene, &plot_area, &curves, &[[(0.0, 100.0), (300.0, 100.0)]]);
            for item in &scene.items {
                let (l, t, r, b) = bounds(item);
                assert!(l >= 0.0 && t >= 0.0 && r <= 300.0 && b <= 200.0);
                assert!(b < 100.0 || t > 100.0, "crosses the line");
            }
            let text = |item: &Item| match item {
                Item::Text { text, .. } => text.clone(),
                other => panic!("{other:?}"),
            };
            scene.items.iter().map(text).collect()
        };
        let curve = vec![(1, (100.0, 100.0)), (8, (200.0, 50.0))];
        assert_eq!(label(std::slice::from_ref(&curve)), ["T = 1", "T = 8"]);
        assert_eq!(label(&[curve.clone(), curve]), ["T = 1", "T = 8"], "one label for curves that coincide");
        assert!(label(&[vec![(0, (50.0, 50.0))]]).is_empty());
        let crowd = (0..60).flat_map(|i| (0..40).map(move |j| (3, (5.0 * f64::from(i), 5.0 * f64::from(j)))));
        assert!(label(&[crowd.collect()]).is_empty(), "no room");
    }
}
