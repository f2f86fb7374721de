//! Run directories as folders: their names, how they appear, and which process may write to them.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::header::{Run, MACHINE, RUN};
use super::{disk, read};
use crate::text::resume_command;
use crate::{Error, Result};

/// Held by the process that writes the record; gone when the record is finished.
pub(super) const LOCK: &str = ".lock";

/// Files of a new record by name; `run.json` comes last, for without it a folder is no record.
pub(super) type Files = [(&'static str, Vec<u8>)];

/// Makes `dir` a record of `files`, and locks it.
///
/// A folder that is already there must be empty, but for what a process left that was killed while it filled it; it is
/// filled in place, because it may be a mount point, which no rename can replace.
pub(super) fn create_at(dir: &Path, files: &Files) -> Result<File> {
    if fs::symlink_metadata(dir).is_err() {
        let name = dir.file_name().ok_or_else(|| {
            Error::content(dir, "names no folder that could be created; choose another folder with `--out`")
        })?;
        // The parent of a bare name is the empty path, which the system does not take for a folder.
        let parent = dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let (built, _under_construction) = build(parent, &name.to_string_lossy(), files)?;
        publish(&built, parent, std::iter::once(dir.to_path_buf()))?;
        return lock(dir);
    }
    check_empty(dir, files)?;
    let lock = lock(dir)?;
    // Again, for what another process did before it lost the lock.
    for left in check_empty(dir, files)? {
        disk::remove(&left).map_err(|e| Error::io("remove", &left, e))?;
    }
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
    let (built, _under_construction) = build(parent, name, files)?;
    let numbered = (2..).map(|n: u32| parent.join(format!("{name}-{n}")));
    let dir = publish(&built, parent, std::iter::once(parent.join(name)).chain(numbered))?;
    let lock = lock(&dir)?;
    Ok((dir, lock))
}

/// Takes the lock of a record, or says that another process holds it. Dropping the file releases it.
pub(crate) fn lock(dir: &Path) -> Result<File> {
    let path = dir.join(LOCK);
    let open = File::options().create(true).truncate(false).write(true).open(&path);
    let file = open.map_err(|e| Error::io("create", &path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::content(
            dir,
            "another process is writing this record; wait for it, or choose another folder with `--out`",
        )),
        // Where a file system has no locks, refusing to measure would help no user.
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

/// Refuses a folder that holds anything, but for its lock and, beside a lock, what a writer of `files` that was killed
/// has left before it came to `run.json`: these are returned.
fn check_empty(dir: &Path, files: &Files) -> Result<Vec<PathBuf>> {
    if !dir.is_dir() {
        return Err(Error::content(dir, "exists and is not a folder; choose another one with `--out`"));
    }
    if dir.join(RUN).exists() {
        let unfinished = read::read_run(dir).is_ok_and(|run| run.finished.is_none());
        let advice = match unfinished {
            true => format!(" that is not finished; go on with it by `{}`, or choose", resume_command(dir)),
            false => "; choose".to_owned(),
        };
        return Err(Error::content(
            dir,
            format!("already holds a record{advice} another folder with `--out`"),
        ));
    }
    let begun = dir.join(LOCK).exists();
    let failed = |e| Error::io("read the folder", dir, e);
    let mut left = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_name() == LOCK {
            continue;
        }
        if !(begun && is_left(&entry, files)) {
            let name = entry.file_name().to_string_lossy().into_owned();
            let problem =
                format!("is not empty (it holds `{name}`); choose an empty or a new folder with `--out`");
            return Err(Error::content(dir, problem));
        }
        left.push(entry.path());
    }
    Ok(left)
}

/// Whether this is one of `files` as written (`machine.json` may differ: the machine may have been restarted
/// meanwhile), or one that was being written.
fn is_left(entry: &fs::DirEntry, files: &Files) -> bool {
    let name = entry.file_name().to_string_lossy().into_owned();
    if !entry.file_type().is_ok_and(|kind| kind.is_file()) {
        return false;
    }
    let whole =
        |bytes: &Vec<u8>| name == MACHINE || fs::read(entry.path()).is_ok_and(|found| found == *bytes);
    disk::is_temporary(&name) || files.iter().any(|(own, bytes)| name == *own && whole(bytes))
}

fn fill(dir: &Path, files: &Files) -> Result<()> {
    files.iter().try_for_each(|(name, bytes)| disk::replace(&dir.join(name), bytes))
}

/// Builds a record under a hidden temporary name in `parent`, from where a rename makes it visible. No other process
/// removes the folder while the file in the result is open, where the file system has locks.
fn build(parent: &Path, name: &str, files: &Files) -> Result<(PathBuf, Option<File>)> {
    fs::create_dir_all(parent).map_err(|e| Error::io("create the folder", parent, e))?;
    remove_abandoned(parent);
    // Process ids repeat across containers that share a volume; the clock tells them apart.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
    let built = parent.join(format!("{BUILT}{name}-{}-{now}", std::process::id()));
    disk::create_folder(&built).map_err(|e| Error::io("create the folder", &built, e))?;
    let lock = File::open(&built).ok().filter(|folder| folder.try_lock().is_ok());
    fill(&built, files).inspect_err(|_| discard(&built))?;
    Ok((built, lock))
}

/// Begins the name of every folder under construction.
const BUILT: &str = ".pcnbench-";

/// Building takes milliseconds; what is older than this belongs to no process that still builds.
const ABANDONED: Duration = Duration::from_secs(3600);

/// Failures are of no interest: such folders are never read, they are merely untidy.
fn remove_abandoned(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let age = entry.metadata().and_then(|m| m.modified()).map(|t| t.elapsed().unwrap_or_default());
        let old = || age.is_ok_and(|age| age > ABANDONED);
        if name.starts_with(BUILT) && (old() || builder_is_gone(&name, &entry.path())) {
            discard(&entry.path());
        }
    }
}

/// Whether the process that builds a folder is known to be no more: its id, which stands before the time in the name, is
/// free, and the folder is not locked, as it is by a process of another container.
fn builder_is_gone(name: &str, folder: &Path) -> bool {
    let id = name.rsplit('-').nth(1).and_then(|id| id.parse::<u32>().ok());
    let processes = Path::new("/proc");
    id.is_some_and(|id| processes.join("self").exists() && !processes.join(id.to_string()).exists())
        && File::open(folder).is_ok_and(|folder| folder.try_lock().is_ok())
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
        fs::write(empty.join(RUN), "").unwrap();
        assert!(refused(&empty).contains("already holds a record; choose another folder"));
        assert!(refused(&empty.join("thesis.tex")).contains("is not a folder"));
        let below_a_file = refused(&empty.join("thesis.tex/run"));
        assert!(below_a_file.contains("cannot create the folder") && below_a_file.contains("thesis.tex"));
        assert!(refused(&root.path().join("x/..")).contains("names no folder"));
    }

    /// Whatever the instant at which a process that fills an empty folder is killed, the folder can be filled again.
    #[test]
    fn a_folder_whose_filling_was_killed_is_filled_again() {
        let files: &Files =
            &[(MACHINE, b"{}".to_vec()), ("samples.csv", b"a,b".to_vec()), (RUN, b"{}".to_vec())];
        let mut kills = 0;
        for after in 0.. {
            let root = tempfile::tempdir().unwrap();
            disk::fault::plan(after, disk::fault::Kind::Killed);
            let made = create_at(root.path(), files);
            let killed = disk::fault::clear();
            if !killed {
                made.unwrap();
                break;
            }
            if root.path().join(RUN).exists() {
                continue;
            }
            kills += 1;
            assert!(made.is_err());
            // another machine, restarted: its own file differs
            let again: &Files = &[(MACHINE, b"{1}".to_vec()), files[1].clone(), files[2].clone()];
            drop(create_at(root.path(), again).unwrap());
            assert_eq!(names(root.path()), [LOCK, MACHINE, RUN, "samples.csv"]);
            assert_eq!(fs::read(root.path().join(MACHINE)).unwrap(), b"{1}");
        }
        assert!(kills > 6, "{kills}");
    }

    #[test]
    fn files_of_others_are_never_taken_for_left_ones() {
        let files: &Files = &[("samples.csv", b"a,b".to_vec()), (RUN, b"{}".to_vec())];
        for (name, bytes, locked) in
            [("samples.csv", "mine", true), ("samples.csv", "a,b", false), (".thesis.tmp", "", true)]
        {
            let root = tempfile::tempdir().unwrap();
            fs::write(root.path().join(name), bytes).unwrap();
            if locked {
                fs::write(root.path().join(LOCK), "").unwrap();
            }
            let refused = create_at(root.path(), files).unwrap_err().to_string();
            assert!(refused.contains(&format!("is not empty (it holds `{name}`)")), "{refused}");
            assert_eq!(fs::read_to_string(root.path().join(name)).unwrap(), bytes);
        }
    }

    #[test]
    fn an_unfinished_record_in_the_way_is_told_with_the_command_that_goes_on() {
        let root = tempfile::tempdir().unwrap();
        let write = |run: &Run| fs::write(root.path().join(RUN), serde_json::to_vec(run).unwrap()).unwrap();
        write(&run());
        let refused = || create_at(root.path(), FILES).unwrap_err().to_string();
        assert!(refused().contains(&format!("`{}`", resume_command(root.path()))), "{}", refused());
        write(&Run { finished: Some("2026-11-22T06:00:00Z".into()), ..run() });
        assert!(!refused().contains("--resume"), "{}", refused());
    }

    #[test]
    fn folders_under_construction_go_when_old_or_when_their_process_is_gone() {
        let root = tempfile::tempdir().unwrap();
        let mut ended = std::process::Command::new("true").spawn().unwrap();
        let (gone, here) = (ended.id(), std::process::id());
        ended.wait().unwrap();
        for (name, age) in [
            (".pcnbench-old".to_owned(), 2 * ABANDONED),
            (format!(".pcnbench-a-{gone}-1"), Duration::ZERO),
            (format!(".pcnbench-b-{here}-1"), Duration::ZERO),
            (format!(".pcnbench-c-{gone}-2"), Duration::ZERO),
            (".pcnbench-new".to_owned(), Duration::ZERO),
            ("kept".to_owned(), 2 * ABANDONED),
        ] {
            fs::create_dir(root.path().join(&name)).unwrap();
            File::open(root.path().join(name)).unwrap().set_modified(SystemTime::now() - age).unwrap();
        }
        // a process of another container
        let elsewhere = File::open(root.path().join(format!(".pcnbench-c-{gone}-2"))).unwrap();
        elsewhere.lock().unwrap();
        remove_abandoned(root.path());
        let mut kept = vec![
            format!(".pcnbench-b-{here}-1"),
            format!(".pcnbench-c-{gone}-2"),
            ".pcnbench-new".into(),
            "kept".into(),
        ];
        if !cfg!(target_os = "linux") {
            kept.push(format!(".pcnbench-a-{gone}-1"));
        }
        kept.sort();
        assert_eq!(names(root.path()), kept);
    }
}
