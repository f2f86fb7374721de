//! `cmp`, `rank` and `export`: verdicts, exit codes, formats, and records that do not compare.

use std::fs;
use std::path::{Path, PathBuf};

use pcnbench::record::{self, summarise, Record, Status, SummaryRow};
use tempfile::TempDir;

use crate::session::{
    arg, copy_of_mixed, mixed, refused, run, says, seal, sentence, sha256, succeeds, suite, TINY,
};

/// A copy of the record with its samples changed and everything that follows from them made new.
pub fn altered(change: impl Fn(&mut Record)) -> (TempDir, PathBuf) {
    let (dir, copy) = copy_of_mixed();
    let mut record = record::read(&copy).unwrap();
    // 40 rounds with the least noise instead of however many a busy machine gave
    let (seen, mut samples) = (record.samples.clone(), vec![]);
    for first in seen.iter().filter(|s| s.round == 0) {
        for round in 0..40 {
            let nanoseconds = if first.contender.starts_with("epc") { 3_000_000 } else { 1_000_000 };
            let wall_ns = nanoseconds + u64::from(round * 7 % 11) * 300;
            samples.push(record::Sample { round, wall_ns, ..first.clone() });
        }
    }
    record.samples = samples;
    change(&mut record);
    let (mut summary, mut ratios) = (vec![], vec![]);
    let mut points: Vec<String> = record.summary.iter().map(|row| row.point.clone()).collect();
    points.dedup();
    for point in points {
        let mut rows: Vec<_> = record.summary.iter().filter(|r| r.point == point).cloned().collect();
        let own: Vec<_> = record.samples.iter().filter(|s| s.point == point).cloned().collect();
        ratios.extend(summarise::fill(&mut rows, &own).unwrap());
        summary.extend(rows);
    }
    table(&copy.join("samples.csv"), &record.samples);
    table(&copy.join("summary.csv"), &summary);
    table(&copy.join("ratios.csv"), &ratios);
    // of what is still there and has not failed
    record.regimes.retain(|regime| {
        let own =
            |row: &record::SummaryRow| (&row.point, &row.contender) == (&regime.point, &regime.contender);
        summary.iter().any(|row| own(row) && row.err.is_empty())
    });
    table(&copy.join("regimes.csv"), &record.regimes);
    fs::write(copy.join("machine.json"), serde_json::to_vec(&record.machine).unwrap()).unwrap();
    fs::write(copy.join("run.json"), serde_json::to_vec(&record.run).unwrap()).unwrap();
    seal(&copy);
    (dir, copy)
}

fn table<R: serde::Serialize>(path: &Path, rows: &[R]) {
    let mut writer = csv::Writer::from_path(path).unwrap();
    rows.iter().for_each(|row| writer.serialize(row).unwrap());
    writer.flush().unwrap();
}

pub fn slower(record: &mut Record) {
    for s in record.samples.iter_mut().filter(|s| s.contender == "epc/reference") {
        s.wall_ns = s.wall_ns * 105 / 100;
    }
}

/// Column `key` of CSV.
fn column(text: &str, key: &str) -> Vec<String> {
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    let at = rows.headers().unwrap().iter().position(|k| k == key).unwrap();
    rows.records().map(|row| row.unwrap()[at].to_owned()).collect()
}

#[test]
fn five_per_cent_is_a_regression_one_way_and_an_improvement_the_other() {
    let ((_a, base), (_b, new)) = (altered(|_| ()), altered(slower));
    let (base, new) = (arg(base), arg(new));
    let same = succeeds(&["cmp", &base, &base]);
    says(&same, &["epc/reference", "same", "new / base", "intervals of change hold 1"]);
    let done = run(&["cmp", &base, &new]);
    let what = sentence(&done, 3);
    says(&what, &["regressed: epc/reference at update@", "ratio 1.050", "(of 2)"]);
    says(&done.out, &["regressed", "2 regressed"]);
    let back = succeeds(&["cmp", &new, &base]);
    says(&back, &["2 improved"]);
    // tolerated
    succeeds(&["cmp", &base, &new, "--threshold", "8"]);
    // absolute times say it as well, of baselines too
    let absolute = run(&["cmp", &base, &new, "--absolute", "--format", "csv"]);
    assert_eq!(absolute.code, Some(3));
    let verdicts: Vec<_> =
        column(&absolute.out, "measure").into_iter().zip(column(&absolute.out, "verdict")).collect();
    let regressed = |measure: &str| verdicts.iter().filter(|(m, v)| m == measure && v == "regressed").count();
    assert_eq!((regressed("ratio"), regressed("time")), (2, 2), "{verdicts:?}");
    assert!(column(&absolute.out, "contender").contains(&"bp/reference".to_owned()));
}

