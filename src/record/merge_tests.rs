//! Oracle: the record that one writer makes of the same points.

use std::fs;

use super::*;
use crate::record::disk::fault::{self, Kind};
use crate::record::fixture::{machine, names, result, run, summary, with_regime};
use crate::record::schema::PointResult;
use crate::record::store::Store;

const POINTS: [&str; 5] = ["p@depth=2", "p@depth=4", "p@depth=8", "q@depth=2", "q@depth=4"];

fn points() -> Vec<String> {
    POINTS.map(str::to_owned).into()
}

/// As many rounds as no other point has.
fn measured(position: usize) -> PointResult {
    match position {
        // traced only: rows, no samples
        4 => PointResult { summary: vec![summary(POINTS[4], "spc/reference")], ..PointResult::default() },
        // shards of points that have regimes and of points that have none
        1 | 3 => with_regime(result(POINTS[position], 5 + position as u32)),
        _ => result(POINTS[position], 5 + position as u32),
    }
}

fn ceiling(dtype: &str, threads: usize, per_second: f64) -> Ceiling {
    let text = str::to_owned;
    Ceiling {
        quantity: text("gemm"),
        dtype: text(dtype),
        device: text("cpu"),
        threads,
        at: text("x"),
        per_second,
        clock_hz: None,
        by: None,
    }
}

fn written(root: &Path, shard: Option<Shard>) -> Record {
    let run = Run { shard, ..run() };
    let mut store = Store::create(root, &machine(), &run, None).unwrap();
    for position in (0..POINTS.len()).filter(|p| shard.is_none_or(|shard| shard.owns(*p))) {
        store.finish_point(&measured(position)).unwrap();
    }
    crate::record::read::load(&store.finish("2026-11-22T06:00:00Z".into(), vec![]).unwrap()).unwrap()
}

fn shards(root: &Path, of: usize) -> Vec<Record> {
    (1..=of).map(|i| written(root, Some(format!("{i}/{of}").parse().unwrap()))).collect()
}

fn merged(shards: &[Record]) -> Result<Record> {
    merge(shards, &points(), vec!["pcnbench".into(), "merge".into()])
}

fn refused(shards: &[Record]) -> String {
    merged(shards).unwrap_err().to_string()
}

/// Every file but the header, byte for byte, however the points were dealt and the shards given.
#[test]
fn merged_is_unsharded() {
    let root = tempfile::tempdir().unwrap();
    let whole = written(root.path(), None);
    for of in 1..=POINTS.len() {
        let folder = tempfile::tempdir().unwrap();
        let mut shards = shards(folder.path(), of);
        let mut first = None;
        for turn in 0..of {
            shards.rotate_left(1);
            let out = folder.path().join(format!("merged-{turn}"));
            assert_eq!(write(Path::new("unused"), &merged(&shards).unwrap(), Some(&out)).unwrap(), out);
            assert_eq!(names(&out), names(&whole.dir));
            let same = |name: &&String| ![RUN, seal::SEAL].contains(&name.as_str());
            for name in names(&out).iter().filter(same) {
                assert_eq!(
                    fs::read(out.join(name)).unwrap(),
                    fs::read(whole.dir.join(name)).unwrap(),
                    "{name}"
                );
            }
            // the header too does not depend on the order in which shards are given
            let header = fs::read(out.join(RUN)).unwrap();
            assert_eq!(first.get_or_insert(header.clone()), &header);
        }
        let merged = crate::record::read::load(&folder.path().join("merged-0")).unwrap().run;
        assert_eq!(merged.shards.len(), of);
        let like_whole = Run { argv: whole.run.argv.clone(), shards: vec![], ..merged };
        assert_eq!(like_whole, whole.run);
    }
}

#[test]
fn a_merged_record_is_named_like_a_run() {
    let root = tempfile::tempdir().unwrap();
    let shards = shards(root.path(), 2);
    let folder = |record: &Record| record.dir.file_name().unwrap().to_string_lossy().into_owned();
    assert_eq!(folder(&shards[0]), "2026-11-22-abc1234-quick-1of2");
    let dir = write(root.path(), &merged(&shards).unwrap(), None).unwrap();
    assert_eq!(dir, root.path().join("cpu-test-4c/2026-11-22-abc1234-quick"));
    assert_eq!(names(dir.parent().unwrap()).len(), 3);
}

