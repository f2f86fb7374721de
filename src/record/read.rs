//! Reading a record: strictly, or not at all.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::columns::Row;
use super::header::{MACHINE, RUN};
use super::regime::RegimeRow;
use super::schema::{
    AlignmentRow, Machine, QuantityRow, RatioRow, Record, Run, Sample, SignalRow, SummaryRow, SCHEMA,
};
use super::shard::Shard;
use super::training::TrainingRow;
use super::{definition, ranges, seal, summarise, table};
use crate::{Error, Result};

/// Reads the record in `dir`, finished or not, if nothing in it contradicts anything else: its files are what was written
/// (their hashes tell), every value lies in the range of its column, points and rows are those of the
/// definition, and times and ratios follow from the samples.
///
/// Rows of points that `summary.csv` does not list belong to an interrupted writer and are dropped; in a finished record
/// no writer was interrupted, so that there they mean that the list has been cut.
/// A record may be read while it is being written.
///
/// # Errors
/// Names the file, line and column of whatever is missing, unknown, of another schema, out of range or contradictory.
pub fn read(dir: &Path) -> Result<Record> {
    let record = load(dir)?;
    definition::check(&record)?;
    summarise::check(&record)?;
    Ok(record)
}

/// How often a record is read whose writer replaces `run.json` meanwhile.
const ATTEMPTS: usize = 3;

/// The record in `dir` as its files have it: whole, in range, with their hashes, but not held against its definition.
pub(super) fn load(dir: &Path) -> Result<Record> {
    let header = || fs::read(dir.join(RUN)).ok();
    for _ in 1..ATTEMPTS {
        let before = header();
        match load_once(dir) {
            // A writer that finishes a record takes away what an unfinished one is checked by.
            Err(_) if header() != before => {}
            done => return done,
        }
    }
    load_once(dir)
}

fn load_once(dir: &Path) -> Result<Record> {
    let run = read_run(dir)?;
    // Before the tables: what it says of them stays true while they grow.
    let seal = match &run.finished {
        Some(_) => bytes(&dir.join(seal::SEAL))?,
        None => bytes(&dir.join(seal::PROGRESS))?,
    };
    // The first of the tables, because a writer replaces it last: all rows of the points it lists are then already there.
    let summary_csv = bytes(&dir.join(SummaryRow::FILE))?;
    let [run_json, machine_json, samples, ratios, signals, alignments] =
        [RUN, MACHINE, Sample::FILE, RatioRow::FILE, SignalRow::FILE, AlignmentRow::FILE]
            .map(|name| bytes(&dir.join(name)));
    let (run_json, machine_json) = (run_json?, machine_json?);
    let (samples, ratios, signals, alignments) = (samples?, ratios?, signals?, alignments?);
    let regimes = optional::<RegimeRow>(dir)?;
    let training = optional::<TrainingRow>(dir)?;
    let quantities = optional::<QuantityRow>(dir)?;

    let summary: Vec<SummaryRow> = rows(dir, &summary_csv)?;
    check_unique(&dir.join(SummaryRow::FILE), &summary)?;
    let finished: HashSet<&str> = summary.iter().map(|row| row.point.as_str()).collect();
    let record = Record {
        dir: dir.to_path_buf(),
        machine: json(&dir.join(MACHINE), &machine_json)?,
        samples: finished_rows(dir, &run, &samples, &finished)?,
        ratios: finished_rows(dir, &run, &ratios, &finished)?,
        signals: finished_rows(dir, &run, &signals, &finished)?,
        alignments: finished_rows(dir, &run, &alignments, &finished)?,
        regimes: optional_rows(dir, &run, regimes.as_deref(), &finished)?,
        training: optional_rows(dir, &run, training.as_deref(), &finished)?,
        quantities: optional_rows(dir, &run, quantities.as_deref(), &finished)?,
        summary,
        run,
    };
    ranges::check(&record)?;
    let mut files: seal::Contents<'_> = vec![
        (RUN, &run_json),
        (MACHINE, &machine_json),
        (Sample::FILE, &samples),
        (SummaryRow::FILE, &summary_csv),
        (RatioRow::FILE, &ratios),
        (SignalRow::FILE, &signals),
        (AlignmentRow::FILE, &alignments),
    ];
    files.extend(regimes.as_deref().map(|bytes| (RegimeRow::FILE, bytes)));
    files.extend(training.as_deref().map(|bytes| (TrainingRow::FILE, bytes)));
    files.extend(quantities.as_deref().map(|bytes| (QuantityRow::FILE, bytes)));
    match record.run.finished {
        Some(_) => seal::check_seal(dir, &seal, &files)?,
        None => json::<seal::Progress>(&dir.join(seal::PROGRESS), &seal)?.check(dir, &files)?,
    }
    Ok(record)
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
    let found = bytes(&path)?;
    let value: serde_json::Value = json(&path, &found)?;
    // Before the fields: those of another schema would be called unknown, which explains nothing.
    match value.get("schema").and_then(serde_json::Value::as_u64) {
        Some(schema) if schema == u64::from(SCHEMA) => json(&path, &found),
        Some(schema) => Err(Error::content(
            &path,
            format!(
                "schema {schema}, but this version reads schema {SCHEMA} alone; read it with the version that wrote it, or measure again"
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
    let machine = |path: &Path| json::<Machine>(path, &bytes(path)?);
    let here = |dir: &Path| machine(&dir.join(MACHINE)).is_ok_and(|machine| machine.cpu == cpu);
    latest(classes.flat_map(|class| unfinished(&class)).filter(|(run, dir)| fits(run) && here(dir)))
}

/// Unfinished records in a folder.
fn unfinished(folder: &Path) -> impl Iterator<Item = (Run, PathBuf)> + use<> {
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

/// The bytes of a table that a record may lack; whether it should have it, its hashes say.
fn optional<R: Row>(dir: &Path) -> Result<Option<Vec<u8>>> {
    let path = dir.join(R::FILE);
    match fs::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if R::OPTIONAL && e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("read", &path, e)),
    }
}

fn json<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|e| match e.is_eof() {
        true => Error::content(path, "is empty or cut off; restore the file or measure again"),
        false => Error::content(path, e.to_string()),
    })
}

