//! The last two steps to a PNG: averaging the oversized picture down, and setting the text.

use ab_glyph::{point, Font, ScaleFont};

use super::font;
use super::scene::{Anchor, Spot};
use super::style::Rgb;
use crate::{Error, Result};

/// Where a text goes, in pixels of the page.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Position of the anchor.
    pub at: Spot,
    /// What of the text is at that position.
    pub anchor: Anchor,
    /// Reading upwards.
    pub turned: bool,
}

/// An RGB picture, 8 bits per channel.
#[derive(Debug, Clone)]
pub struct Pixels {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Pixels {
    /// The mean of every `by` × `by` block of a picture of `width` × `height` pixels.
    pub fn reduce(rgb: &[u8], width: usize, height: usize, by: usize) -> Self {
        let by = by.max(1);
        let (w, h) = (width / by, height / by);
        let mut out = Vec::with_capacity(w * h * 3);
        let mut sums = vec![[0u32; 3]; w];
        for row in 0..h {
            sums.fill([0; 3]);
            for line in rgb.chunks_exact(width * 3).skip(row * by).take(by) {
                let pixels = line[..w * by * 3].as_chunks::<3>().0;
                for (sum, block) in sums.iter_mut().zip(pixels.chunks_exact(by)) {
                    // one channel per variable: this loop is most of what a figure costs
                    let [mut red, mut green, mut blue] = *sum;
                    for &[r, g, b] in block {
                        red += u32::from(r);
                        green += u32::from(g);
                        blue += u32::from(b);
                    }
                    *sum = [red, green, blue];
                }
            }
            let n = (by * by) as u32;
            out.extend(sums.iter().flatten().map(|sum| ((sum + n / 2) / n) as u8));
        }
        Self { width: w, height: h, rgb: out }
    }

    /// Sets one line of text of `size` page pixels per em, `scale` picture pixels per page pixel.
    pub fn text(&mut self, text: &str, scale: f64, size: f64, color: Rgb, bold: bool, place: Place) {
        let Some(face) = font::face(bold) else { return };
        let em = font::scale(face, size * scale);
        let scaled = face.as_scaled(em);
        let width = font::width(text, size * scale, bold);
        let mut pen = match place.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => -width / 2.0,
            Anchor::End => -width,
        };
        let base = font::HALF_EX * size * scale;
        let (x0, y0) = (place.at.0 * scale, place.at.1 * scale);
        for c in text.chars() {
            let id = face.glyph_id(c);
            let advance = f64::from(scaled.h_advance(id));
            // Turned text runs up the page: along (0, −1), its own downward direction being (1, 0). The
            // glyph is set upright near the origin and its pixels are turned, so only the whole part of the
            // origin can be added afterwards and the fraction goes into the setting.
            let (along, down) = if place.turned { (-y0, x0) } else { (x0, y0) };
            let at = point((along + pen) as f32, (down + base) as f32);
            if let Some(outline) = face.outline_glyph(id.with_scale_and_position(em, at)) {
                let corner = outline.px_bounds().min;
                outline.draw(|dx, dy, share| {
                    let (u, v) = (corner.x as i64 + i64::from(dx), corner.y as i64 + i64::from(dy));
                    let (x, y) = if place.turned { (v, -u - 1) } else { (u, v) };
                    self.blend(x, y, color, share);
                });
            }
            pen += advance;
        }
    }

    fn blend(&mut self, x: i64, y: i64, (r, g, b): Rgb, share: f32) {
        let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else { return };
        if x >= self.width || y >= self.height {
            return;
        }
        let at = (y * self.width + x) * 3;
        let share = share.clamp(0.0, 1.0);
        for (old, new) in self.rgb[at..at + 3].iter_mut().zip([r, g, b]) {
            *old = (f32::from(*old) + share * (f32::from(new) - f32::from(*old))).round() as u8;
        }
    }

    /// The picture as a PNG file.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the encoder refuses it.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let refused =
            |e: png::EncodingError| Error::Invalid(format!("a figure could not be encoded as PNG: {e}"));
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        // Flat colours compress better, and faster, unfiltered.
        encoder.set_compression(png::Compression::Balanced);
        encoder.set_filter(png::Filter::NoFilter);
        // Twice 96 dots per inch, so that a document places the picture at its nominal size.
        let per_metre = 2 * 3780;
        let unit = png::Unit::Meter;
        encoder.set_pixel_dims(Some(png::PixelDimensions { xppu: per_metre, yppu: per_metre, unit }));
        let mut writer = encoder.write_header().map_err(refused)?;
        writer.write_image_data(&self.rgb).map_err(refused)?;
        writer.finish().map_err(refused)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reducing_takes_the_mean_of_each_block() {
        let rgb = [[0u8; 3], [255; 3], [10; 3], [20; 3]].concat();
        assert_eq!(Pixels::reduce(&rgb, 2, 2, 2).rgb, [71; 3]);
    }

    #[test]
    fn text_marks_the_picture_where_it_should_and_never_beyond_it() {
        for turned in [false, true] {
            let mut pixels = Pixels::reduce(&vec![255; 60 * 60 * 3], 60, 60, 1);
            let place = Place { at: (15.0, 15.0), anchor: Anchor::Middle, turned };
            pixels.text("HHH", 2.0, 8.0, (0, 0, 0), true, place);
            let dark: Vec<usize> = (0..3600).filter(|i| pixels.rgb[3 * i] < 128).collect();
            assert!(!dark.is_empty());
            let (xs, ys): (Vec<_>, Vec<_>) = dark.iter().map(|i| (i % 60, i / 60)).unzip();
            let span = |v: &[usize]| v.iter().max().unwrap() - v.iter().min().unwrap();
            assert_eq!(span(&xs) > span(&ys), !turned, "the text runs along its direction");
            pixels.text("off the page", 2.0, 90.0, (0, 0, 0), false, place);
        }
    }
}
