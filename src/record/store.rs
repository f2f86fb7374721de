//! Writing a record: point by point, resumable, never half-written.
//!
//! Every file is replaced as a whole (see `disk.rs`), `summary.csv` last, because a point counts as
//! finished only when it is listed there. Rewriting what is already there costs milliseconds per point,
//! next to seconds of measuring; appending would leave torn lines behind a crash.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::columns::Row;
use super::header::{to_json, MACHINE, RUN};
use super::schema::{Machine, PointResult, Run, SCHEMA};
use super::seal::{self, Progress};
use super::table::Tables;
use super::{disk, facts, folder, read};
use crate::{Error, Result};

/// The writer of one run directory. Dropping it leaves a record that can be resumed.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    run: Run,
    /// The bytes of `run.json` and `machine.json` on disk.
    headers: [Vec<u8>; 2],
    finished: Vec<String>,
    tables: Tables,
    /// Whether files may hold rows of a point that could not be finished.
    torn: bool,
    _lock: File,
}

impl Store {
    /// Begins a record: in `explicit_dir` if given, otherwise in a new folder
    /// `root/<machine class>/<YYYY-MM-DD>-<rev>[+dirty]-<suite>`, with `-2`, `-3`, … if that exists.
    ///
    /// # Errors
    /// If `explicit_dir` holds anything, or a folder or file cannot be written.
    pub fn create(root: &Path, machine: &Machine, run: &Run, explicit_dir: Option<&Path>) -> Result<Self> {
        check_run(run)?;
        let tables = Tables::empty();
        let headers = [to_json(run)?, to_json(machine)?];
        let mut files = vec![(MACHINE, headers[1].clone())];
        files.extend(tables.files().map(|(name, bytes)| (name, bytes.clone())));
        let progress = Progress::of(vec![seal::sha256(&headers[0])], &headers[1], &tables);
        files.push((seal::PROGRESS, progress.to_bytes()?));
        files.push((RUN, headers[0].clone()));

        let (dir, lock) = match explicit_dir {
            Some(dir) => (dir.to_path_buf(), folder::create_at(dir, &files)?),
            None => {
                folder::create_under(&root.join(folder::slug(&machine.class)), &folder::name(run), &files)?
            }
        };
        Ok(Self { dir, run: run.clone(), headers, finished: vec![], tables, torn: false, _lock: lock })
    }

    /// Takes up the unfinished record in `dir`, and says which points are finished.
    ///
    /// `run` is what a new record would get. Definition, seed, machine class and worker threads must be
    /// those of the record, because its points are to be compared with each other; a difference in code
    /// becomes a warning in the record.
    ///
    /// # Errors
    /// If the record is finished, damaged, differs in the above, or is being written by another process.
    pub fn resume(dir: &Path, machine: &Machine, run: &Run) -> Result<(Self, Vec<String>)> {
        // Before the lock, which would otherwise leave a file in a folder that is none of ours.
        check_resumable(dir, &read::read_run(dir)?, run)?;
        let lock = folder::lock(dir)?;
        disk::sweep(dir);
        let record = read::load(dir)?;
        check_resumable(dir, &record.run, run)?;
        if record.machine.class != machine.class {
            let problem = format!(
                "cannot be resumed: it was begun on machine class `{}` and this is `{}`; start a new record",
                record.machine.class, machine.class
            );
            return Err(Error::content(dir, problem));
        }
        let tables = Tables::of(&record)?;
        // Without the rows of the point that was interrupted, which would otherwise stay if none follows.
        for (name, bytes) in tables.all() {
            if fs::read(dir.join(name)).unwrap_or_default() != *bytes {
                put(dir, name, bytes)?;
            }
        }
        let bytes = |name| {
            let path = dir.join(name);
            fs::read(&path).map_err(|e| Error::io("read", &path, e))
        };
        let headers = [bytes(RUN)?, bytes(MACHINE)?];
        let finished = record.finished_points();
        let mut store = Self {
            dir: dir.to_path_buf(),
            run: record.run,
            headers,
            finished: finished.clone(),
            tables,
            torn: false,
            _lock: lock,
        };
        // A writer that was killed between the last point and this note of it has left the note behind by a point.
        store.note_progress(&[])?;
        if let Some(warning) = code_difference(&store.run, run) {
            store.update_run(|run| push_new(&mut run.warnings, warning))?;
        }
        Ok((store, finished))
    }

