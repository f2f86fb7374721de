//! Panels side by side under one heading, with room for a scale or legend to their right.

use super::axes::Axis;
use super::caption;
use super::chart::MARGIN;
use super::font;
use super::plot_area::{PlotArea, BELOW, TITLE};
use super::scene::{Anchor, Scene, Spot, Type};
use super::style::INK;

/// Headings of panels.
const HEADING: Type = Type { size: 12.5, color: INK, bold: true };
const HEADING_LINE: f64 = 16.0;
const TITLE_LINE: f64 = 20.0;
const GAP: f64 = 26.0;

/// What a figure of equal panels consists of.
#[derive(Debug)]
pub struct Layout<'a> {
    /// Heading of the figure.
    pub title: &'a str,
    /// One heading per panel, row by row. A row without any continues the row above it.
    pub headings: &'a [String],
    /// Most panels in a row.
    pub columns: usize,
    /// Width and height of a panel.
    pub panel: (f64, f64),
    /// The vertical axes that occur.
    pub y: &'a [&'a Axis],
    /// Width and height of the strip to the right of the panels.
    pub beside: (f64, f64),
    /// Conditions of the measurement, one fact each.
    pub facts: &'a [String],
}

/// The arrangement of a figure with panels of equal size.
#[derive(Debug, Clone, PartialEq)]
pub struct Panels {
    columns: usize,
    panel: (f64, f64),
    left_room: f64,
    /// From the left border of one panel to that of the next.
    pitch: f64,
    right: f64,
    /// Upper border of each row of panels.
    tops: Vec<f64>,
    /// The page, with headings and caption on it.
    pub scene: Scene,
}

impl Panels {
    /// Lays a figure out, at least one panel.
    pub fn new(layout: &Layout<'_>) -> Self {
        let Layout { panel, beside, .. } = *layout;
        let count = layout.headings.len().max(1);
        let columns = count.min(layout.columns.max(1));
        let room = |axis: &Axis| PlotArea::left_room(axis);
        let unlabelled = |axis: &Axis| room(&Axis { label: String::new(), ..axis.clone() });
        let left_room = layout.y.iter().map(|y| room(y)).fold(16.0, f64::max);
        let pitch = panel.0 + GAP + layout.y.iter().map(|y| unlabelled(y)).fold(16.0, f64::max);
        let start = 12.0 + left_room;
        let right = start + panel.0 + (columns - 1) as f64 * pitch;
        let strip = if beside.0 > 0.0 { 30.0 + beside.0 } else { 0.0 };
        let width = right + strip + MARGIN;

        let text_room = width - start - MARGIN;
        let title = font::wrap(layout.title, TITLE.size, TITLE.bold, text_room);
        let head = 20.0 + TITLE_LINE * title.len().max(1) as f64;
        let wrap = |text: &String| font::wrap(text, HEADING.size, HEADING.bold, panel.0 + GAP - 6.0);
        let headings: Vec<Vec<String>> = layout.headings.iter().map(wrap).collect();
        let (mut tops, mut bottom) = (Vec::new(), head);
        let below = panel.1 + BELOW + 8.0;
        for row in headings.chunks(columns).chain(headings.is_empty().then_some(&[][..])) {
            let lines = row.iter().map(Vec::len).max().unwrap_or(0);
            // A row without headings belongs to the one above it, which then needs no label below.
            let gap = if lines == 0 && !tops.is_empty() {
                30.0 - BELOW
            } else {
                10.0 + HEADING_LINE * lines as f64
            };
            tops.push(bottom + gap);
            bottom += gap + below;
        }
        bottom = bottom.max(tops.first().copied().unwrap_or(head) + beside.1);
        let lines = caption::wrap(layout.facts, text_room);
        let mut scene = Scene::new(width, bottom + 14.0 + caption::height(lines.len()));
        for (i, line) in title.iter().enumerate() {
            scene.text((start, 24.0 + TITLE_LINE * i as f64), line.clone(), TITLE, Anchor::Start);
        }
        caption::draw(&mut scene, (start, bottom + 14.0), &lines);
        let mut panels = Self { columns, panel, left_room, pitch, right, tops, scene };
        for (index, lines) in headings.iter().enumerate() {
            let (left, top) = panels.corner(index);
            for (i, line) in lines.iter().rev().enumerate() {
                let y = top - 13.0 - HEADING_LINE * i as f64;
                panels.scene.text((left, y), line.clone(), HEADING, Anchor::Start);
            }
        }
        panels
    }

    fn corner(&self, index: usize) -> Spot {
        let (row, column) = (index / self.columns, index % self.columns);
        let top = self.tops.get(row).or(self.tops.last()).copied().unwrap_or(0.0);
        (12.0 + self.left_room + column as f64 * self.pitch, top)
    }

    /// The plot area of panel `index`. Only the first column names the vertical axis.
    pub fn plot_area(&self, index: usize, x: Axis, mut y: Axis) -> PlotArea {
        let (left, top) = self.corner(index);
        if !index.is_multiple_of(self.columns) {
            y.label.clear();
        }
        PlotArea { left, top, right: left + self.panel.0, bottom: top + self.panel.1, x, y }
    }

    /// Upper left corner of the strip beside the panels.
    pub fn beside(&self) -> Spot {
        (self.right + 30.0, self.tops.first().copied().unwrap_or(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_headings_take_lines_and_move_their_row_down() {
        let y = Axis::linear("y", 0.0, 1.0, |v| v.to_string()).unwrap();
        let layout = |headings: &[String]| {
            let (y, facts) = ([&y], []);
            let (panel, beside) = ((100.0, 100.0), (0.0, 0.0));
            Panels::new(&Layout { title: "t", headings, columns: 2, panel, y: &y, beside, facts: &facts })
        };
        let short = layout(&["a", "b", "c"].map(str::to_owned));
        let long = layout(&["a".to_owned(), "a long heading of many words".into(), "c".into()]);
        let top = |p: &Panels, i: usize| p.plot_area(i, y.clone(), y.clone()).top;
        assert_eq!(top(&short, 0), top(&short, 1));
        let lines = (top(&long, 0) - top(&short, 0)) / HEADING_LINE;
        assert!(lines >= 1.0 && lines.fract() == 0.0);
        assert!(top(&short, 2) > top(&short, 0) + 100.0);
        assert_eq!(short.plot_area(1, y.clone(), y.clone()).y.label, "", "named in the first column only");
    }
}
