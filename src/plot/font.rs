//! The one typeface of every figure, bundled so that drawing needs no font on the machine.
//!
//! plotters looks fonts up by family name among those registered with it; with none registered even
//! SVG output fails. The family is the CSS list readers of the SVG fall back through: Verdana has the
//! same advance widths as DejaVu Sans, so a page without the font keeps its layout.

use std::sync::OnceLock;

use ab_glyph::{Font, FontRef, PxScale, ScaleFont};
use plotters::style::{register_font, FontStyle};

use crate::{Error, Result};

/// Family name registered with plotters and written into SVG files.
pub const FAMILY: &str = "DejaVu Sans, Verdana, sans-serif";

/// The regular face.
pub const REGULAR: &[u8] = include_bytes!("../../assets/fonts/DejaVuSans.subset.ttf");

/// The bold face.
pub const BOLD: &[u8] = include_bytes!("../../assets/fonts/DejaVuSans-Bold.subset.ttf");

/// Half the x-height in em: what SVG's `dy="0.5ex"` shifts a vertically centred text down by.
/// DejaVu Sans 2.37: 1120 of 2048 units.
pub const HALF_EX: f64 = 1120.0 / 2048.0 / 2.0;

/// Registers both faces with plotters; cheap after the first call.
///
/// # Errors
/// [`Error::Invalid`] if the bundled file is not a font, which a test rules out.
pub fn register() -> Result<()> {
    static DONE: OnceLock<bool> = OnceLock::new();
    let ok = *DONE.get_or_init(|| {
        register_font(FAMILY, FontStyle::Normal, REGULAR).is_ok()
            && register_font(FAMILY, FontStyle::Bold, BOLD).is_ok()
    });
    if ok {
        Ok(())
    } else {
        Err(Error::Invalid(
            "the bundled font cannot be read; the program was built from damaged assets".into(),
        ))
    }
}

/// The regular or bold face, or `None` if the bundled file is damaged.
pub(super) fn face(bold: bool) -> Option<&'static FontRef<'static>> {
    static FACES: OnceLock<[Option<FontRef<'static>>; 2]> = OnceLock::new();
    let faces = FACES.get_or_init(|| [REGULAR, BOLD].map(|bytes| FontRef::try_from_slice(bytes).ok()));
    faces[usize::from(bold)].as_ref()
}

/// The scale at which one em is `size` pixels; `ab_glyph` counts ascent plus descent instead.
pub(super) fn scale(font: &FontRef<'_>, size: f64) -> PxScale {
    let units = font.units_per_em().unwrap_or(2048.0);
    PxScale::from(size as f32 * font.height_unscaled() / units)
}

/// Advance width of `text` in pixels at `size` pixels per em.
pub fn width(text: &str, size: f64, bold: bool) -> f64 {
    let Some(font) = face(bold) else { return 0.6 * size * text.chars().count() as f64 };
    let scaled = font.as_scaled(scale(font, size));
    text.chars().map(|c| f64::from(scaled.h_advance(font.glyph_id(c)))).sum()
}

/// `text` in lines of at most `room` pixels, with every character of it: broken at spaces, failing that after
/// `-` or `/`, failing that anywhere. Control characters become dots, because XML forbids them.
pub fn wrap(text: &str, size: f64, bold: bool, room: f64) -> Vec<String> {
    let clean: String = text.chars().map(|c| if c.is_control() { '·' } else { c }).collect();
    let mut rest = clean.trim();
    let mut lines = Vec::new();
    while !rest.is_empty() {
        let (line, next) = rest.split_at(line_end(rest, size, bold, room));
        lines.push(line.trim_end().to_owned());
        rest = next.trim_start();
    }
    lines
}

/// Bytes of the first line of `text`, at least one character.
fn line_end(text: &str, size: f64, bold: bool, room: f64) -> usize {
    let (mut used, mut space, mut joint, mut full) = (0.0, None, None, 0);
    for (at, c) in text.char_indices() {
        used += width(c.encode_utf8(&mut [0; 4]), size, bold);
        if used > room && at > 0 {
            // A line may also end right before a space that has no room itself.
            return if c == ' ' { at } else { space.or(joint).unwrap_or(full) };
        }
        full = at + c.len_utf8();
        match c {
            ' ' => space = Some(full),
            '-' | '/' => joint = Some(full),
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_faces_register_and_hold_every_sign_a_figure_prints() {
        register().unwrap();
        for bold in [false, true] {
            let font = face(bold).unwrap();
            for c in "µμλεℓ≤≥→∞−√×·⁰¹²³⁴⁵⁶⁷⁸⁹⁻ᵖ‖₁₀½–…%∝≈±Σ".chars()
            {
                assert_ne!(font.glyph_id(c).0, 0, "{c} is missing from the subset");
            }
        }
    }

    #[test]
    fn widths_follow_the_metrics_of_the_font() {
        // DejaVu Sans: every digit advances 1303 of 2048 units.
        assert!((width("0123456789", 20.0, false) - 10.0 * 20.0 * 1303.0 / 2048.0).abs() < 0.05);
        assert!(width("ab", 12.0, true) > width("ab", 12.0, false));
    }

    #[test]
    fn lines_hold_every_character_and_fit() {
        let long = "a-very-long-contender-name/".repeat(9);
        for (text, room) in [(&*long, 120.0), ("one two three four", 60.0), (&"x".repeat(300), 50.0)] {
            let lines = wrap(text, 12.0, false, room);
            assert!(lines.len() > 1 && lines.iter().all(|l| width(l, 12.0, false) <= room), "{lines:?}");
            let letters = |t: &str| t.replace(' ', "");
            assert_eq!(letters(&lines.concat()), letters(text));
        }
        assert_eq!(wrap("one two-three", 12.0, false, 60.0), ["one", "two-three"]);
        assert_eq!(wrap("spc\u{1}x", 12.0, false, 100.0), ["spc·x"]);
        assert_eq!(wrap("two", 12.0, false, 1.0), ["t", "w", "o"]);
        assert!(wrap(" ", 12.0, false, 100.0).is_empty());
    }
}
