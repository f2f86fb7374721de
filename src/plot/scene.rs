//! A figure as a list of shapes, before any backend has seen it.
//!
//! SVG and PNG are painted from the same list, so their layout is the same by construction, and a test can
//! ask the list whether anything overlaps or leaves the page instead of looking at pixels.

use super::font;
use super::style::{Rgb, Style, PAPER};

/// A place on the page in pixels; y grows downwards.
pub type Spot = (f64, f64);

/// Which point of a text its position names; vertically that is always the middle of a small letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// Left end.
    Start,
    /// Middle.
    Middle,
    /// Right end.
    End,
}

/// One shape.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// An open line.
    Line {
        /// Corners.
        points: Vec<Spot>,
        /// Stroke width.
        width: f64,
        /// Stroke colour.
        color: Rgb,
    },
    /// A filled polygon.
    Area {
        /// Corners.
        points: Vec<Spot>,
        /// Fill colour.
        color: Rgb,
        /// Opacity, 0..=1.
        alpha: f64,
    },
    /// A filled rectangle.
    Cell {
        /// Top left corner.
        from: Spot,
        /// Bottom right corner.
        to: Spot,
        /// Fill colour.
        color: Rgb,
    },
    /// One line of text.
    Text {
        /// Where `anchor` goes.
        at: Spot,
        /// What it says.
        text: String,
        /// Pixels per em.
        size: f64,
        /// Colour.
        color: Rgb,
        /// Bold face.
        bold: bool,
        /// Horizontal anchor.
        anchor: Anchor,
        /// Turned a quarter counter-clockwise, as along a vertical axis.
        turned: bool,
    },
}

/// Size, colour and face of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Type {
    /// Pixels per em.
    pub size: f64,
    /// Colour.
    pub color: Rgb,
    /// Bold face.
    pub bold: bool,
}

/// A page and what is on it, back to front.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Shapes, back to front.
    pub items: Vec<Item>,
}

impl Scene {
    /// An empty page, rounded up to whole pixels.
    pub fn new(width: f64, height: f64) -> Self {
        // No figure needs more; the bound keeps a mistake from asking for gigabytes.
        let whole = |v: f64| v.ceil().clamp(64.0, 6000.0) as u32;
        Self { width: whole(width), height: whole(height), items: Vec::new() }
    }

    /// A solid line.
    pub fn line(&mut self, points: impl Into<Vec<Spot>>, width: f64, color: Rgb) {
        self.items.push(Item::Line { points: points.into(), width, color });
    }

    /// A dashed line; `dash` holds the lengths of strokes and gaps in turn. It becomes one line per stroke,
    /// since no plotters backend knows dashes.
    pub fn dashed(&mut self, points: &[Spot], width: f64, color: Rgb, dash: &[f64]) {
        if dash.is_empty() || dash.iter().any(|&d| !d.is_finite() || d < 0.5) {
            return self.line(points, width, color);
        }
        let (mut part, mut left) = (0, dash[0]);
        let mut stroke: Vec<Spot> = points.first().copied().into_iter().collect();
        for pair in points.windows(2) {
            let ((mut x, mut y), (x1, y1)) = (pair[0], pair[1]);
            loop {
                let rest = (x1 - x).hypot(y1 - y);
                if !rest.is_finite() || rest <= left {
                    left -= rest;
                    stroke.push((x1, y1));
                    break;
                }
                (x, y) = (x + (x1 - x) * left / rest, y + (y1 - y) * left / rest);
                stroke.push((x, y));
                if part % 2 == 0 {
                    self.line(std::mem::take(&mut stroke), width, color);
                }
                part += 1;
                left = dash[part % dash.len()];
                stroke = vec![(x, y)];
            }
        }
        if part % 2 == 0 && stroke.len() > 1 {
            self.line(stroke, width, color);
        }
    }

    /// A filled polygon.
    pub fn area(&mut self, points: impl Into<Vec<Spot>>, color: Rgb, alpha: f64) {
        self.items.push(Item::Area { points: points.into(), color, alpha });
    }

    /// A filled rectangle.
    pub fn cell(&mut self, from: Spot, to: Spot, color: Rgb) {
        self.items.push(Item::Cell { from, to, color });
    }

    /// One line of text.
    pub fn text(&mut self, at: Spot, text: impl Into<String>, kind: Type, anchor: Anchor) {
        let Type { size, color, bold } = kind;
        self.items.push(Item::Text { at, text: text.into(), size, color, bold, anchor, turned: false });
    }

    /// One line of text, centred, reading upwards.
    pub fn text_up(&mut self, at: Spot, text: impl Into<String>, kind: Type) {
        let Type { size, color, bold } = kind;
        let anchor = Anchor::Middle;
        self.items.push(Item::Text { at, text: text.into(), size, color, bold, anchor, turned: true });
    }

    /// The marker of a contender, filled with a white rim, or hollow.
    pub fn marker(&mut self, (x, y): Spot, radius: f64, style: Style, hollow: bool) {
        let shape = |radius: f64| -> Vec<Spot> {
            style.marker.outline().into_iter().map(|(dx, dy)| (x + radius * dx, y + radius * dy)).collect()
        };
        if hollow {
            let mut ring = shape(radius);
            self.area(ring.clone(), PAPER, 1.0);
            ring.extend(ring.first().copied());
            ring.extend(ring.get(1).copied());
            self.line(ring, 1.2, style.color);
        } else {
            self.area(shape(radius + 0.9), PAPER, 1.0);
            self.area(shape(radius), style.color, 1.0);
        }
    }
}

/// Left, top, right, bottom of what an item covers.
pub fn bounds(item: &Item) -> (f64, f64, f64, f64) {
    let hull = |points: &[Spot], pad: f64| {
        let start = (f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY);
        let (l, t, r, b) = points.iter().fold(start, |(l, t, r, b), &(x, y)| {
            (f64::min(l, x), f64::min(t, y), f64::max(r, x), f64::max(b, y))
        });
        (l - pad, t - pad, r + pad, b + pad)
    };
    match item {
        Item::Line { points, width, .. } => hull(points, width / 2.0),
        Item::Area { points, .. } => hull(points, 0.0),
        Item::Cell { from, to, .. } => hull(&[*from, *to], 0.0),
        Item::Text { at: (x, y), text, size, bold, anchor, turned, .. } => {
            let w = font::width(text, *size, *bold);
            let left = match anchor {
                Anchor::Start => 0.0,
                Anchor::Middle => w / 2.0,
                Anchor::End => w,
            };
            // Capitals rise 0.73 em and letters such as p fall 0.24 em from the baseline, which lies half an
            // x-height below the anchor.
            let (up, down) = (size * (0.73 - font::HALF_EX), size * (0.24 + font::HALF_EX));
            if *turned {
                (x - up, y - (w - left), x + down, y + left)
            } else {
                (x - left, y - up, x - left + w, y + down)
            }
        }
    }
}