/// Controls that scatter a thousandfold prove nothing: thrice the time is not the same, with or without them.
#[test]
fn scattered_controls_are_no_proof_of_equality() {
    let scattered = |record: &mut Record| {
        let controls = record.samples.iter_mut().filter(|s| s.contender.ends_with("~aa"));
        controls.for_each(|s| s.wall_ns *= [1, 1000, 30][s.round as usize % 3]);
    };
    let thrice = |record: &mut Record| {
        record.samples.iter_mut().filter(|s| s.contender == "epc/reference").for_each(|s| s.wall_ns *= 3);
    };
    let (_a, base) = altered(scattered);
    let (_b, new) = altered(|record| {
        scattered(record);
        thrice(record);
    });
    let (base, new) = (arg(base), arg(new));
    for pair in [[&base, &new], [&new, &base], [&base, &base]] {
        let done = run(&["cmp", pair[0], pair[1], "--strict", "--format", "csv"]);
        says(&sentence(&done, 4), &["inconclusive: ", "ambiguous (identical programs may differ by "]);
        let verdicts = column(&done.out, "verdict");
        // what failed on both sides is invalid
        assert!(verdicts.iter().all(|v| v == "ambiguous" || v == "invalid"), "{}", done.out);
        assert!(verdicts.iter().filter(|v| *v == "ambiguous").count() >= 4, "{}", done.out);
    }
}

/// One round has no interval: not `[x, x]`, which any other round would fall out of.
#[test]
fn a_single_round_is_ambiguous() {
    let one = |record: &mut Record| record.samples.retain(|s| s.round == 0);
    let ((_a, base), (_b, new)) = (altered(one), altered(one));
    let (base, new) = (arg(base), arg(new));
    let table = succeeds(&["cmp", &base, &new]);
    says(&table, &["ambiguous", "1 round in BASE, and an interval takes 6"]);
    assert_eq!(run(&["cmp", &base, &new, "--strict"]).code, Some(4));
    let csv = succeeds(&["cmp", &base, &new, "--format", "csv"]);
    for key in ["change", "change_low", "base_low", "new_high"] {
        assert!(column(&csv, key).iter().all(String::is_empty), "{key}: {csv}");
    }
    let report = succeeds(&["report", &new, "--format", "csv"]);
    let at = |key: &str| column(&report, key);
    let filled = |key: &str| at(key).iter().filter(|cell| !cell.is_empty()).count();
    assert!(filled("ratio") > 0 && filled("ratio_low") == 0 && filled("ratio_high") == 0, "{report}");
    let table = succeeds(&["report", &new]);
    assert!(
        !table.lines().filter(|line| !line.contains("95 % CI")).any(|line| line.contains('[')),
        "{table}"
    );
    let bmf = succeeds(&["export", &new, "--format", "bmf"]);
    assert!(bmf.contains("value") && !bmf.contains("lower_value"), "{bmf}");
}

/// A record without a timed point beside one that has some, either way round.
#[test]
fn records_that_share_nothing_are_inconclusive() {
    let (_a, timed) = altered(|_| ());
    let (dir, file) = suite(TINY);
    let untimed = arg(dir.path().join("record"));
    succeeds(&["run", &file, "--allow-debug-build", "--out", &untimed]);
    let timed = arg(timed);
    for pair in [[&timed, &untimed], [&untimed, &timed], [&untimed, &untimed]] {
        for more in [&[][..], &["--strict"][..]] {
            let done = run(&[&["cmp", pair[0].as_str(), pair[1].as_str()][..], more].concat());
            says(&sentence(&done, 4), &["inconclusive: nothing compares: "]);
        }
    }
}

