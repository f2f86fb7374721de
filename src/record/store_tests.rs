//! The files that a writer leaves, whatever happens to it.

use std::fs;
use std::path::Path;

use super::*;
use crate::record::disk::fault::{self, Kind};
use crate::record::fixture::{alignment, machine, names, regime, result, run, signal, summary, with_regime};
use crate::record::Record;
use crate::record::{latest_unfinished, schema::Ceiling, summarise};

const POINTS: [&str; 3] = ["p@depth=2", "p@depth=4", "p@depth=8"];

/// A point; all but the first have a regime, so that this file comes with the second one.
fn measured(point: &str) -> PointResult {
    match point == POINTS[0] {
        true => result(point, 8),
        false => with_regime(result(point, 8)),
    }
}

fn create(root: &Path) -> Result<Store> {
    Store::create(root, &machine(), &run(), None)
}

/// The whole life of a record, as far as it gets. Returns the points whose `finish_point` returned.
fn write(root: &Path, out: Option<&Path>) -> (Vec<&'static str>, Result<()>) {
    let mut done = vec![];
    let all = Store::create(root, &machine(), &run(), out).and_then(|mut store| {
        for point in POINTS {
            store.finish_point(&measured(point))?;
            done.push(point);
        }
        store.finish("2026-11-22T06:00:00Z".into(), vec![]).map(|_| ())
    });
    (done, all)
}

fn points(record: &Record) -> Vec<&str> {
    record.summary.iter().map(|row| row.point.as_str()).step_by(3).collect()
}

/// A process that vanishes before any of its file operations leaves no record or a readable one, with
/// every point that was reported as finished, intact; and resuming completes it to the same bytes.
#[test]
fn killed_anywhere() {
    let whole = tempfile::tempdir().unwrap();
    write(whole.path(), None).1.unwrap();
    let class = |root: &Path| root.join("cpu-test-4c");
    let whole_dir = class(whole.path()).join("2026-11-22-abc1234-quick");

    for after in 0.. {
        let root = tempfile::tempdir().unwrap();
        fault::plan(after, Kind::Killed);
        let (done, outcome) = write(root.path(), None);
        if !fault::clear() {
            outcome.unwrap();
            assert!(after > 60, "a record takes more than {after} operations");
            break;
        }
        let visible: Vec<_> =
            names(&class(root.path())).into_iter().filter(|n| !n.starts_with('.')).collect();
        let Some(name) = visible.first() else {
            assert!(done.is_empty(), "operation {after}: lost {done:?}");
            continue;
        };
        let dir = class(root.path()).join(name);
        let record = read::load(&dir).unwrap();
        summarise::check(&record).unwrap();
        let found = points(&record);
        // The last point may be on disk although the process died before it could say so.
        assert!(found == done || found == POINTS[..done.len() + 1], "operation {after}: {done:?}, {found:?}");

        let finished = if record.run.finished.is_none() {
            assert_eq!(latest_unfinished(root.path(), "cpu-test-4c", "quick", None), Some(dir.clone()));
            let (mut store, finished) = Store::resume(&dir, &machine(), &run()).unwrap();
            assert_eq!(finished, found, "operation {after}");
            for point in &POINTS[finished.len()..] {
                store.finish_point(&measured(point)).unwrap();
            }
            store.finish("2026-11-22T06:00:00Z".into(), vec![]).unwrap()
        } else {
            dir
        };
        for file in names(&whole_dir) {
            assert_eq!(
                fs::read(finished.join(&file)).unwrap(),
                fs::read(whole_dir.join(&file)).unwrap(),
                "{file}"
            );
        }
        let harmless = [folder::LOCK, seal::PROGRESS];
        let left =
            names(&finished).into_iter().filter(|n| !harmless.contains(&n.as_str())).collect::<Vec<_>>();
        assert_eq!(left, names(&whole_dir), "operation {after}");
    }
}

/// The same in a folder that was there before, where the record cannot appear by a rename.
#[test]
fn killed_anywhere_in_an_existing_folder() {
    for after in 0.. {
        let out = tempfile::tempdir().unwrap();
        fault::plan(after, Kind::Killed);
        let (done, _) = write(Path::new("unused"), Some(out.path()));
        if !fault::clear() {
            break;
        }
        match read::load(out.path()) {
            Ok(record) => assert!(points(&record).starts_with(&done)),
            Err(_) => assert!(done.is_empty() && !out.path().join(RUN).exists(), "operation {after}"),
        }
    }
}

