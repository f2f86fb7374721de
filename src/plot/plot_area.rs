//! A rectangle with two axes: grid, ticks, labels, and places for data.

use super::axes::{Axis, Spread};
use super::font;
use super::scene::{Anchor, Scene, Spot, Type};
use super::style::{GRID, GUIDE, INK, SOFT};
use crate::{Error, Result};

/// Tick labels.
pub const TICK: Type = Type { size: 12.0, color: INK, bold: false };
/// Axis labels.
pub const LABEL: Type = Type { size: 13.0, color: INK, bold: false };
/// Titles of figures.
pub const TITLE: Type = Type { size: 15.0, color: INK, bold: true };
/// Captions and second lines.
pub const NOTE: Type = Type { size: 11.0, color: SOFT, bold: false };

/// Height of tick labels and axis label below a plot area.
pub const BELOW: f64 = 46.0;

/// The plotting area of one panel.
#[derive(Debug, Clone, PartialEq)]
pub struct PlotArea {
    /// Left border.
    pub left: f64,
    /// Upper border.
    pub top: f64,
    /// Right border.
    pub right: f64,
    /// Lower border.
    pub bottom: f64,
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
}

impl PlotArea {
    /// Room the tick labels and the label of a vertical axis need to the left of the plot area.
    pub fn left_room(y: &Axis) -> f64 {
        let widest = y.ticks.iter().map(|(_, t)| font::width(t, TICK.size, TICK.bold)).fold(0.0, f64::max);
        widest + if y.label.is_empty() { 16.0 } else { 38.0 }
    }

    /// Where a value pair goes on the page.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it lies outside the axes: a figure must not show it on the border instead.
    pub fn at(&self, x: f64, y: f64) -> Result<Spot> {
        match (self.x.share(x), self.y.share(y)) {
            (Some(sx), Some(sy)) => Ok(self.place(sx, sy)),
            _ => Err(Error::Invalid(format!(
                "the point ({x}, {y}) lies outside the axes `{}` {}..{} and `{}` {}..{}; this is a fault of the figure's code",
                self.x.label, self.x.low, self.x.high, self.y.label, self.y.low, self.y.high
            ))),
        }
    }

    fn place(&self, x: f64, y: f64) -> Spot {
        (self.left + x * (self.right - self.left), self.bottom - y * (self.bottom - self.top))
    }

    /// Grid, to be covered by the data.
    pub fn draw_grid(&self, scene: &mut Scene) {
        for (value, _) in &self.x.ticks {
            let x = self.place(self.x.unclipped(*value), 0.0).0;
            scene.line([(x, self.top), (x, self.bottom)], 1.0, GRID);
        }
        for (value, _) in &self.y.ticks {
            let y = self.place(0.0, self.y.unclipped(*value)).1;
            scene.line([(self.left, y), (self.right, y)], 1.0, GRID);
        }
    }

    /// Border, ticks and labels.
    pub fn draw_axes(&self, scene: &mut Scene) {
        scene.line([(self.left, self.top), (self.left, self.bottom), (self.right, self.bottom)], 1.2, INK);
        for value in &self.x.minor {
            let x = self.place(self.x.unclipped(*value), 0.0).0;
            scene.line([(x, self.bottom), (x, self.bottom + 3.0)], 0.8, INK);
        }
        for value in &self.y.minor {
            let y = self.place(0.0, self.y.unclipped(*value)).1;
            scene.line([(self.left - 3.0, y), (self.left, y)], 0.8, INK);
        }
        let mut free = f64::NEG_INFINITY;
        for (value, text) in &self.x.ticks {
            let x = self.place(self.x.unclipped(*value), 0.0).0;
            scene.line([(x, self.bottom), (x, self.bottom + 5.0)], 1.2, INK);
            let half = font::width(text, TICK.size, TICK.bold) / 2.0;
            // Powers of two crowd at the low end of a short axis: a label without room is left out.
            if x - half >= free {
                scene.text((x, self.bottom + 15.0), text.clone(), TICK, Anchor::Middle);
                free = x + half + 6.0;
            }
        }
        for (value, text) in &self.y.ticks {
            let y = self.place(0.0, self.y.unclipped(*value)).1;
            scene.line([(self.left - 5.0, y), (self.left, y)], 1.2, INK);
            scene.text((self.left - 9.0, y), text.clone(), TICK, Anchor::End);
        }
        let middle = (self.left + self.right) / 2.0;
        scene.text((middle, self.bottom + 36.0), self.x.label.clone(), LABEL, Anchor::Middle);
        if !self.y.label.is_empty() {
            let x = self.left - Self::left_room(&self.y) + 11.0;
            scene.text_up((x, (self.top + self.bottom) / 2.0), self.y.label.clone(), LABEL);
        }
    }

