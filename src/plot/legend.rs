//! The legend: one entry below the other, outside the plot area.

use super::font;
use super::plot_area::{NOTE, TICK};
use super::scene::{Anchor, Scene, Spot};
use super::style::{Marker, Rgb, Style, GUIDE, INK, SOFT};
use crate::record::Mark;

/// What stands in front of an entry's text.
#[derive(Debug, Clone, PartialEq)]
enum Sample {
    Series(Style),
    Stroke(Style, Stroke),
    Hollow(Rgb),
    Marker(Style, bool),
    Line(Rgb, f64, &'static [f64]),
    Swatch(Rgb),
    Mark(Mark),
    Nothing,
}

/// How heavily a line and its markers are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stroke {
    /// Width of the line in pixels.
    pub width: f64,
    /// Radius of the markers in pixels.
    pub radius: f64,
    /// Markers are outlines.
    pub hollow: bool,
}

/// One entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    sample: Sample,
    name: Vec<String>,
    note: Vec<String>,
}

/// Widest line of an entry, in pixels; longer texts take more lines.
const TEXT_WIDTH: f64 = 190.0;
const SAMPLE_WIDTH: f64 = 40.0;
const GAP: f64 = 8.0;
const LINE: f64 = 17.0;
const SECOND_LINE: f64 = 15.0;
const SPACE: f64 = 5.0;

impl Entry {
    fn new(sample: Sample, name: &str, note: &str) -> Self {
        let room = if sample == Sample::Nothing { TEXT_WIDTH + SAMPLE_WIDTH + GAP } else { TEXT_WIDTH };
        let name = font::wrap(name, TICK.size, TICK.bold, room);
        Self { sample, name, note: font::wrap(note, NOTE.size, NOTE.bold, room) }
    }

    /// Line and marker of a contender, with a second line of text unless `note` is empty.
    pub fn series(name: &str, note: &str, style: Style) -> Self {
        Self::new(Sample::Series(style), name, note)
    }

    /// As [`Entry::series`], with the line as wide and the marker as large as in the figure.
    pub fn stroke(name: &str, note: &str, style: Style, stroke: Stroke) -> Self {
        Self::new(Sample::Stroke(style, stroke), name, note)
    }

    /// A hollow marker that stands for all of them.
    pub fn hollow(name: &str, note: &str) -> Self {
        Self::new(Sample::Hollow(INK), name, note)
    }

    /// A line without marker.
    pub fn line(name: &str, note: &str, color: Rgb, dash: &'static [f64]) -> Self {
        Self::new(Sample::Line(color, 1.6, dash), name, note)
    }

    /// A thin solid line without marker.
    pub fn thin(name: &str, note: &str, color: Rgb) -> Self {
        Self::new(Sample::Line(color, 0.9, &[]), name, note)
    }

    /// A marker alone.
    pub fn marker(name: &str, note: &str, style: Style, hollow: bool) -> Self {
        Self::new(Sample::Marker(style, hollow), name, note)
    }

    /// A coloured field.
    pub fn swatch(name: &str, color: Rgb) -> Self {
        Self::new(Sample::Swatch(color), name, "")
    }

    /// Text alone.
    pub fn text(name: &str) -> Self {
        Self::new(Sample::Nothing, "", name)
    }

    fn height(&self) -> f64 {
        SPACE + LINE * self.name.len() as f64 + SECOND_LINE * self.note.len() as f64
    }
}

/// Width and height of a legend.
pub fn size(entries: &[Entry]) -> (f64, f64) {
    let width = |e: &Entry| {
        let widest =
            |lines: &[String], size| lines.iter().map(|l| font::width(l, size, false)).fold(0.0, f64::max);
        f64::max(widest(&e.name, TICK.size), widest(&e.note, NOTE.size))
            + if e.sample == Sample::Nothing { 0.0 } else { SAMPLE_WIDTH + GAP }
    };
    (entries.iter().map(width).fold(0.0, f64::max), entries.iter().map(Entry::height).sum())
}