fn rows<R: Row>(dir: &Path, bytes: &[u8]) -> Result<Vec<R>> {
    table::parse(&dir.join(R::FILE), bytes)
}

fn finished_rows<R: Row>(dir: &Path, run: &Run, bytes: &[u8], finished: &HashSet<&str>) -> Result<Vec<R>> {
    let mut rows: Vec<R> = rows(dir, bytes)?;
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

fn optional_rows<R: Row>(
    dir: &Path,
    run: &Run,
    bytes: Option<&[u8]>,
    finished: &HashSet<&str>,
) -> Result<Vec<R>> {
    let Some(bytes) = bytes else { return Ok(Vec::new()) };
    finished_rows(dir, run, bytes, finished)
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
    use crate::record::fixture::{machine, regime, result, run, with_regime};
    use crate::record::store::Store;

    fn record() -> (tempfile::TempDir, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let mut store = Store::create(root.path(), &machine(), &run(), None).unwrap();
        store.finish_point(&result("p", 8)).unwrap();
        let dir = store.dir().to_path_buf();
        (root, dir)
    }

    fn refusal(dir: &Path) -> String {
        load(dir).unwrap_err().to_string()
    }

    #[test]
    fn what_was_written_is_read() {
        let (_root, dir) = record();
        let record = load(&dir).unwrap();
        let expected = result("p", 8);
        assert_eq!((record.run, record.machine), (run(), machine()));
        assert_eq!((record.samples, record.summary), (expected.samples, expected.summary));
        assert_eq!((record.ratios, record.signals), (expected.ratios, expected.signals));
        assert_eq!(record.alignments, expected.alignments);
    }

    /// Rows that no point of the list owns are an interrupted writer's in an unfinished record; in a finished one they
    /// mean that the list has been cut.
    #[test]
    fn a_finished_record_lists_all_its_points() {
        let (_root, dir) = record();
        let whole = load(&dir).unwrap();
        let samples = dir.join(Sample::FILE);
        let more = fs::read_to_string(&samples).unwrap() + "q,bp/reference,0,0,1,1,,1,,\n";
        fs::write(&samples, more).unwrap();
        assert_eq!(load(&dir).unwrap(), whole);
        let (store, _) = Store::resume(&dir, &machine(), &run()).unwrap();
        let dir = store.finish("2026-11-22T06:00:00Z".into(), vec![]).unwrap();
        let list = dir.join(SummaryRow::FILE);
        let text = fs::read_to_string(&list).unwrap();
        fs::write(&list, text.lines().next().unwrap().to_owned() + "\n").unwrap();
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

    /// With a first point that has no regime and a second one that has.
    fn record_with_regimes() -> (tempfile::TempDir, PathBuf) {
        let (root, dir) = record();
        let (mut store, _) = Store::resume(&dir, &machine(), &run()).unwrap();
        store.finish_point(&with_regime(result("q", 8))).unwrap();
        (root, dir)
    }

    fn finished(dir: &Path) -> PathBuf {
        let (store, _) = Store::resume(dir, &machine(), &run()).unwrap();
        store.finish("2026-11-22T06:00:00Z".into(), vec![]).unwrap()
    }

    #[test]
    fn a_record_without_an_optional_file_has_no_such_rows() {
        let (_root, dir) = record();
        assert!(!dir.join(RegimeRow::FILE).exists());
        assert_eq!(load(&dir).unwrap().regimes, vec![]);
        let dir = finished(&dir);
        assert!(!fs::read_to_string(dir.join(seal::SEAL)).unwrap().contains(RegimeRow::FILE));
        assert_eq!(load(&dir).unwrap().regimes, vec![]);
    }

    #[test]
    fn an_optional_file_is_read_and_sealed() {
        let (_root, dir) = record_with_regimes();
        let expected = vec![regime("q", "bp/reference")];
        assert_eq!(load(&dir).unwrap().regimes, expected);
        let dir = finished(&dir);
        assert!(fs::read_to_string(dir.join(seal::SEAL)).unwrap().contains(RegimeRow::FILE));
        assert_eq!(load(&dir).unwrap().regimes, expected);
    }

    /// Missing, changed or smuggled in: finished or not.
    #[test]
    fn an_optional_file_is_what_was_written() {
        for finish in [false, true] {
            let (_root, dir) = record_with_regimes();
            let dir = if finish { finished(&dir) } else { dir };
            let path = dir.join(RegimeRow::FILE);
            let text = fs::read_to_string(&path).unwrap();
            fs::remove_file(&path).unwrap();
            assert!(refusal(&dir).contains("regimes.csv: this file of the record is missing"));
            fs::write(&path, text.replace("0.6,", "0.7,")).unwrap();
            assert!(refusal(&dir).contains("regimes.csv: is not what was written"), "{}", refusal(&dir));
            fs::write(&path, "").unwrap();
            assert!(refusal(&dir).contains("regimes.csv: line 1: column `point` is missing"));
            fs::write(&path, &text).unwrap();
            load(&dir).unwrap();
        }
        let (_root, dir) = record();
        let dir = finished(&dir);
        let mut bytes = table::header::<RegimeRow>();
        table::append(&mut bytes, &[regime("p", "bp/reference")]).unwrap();
        fs::write(dir.join(RegimeRow::FILE), bytes).unwrap();
        assert!(refusal(&dir).contains("files.sha256: does not list `regimes.csv`"), "{}", refusal(&dir));
    }

    /// As a writer that was killed between the tables and their list leaves it.
    #[test]
    fn rows_of_an_unfinished_point_are_dropped_with_their_file() {
        let (_root, dir) = record();
        let mut bytes = table::header::<RegimeRow>();
        table::append(&mut bytes, &[regime("q", "bp/reference")]).unwrap();
        fs::write(dir.join(RegimeRow::FILE), bytes).unwrap();
        assert_eq!(load(&dir).unwrap().regimes, vec![]);
        drop(Store::resume(&dir, &machine(), &run()).unwrap());
        assert!(!dir.join(RegimeRow::FILE).exists());
        assert_eq!(load(&dir).unwrap().regimes, vec![]);
    }

    #[test]
    fn another_schema_or_an_unknown_key_is_refused() {
        let (_root, dir) = record();
        let path = dir.join(RUN);
        let text = fs::read_to_string(&path).unwrap();
        let newer = SCHEMA + 1;
        fs::write(&path, text.replace(&format!("\"schema\": {SCHEMA}"), &format!("\"schema\": {newer}")))
            .unwrap();
        let expected = format!("run.json: schema {newer}, but this version reads schema {SCHEMA} alone");
        assert!(refusal(&dir).contains(&expected));
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
        fn a_wrong_byte_is_no_panic(file in 0usize..8, at: prop::sample::Index, byte: u8) {
            let (_root, dir) = record_with_regimes();
            let tables = ["samples.csv", "summary.csv", "ratios.csv", "signals.csv", "alignments.csv", "regimes.csv"];
            let name = [&[RUN, MACHINE][..], &tables].concat()[file];
            let path = dir.join(name);
            let mut content = fs::read(&path).unwrap();
            let at = at.index(content.len());
            content[at] = byte;
            fs::write(&path, &content).unwrap();
            if let Err(error) = load(&dir) {
                prop_assert!(error.to_string().contains(name), "{}", error);
            }
        }
    }
}
