//! Reading a record: strictly, or not at all.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::columns::Row;
use super::schema::{Machine, Record, Run, SummaryRow, OLDEST_SCHEMA, SCHEMA};
use super::shard::Shard;
use super::table;
use crate::{Error, Result};

/// File of [`Run`].
pub(super) const RUN: &str = "run.json";
/// File of [`Machine`](super::Machine).
pub(super) const MACHINE: &str = "machine.json";

/// Reads the record in `dir`, finished or not.
///
/// Rows of points that `summary.csv` does not list belong to an interrupted writer and are dropped; in a finished record
/// nobody was interrupted, so that there they mean that the list has been cut.
/// A record may be read while it is being written.
///
/// # Errors
/// Names the file, line and column of whatever is missing, unknown, of another schema or unreadable.
pub fn read(dir: &Path) -> Result<Record> {
    let run = read_run(dir)?;
    let machine = json(&dir.join(MACHINE))?;
    // First, because a writer replaces it last: all rows of the points it lists are then already there.
    let summary: Vec<SummaryRow> = rows(dir, run.schema)?;
    check_unique(&dir.join(SummaryRow::FILE), &summary)?;
    let finished: HashSet<&str> = summary.iter().map(|row| row.point.as_str()).collect();
    Ok(Record {
        dir: dir.to_path_buf(),
        machine,
        samples: finished_rows(dir, &run, &finished)?,
        ratios: finished_rows(dir, &run, &finished)?,
        signals: finished_rows(dir, &run, &finished)?,
        alignments: finished_rows(dir, &run, &finished)?,
        summary,
        run,
    })
}

/// Reads only `run.json`.
///
/// # Errors
/// As [`read`].
pub fn read_run(dir: &Path) -> Result<Run> {
    let path = dir.join(RUN);
    if !path.exists() {
        let problem = if dir.is_dir() {
            "is not a record: it holds no run.json; give a folder that `pcnbench run` wrote"
        } else {
            "there is no such folder; give a folder that `pcnbench run` wrote"
        };
        return Err(Error::content(dir, problem));
    }
    let value: serde_json::Value = json(&path)?;
    // Before the fields: those of another schema would be called unknown, which explains nothing.
    match value.get("schema").and_then(serde_json::Value::as_u64) {
        Some(found) if (u64::from(OLDEST_SCHEMA)..=u64::from(SCHEMA)).contains(&found) => json(&path),
        Some(found) => Err(Error::content(
            &path,
            format!(
                "schema {found}, but this version reads schemas {OLDEST_SCHEMA} to {SCHEMA}; read it with the version that wrote it"
            ),
        )),
        None => Err(Error::content(&path, "key `schema` is missing or not a number, so this is no record")),
    }
}

/// The most recently started unfinished record of a suite, or of one shard of it, under `root/class`, to be resumed.
///
/// Folders that are not readable records are passed over: one damaged record must not keep the others
/// from being found.
pub fn latest_unfinished(root: &Path, class: &str, suite: &str, shard: Option<Shard>) -> Option<PathBuf> {
    latest(unfinished(&root.join(class)).filter(|(run, _)| run.suite == suite && run.shard == shard))
}

/// The same of any suite that `fits`, measured on a machine with the processor `cpu`, under `root`.
pub fn latest_unfinished_on(root: &Path, cpu: &str, fits: impl Fn(&Run) -> bool) -> Option<PathBuf> {
    let classes = fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    let here = |dir: &Path| json::<Machine>(&dir.join(MACHINE)).is_ok_and(|machine| machine.cpu == cpu);
    latest(classes.flat_map(|class| unfinished(&class)).filter(|(run, dir)| fits(run) && here(dir)))
}

/// Unfinished records in a folder.
fn unfinished(folder: &Path) -> impl Iterator<Item = (Run, PathBuf)> {
    let dirs = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    // Hidden folders are records under construction.
    let visible =
        |dir: &PathBuf| !dir.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    let records = dirs.filter(visible).filter_map(|dir| Some((read_run(&dir).ok()?, dir)));
    records.filter(|(run, _)| run.finished.is_none())
}

fn latest(records: impl Iterator<Item = (Run, PathBuf)>) -> Option<PathBuf> {
    // RFC 3339 in UTC sorts as text.
    records.max_by(|(a, dir_a), (b, dir_b)| (&a.started, dir_a).cmp(&(&b.started, dir_b))).map(|(_, dir)| dir)
}

fn bytes(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => {
            Error::content(path, "this file of the record is missing; restore it or measure again")
        }
        _ => Error::io("read", path, e),
    })
}

fn json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    serde_json::from_slice(&bytes(path)?).map_err(|e| match e.is_eof() {
        true => Error::content(path, "is empty or cut off; restore the file or measure again"),
        false => Error::content(path, e.to_string()),
    })
}

fn rows<R: Row>(dir: &Path, schema: u32) -> Result<Vec<R>> {
    let path = dir.join(R::FILE);
    table::parse(&path, &bytes(&path)?, schema)
}

