//! Text of a record as part of a Markdown page, on which it must stay text.

/// `text` as one line in which nothing opens a tag, a comment or an entity.
pub fn text(text: &str) -> String {
    line(text).replace('&', "&amp;").replace('<', "&lt;")
}

/// `text` as a cell of a table.
pub fn cell(text: &str) -> String {
    self::text(text).replace('|', "\\|")
}

/// `text` as code within a line, between more backticks than it has anywhere in a row.
pub fn code(text: &str) -> String {
    let text = line(text);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    // Markdown takes one space at each end away, where both have one.
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// Line breaks, and whatever else moves a terminal's cursor, as spaces.
fn line(text: &str) -> String {
    text.replace(|c: char| c.is_control() || "\u{2028}\u{2029}".contains(c), " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CommonMark 0.31: entities, code spans; GFM: `\|` within a cell.
    #[test]
    fn nothing_of_a_text_is_markup() {
        assert_eq!(text("a <!-- b --> & c\r\nd"), "a &lt;!-- b --> &amp; c  d");
        assert_eq!(cell("a | b\n| c"), "a \\| b \\| c");
        assert_eq!(code("a"), "`a`");
        assert_eq!(code("a`b``c"), "```a`b``c```");
        assert_eq!(code("`"), "`` ` ``");
        assert_eq!(code("a\n<!-- pcnbench:end results -->"), "`a <!-- pcnbench:end results -->`");
    }
}