    /// The run directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// `run.json` as it is on disk.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// Ids of the finished points, in the order in which they finished.
    pub fn finished(&self) -> &[String] {
        &self.finished
    }

    /// Writes a finished point; when this returns, the point survives a crash.
    ///
    /// # Errors
    /// If the rows do not all belong to one new point, or a file cannot be written. The record then still
    /// reads as it did before, and the call may be repeated.
    pub fn finish_point(&mut self, result: &PointResult) -> Result<()> {
        let point = self.check_point(result)?.to_owned();
        let before = self.tables.lengths();
        let written = self.tables.append(result).and_then(|()| {
            let mut files = self.tables.all().into_iter().zip(before);
            files.try_for_each(|((name, bytes), before)| match self.torn || bytes.len() > before {
                true => put(&self.dir, name, bytes),
                false => Ok(()),
            })?;
            self.note_progress(&[])
        });
        self.torn = written.is_err();
        match written {
            Ok(()) => self.finished.push(point),
            Err(_) => self.tables.truncate(before),
        }
        written
    }

    /// Changes `run.json`, for what is only known later, such as measured ceilings.
    ///
    /// # Errors
    /// If the change makes it unreadable, or the file cannot be written.
    pub fn update_run(&mut self, change: impl FnOnce(&mut Run)) -> Result<()> {
        let mut run = self.run.clone();
        change(&mut run);
        check_run(&run)?;
        let bytes = to_json(&run)?;
        self.note_progress(&[&bytes])?;
        disk::replace(&self.dir.join(RUN), &bytes)?;
        (self.run, self.headers[0]) = (run, bytes);
        self.note_progress(&[])
    }

    /// Notes the hashes of what is on disk; `next` is a `run.json` that is about to be.
    fn note_progress(&self, next: &[&Vec<u8>]) -> Result<()> {
        let run = [&self.headers[0]].into_iter().chain(next.iter().copied()).map(|bytes| seal::sha256(bytes));
        let progress = Progress::of(run.collect(), &self.headers[1], &self.tables);
        disk::replace(&self.dir.join(seal::PROGRESS), &progress.to_bytes()?)
    }

    /// Ends the record: notes the time `finished` (RFC 3339) and adds those `warnings` that it does not
    /// hold yet. Returns the run directory.
    ///
    /// # Errors
    /// If `run.json` cannot be written; the record can then be resumed.
    pub fn finish(mut self, finished: String, warnings: Vec<String>) -> Result<PathBuf> {
        self.run.finished = Some(finished);
        warnings.into_iter().for_each(|warning| push_new(&mut self.run.warnings, warning));
        check_run(&self.run)?;
        // The hashes first: as long as `run.json` says that the record is unfinished, nothing reads them.
        let run = to_json(&self.run)?;
        let seal = seal_of(&run, &self.headers[1], &self.tables);
        disk::replace(&self.dir.join(seal::SEAL), &seal)?;
        disk::replace(&self.dir.join(RUN), &run)?;
        // A finished record cannot be resumed, so these have no more use; a leftover does no harm.
        for name in [seal::PROGRESS, folder::LOCK] {
            let _ = fs::remove_file(self.dir.join(name));
        }
        Ok(self.dir)
    }