fn finished_rows<R: Row>(dir: &Path, run: &Run, finished: &HashSet<&str>) -> Result<Vec<R>> {
    let mut rows: Vec<R> = rows(dir, run.schema)?;
    let unlisted = rows.iter().find(|row| !finished.contains(row.point()));
    if let Some(row) = unlisted.filter(|_| run.finished.is_some()) {
        let problem = format!(
            "does not list point `{}`, of which {} holds rows, though the record is finished; restore the file or measure \
             again",
            row.point(),
            R::FILE
        );
        return Err(Error::content(&dir.join(SummaryRow::FILE), problem));
    }
    rows.retain(|row| finished.contains(row.point()));
    Ok(rows)
}

fn check_unique(path: &Path, summary: &[SummaryRow]) -> Result<()> {
    let mut seen = HashSet::new();
    match summary.iter().find(|row| !seen.insert((&row.point, &row.contender))) {
        None => Ok(()),
        Some(row) => Err(Error::content(
            path,
            format!("contender `{}` at point `{}` has two rows; one is allowed", row.contender, row.point),
        )),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::fixture::{machine, result, run};
    use crate::record::store::Store;

    fn record() -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let mut store = Store::create(root.path(), &machine(), &run(), None).unwrap();
        store.finish_point(&result("p", 8)).unwrap();
        let dir = store.dir().to_path_buf();
        (root, dir)
    }

    fn refusal(dir: &Path) -> String {
        read(dir).unwrap_err().to_string()
    }

    #[test]
    fn what_was_written_is_read() {
        let (_root, dir) = record();
        let record = read(&dir).unwrap();
        let expected = result("p", 8);
        assert_eq!((record.run, record.machine), (run(), machine()));
        assert_eq!((record.samples, record.summary), (expected.samples, expected.summary));
        assert_eq!((record.ratios, record.signals), (expected.ratios, expected.signals));
        assert_eq!(record.alignments, expected.alignments);
    }

    /// A list cut short in an unfinished record is an interrupted writer's, in a finished one somebody's mistake.
    #[test]
    fn a_finished_record_lists_all_its_points() {
        let (_root, dir) = record();
        let list = dir.join(SummaryRow::FILE);
        let header =
            fs::read_to_string(&list).unwrap().lines().take(1).map(|l| format!("{l}\n")).collect::<String>();
        fs::write(&list, header).unwrap();
        let found = read(&dir).unwrap();
        assert!(found.samples.is_empty() && found.summary.is_empty());
        let run = Run { finished: Some("2026-11-22T06:00:00Z".into()), ..found.run };
        fs::write(dir.join(RUN), serde_json::to_string(&run).unwrap()).unwrap();
        let said = refusal(&dir);
        assert!(said.contains("summary.csv") && said.contains("does not list point `p"), "{said}");
    }

    #[test]
    fn each_file_must_be_there() {
        for file in [MACHINE, "samples.csv", "summary.csv", "ratios.csv", "signals.csv", "alignments.csv"] {
            let (_root, dir) = record();
            fs::remove_file(dir.join(file)).unwrap();
            let message = refusal(&dir);
            assert!(message.contains(&format!("{file}: this file of the record is missing")), "{message}");
        }
        let (_root, dir) = record();
        fs::remove_file(dir.join(RUN)).unwrap();
        assert!(refusal(&dir).contains("holds no run.json"));
        assert!(refusal(&dir.join("nowhere")).contains("no such folder"));
    }

    #[test]
    fn another_schema_or_an_unknown_key_is_refused() {
        let (_root, dir) = record();
        let path = dir.join(RUN);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("\"schema\": 3", "\"schema\": 4")).unwrap();
        assert!(refusal(&dir).contains("run.json: schema 4, but this version reads schemas 1 to 3"));
        fs::write(&path, text.replace("\"seed\"", "\"seeds\"")).unwrap();
        assert!(refusal(&dir).contains("run.json: unknown field `seeds`"), "{}", refusal(&dir));
        fs::write(&path, text.replace("\"schema\"", "\"scheme\"")).unwrap();
        assert!(refusal(&dir).contains("run.json: key `schema` is missing"));
        for cut in [0, text.len() / 2] {
            fs::write(&path, &text[..cut]).unwrap();
            assert!(refusal(&dir).contains("run.json: is empty or cut off"), "{}", refusal(&dir));
        }
    }

    #[test]
    fn a_repeated_row_is_refused() {
        let (_root, dir) = record();
        let path = dir.join("summary.csv");
        let text = fs::read_to_string(&path).unwrap();
        let second = text.lines().nth(1).unwrap();
        fs::write(&path, format!("{text}{second}\n")).unwrap();
        assert!(refusal(&dir).contains("contender `bp/reference` at point `p` has two rows"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        /// One wrong byte anywhere: read or refused with a sentence, never a panic.
        #[test]
        fn a_wrong_byte_is_no_panic(file in 0usize..7, at: prop::sample::Index, byte: u8) {
            let (_root, dir) = record();
            let name =
                [RUN, MACHINE, "samples.csv", "summary.csv", "ratios.csv", "signals.csv", "alignments.csv"][file];
            let path = dir.join(name);
            let mut content = fs::read(&path).unwrap();
            let at = at.index(content.len());
            content[at] = byte;
            fs::write(&path, &content).unwrap();
            if let Err(error) = read(&dir) {
                prop_assert!(error.to_string().contains(name), "{}", error);
            }
        }
    }
}
