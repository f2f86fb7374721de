//! Run directories as folders: their names, how they appear, and who may write to them.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::schema::Run;
use super::{disk, read};
use crate::{Error, Result};

/// Held by the process that writes the record; gone when the record is finished.
pub(super) const LOCK: &str = ".lock";

/// Files of a new record by name; `run.json` comes last, for without it a folder is no record.
pub(super) type Files = [(&'static str, Vec<u8>)];

/// Makes `dir` a record of `files`, and locks it.
///
/// A folder that is already there must be empty, and is filled in place: it may be a mount point, which
/// no rename can replace.
pub(super) fn create_at(dir: &Path, files: &Files) -> Result<File> {
    if fs::symlink_metadata(dir).is_err() {
        let name = dir.file_name().ok_or_else(|| {
            Error::content(dir, "names no folder that could be created; choose another folder with `--out`")
        })?;
        // The parent of a bare name is the empty path, which the system does not take for a folder.
        let parent = dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let built = build(parent, &name.to_string_lossy(), files)?;
        publish(&built, parent, std::iter::once(dir.to_path_buf()))?;
        return lock(dir);
    }
    check_empty(dir)?;
    let lock = lock(dir)?;
    // Again, for what another process did before it lost the lock.
    check_empty(dir)?;
    fill(dir, files).inspect_err(|_| {
        for (name, _) in files {
            let _ = disk::remove(&dir.join(name));
        }
    })?;
    Ok(lock)
}

/// Makes a new folder under `parent` a record of `files`, and locks it: `name`, or if that exists
/// `name-2`, `name-3`, …
pub(super) fn create_under(parent: &Path, name: &str, files: &Files) -> Result<(PathBuf, File)> {
    let built = build(parent, name, files)?;
    let numbered = (2..).map(|n: u32| parent.join(format!("{name}-{n}")));
    let dir = publish(&built, parent, std::iter::once(parent.join(name)).chain(numbered))?;
    let lock = lock(&dir)?;
    Ok((dir, lock))
}

/// Takes the lock of a record, or says that another process holds it. Dropping the file releases it.
pub(super) fn lock(dir: &Path) -> Result<File> {
    let path = dir.join(LOCK);
    let open = File::options().create(true).truncate(false).write(true).open(&path);
    let file = open.map_err(|e| Error::io("create", &path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::content(
            dir,
            "another process is writing this record; wait for it, or choose another folder with `--out`",
        )),
        // Where a file system has no locks, refusing to measure would help nobody.
        Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => Ok(file),
        Err(TryLockError::Error(e)) => Err(Error::io("lock", &path, e)),
    }
}

/// `<YYYY-MM-DD>-<rev>[+dirty]-<suite>[-<i>of<n>]`.
pub(super) fn name(run: &Run) -> String {
    let date = run.started.split('T').next().unwrap_or_default();
    let dirty = if run.dirty { "+dirty" } else { "" };
    let part = run.shard.map(|shard| format!("-{}of{}", shard.index(), shard.of())).unwrap_or_default();
    format!("{}-{}{dirty}-{}{part}", slug(date), slug(&run.rev), slug(&run.suite))
}

/// `text` as part of a file name: lower-case ASCII letters and digits, everything else one dash.
pub(crate) fn slug(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let parts = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    let slug = parts.collect::<Vec<_>>().join("-");
    if slug.is_empty() {
        "unknown".to_owned()
    } else {
        slug
    }
}

fn check_empty(dir: &Path) -> Result<()> {
    if !dir.is_dir() {
        return Err(Error::content(dir, "exists and is not a folder; choose another one with `--out`"));
    }
    if dir.join(read::RUN).exists() {
        let advice =
            "already holds a record; continue it with `--resume`, or choose another folder with `--out`";
        return Err(Error::content(dir, advice));
    }
    let failed = |e| Error::io("read the folder", dir, e);
    for entry in fs::read_dir(dir).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if name != LOCK {
            let name = name.to_string_lossy();
            let problem =
                format!("is not empty (it holds `{name}`); choose an empty or a new folder with `--out`");
            return Err(Error::content(dir, problem));
        }
    }
    Ok(())
}

fn fill(dir: &Path, files: &Files) -> Result<()> {
    files.iter().try_for_each(|(name, bytes)| disk::replace(&dir.join(name), bytes))
}

/// Builds a record under a hidden temporary name in `parent`, from where a rename makes it visible.
fn build(parent: &Path, name: &str, files: &Files) -> Result<PathBuf> {
    fs::create_dir_all(parent).map_err(|e| Error::io("create the folder", parent, e))?;
    remove_abandoned(parent);
    // Process ids repeat across containers that share a volume; the clock tells them apart.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
    let built = parent.join(format!("{BUILT}{name}-{}-{now}", std::process::id()));
    disk::create_folder(&built).map_err(|e| Error::io("create the folder", &built, e))?;
    fill(&built, files).inspect_err(|_| discard(&built))?;
    Ok(built)
}

/// Begins the name of every folder under construction.
const BUILT: &str = ".pcnbench-";

/// Building takes milliseconds; whatever is older than this was left by a process that was killed.
const ABANDONED: Duration = Duration::from_secs(3600);

/// Failures are of no interest: such folders are never read, they are merely untidy.
fn remove_abandoned(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let age = entry.metadata().and_then(|m| m.modified()).map(|t| t.elapsed().unwrap_or_default());
        if entry.file_name().to_string_lossy().starts_with(BUILT) && age.is_ok_and(|age| age > ABANDONED) {
            discard(&entry.path());
        }
    }
}

