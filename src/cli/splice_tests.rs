//! Oracle: what a text is made of. Every byte outside the block is known, and where Markdown has code
//! (CommonMark 0.31, sections 4.4 and 4.5).

use proptest::prelude::*;

use super::*;

const BEGIN: &str = "<!-- pcnbench:begin t : a command -->";
const END: &str = "<!-- pcnbench:end t -->";
const NEW: &str = "first line\n\n| new |\n| --- |\n";

fn spliced(text: &str) -> Result<String> {
    splice(Path::new("R.md"), text, "t", NEW)
}

fn refusal(text: &str) -> String {
    spliced(text).unwrap_err().to_string()
}

#[test]
fn only_the_lines_between_the_markers_change() {
    for (before, after) in [
        ("", ""),
        ("", "\n"),
        ("# Notes\n\n\n\nTwo blank lines.\n\n```\na\n\n\nb\n```\n\n", "\n\n\n\n\nx"),
        (
            "a\n<!-- pcnbench:begin t-2 -->\nmine\n<!-- pcnbench:end t-2 -->\n",
            "\n<!-- pcnbench:begin tt -->\n<!-- pcnbench:end tt -->",
        ),
        // examples
        ("```md\n<!-- pcnbench:begin t -->\n```\n", "\n~~~~\n~~~\n<!-- pcnbench:end t -->\n~~~~\n"),
        ("    <!-- pcnbench:begin t -->\n\t<!-- pcnbench:end t -->\n", "\n``` not a fence: `\n"),
        ("as in `<!-- pcnbench:begin t -->`,\n", "\nends with <!-- pcnbench:end t -->\n"),
        ("\u{feff}", ""),
        ("mixed\r\nline\nends\r\n   ", "  \n"),
    ] {
        for old in ["", "old\n", "\n\n\nold\n\n\n", "| a |\r\n", "```\n<!-- pcnbench:end t -->\n```\n"] {
            let text = format!("{before}{BEGIN}\n{old}{END}{after}");
            let expected = format!("{before}{BEGIN}\n\n{NEW}{END}{after}");
            let once = spliced(&text).unwrap_or_else(|e| panic!("{e}: {text:?}"));
            assert_eq!(once, expected, "{text:?}");
            assert_eq!(spliced(&once).unwrap(), once);
        }
    }
}

/// New lines end as the opening marker's does, and a file that has them so already is up to date.
#[test]
fn line_ends_are_kept() {
    let text = format!("a\r\n{BEGIN}\r\nold\n{END}");
    let expected = format!("a\r\n{BEGIN}\r\n\r\n{}{END}", NEW.replace('\n', "\r\n"));
    assert_eq!(spliced(&text).unwrap(), expected);
    assert_eq!(spliced(&expected).unwrap(), expected);
}

