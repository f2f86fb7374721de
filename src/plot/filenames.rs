//! File names of figures, and the facts about machine and code that captions share.

use std::collections::{BTreeMap, BTreeSet};

use crate::record::Record;

/// `text` as a part of a file name: lower-case letters, digits, `-` and `_`, at most 60 characters.
pub fn slug(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' | '0'..='9' | '_' => out.push(c),
            '.' => out.push('_'),
            'μ' | 'µ' => out.push_str("mu"),
            _ if !out.ends_with('-') => out.push('-'),
            _ => {}
        }
        if out.len() >= 60 {
            break;
        }
    }
    let out = out.trim_matches('-');
    if out.is_empty() {
        "unnamed".to_owned()
    } else {
        out.to_owned()
    }
}

/// Appends `-2`, `-3`, … to names that were already taken, so that no figure overwrites another.
pub fn unique<'a>(stems: impl Iterator<Item = &'a mut String>) {
    let mut taken = BTreeSet::new();
    for stem in stems {
        let plain = stem.clone();
        let mut n = 2;
        while !taken.insert(stem.clone()) {
            *stem = format!("{plain}-{n}");
            n += 1;
        }
    }
}

/// The axes in a point id `name@key=value,key=value`.
pub fn axes(point: &str) -> BTreeMap<&str, &str> {
    let list = point.split_once('@').map_or("", |(_, list)| list);
    list.split(',').filter_map(|pair| pair.split_once('=')).collect()
}

/// Device, and threads where they matter.
pub fn machine_facts(record: &Record, device: &str) -> Vec<String> {
    if device == "cpu" {
        let threads = record.run.threads;
        let plural = if threads == 1 { "" } else { "s" };
        vec![record.machine.cpu.clone(), format!("{threads} thread{plural}")]
    } else if record.machine.gpu.is_empty() {
        vec![device.to_owned()]
    } else {
        vec![record.machine.gpu.clone()]
    }
}

/// Benchmark and commit.
pub fn run_facts(record: &Record, benchmark: &str) -> Vec<String> {
    let dirty = if record.run.dirty { " with local changes" } else { "" };
    vec![format!("benchmark {benchmark}"), format!("commit {}{dirty}", record.run.rev)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_safe_file_names() {
        for (text, expected) in [
            ("scaling/mlp-width", "scaling-mlp-width"),
            ("T = L", "t-l"),
            ("step 0.1", "step-0_1"),
            ("../../etc/passwd", "_-_-etc-passwd"),
            ("μPC", "mupc"),
            ("//", "unnamed"),
        ] {
            assert_eq!(slug(text).replace("__", "_"), expected);
        }
        assert!(slug(&"long/".repeat(100)).len() <= 62);
    }

    #[test]
    fn equal_stems_are_numbered() {
        let mut stems = vec!["a".to_owned(), "a".into(), "a-2".into(), "b".into()];
        unique(stems.iter_mut());
        assert_eq!(stems, ["a", "a-2", "a-2-2", "b"]);
    }

    #[test]
    fn axes_of_a_point_id() {
        assert_eq!(axes("depth@batch=64,depth=8"), [("batch", "64"), ("depth", "8")].into());
        assert!(axes("depth").is_empty());
    }
}
