//! Panels side by side under one heading, with room for a scale or legend to their right.

use super::axes::Axis;
use super::caption;
use super::chart::MARGIN;
use super::font;
use super::frame::{Frame, BELOW, TITLE};
use super::scene::{Anchor, Scene, Spot, Type};
use super::style::INK;

/// Headings of panels.
const HEADING: Type = Type { size: 12.5, color: INK, bold: true };
const MOST_COLUMNS: usize = 3;
const GAP: f64 = 26.0;

/// The arrangement of a figure with panels of equal size.
#[derive(Debug, Clone, PartialEq)]
pub struct Panels {
    columns: usize,
    panel: (f64, f64),
    left_room: f64,
    /// From the left border of one panel to that of the next.
    pitch: f64,
    right: f64,
    /// The page, with heading and caption on it.
    pub scene: Scene,
}

impl Panels {
    /// Room for `count` panels of `panel` pixels that share the vertical axis `y`, and a strip of
    /// `beside` pixels (width, height) to their right.
    pub fn new(
        title: &str,
        count: usize,
        panel: (f64, f64),
        y: &Axis,
        beside: (f64, f64),
        facts: &[String],
    ) -> Self {
        let count = count.max(1);
        let columns = count.min(MOST_COLUMNS);
        let rows = count.div_ceil(columns);
        let left_room = Frame::left_room(y);
        let pitch = panel.0 + GAP + Frame::left_room(&Axis { label: String::new(), ..y.clone() });
        let right = 12.0 + left_room + panel.0 + (columns - 1) as f64 * pitch;
        let width = right + 30.0 + beside.0 + MARGIN;
        let top = 40.0;
        let body = (rows as f64 * (26.0 + panel.1 + BELOW + 8.0)).max(26.0 + beside.1);
        let start = 12.0 + left_room;
        let lines = caption::wrap(facts, width - start - MARGIN);
        let mut scene = Scene::new(width, top + body + 14.0 + caption::height(lines.len()));
        let title = font::fit(title, TITLE.size, TITLE.bold, width - start - MARGIN);
        scene.text((start, 24.0), title, TITLE, Anchor::Start);
        caption::draw(&mut scene, (start, top + body + 14.0), &lines);
        Self { columns, panel, left_room, pitch, right, scene }
    }

    /// The frame of panel `index`, with its heading drawn. Only the first column names the vertical axis.
    pub fn frame(&mut self, index: usize, heading: &str, x: Axis, mut y: Axis) -> Frame {
        let (row, column) = (index / self.columns, index % self.columns);
        let left = 12.0 + self.left_room + column as f64 * self.pitch;
        let top = 66.0 + row as f64 * (26.0 + self.panel.1 + BELOW + 8.0);
        let heading = font::fit(heading, HEADING.size, HEADING.bold, self.panel.0 + GAP);
        self.scene.text((left, top - 13.0), heading, HEADING, Anchor::Start);
        if column > 0 {
            y.label.clear();
        }
        Frame { left, top, right: left + self.panel.0, bottom: top + self.panel.1, x, y }
    }

    /// Upper left corner of the strip beside the panels.
    pub fn beside(&self) -> Spot {
        (self.right + 30.0, 66.0)
    }
}
