//! Oracles: what was written is read to the bit, and every damaged key is named.

use std::fs;

use super::super::fixture::{record, DEFINITION};
use super::super::{compare, Options};
use super::*;
use crate::stats::Verdict;

fn baseline() -> Baseline {
    Baseline::of(&record(DEFINITION, 1)).unwrap()
}

#[test]
fn a_baseline_compares_as_the_record_it_came_from() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/er").join(FILE);
    baseline().write(&path).unwrap();
    let read = Baseline::read(&path).unwrap();
    assert_eq!(read, baseline(), "every float to the bit");
    let (of_file, of_record) = (read.side("file".into()), Side::of(&record(DEFINITION, 1)).unwrap());
    let new = Side::of(&record(DEFINITION, 2)).unwrap();
    let options = Options { absolute: true, ..Options::default() };
    let (a, b) = (compare(&of_file, &new, &options), compare(&of_record, &new, &options));
    assert_eq!((a.rows, a.work), (b.rows, b.work));
    let quiet = |s: &Side| s.entries.iter().map(|e| (e.quiet_ns, e.quiet_ratio)).collect::<Vec<_>>();
    assert_eq!(quiet(&of_file), quiet(&of_record));
    let only: Vec<_> =
        fs::read_dir(path.parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(only, [FILE], "nothing half-written stays");
}

#[test]
fn vague_ratios_are_counted() {
    let mut b = baseline();
    assert_eq!(b.vague(), (0, 4));
    let ratio = b.entry[1].ratio.unwrap();
    (b.entry[1].low, b.entry[1].high) = (Some(ratio / 1.021), Some(ratio * 1.021));
    (b.entry[2].low, b.entry[2].high) =
        (b.entry[2].ratio.map(|r| r / 1.019), b.entry[2].ratio.map(|r| r * 1.019));
    assert_eq!(b.vague(), (1, 4));
}

/// Only the hash of the facts is kept, so the reason is the hash.
#[test]
fn another_definition_is_noticed_by_its_hash() {
    let changed =
        DEFINITION.replace("[benchmark.timing]", "[benchmark.network]\ngain = 2.0\n[benchmark.timing]");
    let new = Side::of(&record(&changed, 1)).unwrap();
    let c = compare(&baseline().side("file".into()), &new, &Options::default());
    assert!(c
        .rows
        .iter()
        .all(|r| r.verdict == Verdict::Invalid && r.reason.contains("definition hash differs")));
}

#[test]
fn failed_or_empty_records_are_no_baselines() {
    let mut failed = record(DEFINITION, 1);
    let row = &mut failed.summary[1];
    row.err = "spc diverged".into();
    let own: Vec<_> = failed.samples.iter().filter(|s| s.point == failed.summary[0].point).cloned().collect();
    let point = failed.summary[0].point.clone();
    let mut rows: Vec<_> = failed.summary.iter().filter(|r| r.point == point).cloned().collect();
    let ratios = crate::record::summarise::fill(&mut rows, &own).unwrap();
    failed.summary.retain(|r| r.point != point);
    failed.ratios.retain(|r| r.point != point);
    failed.summary.extend(rows);
    failed.ratios.extend(ratios);
    let refused = Baseline::of(&failed).unwrap_err().to_string();
    assert!(refused.contains("cannot be a baseline: spc/reference failed at update@"), "{refused}");
    let mut empty = record(DEFINITION, 1);
    empty.summary.iter_mut().for_each(|row| row.model = "alignment".into());
    assert!(Baseline::of(&empty).unwrap_err().to_string().contains("no timed point"));
    // Five rounds have no interval to hold anything against.
    let mut short = record(DEFINITION, 1);
    short.samples.retain(|s| s.round < 5);
    let mut rows = std::mem::take(&mut short.summary);
    short.ratios.clear();
    for depth in [2, 3] {
        let own: Vec<_> =
            short.samples.iter().filter(|s| s.point.contains(&format!("depth={depth}"))).cloned().collect();
        let of_point: Vec<usize> = (0..rows.len()).filter(|&i| rows[i].depth == depth).collect();
        let mut these: Vec<_> = of_point.iter().map(|&i| rows[i].clone()).collect();
        short.ratios.extend(crate::record::summarise::fill(&mut these, &own).unwrap());
        of_point.into_iter().zip(these).for_each(|(i, row)| rows[i] = row);
    }
    short.summary = rows;
    let refused = Baseline::of(&short).unwrap_err().to_string();
    assert!(refused.contains("has fewer rounds than the 6"), "{refused}");
}

