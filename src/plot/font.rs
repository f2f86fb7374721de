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

/// `text` shortened in the middle to at most `room` pixels; control characters become dots, because
/// XML forbids them.
pub fn fit(text: &str, size: f64, bold: bool, room: f64) -> String {
    let clean: Vec<char> = text.chars().map(|c| if c.is_control() { '·' } else { c }).collect();
    let whole: String = clean.iter().collect();
    if width(&whole, size, bold) <= room {
        return whole;
    }
    // The end of an id tells contenders apart as often as its start: keep both.
    for kept in (0..clean.len()).rev() {
        let (head, tail) = (kept.div_ceil(2), kept / 2);
        let short: String = clean[..head].iter().chain(&['…']).chain(&clean[clean.len() - tail..]).collect();
        if width(&short, size, bold) <= room {
            return short;
        }
    }
    String::new()
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
    fn long_names_are_cut_in_the_middle() {
        let short = fit(&"a-very-long-contender-name/".repeat(9), 12.0, false, 120.0);
        assert!(short.contains('…') && short.starts_with("a-") && short.ends_with('/'), "{short}");
        assert!(width(&short, 12.0, false) <= 120.0);
        assert_eq!(fit("spc\u{1}x", 12.0, false, 100.0), "spc·x");
        assert_eq!(fit("anything", 12.0, false, 1.0), "");
    }
}
