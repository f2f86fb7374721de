//! The common shape of the four line figures: a plot area, lines with confidence bands, guides, and a legend
//! beside the plot area, where it cannot cover a point.

use super::axes::Axis;
use super::caption;
use super::font;
use super::legend::{self, Entry};
use super::plot_area::{PlotArea, BELOW, TICK, TITLE};
use super::scene::{Anchor, Scene, Spot, Type};
use super::style::{Style, GUIDE, INK, SOFT};
use crate::record::Mark;
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
    /// What a reader should know beside it.
    pub mark: Mark,
}

/// One line of a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Colour, marker and dash.
    pub style: Style,
    /// Points from left to right.
    pub dots: Vec<Dot>,
    /// A counted quantity beside a measured one: hollow markers, thin solid line, no interval.
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
    /// Text to the right of the plot area; may be empty.
    pub label: String,
    /// Lengths of dashes and gaps.
    pub dash: &'static [f64],
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
const TITLE_LINE: f64 = 20.0;
/// plotters cuts what lies within a few pixels of the right edge; 25 are safe.
pub const MARGIN: f64 = 28.0;

impl Chart {
    /// Lays the figure out.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] if a point or its interval lies outside the axes.
    pub fn scene(&self) -> Result<Scene> {
        let left = 12.0 + PlotArea::left_room(&self.y);
        let right = left + FRAME_WIDTH;
        let strip = right + self.strip();
        let marks = self.series.iter().flat_map(|s| s.dots.iter().map(|d| d.mark));
        let entries: Vec<Entry> = self.legend.iter().cloned().chain(legend::of_marks(marks)).collect();
        let (legend_width, legend_height) = legend::size(&entries);
        let width = strip + legend_width + MARGIN;
        let title = font::wrap(&self.title, TITLE.size, TITLE.bold, width - left - MARGIN);
        let top = ABOVE + TITLE_LINE * title.len().saturating_sub(1) as f64;
        let bottom = top + FRAME_HEIGHT.max(legend_height);
        let lines = caption::wrap(&self.caption, width - left - MARGIN);
        let height = bottom + BELOW + 14.0 + caption::height(lines.len());

        let mut scene = Scene::new(width, height);
        for (i, line) in title.iter().enumerate() {
            scene.text((left, 24.0 + TITLE_LINE * i as f64), line.clone(), TITLE, Anchor::Start);
        }
        let plot_area = PlotArea { left, top, right, bottom, x: self.x.clone(), y: self.y.clone() };
        plot_area.draw_grid(&mut scene);
        self.draw_lines(&mut scene, &plot_area)?;
        for series in &self.series {
            band(&mut scene, &plot_area, series)?;
        }
        // The baseline is first in the legend and should not vanish under the others. What lies below is wider
        // and its markers are larger, so that of lines that coincide a rim of each is seen.
        let ranks = self.ranks();
        for (series, rank) in self.series.iter().zip(&ranks).rev() {
            stroke(&mut scene, &plot_area, series, *rank)?;
        }
        for (series, rank) in self.series.iter().zip(&ranks).rev() {
            markers(&mut scene, &plot_area, series, *rank)?;
        }
        // Above the markers of all lines, which would cover them.
        for (series, rank) in self.series.iter().zip(&ranks) {
            for (spot, dot) in spots(&plot_area, series)?.into_iter().zip(&series.dots) {
                legend::mark(&mut scene, spot, radius(series, *rank), dot.mark);
            }
        }
        plot_area.draw_axes(&mut scene);
        if let Some(second) = &self.second {
            second_axis(&mut scene, &plot_area, second)?;
        }
        legend::draw(&mut scene, (strip, top), &entries);
        caption::draw(&mut scene, (left, bottom + BELOW + 14.0), &lines);
        Ok(scene)
    }

    /// How far below the top each line lies, 0 to 1, counted and measured ones apart.
    fn ranks(&self) -> Vec<f64> {
        let count = |counted: bool| self.series.iter().filter(|s| s.counted == counted).count();
        let totals = [count(false), count(true)];
        let mut seen = [0usize; 2];
        let rank = |series: &Series| {
            let kind = usize::from(series.counted);
            seen[kind] += 1;
            // Steps of a third up to four lines, then as many as fit.
            (seen[kind] - 1) as f64 / totals[kind].saturating_sub(1).max(3) as f64
        };
        self.series.iter().map(rank).collect()
    }

