//! Durable file operations: whatever the instant of a crash, a file holds its old content or its new one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Ends the name of every file that is being written; such files are never read.
const TEMPORARY: &str = ".tmp";

/// Replaces `path` by `bytes`: all of them or none.
///
/// After an error the old content is in place, unless only the last step failed (making the new name
/// durable), which a retry may repeat.
///
/// Written beside the file, because only a rename within one file system is atomic; flushed before the
/// rename, because otherwise the name may reach the disk before the content; and the folder is flushed
/// after it, so that what follows cannot reach the disk first.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = temporary_name(path);
    let written = write_flushed(&temporary, bytes).and_then(|()| rename(&temporary, path));
    if let Err(error) = written {
        // A full disk is the likely cause, and half a file is of no use to anyone. That the removal may
        // fail too is no news beside the error itself.
        let _ = remove(&temporary);
        return Err(Error::io("write", path, error));
    }
    flush_folder(path.parent().unwrap_or(Path::new(".")))
}

/// Makes names created in, renamed into or removed from `folder` durable.
pub(super) fn flush_folder(folder: &Path) -> Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    fault::step().and_then(|()| sync(folder)).map_err(|e| Error::io("flush the folder", folder, e))
}

/// Only Unix opens folders as files; elsewhere the file system orders its own names.
fn sync(folder: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(folder)?.sync_all() {
        // Some network and FUSE file systems have no such operation; then there is nothing to wait for.
        Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        other => other,
    }
}

/// Creates a folder that must not exist yet.
pub(super) fn create_folder(path: &Path) -> io::Result<()> {
    fault::step()?;
    fs::create_dir(path)
}

/// Removes a folder and all in it.
pub(super) fn remove_folder(path: &Path) -> io::Result<()> {
    fault::step()?;
    fs::remove_dir_all(path)
}

/// Renames a file or folder.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fault::step()?;
    fs::rename(from, to)
}

/// Removes what a killed writer left half-written of `files`; the caller holds the lock of their folder.
pub(super) fn sweep(files: impl IntoIterator<Item = PathBuf>) -> Result<()> {
    for temporary in files.into_iter().map(|file| temporary_name(&file)) {
        match remove(&temporary) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(Error::io("remove", &temporary, e)),
            _ => {}
        }
    }
    Ok(())
}

/// `dir/.name.tmp` for `dir/name`. The name is fixed, so at most one is ever left; the lock of the
/// folder keeps a second writer away from it.
fn temporary_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}{TEMPORARY}"))
}

fn write_flushed(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fault::step()?;
    let mut file = File::create(path)?;
    if let Err(error) = fault::step() {
        // What a crash leaves in the middle of a write.
        file.write_all(&bytes[..bytes.len() / 2])?;
        return Err(error);
    }
    file.write_all(bytes)?;
    fault::step()?;
    file.sync_all()
}

/// Removes a file.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    fault::step()?;
    fs::remove_file(path)
}

/// Without tests nothing is planted and every step is free.
#[cfg(not(test))]
mod fault {
    #[inline(always)]
    pub(super) fn step() -> std::io::Result<()> {
        Ok(())
    }
}

/// Planted failures, so that tests can stop a writer before each of its file operations in turn.
#[cfg(test)]
pub(super) mod fault {
    use std::cell::Cell;
    use std::io;

    /// What happens at a planted failure.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub(in crate::record) enum Kind {
        /// One operation fails, as on a full disk; later ones work.
        Full,
        /// That operation and all later ones fail, as if the process were gone.
        Killed,
    }

    thread_local! {
        /// Operations still to pass, and what comes then.
        static PLAN: Cell<Option<(usize, Kind)>> = const { Cell::new(None) };
        static HAPPENED: Cell<bool> = const { Cell::new(false) };
    }

    /// Lets `after` operations of this thread pass and fails the next one.
    pub(in crate::record) fn plan(after: usize, kind: Kind) {
        PLAN.set(Some((after, kind)));
        HAPPENED.set(false);
    }

    /// Ends the plan; whether its failure happened.
    pub(in crate::record) fn clear() -> bool {
        PLAN.set(None);
        HAPPENED.get()
    }

    pub(super) fn step() -> io::Result<()> {
        match PLAN.get() {
            None => Ok(()),
            Some((0, kind)) => {
                HAPPENED.set(true);
                if kind == Kind::Full {
                    PLAN.set(None);
                    return Err(io::Error::from(io::ErrorKind::StorageFull));
                }
                Err(io::Error::other("the process is gone"))
            }
            Some((left, kind)) => {
                PLAN.set(Some((left - 1, kind)));
                Ok(())
            }
        }
    }
}