#[test]
fn damaged_files_are_refused_by_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    let refusal = |change: &dyn Fn(&mut Baseline)| {
        let mut damaged = baseline();
        change(&mut damaged);
        damaged.write(&path).unwrap();
        Baseline::read(&path).unwrap_err().to_string()
    };
    assert!(refusal(&|b| b.schema = 3).contains("schema 3, but this version reads schema 2 alone"));
    assert!(refusal(&|b| b.entry[1].freedom = Some(0)).contains("`freedom`"));
    assert!(refusal(&|b| b.entry.push(b.entry[0].clone())).contains("stands twice"));
    assert!(
        refusal(&|b| b.entry[1].ratio = Some(f64::NAN)).contains("`low`, `ratio`, `high` are not positive")
    );
    assert!(refusal(&|b| b.entry[1].low = Some(99.0)).contains("`low`, `ratio`, `high`"));
    assert!(refusal(&|b| b.entry[1].pairs = None).contains("some are missing; give all or none"));
    assert!(refusal(&|b| b.entry[0].median_ns = -1.0).contains("`median_ns`"));
    assert!(refusal(&|b| b.entry[0].quiet_ns = 0.0).contains("`quiet_ns`"));
    assert!(refusal(&|b| b.records.clear()).contains("`records` is empty"));
    assert!(refusal(&|b| b.entry[0].noise_floor = Some(-0.1)).contains("`noise_floor`"));
    let text = |text: &str| {
        fs::write(&path, text).unwrap();
        let message = Baseline::read(&path).unwrap_err().to_string();
        assert!(message.contains(FILE) && !message.contains('\n'), "{message}");
        message
    };
    assert!(text("").contains("key `schema` is missing"));
    assert!(text("schema = 2\nunknown = 2").contains("baseline.toml: line "));
    assert!(text("schema = 2\n\n[[entry]\n").contains("line 3"));
    let nowhere = Baseline::read(&dir.path().join("no.toml")).unwrap_err().to_string();
    assert!(nowhere.contains("there is no such baseline; make it with"), "{nowhere}");
}

#[test]
fn the_nearest_baseline_stands_in_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    assert_eq!(choose(root, "cpu-test-2c", 2).unwrap(), None);
    let write = |class: &str, threads: usize, started: &str| {
        let mut b = baseline();
        (b.machine_class, b.threads, b.started) = (class.into(), threads, started.into());
        b.write(&root.join(class).join(FILE)).unwrap();
    };
    write("some-gpu", 2, "2026-12-01T00:00:00Z");
    write("cpu-big-64c", 64, "2026-12-01T00:00:00Z");
    write("cpu-old-4c", 4, "2026-01-01T00:00:00Z");
    write("cpu-young-4c", 4, "2026-11-01T00:00:00Z");
    let chosen = |class: &str, threads: usize| {
        let choice = choose(root, class, threads).unwrap().unwrap();
        (choice.baseline.machine_class, choice.why)
    };
    let (class, why) = chosen("cpu-test-2c", 2);
    assert_eq!(class, "cpu-young-4c");
    let why = why.unwrap();
    assert!(why.contains("`cpu-test-2c`") && why.contains("`cpu-young-4c` with 4 threads"), "{why}");
    assert_eq!(chosen("cpu-test-48c", 48).0, "cpu-big-64c");
    assert_eq!(chosen("another-gpu", 64).0, "some-gpu");
    assert_eq!(chosen("cpu-old-4c", 4), ("cpu-old-4c".to_owned(), None));
    // A damaged baseline keeps only its own class from being gated.
    fs::write(root.join("cpu-old-4c").join(FILE), "x").unwrap();
    assert!(choose(root, "cpu-old-4c", 4).unwrap_err().to_string().contains("cpu-old-4c"));
    assert_eq!(chosen("cpu-test-2c", 2).0, "cpu-young-4c");
    // A CPU's stands in for no GPU, nor the other way round.
    fs::remove_dir_all(root.join("some-gpu")).unwrap();
    assert_eq!(choose(root, "another-gpu", 4).unwrap(), None);
}