    /// Width of what stands between the plot area and the legend.
    fn strip(&self) -> f64 {
        let labels = self.guides.iter().map(|g| &g.label).chain(self.levels.iter().map(|l| &l.label));
        let ticks = self.second.iter().flat_map(|s| s.ticks.iter().map(|(_, text)| text));
        let widest = |texts: &mut dyn Iterator<Item = &String>| {
            texts.map(|t| font::width(t, TICK.size, false)).fold(0.0, f64::max)
        };
        let axis = if self.second.is_some() { 30.0 } else { 0.0 };
        26.0 + f64::max(widest(&mut labels.into_iter()), widest(&mut ticks.into_iter()) + axis)
    }

    /// Guides and levels, with labels outside the plot area that do not cover each other.
    fn draw_lines(&self, scene: &mut Scene, plot_area: &PlotArea) -> Result<()> {
        let (mut beside, mut above) = (Vec::new(), Vec::new());
        for guide in &self.guides {
            if let Some((x, y)) = plot_area.draw_guide(scene, guide.through, guide.exponent) {
                if x > plot_area.right - 1.0 {
                    beside.push((y, &guide.label));
                } else {
                    above.push((x, &guide.label));
                }
            }
        }
        for level in &self.levels {
            let (_, y) = plot_area.at(self.x.low, level.y)?;
            scene.dashed(&[(plot_area.left, y), (plot_area.right, y)], 1.3, SOFT, level.dash);
            if !level.label.is_empty() {
                beside.push((y, &level.label));
            }
        }
        let kind = Type { color: SOFT, ..TICK };
        for (y, label) in apart(beside, |_| 15.0) {
            scene.text((plot_area.right + 7.0, y), label.clone(), kind, Anchor::Start);
        }
        for (x, label) in apart(above, |label| font::width(label, TICK.size, false) + 8.0) {
            scene.text((x, plot_area.top - 10.0), label.clone(), kind, Anchor::Middle);
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
fn band(scene: &mut Scene, plot_area: &PlotArea, series: &Series) -> Result<()> {
    if series.counted || series.dots.len() < 2 {
        return Ok(());
    }
    let mut outline = series.dots.iter().map(|d| plot_area.at(d.x, d.high)).collect::<Result<Vec<Spot>>>()?;
    for dot in series.dots.iter().rev() {
        outline.push(plot_area.at(dot.x, dot.low)?);
    }
    scene.area(outline, series.style.color, 0.18);
    Ok(())
}

/// The line of a series and its error bars; `rank` 0 lies on top.
fn stroke(scene: &mut Scene, plot_area: &PlotArea, series: &Series, rank: f64) -> Result<()> {
    let spots = spots(plot_area, series)?;
    if series.counted {
        // Solid, because dashes are engines.
        scene.line(spots, 0.8 + 0.4 * rank, series.style.color);
        return Ok(());
    }
    scene.dashed(&spots, 1.6 + 1.2 * rank, series.style.color, series.style.dash);
    for dot in &series.dots {
        let ((x, low), (_, high)) = (plot_area.at(dot.x, dot.low)?, plot_area.at(dot.x, dot.high)?);
        // A bar that hardly leaves its marker would only blur it; the band shows it.
        if low - high > 12.0 {
            scene.line([(x, low), (x, high)], 1.2, series.style.color);
            for y in [low, high] {
                scene.line([(x - 3.5, y), (x + 3.5, y)], 1.2, series.style.color);
            }
        }
    }
    Ok(())
}

fn radius(series: &Series, rank: f64) -> f64 {
    if series.counted {
        3.0 + 2.6 * rank
    } else {
        3.6 + 2.6 * rank
    }
}

fn markers(scene: &mut Scene, plot_area: &PlotArea, series: &Series, rank: f64) -> Result<()> {
    for spot in spots(plot_area, series)? {
        scene.marker(spot, radius(series, rank), series.style, series.counted);
    }
    Ok(())
}

fn spots(plot_area: &PlotArea, series: &Series) -> Result<Vec<Spot>> {
    series.dots.iter().map(|d| plot_area.at(d.x, d.y)).collect()
}

fn second_axis(scene: &mut Scene, plot_area: &PlotArea, second: &Second) -> Result<()> {
    scene.line([(plot_area.right, plot_area.top), (plot_area.right, plot_area.bottom)], 1.2, INK);
    let mut widest = 0.0;
    for (value, text) in &second.ticks {
        let (_, y) = plot_area.at(plot_area.x.low, *value)?;
        scene.line([(plot_area.right, y), (plot_area.right + 5.0, y)], 1.2, INK);
        scene.text((plot_area.right + 9.0, y), text.clone(), TICK, Anchor::Start);
        widest = f64::max(widest, font::width(text, TICK.size, false));
    }
    let middle = (plot_area.top + plot_area.bottom) / 2.0;
    scene.text_up((plot_area.right + widest + 22.0, middle), second.label.clone(), super::plot_area::LABEL);
    Ok(())
}

/// Legend entry of a guide line.
pub fn guide_entry(name: &str, note: &str) -> Entry {
    Entry::line(name, note, GUIDE, &[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::scene::{bounds, Item};
    use crate::plot::{number, style};

    fn chart(times: &[f64], axis: &[f64]) -> Chart {
        let style = style::of("spc", "fused");
        let dot = |(i, &y): (usize, &f64)| Dot {
            x: (1u32 << i) as f64,
            y,
            low: 0.8 * y,
            high: 1.5 * y,
            mark: Mark::default(),
        };
        let dots: Vec<Dot> = times.iter().enumerate().map(dot).collect();
        let x = Axis::depth("L", (0..times.len()).map(|i| 1 << i)).unwrap();
        let y = Axis::log("t", axis.iter().copied(), number::time).unwrap();
        let series = vec![Series { style, dots, counted: false }];
        let (guides, levels, legend, caption) = (vec![], vec![], vec![], vec![]);
        Chart { title: "t".into(), x, y, series, guides, levels, second: None, legend, caption }
    }

    #[test]
    fn lines_and_bands_stay_inside_the_frame() {
        let times = [3.0, 1e9, 2e3, 7e15];
        let scene = chart(&times, &[0.8 * 3.0, 1.5 * 7e15]).scene().unwrap();
        let color = style::of("spc", "fused").color;
        let left = 12.0 + PlotArea::left_room(&chart(&times, &[0.8 * 3.0, 1.5 * 7e15]).y);
        let (mut lines, mut bands) = (0, 0);
        for item in &scene.items {
            let (l, t, r, b) = bounds(item);
            match item {
                Item::Line { color: c, .. } if *c == color => lines += 1,
                Item::Area { color: c, alpha, .. } if *c == color && *alpha < 1.0 => bands += 1,
                _ => continue,
            }
            let inside = l >= left - 1.0 && r <= left + FRAME_WIDTH + 1.0;
            assert!(inside && t >= ABOVE - 1.0 && b <= ABOVE + FRAME_HEIGHT + 1.0, "{item:?}");
        }
        assert!(lines > 20 && bands == 1, "{lines} strokes, {bands} bands");
    }

    #[test]
    fn an_axis_too_small_for_its_data_is_refused() {
        assert!(chart(&[1e3, 1e6], &[1e3, 2e3]).scene().is_err());
    }

    #[test]
    fn marks_are_drawn_and_explained() {
        let texts = |scene: &Scene| -> String {
            let text =
                |item: &Item| if let Item::Text { text, .. } = item { text.clone() } else { String::new() };
            scene.items.iter().map(text).collect::<Vec<_>>().join("; ")
        };
        let mut chart = chart(&[1e3, 1e6], &[0.8e3, 1.5e6]);
        let plain = chart.scene().unwrap();
        let mut drawn = Vec::new();
        for mark in [Mark { trained: Some(1), ..Mark::default() }, Mark { contended: true, trained: None }] {
            chart.series[0].dots[1].mark = mark;
            let scene = chart.scene().unwrap();
            assert_eq!(texts(&scene).contains("trains a part"), mark.trained.is_some());
            assert_eq!(texts(&scene).contains("contended"), mark.contended);
            let lines = |scene: &Scene| scene.items.iter().filter(|i| matches!(i, Item::Line { .. })).count();
            drawn.push(lines(&scene) - lines(&plain));
        }
        // a ring, and the two strokes of a cross; each at the point and in the legend
        assert_eq!(drawn, [2, 4]);
        assert!(!texts(&plain).contains("trains a part") && !texts(&plain).contains("contended"));
    }

    #[test]
    fn labels_move_apart() {
        let (a, b) = ("a".to_owned(), "b".to_owned());
        let moved = apart(vec![(12.0, &b), (10.0, &a)], |_| 15.0);
        assert_eq!(moved, [(10.0, &a), (25.0, &b)]);
    }
}