#[test]
fn what_does_not_compare_says_why() {
    let (_a, base) = altered(|_| ());
    let base = arg(base);
    let reason = |change: &dyn Fn(&mut Record), options: &[&str]| {
        let (_dir, new) = altered(change);
        let done = run(&[&["cmp", &base, &arg(&new), "--format", "csv"][..], options].concat());
        let text = done.out.clone();
        // A comparison of nothing is no clean one.
        if column(&text, "verdict").iter().all(|v| v == "invalid") {
            says(&sentence(&done, 4), &["inconclusive: ", "invalid ("]);
        } else {
            assert_eq!(done.code, Some(0), "{}", done.err);
        }
        let of = |contender: &str| column(&text, "contender").iter().position(|c| c == contender).unwrap();
        let at = of("epc/reference");
        (column(&text, "verdict")[at].clone(), column(&text, "reason")[at].clone())
    };
    let other = |record: &mut Record| record.machine.class = "cpu-other-9c".into();
    let (verdict, why) = reason(&other, &[]);
    assert_eq!(verdict, "invalid");
    says(&why, &["machine class: ", "cpu-other-9c now"]);
    assert_eq!(reason(&other, &["--cross-machine", "1.5"]).0, "same");
    let threads = |record: &mut Record| record.run.threads = 77;
    says(&reason(&threads, &[]).1, &["threads: 1 before, 77 now"]);
    let gain = |record: &mut Record| {
        record.run.definition = record.run.definition.replacen("gain = 1.0", "gain = 2.0", 1);
        record.run.definition_sha256 = sha256(record.run.definition.as_bytes());
    };
    says(&reason(&gain, &[]).1, &["gain: 1 before, 2 now"]);
    let data = |record: &mut Record| record.run.data = vec!["mnist".into()];
    says(&reason(&data, &[]).1, &["data: digits", "mnist now"]);
    // --strict makes it an outcome
    let (_dir, new) = altered(other);
    let strict = run(&["cmp", &base, &arg(&new), "--strict"]);
    says(&sentence(&strict, 4), &["inconclusive: ", "machine class"]);
}

#[test]
fn contenders_that_one_record_lacks_are_listed() {
    let (_a, base) = altered(|_| ());
    // The suite without its second timed point.
    let (_b, fewer) = altered(|record| {
        let run = &mut record.run;
        run.definition = run.definition.replacen("depth = [2, 3]", "depth = [2]", 1);
        run.definition_sha256 = sha256(run.definition.as_bytes());
        let gone = |point: &str| point.starts_with("update@") && point.contains("depth=3");
        record.summary.retain(|row| !gone(&row.point));
        record.samples.retain(|sample| !gone(&sample.point));
    });
    let count = |text: &str, reason: &str| {
        let rows = column(text, "contender").into_iter().zip(column(text, "reason"));
        rows.filter(|(contender, why)| contender == "epc/reference" && why == reason).count()
    };
    let text = run(&["cmp", &arg(&base), &arg(&fewer), "--format", "csv"]).out;
    assert_eq!(count(&text, "only in BASE"), 1);
    let text = run(&["cmp", &arg(&fewer), &arg(&base), "--format", "csv"]).out;
    assert_eq!(count(&text, "only in NEW"), 1);
    assert_eq!(run(&["cmp", &arg(&base), &arg(&fewer), "--strict"]).code, Some(4));
}

/// A contender that was sound and is wrong now is no regression but a failure.
#[test]
fn a_new_failure_is_exit_code_2() {
    let (_a, base) = altered(|_| ());
    let (_b, new) = altered(|record| {
        let timed = |row: &&mut SummaryRow| row.model == "weight-update";
        for row in record.summary.iter_mut().filter(timed).filter(|row| row.contender == "epc/reference") {
            row.status = Status::Wrong;
            row.err = "epc/reference is wrong on the reduced problem of this point".into();
        }
    });
    let done = run(&["cmp", &arg(&base), &arg(&new)]);
    says(&sentence(&done, 2), &["failed: epc/reference at update@", "is wrong on the reduced problem"]);
}

#[test]
fn bad_input_is_refused_in_a_sentence() {
    let record = arg(mixed().0);
    says(&refused(&["cmp", &record, "/no/such"]), &["/no/such", "no such folder"]);
    says(&refused(&["cmp", &record, &record, "--threshold", "-1"]), &["--threshold -1", "0 to 1000"]);
    says(
        &refused(&["cmp", &record, &record, "--cross-machine", "0.5"]),
        &["--cross-machine 0.5", "1 to 100"],
    );
    says(&refused(&["rank", &record]), &["no point is common to all", "spc/reference", "--contender"]);
    says(&refused(&["rank", &record, &record]), &["is in both"]);
    says(&refused(&["rank", &record, "--contender", "x/y"]), &["unknown contender `x/y`", "epc/reference"]);
    says(&refused(&["export", "/no/such", "--format", "bmf"]), &["/no/such"]);
    let (dir, file) = suite(TINY);
    let untimed = arg(dir.path().join("record"));
    succeeds(&["run", &file, "--allow-debug-build", "--out", &untimed]);
    says(&refused(&["export", &untimed, "--format", "bmf"]), &["no timed point", "nothing to export"]);
    says(
        &refused(&["export", &record, "--format", "bmf", "--out", "/no/such/file"]),
        &["cannot write /no/such/file"],
    );
    // Samples that do not give the summaries: nothing is concluded from them.
    let (_dir, copy) = copy_of_mixed();
    let ratios = fs::read_to_string(copy.join("ratios.csv")).unwrap();
    let cut: String = ratios.lines().take(2).map(|line| format!("{line}\n")).collect();
    fs::write(copy.join("ratios.csv"), cut).unwrap();
    seal(&copy);
    says(&refused(&["cmp", &record, &arg(&copy)]), &["ratios.csv", "but the samples give"]);
}

