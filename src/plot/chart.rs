//! The common shape of the four line figures: a frame, lines with confidence bands, guides, and a legend
//! beside the frame, where it cannot cover a point.

use super::axes::Axis;
use super::font;
use super::frame::{Frame, BELOW, NOTE, TICK, TITLE};
use super::legend::{self, Entry};
use super::scene::{Anchor, Scene, Spot, Type};
use super::style::{Look, GUIDE, INK, SOFT};
use crate::Result;

/// One measured point with its confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dot {
    /// Horizontal value.
    pub x: f64,
    /// Vertical value.
    pub y: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// One line of a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Colour, marker and dash.
    pub look: Look,
    /// Points from left to right.
    pub dots: Vec<Dot>,
    /// A counted quantity beside a measured one: hollow markers, thin line, no interval.
    pub counted: bool,
}

/// A grey line y ∝ x^exponent through a point.
#[derive(Debug, Clone, PartialEq)]
pub struct Guide {
    /// A point of the data.
    pub through: (f64, f64),
    /// Exponent.
    pub exponent: f64,
    /// Text at its end, e.g. `O(L²)`.
    pub label: String,
}

/// A horizontal line.
#[derive(Debug, Clone, PartialEq)]
pub struct Level {
    /// Its height.
    pub y: f64,
    /// Text to the right of the frame; may be empty.
    pub label: String,
}

/// Ticks on the right border that read the vertical axis in another unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Second {
    /// Value on the vertical axis, and text.
    pub ticks: Vec<(f64, String)>,
    /// What the unit is.
    pub label: String,
}

/// A whole figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// Heading.
    pub title: String,
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
    /// Lines, in the order of the legend.
    pub series: Vec<Series>,
    /// Grey power laws.
    pub guides: Vec<Guide>,
    /// Horizontal lines.
    pub levels: Vec<Level>,
    /// Unit of the right border, if any.
    pub second: Option<Second>,
    /// What the legend explains.
    pub legend: Vec<Entry>,
    /// Conditions of the measurement, one fact each.
    pub caption: Vec<String>,
}

const FRAME_WIDTH: f64 = 540.0;
const FRAME_HEIGHT: f64 = 400.0;
/// Title, and labels of guides that end at the upper border.
const ABOVE: f64 = 62.0;
/// plotters cuts what lies within a few pixels of the right edge; 25 are safe.
pub const MARGIN: f64 = 28.0;
const CAPTION_LINE: f64 = 16.0;

impl Chart {
    /// Lays the figure out.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] if a point or its interval lies outside the axes.
    pub fn scene(&self) -> Result<Scene> {
        let left = 12.0 + Frame::left_room(&self.y);
        let right = left + FRAME_WIDTH;
        let strip = right + self.strip();
        let (legend_width, legend_height) = legend::size(&self.legend);
        let bottom = ABOVE + FRAME_HEIGHT.max(legend_height);
        let width = strip + legend_width + MARGIN;
        let caption = wrap(&self.caption, width - left - MARGIN);
        let height = bottom + BELOW + 14.0 + CAPTION_LINE * caption.len() as f64 + 6.0;

        let mut scene = Scene::new(width, height);
        let title = font::fit(&self.title, TITLE.size, TITLE.bold, width - left - MARGIN);
        scene.text((left, 24.0), title, TITLE, Anchor::Start);
        let frame = Frame { left, top: ABOVE, right, bottom, x: self.x.clone(), y: self.y.clone() };
        frame.draw_grid(&mut scene);
        self.draw_lines(&mut scene, &frame)?;
        for series in &self.series {
            band(&mut scene, &frame, series)?;
        }
        // The baseline is first in the legend and should not vanish under the others.
        for series in self.series.iter().rev() {
            draw(&mut scene, &frame, series)?;
        }
        frame.draw_axes(&mut scene);
        if let Some(second) = &self.second {
            second_axis(&mut scene, &frame, second)?;
        }
        legend::draw(&mut scene, (strip, ABOVE), &self.legend);
        draw_caption(&mut scene, (left, bottom + BELOW + 14.0), &caption);
        Ok(scene)
    }

    /// Width of what stands between the frame and the legend.
    fn strip(&self) -> f64 {
        let labels = self.guides.iter().map(|g| &g.label).chain(self.levels.iter().map(|l| &l.label));
        let ticks = self.second.iter().flat_map(|s| s.ticks.iter().map(|(_, text)| text));
        let widest = |texts: &mut dyn Iterator<Item = &String>| {
            texts.map(|t| font::width(t, TICK.size, false)).fold(0.0, f64::max)
        };
        let axis = if self.second.is_some() { 30.0 } else { 0.0 };
        26.0 + f64::max(widest(&mut labels.into_iter()), widest(&mut ticks.into_iter()) + axis)
    }