    fn check_point<'a>(&self, result: &'a PointResult) -> Result<&'a str> {
        let Some(first) = result.summary.first() else {
            return Err(Error::Invalid(
                "a finished point needs a summary row, or nothing would list it".into(),
            ));
        };
        let point = first.point.as_str();
        if self.finished.iter().any(|id| id == point) {
            return Err(Error::Invalid(format!("point `{point}` is already finished in this record")));
        }
        let stranger = strangers(&result.summary, point)
            .chain(strangers(&result.samples, point))
            .chain(strangers(&result.ratios, point))
            .chain(strangers(&result.signals, point))
            .chain(strangers(&result.alignments, point))
            .chain(strangers(&result.regimes, point))
            .chain(strangers(&result.training, point))
            .chain(strangers(&result.quantities, point))
            .next();
        let mut seen = HashSet::new();
        if let Some(row) = result.summary.iter().find(|row| !seen.insert(&row.contender)) {
            return Err(Error::Invalid(format!(
                "two rows of contender `{}` at point `{point}`",
                row.contender
            )));
        }
        match stranger {
            None => Ok(point),
            Some(other) => {
                Err(Error::Invalid(format!("rows of point `{other}` among those of point `{point}`")))
            }
        }
    }
}

/// Writes a table; one without bytes, which is optional, must not exist.
fn put(dir: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = dir.join(name);
    if !bytes.is_empty() {
        return disk::replace(&path, bytes);
    }
    match disk::remove(&path) {
        Ok(()) => disk::flush_folder(dir),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(Error::io("remove", &path, e)),
    }
}

/// `files.sha256` of a finished record.
pub(super) fn seal_of(run: &[u8], machine: &[u8], tables: &Tables) -> Vec<u8> {
    let headers = [(RUN, run), (MACHINE, machine)];
    let tables = tables.files().map(|(name, bytes)| (name, bytes.as_slice()));
    seal::seal(&headers.into_iter().chain(tables).collect::<Vec<_>>())
}

/// Points of rows that do not belong to `point`.
fn strangers<'a, R: Row>(rows: &'a [R], point: &'a str) -> impl Iterator<Item = &'a str> {
    rows.iter().map(Row::point).filter(move |other| *other != point)
}

/// Refuses what `run.json` could not hold or no reader could read back.
pub(super) fn check_run(run: &Run) -> Result<()> {
    if run.schema != SCHEMA {
        return Err(Error::Invalid(format!(
            "a record of schema {} cannot be written, only {SCHEMA}",
            run.schema
        )));
    }
    match run.ceilings.iter().find(|ceiling| !ceiling.per_second.is_finite()) {
        None => Ok(()),
        // JSON has no such numbers: they would be written as null.
        Some(bad) => {
            Err(Error::Invalid(format!("the {} ceiling is {}, not a rate", bad.quantity, bad.per_second)))
        }
    }
}

fn check_resumable(dir: &Path, found: &Run, run: &Run) -> Result<()> {
    let part = |run: &Run| run.shard.map_or("the whole suite".to_owned(), |shard| format!("shard {shard}"));
    let problem = if found.finished.is_some() {
        "it is finished; start a new record".to_owned()
    } else if found.shard != run.shard {
        format!("it is {} and this is {}; give the --shard it was begun with", part(found), part(run))
    } else if found.definition_sha256 != run.definition_sha256 {
        format!(
            "it has another definition of suite `{}` (sha256 {}, now {}); use the suite and options it was begun with, or start a new record",
            found.suite, found.definition_sha256, run.definition_sha256
        )
    } else if found.seed != run.seed {
        format!(
            "it was begun with seed {} and this is {}; use that seed, or start a new record",
            found.seed, run.seed
        )
    } else if found.threads != run.threads {
        format!(
            "it was begun with {} worker threads and these are {}; give --threads {}, or start a new record",
            found.threads, run.threads, found.threads
        )
    } else {
        return Ok(());
    };
    Err(Error::content(dir, format!("cannot be resumed: {problem}")))
}

/// What a reader should know if the code that resumes is not the code that began.
fn code_difference(found: &Run, run: &Run) -> Option<String> {
    let pairs = facts::code(found).into_iter().zip(facts::code(run));
    let differences = pairs.filter(|((_, old), (_, new))| old != new);
    let listed = differences
        .map(|((what, old), (_, new))| format!("{what} `{new}` instead of `{old}`"))
        .collect::<Vec<_>>();
    (!listed.is_empty()).then(|| format!("resumed at {} by other code: {}", run.started, listed.join(", ")))
}

fn push_new(warnings: &mut Vec<String>, warning: String) {
    if !warnings.contains(&warning) {
        warnings.push(warning);
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
