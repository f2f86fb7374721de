//! The scale of a heat map.

use super::axes::Axis;
use super::font;
use super::plot_area::TICK;
use super::scene::{Anchor, Scene, Spot};
use super::style::{viridis, INK};

/// Width of the bar.
const WIDTH: f64 = 16.0;

fn ticks(scale: &Axis) -> f64 {
    scale.ticks.iter().map(|(_, text)| font::width(text, TICK.size, false)).fold(0.0, f64::max)
}

/// Width that the bar takes with its ticks and its label.
pub fn width(scale: &Axis) -> f64 {
    WIDTH + 9.0 + ticks(scale) + 26.0
}

/// Draws the scale from `top` down over `height`, its high end above; returns its lower end.
pub fn draw(scene: &mut Scene, (left, top): Spot, height: f64, scale: &Axis) -> f64 {
    const STRIPES: usize = 96;
    let (bottom, right) = (top + height, left + WIDTH);
    let y = |share: f64| bottom - share * (bottom - top);
    for i in 0..STRIPES {
        let share = |i: usize| i as f64 / STRIPES as f64;
        scene.cell((left, y(share(i + 1))), (right, y(share(i))), viridis(share(i) + 0.5 / STRIPES as f64));
    }
    for (value, text) in &scale.ticks {
        let y = y(scale.unclipped(*value));
        scene.line([(right, y), (right + 4.0, y)], 1.0, INK);
        scene.text((right + 8.0, y), text.clone(), TICK, Anchor::Start);
    }
    scene.text_up((right + 8.0 + ticks(scale) + 14.0, (top + bottom) / 2.0), scale.label.clone(), TICK);
    bottom
}
