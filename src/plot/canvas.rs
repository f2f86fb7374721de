//! Paints a scene as SVG and as PNG, and saves both beside the CSV of the same name.
//!
//! plotters counts in whole pixels, too coarse for a line that must show an exponent. SVG is therefore
//! painted in quarter pixels and scaled back by its view box; PNG is painted up to three times too large and
//! averaged down to twice the nominal size. Text of the PNG is set afterwards (see [`super::raster`]), as
//! plotters' own bitmap text drops the side bearings of glyphs and rounds them to whole pixels.

use std::fs;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::{
    BitMapBackend, Circle, DrawingArea, DrawingBackend, IntoDrawingArea, PathElement, Polygon, RGBColor,
    Rectangle, SVGBackend, Text,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontDesc, FontFamily, FontStyle, FontTransform, IntoTextStyle};

use super::drawing::Files;
use super::font;
use super::raster::{self, Pixels};
use super::scene::{Anchor, Item, Scene, Spot};
use super::style::{Rgb, PAPER};
use crate::record;
use crate::{Error, Result};

/// Units per pixel of the SVG.
const SVG_UNITS: u32 = 4;
/// Pixels of the PNG per pixel of the page.
pub const PNG_SCALE: u32 = 2;
/// Most painted pixels; 3 bytes each.
const MOST_PIXELS: u64 = 40_000_000;
/// plotters divides a font size by this before it writes `font-size`.
const PLOTTERS_EM: f64 = 1.24;

/// Draws a figure by `draw`, and writes `<stem>.svg`, `<stem>.png` and `<stem>.csv` into `folder`.
///
/// # Errors
/// What `draw` returns, [`Error::Io`] if a file cannot be written, [`Error::Invalid`] if painting fails.
pub fn save(folder: &Path, stem: &str, csv: &str, draw: impl FnOnce() -> Result<Scene>) -> Result<Files> {
    let scene = draw()?;
    let svg = svg(&scene)?;
    let png = png(&scene)?;
    let path = |ending: &str| folder.join(format!("{stem}.{ending}"));
    let files = Files { svg: path("svg"), png: path("png"), csv: path("csv") };
    write(&files.csv, csv.as_bytes())?;
    write(&files.svg, svg.as_bytes())?;
    write(&files.png, &png)?;
    Ok(files)
}

/// Writes a file, so that a reader sees all of it or nothing, into a folder that is made if there is none.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(|e| Error::io("create the folder", folder, e))?;
    }
    record::save(path, bytes)
}

/// The scene as an SVG document.
///
/// # Errors
/// [`Error::Invalid`] if plotters cannot paint it.
pub fn svg(scene: &Scene) -> Result<String> {
    font::register()?;
    let (w, h) = (scene.width * SVG_UNITS, scene.height * SVG_UNITS);
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (w, h)).into_drawing_area();
        Painter { area: &area, scale: f64::from(SVG_UNITS), joints: false, text: true }.paint(scene)?;
        area.present().map_err(failed)?;
    }
    // Attributes at their default value are a third of a heat map's bytes.
    let text = text
        .replace(" opacity=\"1\"", "")
        .replace(" stroke=\"none\"/>", "/>")
        .replace("\n</text>", "</text>");
    // The size in quarter pixels becomes the view box alone, and adjacent cells meet without seams.
    let head = format!("<svg width=\"{w}\" height=\"{h}\" ");
    let page = format!("<svg width=\"{}\" height=\"{}\" ", scene.width, scene.height);
    let open = text.find(&head).and_then(|at| text[at..].find(">\n").map(|end| at + end + 2));
    Ok(match open {
        Some(open) => format!(
            "{}<style>svg rect{{shape-rendering:crispEdges}}</style>\n{}",
            text[..open].replace(&head, &page),
            &text[open..]
        ),
        None => text,
    })
}

/// The scene as a PNG file of [`PNG_SCALE`] times its size.
///
/// # Errors
/// [`Error::Invalid`] if plotters cannot paint it or it cannot be encoded.
pub fn png(scene: &Scene) -> Result<Vec<u8>> {
    font::register()?;
    let oversample = oversample(scene);
    let scale = PNG_SCALE * oversample;
    let (w, h) = (scene.width * scale, scene.height * scale);
    let mut buffer = vec![255; w as usize * h as usize * 3];
    {
        let area = BitMapBackend::with_buffer(&mut buffer, (w, h)).into_drawing_area();
        Painter { area: &area, scale: f64::from(scale), joints: true, text: false }.paint(scene)?;
        area.present().map_err(failed)?;
    }
    let mut pixels = Pixels::reduce(&buffer, w as usize, h as usize, oversample as usize);
    for item in &scene.items {
        if let Item::Text { at, text, size, color, bold, anchor, turned } = item {
            let place = raster::Place { at: *at, anchor: *anchor, turned: *turned };
            pixels.text(text, f64::from(PNG_SCALE), *size, *color, *bold, place);
        }
    }
    pixels.encode()
}