#[test]
fn headers_are_joined() {
    let root = tempfile::tempdir().unwrap();
    let mut shards = shards(root.path(), 3);
    for (i, record) in shards.iter_mut().enumerate() {
        let run = &mut record.run;
        run.started = format!("2026-11-2{}T00:00:00Z", 4 - i);
        run.finished = Some(format!("2026-11-2{}T00:00:00Z", [6, 9, 7][i]));
        run.argv.push(format!("--shard={}", i + 1));
        run.ceilings = vec![ceiling("f32", 2, [5.0, 7.0, 6.0][i]), ceiling("f32", 1, [3.0, 2.0, 1.0][i])];
        run.warnings = vec!["debug build".into(), ["busy", "busy", "hot"][i].into()];
        record.machine.os = format!("linux 6.{i}");
    }
    shards[2].run.ceilings.push(ceiling("f64", 2, 4.0));
    let run = merged(&shards).unwrap().run;
    assert_eq!(run.started, "2026-11-22T00:00:00Z");
    assert_eq!(run.finished.as_deref(), Some("2026-11-29T00:00:00Z"));
    assert_eq!(run.ceilings, [ceiling("f32", 2, 7.0), ceiling("f32", 1, 3.0), ceiling("f64", 2, 4.0)]);
    assert_eq!(run.warnings, ["debug build", "shard 1/3: busy", "shard 2/3: busy", "shard 3/3: hot"]);
    assert_eq!((run.shard, run.argv.join(" ")), (None, "pcnbench merge".to_owned()));
    for (fact, record) in run.shards.iter().zip(&shards) {
        assert_eq!((Some(fact.shard), &fact.argv), (record.run.shard, &record.run.argv));
        assert_eq!(
            (&fact.started, Some(&fact.finished)),
            (&record.run.started, record.run.finished.as_ref())
        );
        assert_eq!((&fact.ceilings, &fact.os), (&record.run.ceilings, &record.machine.os));
    }
}

#[test]
fn shards_that_make_no_whole_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let three = shards(root.path(), 3);
    let [a, b, c] = &three[..] else { panic!() };
    let dir = |record: &Record| record.dir.display().to_string();
    assert_eq!(refused(&[]), "there is no shard to merge; give the folders of all of them");
    assert_eq!(
        refused(std::slice::from_ref(c)),
        "2 of 3 shards are missing: 1/3, 2/3; run them, and give the folders of all"
    );
    let twice = refused(&[a.clone(), b.clone(), a.clone()]);
    assert_eq!(twice, format!("{0}: is shard 1/3, and so is {0}; give each shard once", dir(a)));
    let other = tempfile::tempdir().unwrap();
    let two = shards(other.path(), 2);
    let mixed = refused(&[a.clone(), two[1].clone()]);
    assert!(mixed.contains("is shard 2/2, but ") && mixed.contains("is shard 1/3"), "{mixed}");
    let whole = refused(&[a.clone(), written(other.path(), None)]);
    assert!(whole.contains("is not a shard but a whole record"), "{whole}");
    let again = refused(&[Record { dir: "m".into(), ..merged(&three).unwrap() }]);
    assert!(again.starts_with("m: is not a shard"), "{again}");
    let mut open = b.clone();
    open.run.finished = None;
    let open = refused(&[a.clone(), open, c.clone()]);
    assert!(open.contains("shard 2/3 is not finished") && open.contains("`pcnbench run --resume="), "{open}");
    let many: Record = {
        let mut many = a.clone();
        many.run.shard = Some("2/40".parse().unwrap());
        many
    };
    let many = refused(&[many]);
    assert!(
        many.starts_with("39 of 40 shards are missing: 1/40, 3/40,") && many.contains("9/40, …;"),
        "{many}"
    );
}

