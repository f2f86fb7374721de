//! Durable file operations: whatever the instant of a crash, a file holds its old content or its new one.
//!
//! New content is written to a temporary file beside the old one, because only a rename within one file system is
//! atomic. A temporary file is opened exclusively under a random name, so that writers of one file never share one: each
//! writes all of its own, and the last rename wins. Its writer holds a lock on it, which the system releases with the
//! process: [`sweep`] removes those that nothing holds.

use std::fs::{self, File, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::place::{folder_of, Place};
use crate::{Error, Result};

/// Begins and ends the names of temporary files, `.pcnbench-<16 hex digits>.tmp`; such files are never read.
const TEMPORARY: (&str, &str) = (".pcnbench-", ".tmp");

/// Names tried for a temporary file: one is enough, unless another process removes the file at that instant.
const ATTEMPTS: usize = 8;

/// Where a file system has no locks: writing takes seconds at most, so what is older than this was abandoned.
const ABANDONED: Duration = Duration::from_secs(3600);

/// Replaces a file of a record by `bytes`: all of them or none.
///
/// After an error the old content is in place, unless only the last step failed (making the new name
/// durable), which a retry may repeat.
///
/// Flushed before the rename, because otherwise the name may reach the disk before the content; and the folder is
/// flushed after it, so that what follows cannot reach the disk first.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    put(path, bytes, None).map_err(|e| Error::io("write", path, e))?;
    flush_folder(folder_of(path))
}

/// Writes a file that a user has named: `bytes` and nothing else, all of them or none.
///
/// A symbolic link stays, and the file that it leads to is written (created, if there is none). A file that is replaced
/// keeps its mode and owner. What is not a regular file (a device, a FIFO, a socket, an open descriptor such as
/// `/dev/stdout`) is opened and written to. A file whose owner cannot be kept, whose folder takes no new file, or which
/// is a mount point, can only be written in place, which a crash may interrupt.
pub(crate) fn save(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |e| Error::io("write", path, e);
    let (file, old) = match Place::of(path).map_err(failed)? {
        Place::Through(how) => return how.write(path, bytes).map_err(failed),
        Place::File(file, old) => (file, old),
    };
    sweep(folder_of(&file));
    match put(&file, bytes, old.as_ref()) {
        Err(e) if old.is_some() && refused(&e) => {
            let write = |mut file: File| file.write_all(bytes).and_then(|()| flush(&file));
            File::options().write(true).truncate(true).open(&file).and_then(write).map_err(failed)
        }
        done => done.map_err(failed).and_then(|()| flush_folder(folder_of(&file))),
    }
}

/// Whether the system allows no replacement, rather than having failed at one.
fn refused(e: &io::Error) -> bool {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem, ResourceBusy};
    matches!(e.kind(), PermissionDenied | ReadOnlyFilesystem | ResourceBusy)
}

/// Writes `bytes` beside `path` and renames, with mode and owner of `old`.
fn put(path: &Path, bytes: &[u8], old: Option<&fs::Metadata>) -> io::Result<()> {
    let (mut file, temporary) = create_temporary(folder_of(path), old.is_some())?;
    let kept = old.map_or(Ok(()), |old| keep(&file, old));
    let written = kept.and_then(|()| write_flushed(&mut file, bytes)).and_then(|()| rename(&temporary, path));
    if written.is_err() {
        // A full disk is the likely cause, and half a file is of no use. That the removal may fail too is no news
        // beside the error itself.
        let _ = remove(&temporary);
    }
    written
}

/// Makes names created in, renamed into or removed from `folder` durable.
pub(super) fn flush_folder(folder: &Path) -> Result<()> {
    fault::step().and_then(|()| sync(folder)).map_err(|e| Error::io("flush the folder", folder, e))
}

