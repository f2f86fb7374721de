//! Which baseline a measurement is held against.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Baseline, FILE};
use crate::record::slug;
use crate::Result;

/// Which file to compare with, and why that one.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The file.
    pub path: PathBuf,
    /// What it holds.
    pub baseline: Baseline,
    /// Why, if it is not the machine's own.
    pub why: Option<String>,
}

/// The baseline of this machine class under `results`; otherwise the nearest of another class: of the same kind (a GPU
/// never stands in for a CPU, nor a CPU for a GPU), with the nearest number of threads, the most recent first. Another
/// class's file that cannot be read is passed over: it must not keep every other machine from being gated.
///
/// # Errors
/// If this class's own file cannot be read. `None` if there is no baseline at all.
pub fn choose(results: &Path, class: &str, threads: usize) -> Result<Option<Choice>> {
    let own = results.join(slug(class)).join(FILE);
    if own.is_file() {
        return Ok(Some(Choice { baseline: Baseline::read(&own)?, path: own, why: None }));
    }
    let Ok(folders) = fs::read_dir(results) else { return Ok(None) };
    let mut files: Vec<PathBuf> =
        folders.filter_map(|e| Some(e.ok()?.path().join(FILE))).filter(|path| path.is_file()).collect();
    files.sort();
    let is_cpu = |class: &str| class.starts_with("cpu-");
    let mut found: Vec<(Baseline, PathBuf)> = files
        .into_iter()
        .filter_map(|path| Some((Baseline::read(&path).ok()?, path)))
        .filter(|(b, _)| is_cpu(&b.machine_class) == is_cpu(class))
        .collect();
    // Stable: among equals the most recent, which the first sort brings to the front.
    found.sort_by(|(a, _), (b, _)| b.started.cmp(&a.started));
    found.sort_by_key(|(b, _)| b.threads.abs_diff(threads));
    Ok(found.into_iter().next().map(|(baseline, path)| {
        let why = format!(
            "there is no {} of machine class `{class}`, so this one of `{}` with {} threads stands in: the nearest of \
             those committed",
            own.display(),
            baseline.machine_class,
            baseline.threads
        );
        Choice { path, baseline, why: Some(why) }
    }))
}
