//! Putting generated text between markers of a Markdown file.
//!
//! ```text
//! <!-- pcnbench:begin NAME … -->
//! generated text
//! <!-- pcnbench:end NAME -->
//! ```
//!
//! A marker has a line of its own, indented by three spaces at most. Lines of fenced code and lines that are indented
//! further are code to Markdown, so that a marker there is an example and no marker. What follows NAME in the opening
//! marker, such as the command that makes the text, is kept.

use std::ops::Range;
use std::path::Path;

use crate::{Error, Result};

/// Replaces the lines between the markers of `name` by `content`, between which and the opening marker stands an empty
/// line. No other byte changes. New lines end as that of the opening marker does.
///
/// # Errors
/// If a marker is missing, stands twice, or stands within another block, or if `content` has a line that is a marker.
pub fn splice(path: &Path, text: &str, name: &str, content: &str) -> Result<String> {
    let inner = block(text, name).map_err(|problem| Error::content(path, problem))?;
    let end = if text[..inner.start].ends_with("\r\n") { "\r\n" } else { "\n" };
    let lines: String = content.lines().map(|line| format!("{line}{end}")).collect();
    let spliced = format!("{}{end}{lines}{}", &text[..inner.start], &text[inner.end..]);
    match block(&spliced, name).map(|found| found.len()) {
        Ok(length) if length == end.len() + lines.len() => Ok(spliced),
        _ => {
            Err(Error::content(path, "was not changed: a line of the text to put into it is a marker itself"))
        }
    }
}

/// What the line of a marker says.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Marker<'a> {
    Begin(&'a str),
    End(&'a str),
    /// Begins like a marker and is none.
    Malformed,
}

/// Where the lines between the markers of `name` are; or what is wrong, as the end of a sentence.
fn block(text: &str, name: &str) -> std::result::Result<Range<usize>, String> {
    let [begin, end] = ["begin", "end"].map(|kind| format!("`<!-- pcnbench:{kind} {name} -->`"));
    // The block that is open: its name, the number of its line, and where its content starts.
    let mut open: Option<(&str, usize, usize)> = None;
    let mut found = None;
    let mut fence = None;
    let mut start = 0;
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let (here, next) = (start, start + line.len());
        start = next;
        let line = if number == 1 { line.strip_prefix('\u{feff}').unwrap_or(line) } else { line };
        if code(line, &mut fence) {
            continue;
        }
        match (marker(line), open) {
            (None, _) => {}
            (Some(Marker::Malformed), _) => {
                return Err(format!(
                    "line {number} begins like a marker and is none: expected `<!-- pcnbench:begin NAME -->` or \
                     `<!-- pcnbench:end NAME -->`, alone on its line"
                ));
            }
            (Some(Marker::Begin(new)), None) => open = Some((new, number, next)),
            (Some(Marker::Begin(new)), Some((old, first, _))) => {
                return Err(format!(
                    "the block `{new}` of line {number} begins within the block `{old}` of line {first}; close that one first"
                ));
            }
            (Some(Marker::End(new)), None) => {
                return Err(format!("line {number} ends the block `{new}`, which was not begun before it"));
            }
            (Some(Marker::End(new)), Some((old, first, _))) if new != old => {
                return Err(format!(
                    "line {number} ends the block `{new}` within the block `{old}` of line {first}"
                ));
            }
            (Some(Marker::End(_)), Some((old, first, content))) => {
                open = None;
                if old != name {
                    continue;
                }
                if found.replace(content..here).is_some() {
                    return Err(format!(
                        "has the marker {begin} more than once, the second time in line {first}"
                    ));
                }
            }
        }
    }
    if let Some((old, first, _)) = open {
        return Err(format!(
            "the block `{old}` of line {first} has no end; add `<!-- pcnbench:end {old} -->`"
        ));
    }
    found.ok_or_else(|| {
        format!("has no marker {begin}; add it and {end}, each on a line of its own, where the text belongs")
    })
}

/// Whether a line is code to Markdown: fenced by three or more backticks or tildes, or indented by four columns.
/// `fence` is the one that is open, with its length.
fn code(line: &str, fence: &mut Option<(char, usize)>) -> bool {
    let indented = line.trim_start_matches(' ');
    let deep = line.len() - indented.len() > 3 || indented.starts_with('\t');
    let run = |c: char| indented.len() - indented.trim_start_matches(c).len();
    match *fence {
        Some((c, length)) => {
            let closes = !deep && run(c) >= length && indented.trim_start_matches(c).trim().is_empty();
            if closes {
                *fence = None;
            }
            true
        }
        None if deep => true,
        None => {
            let opened = ['`', '~'].into_iter().find(|c| run(*c) >= 3);
            // What follows backticks cannot hold another: that would be code within a line.
            let opened = opened.filter(|c| *c == '~' || !indented.trim_start_matches('`').contains('`'));
            *fence = opened.map(|c| (c, run(c)));
            opened.is_some()
        }
    }
}

/// The marker that a line is.
fn marker(line: &str) -> Option<Marker<'_>> {
    let comment = line.trim().strip_prefix("<!--")?.trim_start().strip_prefix("pcnbench:")?;
    // The first of them ends the comment: what follows would be text.
    let inner = comment.split_once("-->").filter(|(_, after)| after.is_empty()).map(|(inner, _)| inner);
    let part = |kind: &str| {
        let rest = inner?.strip_prefix(kind)?;
        let name = rest.trim_start();
        // A name ends where something begins that cannot belong to it.
        let ends = name.find(|c: char| !(c.is_alphanumeric() || "-_.".contains(c))).unwrap_or(name.len());
        (name.len() < rest.len() && ends > 0).then(|| name.split_at(ends))
    };
    Some(match (part("begin"), part("end")) {
        (Some((name, _)), _) => Marker::Begin(name),
        (_, Some((name, after))) if after.trim().is_empty() => Marker::End(name),
        _ => Marker::Malformed,
    })
}

#[cfg(test)]
#[path = "splice_tests.rs"]
mod tests;