    /// Guides and levels, with labels outside the frame that do not cover each other.
    fn draw_lines(&self, scene: &mut Scene, frame: &Frame) -> Result<()> {
        let (mut beside, mut above) = (Vec::new(), Vec::new());
        for guide in &self.guides {
            if let Some((x, y)) = frame.draw_guide(scene, guide.through, guide.exponent) {
                if x > frame.right - 1.0 {
                    beside.push((y, &guide.label));
                } else {
                    above.push((x, &guide.label));
                }
            }
        }
        for level in &self.levels {
            let (_, y) = frame.at(self.x.low, level.y)?;
            scene.dashed(&[(frame.left, y), (frame.right, y)], 1.3, SOFT, &[5.0, 3.0]);
            if !level.label.is_empty() {
                beside.push((y, &level.label));
            }
        }
        let kind = Type { color: SOFT, ..TICK };
        for (y, label) in apart(beside, |_| 15.0) {
            scene.text((frame.right + 7.0, y), label.clone(), kind, Anchor::Start);
        }
        for (x, label) in apart(above, |label| font::width(label, TICK.size, false) + 8.0) {
            scene.text((x, frame.top - 10.0), label.clone(), kind, Anchor::Middle);
        }
        Ok(())
    }
}

/// Moves labels on a line up to a distance of `room` from their predecessors.
fn apart(mut labels: Vec<(f64, &String)>, room: impl Fn(&str) -> f64) -> Vec<(f64, &String)> {
    labels.sort_by(|a, b| a.0.total_cmp(&b.0));
    for i in 1..labels.len() {
        let needed = (room(labels[i - 1].1) + room(labels[i].1)) / 2.0;
        labels[i].0 = labels[i].0.max(labels[i - 1].0 + needed);
    }
    labels
}

/// The confidence band: a closed polygon along the upper ends and back along the lower ones.
fn band(scene: &mut Scene, frame: &Frame, series: &Series) -> Result<()> {
    if series.counted || series.dots.len() < 2 {
        return Ok(());
    }
    let mut outline = series.dots.iter().map(|d| frame.at(d.x, d.high)).collect::<Result<Vec<Spot>>>()?;
    for dot in series.dots.iter().rev() {
        outline.push(frame.at(dot.x, dot.low)?);
    }
    scene.area(outline, series.look.color, 0.18);
    Ok(())
}

fn draw(scene: &mut Scene, frame: &Frame, series: &Series) -> Result<()> {
    let spots = series.dots.iter().map(|d| frame.at(d.x, d.y)).collect::<Result<Vec<Spot>>>()?;
    if series.counted {
        scene.dashed(&spots, 1.0, series.look.color, &[2.5, 2.5]);
    } else {
        scene.dashed(&spots, 1.9, series.look.color, series.look.dash);
        for dot in &series.dots {
            let ((x, low), (_, high)) = (frame.at(dot.x, dot.low)?, frame.at(dot.x, dot.high)?);
            // A bar that hardly leaves its marker would only blur it; the band shows it.
            if low - high > 12.0 {
                scene.line([(x, low), (x, high)], 1.2, series.look.color);
                for y in [low, high] {
                    scene.line([(x - 3.5, y), (x + 3.5, y)], 1.2, series.look.color);
                }
            }
        }
    }
    for spot in spots {
        scene.marker(spot, if series.counted { 3.6 } else { 4.2 }, series.look, series.counted);
    }
    Ok(())
}

fn second_axis(scene: &mut Scene, frame: &Frame, second: &Second) -> Result<()> {
    scene.line([(frame.right, frame.top), (frame.right, frame.bottom)], 1.2, INK);
    let mut widest = 0.0;
    for (value, text) in &second.ticks {
        let (_, y) = frame.at(frame.x.low, *value)?;
        scene.line([(frame.right, y), (frame.right + 5.0, y)], 1.2, INK);
        scene.text((frame.right + 9.0, y), text.clone(), TICK, Anchor::Start);
        widest = f64::max(widest, font::width(text, TICK.size, false));
    }
    let middle = (frame.top + frame.bottom) / 2.0;
    scene.text_up((frame.right + widest + 22.0, middle), second.label.clone(), super::frame::LABEL);
    Ok(())
}

/// The facts of a caption packed into lines of at most `room` pixels, separated by dots.
pub fn wrap(facts: &[String], room: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for fact in facts.iter().filter(|f| !f.is_empty()) {
        let fact = font::fit(fact, NOTE.size, NOTE.bold, room);
        let longer = lines.last().map(|line| format!("{line} · {fact}"));
        match (longer, lines.last_mut()) {
            (Some(longer), Some(line)) if font::width(&longer, NOTE.size, NOTE.bold) <= room => {
                *line = longer
            }
            _ => lines.push(fact),
        }
    }
    lines
}

/// Caption lines from `at` downwards.
pub fn draw_caption(scene: &mut Scene, (x, y): Spot, lines: &[String]) {
    for (i, line) in lines.iter().enumerate() {
        scene.text((x, y + CAPTION_LINE * i as f64), line.clone(), NOTE, Anchor::Start);
    }
}

/// Height of a caption of so many lines.
pub fn caption_height(lines: usize) -> f64 {
    CAPTION_LINE * lines as f64 + 6.0
}

/// Legend entry of a guide line.
pub fn guide_entry(name: &str, note: &str) -> Entry {
    Entry::line(name, note, GUIDE, &[])
}
