//! Folders of downloaded files: what is there under which name, and which collection it makes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Dataset;
use crate::{Error, Result};

/// How the files of a collection are known.
pub(super) struct Format {
    /// What people call it.
    pub(super) title: &'static str,
    /// Names of its files without the ending `.gz`, the first one first; any of them shows that a folder is of this format.
    pub(super) names: &'static [&'static str],
    /// Reads the collection from a folder.
    pub(super) load: fn(&Path) -> Result<Dataset>,
}

/// The one of `formats` that the folder `dir` holds files of.
///
/// # Errors
/// [`Error::Content`] naming the folder if it is none, or holds files of none or of several of them; [`Error::Io`] if the
/// system refuses to look.
pub(super) fn recognise<'a>(dir: &Path, formats: &[&'a Format]) -> Result<&'a Format> {
    let titles: Vec<&str> = formats.iter().map(|format| format.title).collect();
    let titles = list(&titles, "or");
    check_folder(dir, &format!("the files of {titles}"))?;
    let mut found = Vec::new();
    for &format in formats {
        if let Some(path) = locate(dir, format.names)? {
            found.push((format, path));
        }
    }
    match found[..] {
        [(format, _)] => Ok(format),
        [] => {
            let expected: Vec<String> = formats
                .iter()
                .filter_map(|f| Some(format!("of {} (as `{}`)", f.title, f.names.first()?)))
                .collect();
            Err(Error::content(
                dir,
                format!(
                    "holds no file {}, plain or gzip; name the folder in which the files themselves lie, unpacked from \
                     their archive and in the binary version",
                    list(&expected, "or")
                ),
            ))
        }
        _ => {
            let found: Vec<String> =
                found.iter().map(|(f, path)| format!("of {} (`{}`)", f.title, file_name(path))).collect();
            Err(Error::content(
                dir,
                format!("holds files {}; put each collection into a folder of its own", list(&found, "and")),
            ))
        }
    }
}

/// Refuses what is no folder; it should hold `what`.
pub(super) fn check_folder(dir: &Path, what: &str) -> Result<()> {
    let problem = match fs::metadata(dir) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => "is a file, not a folder",
        Err(e) if e.kind() == io::ErrorKind::NotFound => "does not exist",
        Err(e) => return Err(Error::io("open the folder", dir, e)),
    };
    Err(Error::content(dir, format!("{problem}; name the folder that holds {what}")))
}

/// The first file of `dir` that has one of `names`, with `.gz` behind it or without.
pub(super) fn locate(dir: &Path, names: &[impl AsRef<str>]) -> Result<Option<PathBuf>> {
    for name in names {
        for ending in ENDINGS {
            let path = dir.join(format!("{}{ending}", name.as_ref()));
            match fs::metadata(&path) {
                Ok(found) if found.is_file() => return Ok(Some(path)),
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(Error::io("read", &path, e)),
                _ => {}
            }
        }
    }
    Ok(None)
}

const ENDINGS: [&str; 2] = ["", ".gz"];

/// All names that [`locate`] looks for, quoted.
pub(super) fn spellings(names: &[impl AsRef<str>]) -> Vec<String> {
    names.iter().flat_map(|name| ENDINGS.map(|ending| format!("`{}{ending}`", name.as_ref()))).collect()
}

pub(super) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// `a, b or c`.
fn list(words: &[impl AsRef<str>], last: &str) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.split_last() {
        Some((end, start)) if !start.is_empty() => format!("{} {last} {end}", start.join(", ")),
        _ => words.concat(),
    }
}