/// Only Unix opens folders as files; elsewhere the file system orders its own names.
fn sync(folder: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(folder).and_then(|folder| flush(&folder)) {
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

/// Removes the temporary files in `folder` that no process writes any more. Failures are of no interest: such files are
/// never read.
pub(super) fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let regular = entry.file_type().is_ok_and(|kind| kind.is_file());
        if regular && is_temporary(&entry.file_name().to_string_lossy()) {
            remove_abandoned(&entry.path());
        }
    }
}

/// Whether a file of this name is one that [`replace`] or [`save`] was writing.
pub(super) fn is_temporary(name: &str) -> bool {
    let middle = name.strip_prefix(TEMPORARY.0).and_then(|rest| rest.strip_suffix(TEMPORARY.1));
    middle.is_some_and(|hex| hex.len() == 16 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn remove_abandoned(temporary: &Path) {
    // For reading too, so that nothing that took the file's place meanwhile, such as a FIFO, makes this wait.
    let Ok(file) = File::options().read(true).write(true).open(temporary) else { return };
    let abandoned = match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(_)) => {
            let age = file.metadata().and_then(|m| m.modified()).map(|t| t.elapsed().unwrap_or_default());
            age.is_ok_and(|age| age > ABANDONED)
        }
    };
    if abandoned {
        // Under the lock, so that its creator, should this be the instant before it takes the lock, notices.
        let _ = remove(temporary);
    }
}

/// A new, empty, locked file in `folder`; `private` if it is not known yet which users may read it.
fn create_temporary(folder: &Path, private: bool) -> io::Result<(File, PathBuf)> {
    fault::step()?;
    let mut options = File::options();
    options.write(true).create_new(true);
    if private {
        only_for_owner(&mut options);
    }
    for _ in 0..ATTEMPTS {
        let random = RandomState::new().hash_one(std::process::id());
        let path = folder.join(format!("{}{random:016x}{}", TEMPORARY.0, TEMPORARY.1));
        let file = match options.open(&path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
            opened => opened?,
        };
        let locked = !matches!(file.try_lock(), Err(TryLockError::WouldBlock));
        // Between creation and lock a sweep takes the file for abandoned.
        if locked && path.exists() {
            return Ok((file, path));
        }
    }
    Err(io::Error::other("no temporary file could be created; another process removes them"))
}

#[cfg(unix)]
fn only_for_owner(options: &mut fs::OpenOptions) {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
}

#[cfg(not(unix))]
fn only_for_owner(_: &mut fs::OpenOptions) {}

/// Gives a file the owner and mode of `old`.
fn keep(file: &File, old: &fs::Metadata) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{fchown, MetadataExt};
        let new = file.metadata()?;
        let changed = |new: u32, old: u32| (new != old).then_some(old);
        let (owner, group) = (changed(new.uid(), old.uid()), changed(new.gid(), old.gid()));
        if owner.or(group).is_some() {
            fchown(file, owner, group)?;
        }
    }
    // After the owner, a change of which takes bits of the mode away.
    file.set_permissions(old.permissions())
}

fn write_flushed(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    if let Err(error) = fault::step() {
        // What a crash leaves in the middle of a write.
        file.write_all(&bytes[..bytes.len() / 2])?;
        return Err(error);
    }
    file.write_all(bytes)?;
    fault::step()?;
    flush(file)
}

/// Waits until the content is on the disk. Not in unit tests: they write thousands of files, and none of them looks
/// behind the system's own view of a file.
fn flush(file: &File) -> io::Result<()> {
    if cfg!(test) {
        return Ok(());
    }
    file.sync_all()
}

/// Removes a file.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    fault::step()?;
    fs::remove_file(path)
}

/// Without tests no failure is injected and every step is free.
#[cfg(not(test))]
mod fault {
    #[inline(always)]
    pub(super) fn step() -> std::io::Result<()> {
        Ok(())
    }
}

/// Injected failures, so that tests can stop a writer before each of its file operations in turn.
#[cfg(test)]
pub(super) mod fault {
    use std::cell::Cell;
    use std::io;

    /// What happens at an injected failure.
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

#[cfg(all(test, unix))]
#[path = "disk_tests.rs"]
mod tests;
