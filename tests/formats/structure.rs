//! Oracle: ARCHITECTURE.md. Modules import in the direction that it states, and no others.

use std::fs;
use std::path::{Path, PathBuf};

/// Modules from the bottom up: one may import those of its own line and those above it in this list.
const DIRECTION: [&[&str]; 11] = [
    &["text"],
    &["error"],
    &["files"],
    &["stats", "net", "theory"],
    &["engine"],
    &["rule", "optim", "data"],
    &["contender"],
    &["record", "measure", "verify", "suite"],
    &["plot", "tune", "draw"],
    &["run", "compare"],
    &["cli"],
];

/// Pairs within a line of [`DIRECTION`] that import each other in one direction only.
const NEVER: [(&str, &str); 6] = [
    ("stats", "net"),
    ("stats", "theory"),
    ("net", "theory"),
    ("net", "stats"),
    ("optim", "rule"),
    ("data", "rule"),
];

pub(crate) fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

/// The paths that begin after `crate::`: one, or those of a group in braces.
fn paths(rest: &str) -> Vec<&str> {
    let Some(group) = rest.strip_prefix('{') else { return vec![rest] };
    let (mut found, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                found.push(&group[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

/// A group hides no module.
#[test]
fn imports_are_read_through_groups() {
    assert_eq!(
        imports("use crate::{measure, net::{Graph, Loss},\n    rule::Rule, Error};\nuse crate::stats::fit;"),
        ["measure", "net", "rule", "stats"]
    );
}

/// Top-level modules that production code of a file names, without comments and inline tests.
fn imports(text: &str) -> Vec<String> {
    let code: String = text
        .lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]"))
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n");
    let module = |rest: &str| {
        rest.trim_start().chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect::<String>()
    };
    let mut named: Vec<String> =
        code.split("crate::").skip(1).flat_map(paths).map(module).filter(|m| !m.is_empty()).collect();
    named.sort();
    named.dedup();
    named
}

#[test]
fn modules_import_in_the_stated_direction() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let rank = |module: &str| DIRECTION.iter().position(|line| line.contains(&module));
    let mut looked_at = 0;
    for file in sources(&root) {
        let place = file.strip_prefix(&root).unwrap();
        let name = place.to_string_lossy().replace('\\', "/");
        if name.contains("test") || name == "lib.rs" || name == "main.rs" {
            continue;
        }
        let own = name.split('/').next().unwrap().trim_end_matches(".rs");
        let own_rank =
            rank(own).unwrap_or_else(|| panic!("src/{name} is in no line of the stated direction"));
        for other in imports(&fs::read_to_string(&file).unwrap()) {
            // macros and types of the crate's root have no line
            let Some(other_rank) = rank(&other) else { continue };
            let against = other_rank > own_rank || NEVER.contains(&(own, other.as_str()));
            assert!(
                !against,
                "src/{name} imports `{other}`, against the direction that ARCHITECTURE.md states"
            );
            looked_at += 1;
        }
    }
    assert!(looked_at > 300, "{looked_at}");
}

/// The document states what this test holds.
#[test]
fn the_direction_is_the_documents() {
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md")).unwrap();
    let stated =
        document.lines().find(|line| line.starts_with("`cli →")).expect("a line that states the direction");
    let words: Vec<&str> =
        stated.split(|c: char| !(c.is_ascii_lowercase())).filter(|word| !word.is_empty()).collect();
    // the foundation is not in the document's line
    let mut expected: Vec<&str> =
        DIRECTION.iter().skip(3).rev().flat_map(|line| line.iter().copied()).collect();
    let mut words = words;
    expected.sort_unstable();
    words.sort_unstable();
    assert_eq!(words, expected);
}