#[test]
fn what_is_no_block_is_refused_with_the_line_at_fault() {
    let other = "<!-- pcnbench:begin u -->";
    for (text, expected) in [
        ("nothing".to_owned(), "has no marker `<!-- pcnbench:begin t -->`; add it"),
        (format!("```\n{BEGIN}\n{END}\n"), "has no marker"),
        (format!("a {BEGIN}\nb {END}\n"), "has no marker"),
        (format!("a {BEGIN}\n{END} b\n"), "line 2 begins like a marker"),
        (format!("{BEGIN}\n"), "the block `t` of line 1 has no end; add `<!-- pcnbench:end t -->`"),
        (format!("{BEGIN}\n```\n{END}\n"), "the block `t` of line 1 has no end"),
        (format!("\n{END}\n"), "line 2 ends the block `t`, which was not begun"),
        (format!("{END}\n{BEGIN}\n"), "line 1 ends the block `t`"),
        (
            format!("{BEGIN}\n{BEGIN}\n{END}\n"),
            "the block `t` of line 2 begins within the block `t` of line 1",
        ),
        (
            format!("{BEGIN}\n{other}\n<!-- pcnbench:end u -->\n{END}\n"),
            "`u` of line 2 begins within the block `t`",
        ),
        (
            format!("{other}\n{BEGIN}\n{END}\n<!-- pcnbench:end u -->\n"),
            "`t` of line 2 begins within the block `u`",
        ),
        (
            format!("{BEGIN}\n<!-- pcnbench:end u -->\n{END}\n"),
            "line 2 ends the block `u` within the block `t`",
        ),
        (format!("{BEGIN}\n{END}\n{BEGIN}\n{END}\n"), "more than once, the second time in line 3"),
        (format!("{BEGIN} b\n{END}\n"), "line 1 begins like a marker"),
        (format!("{BEGIN}\n{END}\n<!-- pcnbench:begin\n"), "line 3 begins like a marker"),
        (format!("{BEGIN}\n{END}\n<!-- pcnbench:end t u -->\n"), "line 3 begins like a marker"),
        (format!("{BEGIN}\r{END}"), "line 1 begins like a marker"),
    ] {
        let said = refusal(&text);
        assert!(said.starts_with("R.md: ") && said.contains(expected), "{text:?}: {said}");
    }
}

/// A text that would end its own block, or begin another, is not put in.
#[test]
fn a_text_with_markers_is_refused() {
    let text = format!("{BEGIN}\n{END}\n");
    for content in [END, BEGIN, "a\n <!--pcnbench:end u-->\nb", "<!-- pcnbench:begin -->", "~~~"] {
        let said = splice(Path::new("R.md"), &text, "t", content).unwrap_err().to_string();
        assert!(said.contains("is a marker itself"), "{content}: {said}");
    }
    splice(Path::new("R.md"), &text, "t", &format!("| {END} | {BEGIN} |")).unwrap();
}

/// Lines that a stranger might write.
const SOUP: [&str; 20] = [
    "",
    "text",
    "\u{feff}",
    " ",
    "```",
    "~~~~",
    "```rs",
    "    ",
    "> ",
    "| a | b |",
    "<!-- pcnbench:begin t -->",
    "<!-- pcnbench:end t -->",
    "<!-- pcnbench:begin t-2 : x -->",
    "<!-- pcnbench:end t-2 -->",
    "<!--pcnbench:begin t-->",
    "<!-- pcnbench:begin -->",
    "<!-- pcnbench:end t",
    "-->",
    "<!--",
    "`<!-- pcnbench:end t -->`",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]
    /// Whatever stands in a file: refused, or changed in one place, to something that a second time leaves alone, and
    /// with all lines that it did not have before in a row.
    #[test]
    fn one_place_and_once(lines in prop::collection::vec((0..SOUP.len(), 0..3usize), 0..12), content in 0..2usize) {
        let text: String = lines.iter().map(|(i, end)| format!("{}{}", SOUP[*i], ["\n", "\r\n", ""][*end])).collect();
        let content = [NEW, ""][content];
        let splice = |text: &str| splice(Path::new("R.md"), text, "t", content);
        if let Ok(once) = splice(&text) {
            prop_assert_eq!(&splice(&once).unwrap(), &once);
            if once == text {
                return Ok(()); // it was there already, and nothing has changed
            }
            let common = text.bytes().zip(once.bytes()).take_while(|(a, b)| a == b).count();
            let tail = text.bytes().rev().zip(once.bytes().rev()).take_while(|(a, b)| a == b).count();
            // The opening marker before all that changed, the closing one after it.
            let last = |text: &str, byte: usize| text.as_bytes()[..byte].iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
            prop_assert!(text[..last(&text, common)].contains("pcnbench:begin t"), "{text:?} {once:?}");
            prop_assert!(text[text.len() - tail.min(text.len() - last(&text, common))..].contains("pcnbench:end t"), "{text:?} {once:?}");
        }
    }
}