#[test]
fn rank_lists_contenders_from_fast_to_slow() {
    let (_dir, record) = altered(|_| ());
    let only = ["--contender", "bp/reference", "--contender", "epc/reference"];
    let text = succeeds(&[&["rank", &arg(&record), "--format", "csv"][..], &only].concat());
    assert_eq!(column(&text, "contender"), ["bp/reference", "epc/reference"]);
    let ratio: f64 = column(&text, "ratio")[1].parse().unwrap();
    assert!((ratio - 3.0).abs() < 0.03, "{ratio}");
    assert_eq!(column(&text, "points"), ["2", "2"]);
    says(
        &succeeds(&[&["rank", &arg(&record)][..], &only].concat()),
        &["over update@depth=2, update@depth=3"],
    );
}

#[test]
fn exports_are_json_on_paper_and_on_disk() {
    let (_dir, record) = altered(|_| ());
    let folder = tempfile::tempdir().unwrap();
    for format in ["bmf", "gha-smaller", "gha-bigger", "critcmp"] {
        let printed = succeeds(&["export", &arg(&record), "--format", format]);
        let value: serde_json::Value = serde_json::from_str(&printed).unwrap();
        assert!(value.is_array() || value.is_object());
        let file = folder.path().join(format);
        assert_eq!(succeeds(&["export", &arg(&record), "--format", format, "--out", &arg(&file)]), "");
        assert_eq!(fs::read_to_string(&file).unwrap(), printed);
    }
    assert_eq!(crate::session::names(folder.path()), ["bmf", "critcmp", "gha-bigger", "gha-smaller"]);
}

/// Two records in one critcmp file list are two baselines with the same benchmarks, and a name can be chosen.
#[test]
fn records_have_names_of_their_own_and_benchmarks_in_common() {
    let (_a, first) = altered(|_| ());
    let (_b, second) = altered(|record| record.run.started = "2026-01-02T03:04:05Z".into());
    let export = |record: &Path, more: &[&str]| -> serde_json::Value {
        let command = ["export", &arg(record), "--format", "critcmp"];
        serde_json::from_str(&succeeds(&[&command[..], more].concat())).unwrap()
    };
    let (a, b) = (export(&first, &[]), export(&second, &[]));
    assert_ne!(a["name"], b["name"]);
    says(b["name"].as_str().unwrap(), &["mixed-20260102T030405Z-"]);
    let keys = |file: &serde_json::Value| {
        file["benchmarks"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(keys(&a), keys(&b));
    says(&keys(&a)[0], &["update@", "bp/autograd (data=digits-7dd4bbfb, threads=1)"]);
    let named = export(&first, &["--name", "before"]);
    assert_eq!(named["name"], "before");
    assert!(named["benchmarks"].as_object().unwrap().values().all(|bench| bench["baseline"] == "before"));
}

/// Three runs of one program: counted over all pairs; and what is refused.
#[test]
fn agreement_counts_over_all_pairs() {
    let runs: Vec<(TempDir, PathBuf)> = (0..3).map(|_| altered(|_| ())).collect();
    let dirs: Vec<String> = runs.iter().map(|(_, dir)| arg(dir)).collect();
    let text = succeeds(&["agreement", &dirs[0], &dirs[1], &dirs[2]]);
    says(&text, &["3 runs, 3 pairs, ", "that hold 1: ", "called regressed: 0 of ", "clustered by run"]);
    says(&refused(&["agreement", &dirs[0], &dirs[1]]), &["2 records", "takes 3 at least"]);
    says(&refused(&["agreement", &dirs[0], &dirs[1], "/no/such"]), &["/no/such"]);
}
