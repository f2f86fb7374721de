//! Content hashes of a record's files, so that a change of any byte is noticed when it is read.
//!
//! A finished record has `files.sha256`, as `sha256sum` writes it. In an unfinished one the tables still grow and only
//! ever at their end, so that `.progress.json` has the hash of each up to the length it had when the last point was
//! finished: what lies beyond belongs to a point that was being written.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::header::to_json;
use super::header::{MACHINE, RUN};
use super::table::{Tables, OPTIONAL};
use crate::{Error, Result};

/// Hashes of a finished record.
pub(super) const SEAL: &str = "files.sha256";
/// Hashes of an unfinished record.
pub(super) const PROGRESS: &str = ".progress.json";

/// The bytes of all files of a record that are hashed, by name, in the order of the format's description.
pub(super) type Contents<'a> = Vec<(&'static str, &'a [u8])>;

/// SHA-256 in lower-case hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// `files.sha256` of a record of these files.
pub(super) fn seal(files: &[(&'static str, &[u8])]) -> Vec<u8> {
    let lines = files.iter().map(|(name, bytes)| format!("{}  {name}\n", sha256(bytes)));
    lines.collect::<String>().into_bytes()
}

/// Holds the files of a finished record in `dir` against its `files.sha256`, whose lines may stand in any order.
///
/// # Errors
/// Names the file that differs.
pub(super) fn check_seal(dir: &Path, seal: &[u8], files: &Contents<'_>) -> Result<()> {
    let own = dir.join(SEAL);
    let text = std::str::from_utf8(seal).map_err(|_| Error::content(&own, "is not UTF-8 text"))?;
    if !text.ends_with('\n') {
        return Err(Error::content(&own, "is empty or cut off; restore the file or measure again"));
    }
    let mut stated = BTreeMap::new();
    for (number, line) in (1..).zip(text.split_terminator('\n')) {
        let entry = line.split_once("  ").filter(|(hash, name)| {
            let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            hash.len() == 64 && hash.bytes().all(hex) && is_file(files, name)
        });
        let Some((hash, name)) = entry else {
            return Err(Error::content(
                &own,
                format!(
                    "line {number} is not of the form `<SHA-256>  <file of the record>`; restore the file"
                ),
            ));
        };
        if stated.insert(name, hash).is_some() {
            return Err(Error::content(
                &own,
                format!("line {number}: `{name}` is listed twice; restore the file"),
            ));
        }
    }
    for (name, bytes) in files {
        match stated.get(name) {
            Some(hash) if *hash == sha256(bytes) => {}
            Some(hash) => return Err(differs(&dir.join(name), hash, SEAL, &sha256(bytes))),
            None => return Err(Error::content(&own, format!("does not list `{name}`; restore the file"))),
        }
    }
    missing(dir, stated.keys().copied(), files)
}

/// Whether a record may have a file of this name that is hashed.
fn is_file(files: &Contents<'_>, name: &str) -> bool {
    OPTIONAL.contains(&name) || files.iter().any(|(known, _)| *known == name)
}

/// Refuses a record that lacks one of the files that its hashes list.
fn missing<'a>(dir: &Path, mut stated: impl Iterator<Item = &'a str>, files: &Contents<'_>) -> Result<()> {
    match stated.find(|name| files.iter().all(|(there, _)| there != name)) {
        None => Ok(()),
        Some(name) => {
            let problem = "this file of the record is missing; restore it or measure again";
            Err(Error::content(&dir.join(name), problem))
        }
    }
}

/// `.progress.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Progress {
    /// SHA-256 of `run.json`; two while it is replaced, that of the old one and that of the new one.
    run: Vec<String>,
    /// SHA-256 of `machine.json`.
    machine: String,
    /// What is finished of each table.
    tables: BTreeMap<String, Prefix>,
}

/// The beginning of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Prefix {
    /// Its length.
    bytes: usize,
    /// SHA-256 of that many bytes.
    sha256: String,
}

impl Progress {
    /// Of a record of these files.
    pub(super) fn of(run: Vec<String>, machine: &[u8], tables: &Tables) -> Self {
        let prefix = |(name, bytes): (&'static str, &Vec<u8>)| {
            (name.to_owned(), Prefix { bytes: bytes.len(), sha256: sha256(bytes) })
        };
        Self { run, machine: sha256(machine), tables: tables.files().map(prefix).collect() }
    }

