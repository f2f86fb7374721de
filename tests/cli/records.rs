//! Life of a record: where it is written, resumed, reported, spliced and drawn again.

use std::fs;
use std::path::Path;

use crate::idx;
use crate::session::{arg, copy_of_mixed, mixed, names, refused, run, says, succeeds, suite, unfinish, TINY};

#[test]
fn a_run_writes_a_whole_record_and_says_where() {
    let (record, done) = mixed();
    for file in [
        "run.json",
        "machine.json",
        "samples.csv",
        "summary.csv",
        "ratios.csv",
        "signals.csv",
        "files.sha256",
        "index.html",
    ] {
        assert!(record.join(file).is_file(), "{file}");
    }
    assert!(names(record).iter().all(|name| !name.starts_with('.')), "{:?}", names(record));
    says(&done.out, &["mixed on ", "record: ", "index.html", "warning: debug build"]);
    assert!(!done.out.contains('\u{1b}') && !done.out.contains('\r'), "no terminal, no decoration");
}

#[test]
fn records_are_numbered_and_resumed_by_suite() {
    let (dir, file) = suite(TINY);
    let results = arg(dir.path().join("results"));
    let common = ["run", &file, "--allow-debug-build", "--no-plots", "--results", &results];
    let none = refused(&[&common[..], &["--resume"]].concat());
    says(&none, &["no unfinished record of suite `tiny`", "run without --resume"]);
    assert!(!Path::new(&results).exists());
    for expected in 1..=2 {
        succeeds(&common);
        let class = names(Path::new(&results)).remove(0);
        assert_eq!(names(&Path::new(&results).join(class)).len(), expected);
    }
    says(&refused(&[&common[..], &["--resume"]].concat()), &["no unfinished record"]);
    says(&refused(&[&common[..], &["--resume", "/no/such"]].concat()), &["/no/such", "no such folder"]);
    says(&refused(&[&common[..], &["--resume", &arg(dir.path())]].concat()), &["is not a record"]);
    assert_eq!(names(dir.path()), ["results", "suite.toml"]);
}

#[test]
fn a_record_is_resumed_only_on_its_own_definition_and_data() {
    let (dir, file) = suite(TINY);
    let out = dir.path().join("record");
    let common = ["run", &file, "--allow-debug-build", "--no-plots"];
    succeeds(&[&common[..], &["--out", &arg(&out)]].concat());
    says(
        &refused(&[&common[..], &["--resume", &arg(&out)]].concat()),
        &["cannot be resumed", "it is finished"],
    );
    unfinish(&out);
    let before = fs::read(out.join("run.json")).unwrap();

    fs::write(&file, TINY.replace("gain = 1.0", "gain = 2.0")).unwrap();
    says(
        &refused(&[&common[..], &["--resume", &arg(&out)]].concat()),
        &["cannot be resumed", "another definition"],
    );
    fs::write(&file, TINY).unwrap();
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    for half in ["train", "t10k"] {
        idx::half(&data, half, 3, &[9; 36], &[1, 2, 3, 4]).unwrap();
    }
    let other = refused(&[&common[..], &["--resume", &arg(&out), "--data", &arg(&data)]].concat());
    says(&other, &["cannot be resumed", "it was begun on data [digits", "--data"]);
    assert_eq!(fs::read(out.join("run.json")).unwrap(), before, "the record is as it was");
    succeeds(&[&common[..], &["--resume", &arg(&out)]].concat());
}

fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    names(dir).into_iter().map(|name| (name.clone(), fs::read(dir.join(name)).unwrap())).collect()
}

#[test]
fn plot_draws_the_same_bytes_again() {
    let (record, _) = mixed();
    let drawn = files(&record.join("figures"));
    assert!(drawn.iter().any(|(name, _)| name.ends_with(".png")), "{:?}", names(record));
    let dir = tempfile::tempdir().unwrap();
    let printed = succeeds(&["plot", &arg(record), "--out", &arg(dir.path())]);
    says(&printed, &[".png", "index.html"]);
    assert!(files(&dir.path().join("figures")) == drawn, "figures differ");
    let page = fs::read_to_string(dir.path().join("index.html")).unwrap();
    assert!(page == fs::read_to_string(record.join("index.html")).unwrap(), "pages differ");
    let networks = ["Networks and schedules", "Network: ", "Schedule: "];
    says(&page, &networks);
}

#[test]
fn splice_is_idempotent_and_check_notices() {
    let (dir, record) = copy_of_mixed();
    let readme = dir.path().join("README.md");
    let (file, record) = (arg(&readme), arg(record));
    let text = "# Title\n\n<!-- pcnbench:begin results -->\nold\n<!-- pcnbench:end results -->\nmore\n";
    fs::write(&readme, text).unwrap();
    let check = ["report", &record, "--splice", &file, "--check"];
    says(&refused(&check), &["README.md", "results table is out of date"]);
    assert_eq!(fs::read_to_string(&readme).unwrap(), text);
    succeeds(&["report", &record, "--splice", &file]);
    let once = fs::read_to_string(&readme).unwrap();
    says(&once, &["# Title", "| rule |", "ePC (`epc`)", "engine `reference`", "more\n"]);
    assert!(!once.contains("old"));
    succeeds(&["report", &record, "--splice", &file]);
    assert_eq!(fs::read_to_string(&readme).unwrap(), once);
    succeeds(&check);
    fs::write(&readme, "no markers").unwrap();
    says(
        &refused(&["report", &record, "--splice", &file]),
        &["README.md", "has no marker", "pcnbench:begin results"],
    );
    says(&refused(&["report", &record, "--splice", "/no/such.md"]), &["cannot read /no/such.md"]);
    assert_eq!(names(dir.path()), ["README.md", "record"]);
}

/// A record that knows nothing of figures gets none under `--no-plots`.
#[test]
fn no_plots_draws_nothing() {
    let (dir, file) = suite(TINY);
    let out = dir.path().join("record");
    succeeds(&["run", &file, "--allow-debug-build", "--no-plots", "--out", &arg(&out)]);
    assert!(!out.join("figures").exists() && !out.join("index.html").exists());
}

#[test]
fn a_debug_build_refuses_to_measure() {
    if cfg!(debug_assertions) {
        let (dir, file) = suite(TINY);
        let out = arg(dir.path().join("record"));
        let done = run(&["run", &file, "--out", &out]);
        says(&crate::session::sentence(&done, 1), &["debug build", "--release"]);
        assert_eq!(names(dir.path()), ["suite.toml"]);
    }
}

/// A contender that was found wrong fails the run, even if that was before the run was interrupted.
#[test]
fn a_wrong_contender_ends_with_exit_code_2() {
    let (dir, record) = copy_of_mixed();
    let summary = fs::read_to_string(record.join("summary.csv")).unwrap();
    let wrong = "spc/reference is wrong on the reduced problem of this point: w.1 is off";
    let start = summary.find(",diverged,spc diverged").unwrap();
    let err = start + ",diverged,".len();
    let end = err + summary[err..].find(',').unwrap();
    let changed = format!("{},wrong,{wrong}{}", &summary[..start], &summary[end..]);
    fs::write(record.join("summary.csv"), changed).unwrap();
    unfinish(&record);
    let file = arg(dir.path().join("suite.toml"));
    fs::write(&file, crate::session::MIXED).unwrap();
    let done = run(&["run", &file, "--allow-debug-build", "--no-plots", "--resume", &arg(&record)]);
    says(&crate::session::sentence(&done, 2), &["verification failed in 1 rows", "update@", wrong]);
    says(&done.out, &["record: ", wrong]);
}
