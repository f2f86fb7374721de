//! Places that a record cannot be written to or read from.

use std::fs;
use std::process::Command;

use crate::session::{
    arg, copy_of_mixed, done, names, pcnbench, refused, run, says, seal, sentence, suite, TINY,
};

/// Arguments of a quick run of `file`.
fn measure<'a>(file: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["run", file, "--allow-debug-build", "--no-plots"], more].concat()
}

#[test]
fn files_in_the_way_are_left_alone() {
    let (dir, file) = suite(TINY);
    let taken = dir.path().join("taken");
    fs::write(&taken, "mine").unwrap();
    says(&refused(&measure(&file, &["--out", &arg(&taken)])), &["taken", "exists and is not a folder"]);
    says(&refused(&measure(&file, &["--results", &arg(&taken)])), &["cannot create the folder", "taken"]);
    says(
        &refused(&measure(&file, &["--out", &arg(taken.join("below"))])),
        &["cannot create the folder", "taken"],
    );
    assert_eq!(fs::read_to_string(&taken).unwrap(), "mine");
    let full = dir.path().join("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("thesis.tex"), "mine").unwrap();
    says(&refused(&measure(&file, &["--out", &arg(&full)])), &["is not empty", "thesis.tex"]);
    assert_eq!(names(&full), ["thesis.tex"]);
    assert_eq!(names(dir.path()), ["full", "suite.toml", "taken"]);
}

#[cfg(target_os = "linux")]
#[test]
fn folders_that_cannot_be_written() {
    let (_dir, file) = suite(TINY);
    // binds root too
    says(&refused(&measure(&file, &["--out", "/proc/record"])), &["cannot create the folder", "/proc"]);
    says(
        &refused(&measure(&file, &["--results", "/proc/records"])),
        &["cannot create the folder /proc/records"],
    );
    let (_dir, record) = copy_of_mixed();
    says(&refused(&["plot", &arg(&record), "--out", "/proc/figures"]), &["/proc/figures"]);
    says(&refused(&["man", "--out", "/proc/man"]), &["/proc/man"]);
}

/// A run under a limit on file size, which fails a write half-way as a full disk does.
#[cfg(target_os = "linux")]
fn with_full_disk(blocks: usize, args: &[&str]) -> crate::session::Done {
    let mut shell = Command::new("sh");
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    shell.args(["-c", &script]).arg(pcnbench().get_program()).args(args).env("RUST_BACKTRACE", "1");
    shell.env("RAYON_NUM_THREADS", "1");
    done(&mut shell.into())
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_before_the_first_point_leaves_nothing() {
    let (dir, file) = suite(TINY);
    let out = arg(dir.path().join("record"));
    let done = with_full_disk(0, &measure(&file, &["--out", &out]));
    says(&sentence(&done, 1), &["cannot write", "File too large"]);
    assert_eq!(names(dir.path()), ["suite.toml"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_later_keeps_the_finished_points_and_the_run_goes_on_with_room() {
    let (dir, file) =
        suite(&TINY.replace("depth = [2]", "depth = [2, 3, 4]").replace("steps = [3]", "steps = [40]"));
    let out = arg(dir.path().join("record"));
    let done = with_full_disk(40, &measure(&file, &["--out", &out]));
    says(&sentence(&done, 1), &["cannot write", "signals.csv", "File too large"]);
    let before = pcnbench::record::read(out.as_ref()).unwrap();
    assert_eq!(before.summary.len(), 1, "one point was finished");
    let done = run(&measure(&file, &["--resume", &out]));
    assert_eq!(done.code, Some(0), "{}", done.err);
    let after = pcnbench::record::read(out.as_ref()).unwrap();
    assert_eq!(after.summary.len(), 3);
    assert_eq!(after.signals[..before.signals.len()], before.signals);
}

#[cfg(target_os = "linux")]
#[test]
fn standard_output_that_is_full_is_told() {
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    for args in [
        &["list"][..],
        &["list", "quick", "--format", "json"],
        &["doctor"],
        &["man"],
        &["completions", "bash"],
    ] {
        let mut command = Command::new(pcnbench().get_program());
        let output = command.args(args).stdout(full()).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?} {err}");
        says(&err, &["error: cannot write to standard output: No space left"]);
    }
}

#[test]
fn records_that_are_none_or_damaged() {
    let (dir, record) = copy_of_mixed();
    let commands = |path: &str| [refused(&["plot", path]), refused(&["report", path])];
    for sentence in commands("/no/such/record") {
        says(&sentence, &["/no/such/record", "no such folder", "pcnbench run"]);
    }
    for sentence in commands(&arg(dir.path())) {
        says(&sentence, &["is not a record", "run.json"]);
    }
    let summary = fs::read_to_string(record.join("summary.csv")).unwrap();
    fs::write(record.join("summary.csv"), &summary[..summary.len() / 2]).unwrap();
    for sentence in commands(&arg(&record)) {
        says(&sentence, &["summary.csv"]);
    }
    fs::write(record.join("summary.csv"), &summary).unwrap();
    fs::remove_file(record.join("samples.csv")).unwrap();
    for sentence in commands(&arg(&record)) {
        says(&sentence, &["samples.csv", "missing"]);
    }
    assert!(!record.join("figures").exists());
}

/// A number in the summary that its samples do not give is a lie.
#[test]
fn a_summary_that_does_not_follow_from_its_samples_is_refused() {
    let (_dir, record) = copy_of_mixed();
    let samples = fs::read_to_string(record.join("samples.csv")).unwrap();
    let mut lines: Vec<String> = samples.lines().map(str::to_owned).collect();
    lines.remove(1);
    fs::write(record.join("samples.csv"), lines.join("\n") + "\n").unwrap();
    seal(&record);
    says(&refused(&["report", &arg(&record)]), &["summary.csv"]);
}
