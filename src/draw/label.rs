//! Texts of a picture: names from files made safe and short, and numbers that people read.

use crate::plot::font;

/// Width in em that a character is given which the bundled fonts may lack: what other fonts have is no wider, but for
/// ligatures.
const FOREIGN: f64 = 1.2;

/// Whether the bundled fonts have a character: Latin, Greek and the signs that pictures print.
fn known(c: char) -> bool {
    c.is_ascii() || matches!(c, '\u{a1}'..='\u{ff}' | 'Α'..='Ρ' | 'Σ'..='Ω' | 'α'..='ω' | '…' | '−')
}

/// `name` without what XML forbids and what would turn text around; such characters become dots.
pub(super) fn clean(name: &str) -> String {
    let unsafe_ = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
            || matches!(c, '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}')
    };
    name.chars().map(|c| if unsafe_(c) { '·' } else { c }).collect()
}

/// Room for `text` in pixels at `size` pixels per em, whatever font a reader's program takes for characters that the
/// bundled ones lack.
pub(super) fn width(text: &str, size: f64, bold: bool) -> f64 {
    let each = |c: char| match c {
        _ if known(c) => font::width(c.encode_utf8(&mut [0; 4]), size, bold),
        _ => FOREIGN * size,
    };
    text.chars().map(each).sum()
}

/// `name`, [`clean`], in at most `room` pixels: if it is too long, its middle gives way to an ellipsis, because names of
/// vertices differ at their ends.
pub(super) fn shorten(name: &str, size: f64, bold: bool, room: f64) -> String {
    // no more characters than these have room anyway
    let most = (2.0 * room / size).max(2.0) as usize;
    let clean = clean(name);
    let chars: Vec<char> = clean.chars().collect();
    if chars.len() <= 4 * most && width(&clean, size, bold) <= room {
        return clean;
    }
    let cut = |kept: usize| -> String {
        let tail = kept / 2;
        let head = chars[..kept - tail].iter();
        head.chain(&['…']).chain(&chars[chars.len() - tail..]).collect()
    };
    let kept = (0..=most.min(chars.len())).rev().find(|&kept| width(&cut(kept), size, bold) <= room);
    cut(kept.unwrap_or(0))
}

/// `text` in lines of at most `room` pixels, broken at spaces; a word without room in a line is shortened.
pub(super) fn wrap(text: &str, size: f64, bold: bool, room: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        let word = shorten(word, size, bold, room);
        let longer = lines.last().map(|line| format!("{line} {word}"));
        match (longer.filter(|longer| width(longer, size, bold) <= room), lines.last_mut()) {
            (Some(longer), Some(line)) => *line = longer,
            _ => lines.push(word),
        }
    }
    lines
}

/// A whole number with a comma before every third digit.
pub(super) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `n` things: `1 vertex`, `2 vertices`.
pub(super) fn count(n: usize, one: &str, many: &str) -> String {
    format!("{} {}", grouped(n as u64), if n == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_in_the_middle_and_fit() {
        assert_eq!(shorten("w.1", 10.0, false, 100.0), "w.1");
        let long = "encoder.block.17.attention.query";
        let short = shorten(long, 10.0, true, 100.0);
        assert!(short.starts_with("encod") && short.contains('…') && short.ends_with("query"), "{short}");
        for text in [long, &"漢字".repeat(40), &"x".repeat(100_000), "", "WWWWWWWWWWWWWWWWWWWWWWWW", "ab"] {
            for room in [12.0, 40.0, 130.0] {
                let cut = shorten(text, 11.0, true, room);
                assert!(width(&cut, 11.0, true) <= room, "{cut} in {room}");
                assert!(text.is_empty() || !cut.is_empty());
            }
        }
    }

    #[test]
    fn lines_fit_and_hold_every_word_that_fits() {
        let text = "one two three four 漢字漢字漢字漢字漢字漢字漢字漢字 five";
        let lines = wrap(text, 11.0, false, 60.0);
        assert!(lines.iter().all(|line| width(line, 11.0, false) <= 60.0), "{lines:?}");
        assert!(lines.join(" ").starts_with("one two three four 漢") && lines.join(" ").ends_with("字 five"));
        assert!(lines.len() < text.split(' ').count());
    }

    #[test]
    fn what_xml_forbids_becomes_a_dot() {
        assert_eq!(clean("a\u{0}b\nc\u{202e}d\u{fffe}<&>"), "a·b·c·d·<&>");
    }

    #[test]
    fn numbers_are_grouped() {
        let all = [0, 999, 1000, 1_234_567, u64::MAX].map(grouped);
        assert_eq!(all, ["0", "999", "1,000", "1,234,567", "18,446,744,073,709,551,615"]);
        assert_eq!(
            (count(1, "vertex", "vertices"), count(2, "vertex", "vertices")),
            ("1 vertex".into(), "2 vertices".into())
        );
    }
}