/// Renames a built record to the first of `names` that is free.
fn publish(built: &Path, parent: &Path, names: impl Iterator<Item = PathBuf>) -> Result<PathBuf> {
    let taken = |path: &Path| fs::symlink_metadata(path).is_ok();
    let mut failure = None;
    for dir in names.filter(|dir| !taken(dir)) {
        match disk::rename(built, &dir) {
            Ok(()) => {
                disk::flush_folder(parent)?;
                return Ok(dir);
            }
            // Another process was faster.
            Err(e) if taken(&dir) => failure = Some((dir, e)),
            Err(e) => {
                failure = Some((dir, e));
                break;
            }
        }
    }
    discard(built);
    Err(match failure {
        Some((dir, e)) => Error::io("create the folder", &dir, e),
        None => {
            Error::content(parent, "no free name for a new record in this folder; choose one with `--out`")
        }
    })
}

/// Best effort: the error that led here is the one to report.
fn discard(built: &Path) {
    let _ = disk::remove_folder(built);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::fixture::{names, run};

    const FILES: &Files = &[];

    #[test]
    fn a_name_holds_date_code_and_suite() {
        let mut run = run();
        assert_eq!(name(&run), "2026-11-22-abc1234-quick");
        run.dirty = true;
        run.suite = "Scaling/../mlp width".into();
        run.started = "soon".into();
        assert_eq!(name(&run), "soon-abc1234+dirty-scaling-mlp-width");
        assert_eq!(slug("../.."), "unknown");
        assert_eq!(slug("Intel(R) Xeon(R) @ 2.0GHz"), "intel-r-xeon-r-2-0ghz");
    }

    #[test]
    fn a_taken_name_is_numbered() {
        let root = tempfile::tempdir().unwrap();
        let held: Vec<_> = (0..3).map(|_| create_under(root.path(), "n", FILES).unwrap()).collect();
        assert_eq!(names(root.path()), ["n", "n-2", "n-3"]);
        drop(held);
    }

    #[test]
    fn a_lock_is_held_until_dropped() {
        let root = tempfile::tempdir().unwrap();
        let held = lock(root.path()).unwrap();
        let refused = lock(root.path()).unwrap_err().to_string();
        assert!(refused.contains("another process is writing this record"), "{refused}");
        drop(held);
        lock(root.path()).unwrap();
    }

    #[test]
    fn an_explicit_folder_must_be_new_or_empty() {
        let root = tempfile::tempdir().unwrap();
        let refused = |dir: &Path| create_at(dir, FILES).unwrap_err().to_string();

        create_at(&root.path().join("a/b/new"), FILES).unwrap();
        let empty = root.path().join("empty");
        fs::create_dir(&empty).unwrap();
        create_at(&empty, FILES).unwrap();

        fs::write(empty.join("thesis.tex"), "").unwrap();
        assert!(refused(&empty).contains("is not empty (it holds `thesis.tex`)"), "{}", refused(&empty));
        fs::write(empty.join(read::RUN), "").unwrap();
        assert!(refused(&empty).contains("already holds a record; continue it with `--resume`"));
        assert!(refused(&empty.join("thesis.tex")).contains("is not a folder"));
        let below_a_file = refused(&empty.join("thesis.tex/run"));
        assert!(below_a_file.contains("cannot create the folder") && below_a_file.contains("thesis.tex"));
        assert!(refused(&root.path().join("x/..")).contains("names no folder"));
    }

    #[test]
    fn only_old_folders_under_construction_are_removed() {
        let root = tempfile::tempdir().unwrap();
        for name in [".pcnbench-old", ".pcnbench-new", "kept"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        let old = SystemTime::now() - 2 * ABANDONED;
        File::open(root.path().join(".pcnbench-old")).unwrap().set_modified(old).unwrap();
        File::open(root.path().join("kept")).unwrap().set_modified(old).unwrap();
        remove_abandoned(root.path());
        assert_eq!(names(root.path()), [".pcnbench-new", "kept"]);
    }
}