    /// The content of the file.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        to_json(self)
    }

    /// Holds the files of an unfinished record in `dir` against it.
    ///
    /// # Errors
    /// Names the file that differs.
    pub(super) fn check(&self, dir: &Path, files: &Contents<'_>) -> Result<()> {
        for (name, bytes) in files {
            let path = dir.join(name);
            let whole = || sha256(bytes);
            match *name {
                RUN if self.run.contains(&whole()) => {}
                RUN => return Err(differs(&path, &self.run.join(" or "), PROGRESS, &whole())),
                MACHINE if self.machine == whole() => {}
                MACHINE => return Err(differs(&path, &self.machine, PROGRESS, &whole())),
                // As long as no finished point has rows in it.
                _ if OPTIONAL.contains(name) && !self.tables.contains_key(*name) => {}
                _ => {
                    let Some(prefix) = self.tables.get(*name) else {
                        let problem =
                            format!("does not list `{name}`; restore the file, or start a new record");
                        return Err(Error::content(&dir.join(PROGRESS), problem));
                    };
                    let Some(finished) = bytes.get(..prefix.bytes) else {
                        let problem = format!(
                            "has {} bytes, but {PROGRESS} says that {} were written; restore the file, or start a new record",
                            bytes.len(),
                            prefix.bytes
                        );
                        return Err(Error::content(&path, problem));
                    };
                    if sha256(finished) != prefix.sha256 {
                        return Err(differs(&path, &prefix.sha256, PROGRESS, &sha256(finished)));
                    }
                }
            }
        }
        if let Some(strange) = self.tables.keys().find(|name| !is_file(files, name)) {
            let problem = format!("lists `{strange}`, which is no table of a record; restore the file");
            return Err(Error::content(&dir.join(PROGRESS), problem));
        }
        missing(dir, self.tables.keys().map(String::as_str), files)
    }
}

fn differs(path: &Path, stated: &str, place: &str, found: &str) -> Error {
    Error::content(
        path,
        format!(
            "is not what was written: its SHA-256 is {found}, and {place} says {stated}; restore the file or measure again"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4, appendix B.1: the hash of `abc`; the form is that of coreutils.
    #[test]
    fn a_seal_is_what_sha256sum_writes() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(seal(&[(RUN, b"abc")]), format!("{abc}  run.json\n").into_bytes());
    }

    #[test]
    fn what_is_no_seal_of_these_files_is_refused() {
        let files: Contents<'_> = vec![(RUN, b"a"), (MACHINE, b"b")];
        let good = String::from_utf8(seal(&files)).unwrap();
        let check = |text: &str| check_seal(Path::new("r"), text.as_bytes(), &files);
        check(&good).unwrap();
        let (first, second) = good.split_at(good.find('\n').unwrap() + 1);
        check(&format!("{second}{first}")).unwrap();
        for (text, expected) in [
            (String::new(), "r/files.sha256: is empty or cut off"),
            (good.trim_end().to_owned(), "is empty or cut off"),
            (first.to_owned(), "does not list `machine.json`"),
            (format!("{good}{first}"), "line 3: `run.json` is listed twice"),
            (
                format!("{good}{}  regimes.csv\n", sha256(b"c")),
                "r/regimes.csv: this file of the record is missing",
            ),
            (good.replace("run.json", "ran.json"), "line 1 is not of the form"),
            (good.replace("  ", " "), "line 1 is not of the form"),
            (good.to_uppercase(), "line 1 is not of the form"),
            (format!("{good}\n"), "line 3 is not of the form"),
            (good.replacen(&sha256(b"b"), &sha256(b"c"), 1), "r/machine.json: is not what was written"),
        ] {
            let said = check(&text).unwrap_err().to_string();
            assert!(said.contains(expected), "{text:?}: {said}");
        }
    }

    #[test]
    fn keys_are_documented() {
        let progress = serde_json::to_value(Progress::of(vec![], b"", &Tables::empty())).unwrap();
        let format = include_str!("../../FORMAT.md");
        for key in progress.as_object().unwrap().keys() {
            assert!(format.contains(&format!("\n| `{key}` | ")), "{key}");
        }
        assert!(format.contains(SEAL) && format.contains(PROGRESS));
    }
}