/// Everything that has to agree, changed one by one in one shard.
#[test]
fn unlike_shards_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let shards = shards(root.path(), 2);
    type Change = fn(&mut Record);
    let changes: [(&str, Change); 21] = [
        ("suite", |r| r.run.suite = "depth".into()),
        ("definition (sha256)", |r| r.run.definition_sha256 = "d1".into()),
        ("seed", |r| r.run.seed = 8),
        ("data", |r| r.run.data = vec!["digits: other".into()]),
        ("machine class", |r| r.machine.class = "cpu-other-8c".into()),
        ("processor", |r| r.machine.cpu = "Other".into()),
        ("number of physical cores", |r| r.machine.physical_cores = 2),
        ("number of usable logical processors", |r| r.machine.logical_cpus = 2),
        ("set of SIMD extensions", |r| r.machine.simd = "avx2".into()),
        ("GPU", |r| r.machine.gpu = "GPU".into()),
        ("GPU driver", |r| r.machine.driver = "1.2".into()),
        ("number of worker threads", |r| r.run.threads = 1),
        ("revision", |r| r.run.rev = "def5678".into()),
        ("revision", |r| r.run.dirty = true),
        ("version", |r| r.run.version = "0.2.0".into()),
        ("Cargo.lock", |r| r.run.lockfile_sha256 = "10d".into()),
        ("Candle", |r| r.run.candle = "0.12.0".into()),
        ("features", |r| r.run.features = vec!["cuda".into()]),
        ("switches", |r| r.run.switches = vec!["x".into()]),
        ("point", |r| r.summary.retain(|row| row.point != POINTS[3])),
        ("point", |r| r.summary[0].point = "p@depth=16".into()),
    ];
    for (what, change) in changes {
        let mut changed = shards.clone();
        change(&mut changed[1]);
        let sentence = refused(&changed);
        assert!(sentence.starts_with(&shards[1].dir.display().to_string()), "{what}: {sentence}");
        match what {
            "point" => assert!(
                sentence.contains("is not what shard 2/2 of its suite has to be: point `"),
                "{sentence}"
            ),
            _ => {
                assert!(sentence.contains(&format!("its {what} is `")), "{what}: {sentence}");
                assert!(sentence.contains(&shards[0].dir.display().to_string()), "{sentence}");
            }
        }
    }
    let mut strange = shards.clone();
    strange[1].summary.push(summary("p@depth=16", "bp/reference"));
    assert!(refused(&strange).contains("point `p@depth=16` is not one of this shard's"));
    let mut turned = shards.clone();
    turned[1].summary.reverse();
    assert!(refused(&turned).contains("not in the order of the suite"));
    // nodes of a cluster may differ in these
    let mut node = shards;
    (node[1].machine.memory_bytes, node[1].machine.os) = (1, "linux 5".into());
    assert_eq!(merged(&node).unwrap().run.shards[1].memory_bytes, 1);
}

/// A process that vanishes before any of its file operations leaves the whole record or none; shards stay as they are.
#[test]
fn a_merge_killed_anywhere_leaves_all_or_nothing() {
    let shards_root = tempfile::tempdir().unwrap();
    let whole = merged(&shards(shards_root.path(), 2)).unwrap();
    for kind in [Kind::Killed, Kind::Full] {
        for there_before in [false, true] {
            for after in 0.. {
                let root = tempfile::tempdir().unwrap();
                let out = root.path().join("out");
                if there_before {
                    fs::create_dir(&out).unwrap();
                }
                fault::plan(after, kind);
                let outcome = write(root.path(), &whole, Some(&out));
                let happened = fault::clear();
                if !happened {
                    outcome.unwrap();
                    assert!(after > 20, "a record takes more than {after} operations");
                    break;
                }
                match crate::record::read::load(&out) {
                    Ok(found) => {
                        assert_eq!(Record { dir: whole.dir.clone(), ..found }, whole, "operation {after}")
                    }
                    Err(_) => assert!(!out.join(RUN).exists(), "operation {after}"),
                }
                if kind == Kind::Full && outcome.is_err() && !out.join(RUN).exists() {
                    // with room again, into the same folder
                    write(root.path(), &whole, Some(&out)).unwrap();
                }
            }
        }
    }
}

/// As files: what was made for one writer at a time must not be taken for another's.
#[test]
fn a_merged_record_is_finished() {
    let root = tempfile::tempdir().unwrap();
    let dir = write(root.path(), &merged(&shards(root.path(), 2)).unwrap(), None).unwrap();
    assert!(Store::resume(&dir, &machine(), &run()).unwrap_err().to_string().contains("it is finished"));
    let again =
        write(root.path(), &crate::record::read::load(&dir).unwrap(), Some(&dir)).unwrap_err().to_string();
    assert!(again.contains("already holds a record"), "{again}");
}