/// For as long as the result lives, this thread paints bitmaps no larger than they are saved: a ninth of the time, in tests
/// of several hundred figures that look at none of their pixels.
#[cfg(test)]
pub(super) fn coarse() -> impl Drop {
    struct Coarse;
    impl Drop for Coarse {
        fn drop(&mut self) {
            COARSE.set(false);
        }
    }
    COARSE.set(true);
    Coarse
}

#[cfg(test)]
thread_local! {
    static COARSE: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Painted pixels per pixel of the PNG, in each direction: three, less for a page of many panels.
fn oversample(scene: &Scene) -> u32 {
    #[cfg(test)]
    if COARSE.get() {
        return 1;
    }
    let pixels = u64::from(scene.width * PNG_SCALE) * u64::from(scene.height * PNG_SCALE);
    (1..=3).rev().find(|n| pixels * u64::from(n * n) <= MOST_PIXELS).unwrap_or(1)
}

fn failed(problem: impl std::fmt::Display) -> Error {
    Error::Invalid(format!("a figure could not be painted: {problem}"))
}

/// The font size that plotters writes as `size`, without a tail of rounding digits.
fn plotters_size(size: f64) -> f64 {
    let near = size * PLOTTERS_EM;
    [near, near.next_up(), near.next_down()].into_iter().find(|s| s / PLOTTERS_EM == size).unwrap_or(near)
}

fn ink((r, g, b): Rgb) -> RGBColor {
    RGBColor(r, g, b)
}

/// A plotters area and how many of its units make a pixel of the page.
struct Painter<'a, DB: DrawingBackend> {
    area: &'a DrawingArea<DB, Shift>,
    scale: f64,
    /// Paint lines piece by piece with discs at the corners: plotters turns a line into one polygon, which
    /// in a bitmap leaves holes where a line crosses itself.
    joints: bool,
    text: bool,
}

impl<DB: DrawingBackend> Painter<'_, DB> {
    fn paint(&self, scene: &Scene) -> Result<()> {
        self.area.fill(&ink(PAPER)).map_err(failed)?;
        scene.items.iter().try_for_each(|item| self.item(item))
    }

    fn unit(&self, (x, y): Spot) -> (i32, i32) {
        ((x * self.scale).round() as i32, (y * self.scale).round() as i32)
    }

    /// Corners in units, without those that fall on their predecessor.
    fn units(&self, points: &[Spot]) -> Vec<(i32, i32)> {
        let mut units: Vec<_> = points.iter().map(|&p| self.unit(p)).collect();
        units.dedup();
        units
    }

    fn item(&self, item: &Item) -> Result<()> {
        match item {
            Item::Line { points, width, color } => {
                let style = ink(*color).stroke_width((width * self.scale).round().max(1.0) as u32);
                let units = self.units(points);
                if !self.joints {
                    return self.draw_line(units, style);
                }
                for pair in units.windows(2) {
                    self.draw_line(pair.to_vec(), style)?;
                }
                let inner = units.iter().skip(1).take(units.len().saturating_sub(2));
                let radius = (width * self.scale / 2.0).floor() as i32;
                for corner in inner {
                    self.area.draw(&Circle::new(*corner, radius, ink(*color).filled())).map_err(failed)?;
                }
                Ok(())
            }
            Item::Area { points, color, alpha } => {
                let units = self.units(points);
                if units.len() < 3 {
                    return Ok(());
                }
                self.area.draw(&Polygon::new(units, ink(*color).mix(*alpha))).map_err(failed)
            }
            Item::Cell { from, to, color } => {
                let corners = [self.unit(*from), self.unit(*to)];
                self.area.draw(&Rectangle::new(corners, ink(*color).filled())).map_err(failed)
            }
            Item::Text { at, text, size, color, bold, anchor, turned } if self.text => {
                let color = ink(*color);
                let face = if *bold { FontStyle::Bold } else { FontStyle::Normal };
                let font =
                    FontDesc::new(FontFamily::Name(font::FAMILY), plotters_size(size * self.scale), face);
                let font = if *turned { font.transform(FontTransform::Rotate270) } else { font };
                let side = match anchor {
                    Anchor::Start => HPos::Left,
                    Anchor::Middle => HPos::Center,
                    Anchor::End => HPos::Right,
                };
                let style = font.into_text_style(&(1, 1)).color(&color).pos(Pos::new(side, VPos::Center));
                self.area.draw(&Text::new(text.as_str(), self.unit(*at), style)).map_err(failed)
            }
            Item::Text { .. } => Ok(()),
        }
    }

    fn draw_line(&self, units: Vec<(i32, i32)>, style: plotters::style::ShapeStyle) -> Result<()> {
        if units.len() < 2 {
            return Ok(());
        }
        self.area.draw(&PathElement::new(units, style)).map_err(failed)
    }
}
