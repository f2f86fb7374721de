//! The folder of a training run: what it is, its curve, and its last two checkpoints.
//!
//! The curve is written before the checkpoint of the same update, so a run that goes on finds every row up to its checkpoint; rows
//! beyond it are dropped and computed again.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::checkpoint::{Checkpoint, Meta};
use super::progress::Progress;
use crate::record::{self, Run, TrainingRow};
use crate::{Error, Result};

/// What the run is.
pub(super) const HEADER: &str = "training.json";

/// The curve.
const CURVE: &str = "training.csv";

/// Checkpoints that are kept: the newest, and one in case it is damaged.
const KEPT: usize = 2;

/// A folder that this process alone writes.
#[derive(Debug)]
pub(super) struct Folder {
    dir: PathBuf,
    curve: Vec<TrainingRow>,
    _lock: File,
}

impl Folder {
    /// A new or empty folder.
    ///
    /// # Errors
    /// If it holds anything, or cannot be written.
    pub(super) fn create(dir: &Path, header: &Run) -> Result<Self> {
        fs::create_dir_all(dir).map_err(|e| Error::io("create the folder", dir, e))?;
        let held = names(dir)?;
        if held.iter().any(|name| name == HEADER) {
            let problem = "already holds a training run; go on with it by `--resume`, or choose another folder with `--out`";
            return Err(Error::content(dir, problem));
        }
        if let Some(name) = held.iter().find(|name| !name.starts_with('.')) {
            return Err(Error::content(
                dir,
                format!("already holds `{name}`; choose another folder with `--out`"),
            ));
        }
        let lock = record::lock(dir)?;
        record::save(&dir.join(HEADER), &record::header_bytes(header)?)?;
        Ok(Self { dir: dir.to_path_buf(), curve: Vec::new(), _lock: lock })
    }

    /// The folder of a run that goes on, and its newest checkpoint that is whole; none of a run that ended before its first.
    ///
    /// # Errors
    /// If all are damaged, or of another run.
    pub(super) fn resume(
        dir: &Path,
        own: &Meta,
        told: &mut dyn Progress,
    ) -> Result<(Self, Option<Checkpoint>)> {
        let lock = record::lock(dir)?;
        let mut newest = None;
        let mut damaged = Vec::new();
        for path in checkpoints(dir)?.into_iter().rev() {
            match Checkpoint::read(&path) {
                Ok(checkpoint) => {
                    newest = Some((path, checkpoint));
                    break;
                }
                Err(e) => damaged.push(e),
            }
        }
        let Some((path, checkpoint)) = newest else {
            return match damaged.into_iter().next() {
                Some(e) => Err(e),
                None => Ok((Self { dir: dir.to_path_buf(), curve: Vec::new(), _lock: lock }, None)),
            };
        };
        for e in damaged {
            told.warning(&format!("{e}; the run goes on from update {} instead", checkpoint.meta.update));
        }
        let meta = &checkpoint.meta;
        let same = |what: &str, begun: &str, now: &str| match begun == now {
            true => Ok(()),
            false => Err(Error::content(
                &path,
                format!(
                    "is of a run with another {what}; go on with what it was begun with, or start a new run"
                ),
            )),
        };
        same("definition", &meta.definition, &own.definition)?;
        same("contender", &meta.contender, &own.contender)?;
        same("data set", &meta.data, &own.data)?;
        if meta.threads != own.threads {
            told.warning(&format!(
                "the run was begun on {} threads and goes on on {}: sums may differ in their last bits",
                meta.threads, own.threads
            ));
        }
        if (&meta.version, &meta.rev) != (&own.version, &own.rev) {
            told.warning(&format!(
                "the run was begun by version {} ({}) and goes on by {} ({}): its numbers may differ",
                meta.version, meta.rev, own.version, own.rev
            ));
        }
        let mut curve: Vec<TrainingRow> = record::read_curve(&dir.join(CURVE))?;
        curve.retain(|row| row.update <= meta.update);
        Ok((Self { dir: dir.to_path_buf(), curve, _lock: lock }, Some(checkpoint)))
    }

    /// Whether the curve has a row at this update.
    pub(super) fn has_row(&self, update: u64) -> bool {
        self.curve.iter().any(|row| row.update == update)
    }

    /// Adds a row to the curve.
    pub(super) fn add(&mut self, row: TrainingRow) -> Result<()> {
        self.curve.push(row);
        record::save(&self.dir.join(CURVE), &record::curve_bytes(&self.curve)?)
    }

    /// Writes a checkpoint, and removes those that it makes needless.
    pub(super) fn save(&self, checkpoint: Checkpoint) -> Result<()> {
        let name = format!("update-{:010}.safetensors", checkpoint.meta.update);
        checkpoint.write(&self.dir.join(name))?;
        let all = checkpoints(&self.dir)?;
        for old in all.iter().take(all.len().saturating_sub(KEPT)) {
            fs::remove_file(old).map_err(|e| Error::io("remove the old checkpoint", old, e))?;
        }
        Ok(())
    }

    /// The curve.
    pub(super) fn into_curve(self) -> Vec<TrainingRow> {
        self.curve
    }
}

/// Checkpoints in a folder, the oldest first.
fn checkpoints(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found: Vec<(u64, PathBuf)> = Vec::new();
    for name in names(dir)? {
        let update = name.strip_prefix("update-").and_then(|rest| rest.strip_suffix(".safetensors"));
        found.extend(update.and_then(|update| Some((update.parse().ok()?, dir.join(&name)))));
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

fn names(dir: &Path) -> Result<Vec<String>> {
    let failed = |e| Error::io("read the folder", dir, e);
    let entries = fs::read_dir(dir).map_err(failed)?.collect::<std::io::Result<Vec<_>>>().map_err(failed)?;
    Ok(entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}