/// A disk that is full at any one operation: a sentence, nothing half-written, and the next try works.
#[test]
fn full_disk_anywhere() {
    for after in 0.. {
        let root = tempfile::tempdir().unwrap();
        fault::plan(after, Kind::Full);
        let store = create(root.path());
        if fault::clear() {
            let message = store.unwrap_err().to_string();
            assert!(message.contains("cannot ") && message.contains("no storage space"), "{message}");
            // Only the flush of the parent comes after the record is visible.
            let left = names(&root.path().join("cpu-test-4c"));
            assert!(left.is_empty() || left == ["2026-11-22-abc1234-quick"], "operation {after}: {left:?}");
            continue;
        }
        let mut store = store.unwrap();
        store.finish_point(&measured(POINTS[0])).unwrap();
        let dir = store.dir().to_path_buf();
        for after in 0.. {
            let before = read::load(&dir).unwrap();
            fault::plan(after, Kind::Full);
            let written = store.finish_point(&measured(POINTS[1]));
            if !fault::clear() {
                written.unwrap();
                break;
            }
            let message = written.unwrap_err().to_string();
            assert!(message.contains("no storage space"), "{message}");
            assert!(names(&dir).iter().all(|n| !n.ends_with(".tmp")), "operation {after}: {:?}", names(&dir));
            let record = read::load(&dir).unwrap();
            summarise::check(&record).unwrap();
            assert!(record == before || points(&record) == POINTS[..2], "operation {after}");
        }
        assert_eq!(points(&read::load(&dir).unwrap()), POINTS[..2]);
        break;
    }
}

/// Rows of a try that failed must not join those of the try that succeeds.
#[test]
fn rows_of_a_failed_try_do_not_stay() {
    let root = tempfile::tempdir().unwrap();
    let mut store = create(root.path()).unwrap();
    // samples, ratios, signals, alignments and regimes: five operations each.
    fault::plan(26, Kind::Full);
    store.finish_point(&with_regime(result("p", 8))).unwrap_err();
    assert!(fault::clear());
    assert!(store.dir().join("regimes.csv").exists());
    let plain = PointResult { summary: vec![summary("p", "bp/reference")], ..PointResult::default() };
    store.finish_point(&plain).unwrap();
    let record = read::load(store.dir()).unwrap();
    assert_eq!((record.samples, record.ratios), (vec![], vec![]));
    assert_eq!((record.signals, record.alignments), (vec![], vec![]));
    assert!(record.regimes.is_empty() && !store.dir().join("regimes.csv").exists());
}

#[test]
fn a_finished_record_says_so() {
    let root = tempfile::tempdir().unwrap();
    let mut store = create(root.path()).unwrap();
    let ceiling = Ceiling {
        quantity: "gemm".into(),
        dtype: "f32".into(),
        device: "cpu".into(),
        threads: 2,
        at: "512x512x512".into(),
        per_second: 1.25e11,
        clock_hz: None,
        by: None,
    };
    store.update_run(|run| run.ceilings.push(ceiling.clone())).unwrap();
    store.update_run(|run| run.warnings.push("busy".into())).unwrap();
    let infinite = store.update_run(|run| run.ceilings[0].per_second = f64::INFINITY).unwrap_err();
    assert_eq!(infinite.to_string(), "the gemm ceiling is inf, not a rate");
    let dir = store.finish("2026-11-22T06:00:00Z".into(), vec!["busy".into(), "noisy".into()]).unwrap();
    let run = read::load(&dir).unwrap().run;
    assert_eq!(run.finished.as_deref(), Some("2026-11-22T06:00:00Z"));
    assert_eq!((run.ceilings, run.warnings), (vec![ceiling], vec!["busy".to_owned(), "noisy".to_owned()]));
    assert_eq!(
        names(&dir),
        [
            "alignments.csv",
            "files.sha256",
            "machine.json",
            "ratios.csv",
            "run.json",
            "samples.csv",
            "signals.csv",
            "summary.csv"
        ]
    );
    assert_eq!(latest_unfinished(root.path(), "cpu-test-4c", "quick", None), None);
}

#[test]
fn rows_must_belong_to_one_new_point() {
    let root = tempfile::tempdir().unwrap();
    let mut store = create(root.path()).unwrap();
    let mut refused = |result: PointResult| store.finish_point(&result).unwrap_err().to_string();
    assert!(refused(PointResult::default()).contains("needs a summary row"));
    let mut mixed = result("p", 2);
    mixed.signals.push(signal("q", 0));
    assert_eq!(refused(mixed), "rows of point `q` among those of point `p`");
    let mut mixed = result("p", 2);
    mixed.alignments.push(alignment("q", 0));
    assert_eq!(refused(mixed), "rows of point `q` among those of point `p`");
    let mut mixed = result("p", 2);
    mixed.regimes.push(regime("q", "bp/reference"));
    assert_eq!(refused(mixed), "rows of point `q` among those of point `p`");
    let mut twice = result("p", 2);
    twice.summary.push(summary("p", "bp/reference"));
    assert_eq!(refused(twice), "two rows of contender `bp/reference` at point `p`");
    store.finish_point(&result("p", 2)).unwrap();
    let again = store.finish_point(&result("p", 2)).unwrap_err().to_string();
    assert!(again.contains("`p` is already finished"));
    assert_eq!(store.finished(), ["p"]);
}