/// The signs of a mark around a marker of this radius: a ring if only a part of the layers is trained, and a small cross
/// above if the point is contended.
pub fn mark(scene: &mut Scene, (x, y): Spot, radius: f64, mark: Mark) {
    if mark.trained.is_some() {
        let ring = Marker::Circle.outline().into_iter().cycle().take(26);
        let at = |(dx, dy): (f64, f64)| (x + (radius + 4.5) * dx, y + (radius + 4.5) * dy);
        scene.line(ring.map(at).collect::<Vec<Spot>>(), 1.1, SOFT);
    }
    if mark.contended {
        let (y, arm) = (y - radius - 9.0, 3.0);
        scene.line([(x - arm, y - arm), (x + arm, y + arm)], 1.3, INK);
        scene.line([(x - arm, y + arm), (x + arm, y - arm)], 1.3, INK);
    }
}

/// Entries for the signs of these marks, one for each that is among them.
pub fn of_marks(marks: impl IntoIterator<Item = Mark>) -> Vec<Entry> {
    let all: Vec<Mark> = marks.into_iter().collect();
    let entry = |shown: bool, mark, name, note| shown.then(|| Entry::new(Sample::Mark(mark), name, note));
    let (part, contended) =
        (Mark { trained: Some(0), ..Mark::default() }, Mark { contended: true, ..Mark::default() });
    let some = |has: fn(&Mark) -> bool| all.iter().any(has);
    [
        entry(
            some(|m| m.trained.is_some()),
            part,
            "trains a part",
            "T is too small for errors to reach all layers",
        ),
        entry(some(|m| m.contended), contended, "contended", "other work disturbed over 5 % of the samples"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Draws a legend with its upper left corner at `at`.
pub fn draw(scene: &mut Scene, (left, top): Spot, entries: &[Entry]) {
    let mut y = top + LINE / 2.0;
    for entry in entries {
        let (from, to) = ((left, y), (left + SAMPLE_WIDTH, y));
        let middle = (left + SAMPLE_WIDTH / 2.0, y);
        match entry.sample {
            Sample::Series(style) => {
                scene.dashed(&[from, to], 1.9, style.color, style.dash);
                scene.marker(middle, 4.2, style, false);
            }
            Sample::Stroke(style, stroke) => {
                scene.dashed(&[from, to], stroke.width, style.color, style.dash);
                scene.marker(middle, stroke.radius, style, stroke.hollow);
            }
            Sample::Hollow(color) => {
                scene.line([from, to], 0.9, color);
                let style = Style { color, marker: Marker::Circle, dash: &[] };
                scene.marker(middle, 3.6, style, true);
            }
            Sample::Marker(style, hollow) => {
                scene.marker(middle, if hollow { 5.0 } else { 4.2 }, style, hollow)
            }
            Sample::Line(color, width, dash) => scene.dashed(&[from, to], width, color, dash),
            Sample::Swatch(color) => {
                scene.cell((left + 7.0, y - 6.0), (left + SAMPLE_WIDTH - 7.0, y + 6.0), color)
            }
            Sample::Mark(sign) => {
                let style = Style { color: GUIDE, marker: Marker::Circle, dash: &[] };
                let down = if sign.contended { (middle.0, middle.1 + 5.0) } else { middle };
                scene.marker(down, 3.6, style, false);
                mark(scene, down, 3.6, sign);
            }
            Sample::Nothing => {}
        }
        let x = if entry.sample == Sample::Nothing { left } else { left + SAMPLE_WIDTH + GAP };
        for (i, line) in entry.name.iter().enumerate() {
            scene.text((x, y + LINE * i as f64), line.clone(), TICK, Anchor::Start);
        }
        let names = entry.name.len() as f64;
        let down = if entry.name.is_empty() { 0.0 } else { LINE * (names - 0.5) + SECOND_LINE / 2.0 };
        for (i, line) in entry.note.iter().enumerate() {
            scene.text((x, y + down + SECOND_LINE * i as f64), line.clone(), NOTE, Anchor::Start);
        }
        y += entry.height();
    }
}