    /// The part inside the plot area of y = y₀·(x/x₀)^`exponent`, on two logarithmic axes a straight line.
    /// `None` if no part is inside or an axis is linear.
    pub fn power_line(&self, (x0, y0): (f64, f64), exponent: f64) -> Option<[Spot; 2]> {
        if self.x.spread != Spread::Log || self.y.spread != Spread::Log {
            return None;
        }
        let (sx0, sy0) = (self.x.unclipped(x0), self.y.unclipped(y0));
        let span = |axis: &Axis| axis.high.ln() - axis.low.ln();
        let slope = exponent * span(&self.x) / span(&self.y);
        let y = |sx: f64| sy0 + slope * (sx - sx0);
        let (mut from, mut to) = (0.0, 1.0);
        if slope.abs() > 1e-12 {
            let (a, b) = (sx0 - sy0 / slope, sx0 + (1.0 - sy0) / slope);
            (from, to) = (f64::max(from, a.min(b)), f64::min(to, a.max(b)));
        }
        let ends = [(from, y(from)), (to, y(to))];
        let inside =
            |(x, y): (f64, f64)| (-1e-9..=1.0 + 1e-9).contains(&x) && (-1e-9..=1.0 + 1e-9).contains(&y);
        (from < to && ends.into_iter().all(inside)).then(|| ends.map(|(x, y)| self.place(x, y)))
    }

    /// Draws [`PlotArea::power_line`] in light grey and returns its upper right end, where its label belongs.
    pub fn draw_guide(&self, scene: &mut Scene, through: (f64, f64), exponent: f64) -> Option<Spot> {
        let ends = self.power_line(through, exponent)?;
        scene.line(ends, 1.6, GUIDE);
        Some(ends[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::number;

    fn plot_area() -> PlotArea {
        let x = Axis::log("x", [1.0, 100.0], number::count).unwrap();
        let y = Axis::log("y", [1.0, 100.0], number::count).unwrap();
        PlotArea { left: 50.0, top: 10.0, right: 150.0, bottom: 110.0, x, y }
    }

    #[test]
    fn a_point_outside_is_an_error_not_a_point_on_the_border() {
        let plot_area = plot_area();
        let (x, y) = plot_area.at(10.0, 10.0).unwrap();
        assert!((x - 100.0).abs() < 1e-9 && (y - 60.0).abs() < 1e-9);
        for (x, y) in [(1e9, 1.0), (1.0, 1e-9), (f64::NAN, 1.0), (1.0, f64::INFINITY)] {
            assert!(plot_area.at(x, y).is_err());
        }
    }

    #[test]
    fn guides_are_clipped_to_the_frame() {
        let plot_area = plot_area();
        for exponent in [0.0, 1.0, 2.0, -1.0] {
            let [a, b] = plot_area.power_line((10.0, 10.0), exponent).unwrap();
            for (x, y) in [a, b] {
                assert!(
                    (50.0 - 1e-6..=150.0 + 1e-6).contains(&x) && (10.0 - 1e-6..=110.0 + 1e-6).contains(&y)
                );
            }
            let slope = (a.1 - b.1) / (b.0 - a.0);
            assert!((slope - exponent).abs() < 1e-6, "{exponent}: {slope}");
        }
        assert_eq!(plot_area.power_line((10.0, 1e9), 0.0), None);
    }
}
