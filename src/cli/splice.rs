//! Putting generated text between markers of a Markdown file.

use crate::{Error, Result};
use std::path::Path;

/// Replaces what stands between `<!-- pcnbench:begin NAME … -->` and `<!-- pcnbench:end NAME -->`.
///
/// The text after NAME in the opening marker is the command that makes the content; it is kept.
///
/// # Errors
/// If a marker is missing or stands twice.
pub fn splice(path: &Path, text: &str, name: &str, content: &str) -> Result<String> {
    let only = |marker: &str| -> Result<usize> {
        let mut found = text.match_indices(marker).map(|(i, _)| i);
        match (found.next(), found.next()) {
            (Some(i), None) => Ok(i),
            (None, _) => {
                Err(Error::content(path, format!("has no marker `{marker}`; add it where the table belongs")))
            }
            _ => Err(Error::content(path, format!("has the marker `{marker}` more than once"))),
        }
    };
    let begin = only(&format!("<!-- pcnbench:begin {name}"))?;
    let end = only(&format!("<!-- pcnbench:end {name} -->"))?;
    let line = text[begin..].find("-->").map(|i| begin + i + 3).filter(|i| *i <= end);
    let Some(line) = line else {
        return Err(Error::content(path, format!("the markers of `{name}` are not in order")));
    };
    Ok(format!("{}\n\n{}\n{}", &text[..line], content.trim_end_matches('\n'), &text[end..])
        .replace("\n\n\n", "\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_between_markers_and_is_idempotent() {
        let text = "a\n<!-- pcnbench:begin t cmd -->\nold\n<!-- pcnbench:end t -->\nb\n";
        let once = splice(Path::new("R"), text, "t", "| new |\n").unwrap();
        assert_eq!(once, "a\n<!-- pcnbench:begin t cmd -->\n\n| new |\n<!-- pcnbench:end t -->\nb\n");
        assert_eq!(splice(Path::new("R"), &once, "t", "| new |\n").unwrap(), once);
    }

    #[test]
    fn missing_doubled_or_crossed_markers_are_refused() {
        let marker = "<!-- pcnbench:begin t -->";
        for text in [
            "nothing".to_owned(),
            marker.to_owned(),
            format!("{marker}{marker}<!-- pcnbench:end t -->"),
            format!("<!-- pcnbench:end t -->{marker}"),
        ] {
            assert!(splice(Path::new("R"), &text, "t", "x").is_err(), "{text}");
        }
    }
}