#[test]
fn resume_refuses_what_cannot_be_compared() {
    let root = tempfile::tempdir().unwrap();
    let store = create(root.path()).unwrap();
    let dir = store.dir().to_path_buf();
    let refused = |machine: &Machine, run: &Run| Store::resume(&dir, machine, run).unwrap_err().to_string();
    assert!(refused(&machine(), &run()).contains("another process is writing this record"));
    drop(store);
    let cases = [
        (Run { definition_sha256: "d1".into(), ..run() }, "definition of suite `quick` (sha256 d0, now d1)"),
        (Run { seed: 8, ..run() }, "begun with seed 7 and this is 8"),
        (Run { threads: 4, ..run() }, "2 worker threads and these are 4; give --threads 2"),
    ];
    for (run, expected) in cases {
        let message = refused(&machine(), &run);
        assert!(message.contains("cannot be resumed") && message.contains(expected), "{message}");
    }
    let other = Machine { class: "cpu-other-8c".into(), ..machine() };
    assert!(refused(&other, &run()).contains("machine class `cpu-test-4c` and this is `cpu-other-8c`"));

    let path = dir.join(RUN);
    let text = fs::read_to_string(&path).unwrap();
    let schema = |n: u32| format!("\"schema\": {n}");
    fs::write(&path, text.replace(&schema(SCHEMA), &schema(9))).unwrap();
    assert!(refused(&machine(), &run())
        .contains(&format!("schema 9, but this version reads schema {SCHEMA} alone")));
    fs::write(&path, text).unwrap();
    let half = Run { shard: Some("1/2".parse().unwrap()), ..run() };
    assert!(refused(&machine(), &half).contains("it is the whole suite and this is shard 1/2"));

    let (store, _) = Store::resume(&dir, &machine(), &run()).unwrap();
    store.finish("2026-11-22T06:00:00Z".into(), vec![]).unwrap();
    assert!(refused(&machine(), &run()).contains("it is finished; start a new record"));

    let elsewhere = tempfile::tempdir().unwrap();
    let message = Store::resume(elsewhere.path(), &machine(), &run()).unwrap_err().to_string();
    assert!(message.contains("holds no run.json") && names(elsewhere.path()).is_empty(), "{message}");
}

/// Of another's files, and of files that merely look alike, a record keeps its hands off.
#[test]
fn resume_removes_what_the_killed_writer_left() {
    let root = tempfile::tempdir().unwrap();
    let dir = create(root.path()).unwrap().dir().to_path_buf();
    let before = names(&dir);
    for left in [".pcnbench-0123456789abcdef.tmp", ".pcnbench-fedcba9876543210.tmp"] {
        fs::write(dir.join(left), "half a").unwrap();
    }
    fs::write(dir.join("notes.tmp"), "").unwrap();
    // Rows of a point that was not finished go too.
    let mut samples = fs::read(dir.join("samples.csv")).unwrap();
    samples.extend_from_slice(b"p,bp/reference,0,0,1,1,,1,,\n");
    fs::write(dir.join("samples.csv"), samples).unwrap();
    Store::resume(&dir, &machine(), &run()).unwrap();
    let left = names(&dir).into_iter().filter(|name| name != "notes.tmp").collect::<Vec<_>>();
    assert_eq!((left.len() + 1, left), (names(&dir).len(), before));
    assert_eq!(fs::read_to_string(dir.join("samples.csv")).unwrap().lines().count(), 1);
}

#[test]
fn other_code_is_noted_once() {
    let root = tempfile::tempdir().unwrap();
    let dir = create(root.path()).unwrap().dir().to_path_buf();
    let newer = Run { rev: "def5678".into(), dirty: true, features: vec!["cuda".into()], ..run() };
    for _ in 0..2 {
        Store::resume(&dir, &machine(), &newer).unwrap();
    }
    let expected =
        "resumed at 2026-11-22T05:36:00Z by other code: revision `def5678+dirty` instead of `abc1234`, \
                    features `cuda` instead of ``";
    assert_eq!(read::read_run(&dir).unwrap().warnings, [expected]);
}

#[test]
fn the_latest_unfinished_record_of_the_suite() {
    let root = tempfile::tempdir().unwrap();
    let begin = |suite: &str, started: &str| {
        let run = Run { suite: suite.into(), started: started.into(), ..run() };
        Store::create(root.path(), &machine(), &run, None).unwrap()
    };
    let latest = || latest_unfinished(root.path(), "cpu-test-4c", "quick", None);
    assert_eq!(latest(), None);
    let early = begin("quick", "2026-11-22T05:00:00Z").dir().to_path_buf();
    let late = begin("quick", "2026-11-23T05:00:00Z");
    begin("full", "2026-11-24T05:00:00Z");
    let damaged = begin("quick", "2026-11-25T05:00:00Z").dir().to_path_buf();
    fs::write(damaged.join(RUN), "{").unwrap();
    assert_eq!(latest(), Some(late.dir().to_path_buf()));
    late.finish("2026-11-23T06:00:00Z".into(), vec![]).unwrap();
    assert_eq!(latest(), Some(early));
}
