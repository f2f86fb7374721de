//! Arguments: help, versions, slips of the keyboard, and bytes that are no text.

use crate::session::{done, pcnbench, run, says, succeeds};

const SUBCOMMANDS: [&str; 17] = [
    "run",
    "verify",
    "list",
    "merge",
    "plot",
    "report",
    "bounds",
    "draw",
    "cmp",
    "rank",
    "agreement",
    "gate",
    "tune",
    "export",
    "doctor",
    "completions",
    "man",
];

#[test]
fn help_names_every_subcommand_and_exit_code() {
    let help = succeeds(&["--help"]);
    says(&help, &SUBCOMMANDS);
    says(&help, &["Exit codes: 0 clean; 1 the tool failed", "2 verification failed", "pcnbench run quick"]);
    // clap wraps lines where it likes
    let flat = help.split_whitespace().collect::<Vec<_>>().join(" ");
    says(&flat, &["3 a regression", "4 inconclusive, under --strict"]);
    assert!(succeeds(&["--version"]).starts_with("pcnbench "));
    for subcommand in SUBCOMMANDS {
        let help = succeeds(&[subcommand, "--help"]);
        says(&help, &["Usage: pcnbench", subcommand]);
        assert!(!help.contains("allow-debug-build"));
        assert!(help.lines().all(|line| line.chars().count() <= 110), "{help}");
    }
}

/// clap's own code for a usage error is 2, which here means something else.
#[test]
fn usage_errors_exit_with_1() {
    for args in [
        &["frobnicate"][..],
        &["run", "--frobnicate"],
        &["run", "quick", "depth"],
        &["run", "--seed", "x"],
        &["run", "--seed", "-1"],
        &["run", "--max-depth", "two"],
        &["run", "--max-seconds", "soon"],
        &["run", "--out", "a", "--resume", "b"],
        &["run", "--format", "xml"],
        &["report"],
        &["report", "x", "--check"],
        &["plot"],
        &["draw"],
        &["merge"],
        &["run", "--shard"],
        &["cmp", "a"],
        &["cmp", "a", "b", "--threshold", "much"],
        &["rank"],
        &["export", "a"],
        &["export", "a", "--format", "xml"],
        &["gate", "quick"],
        &["completions", "tcsh"],
        &["verify", "--cases"],
    ] {
        let done = run(args);
        assert_eq!((done.code, done.out.as_str()), (Some(1), ""), "{args:?}");
        assert!(done.err.starts_with("error: ") && done.err.contains("--help"), "{args:?}: {}", done.err);
        assert_eq!(done.err.matches("error:").count(), 1);
    }
}

#[cfg(unix)]
#[test]
fn bytes_that_are_no_text_are_taken_as_paths_and_refused_as_names() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let odd = OsStr::from_bytes(b"odd-\xff-name");
    let refused = done(pcnbench().arg("list").arg(odd));
    assert_eq!(refused.code, Some(1));
    says(&refused.err, &["error: invalid UTF-8"]);

    let (dir, file) = crate::session::suite(crate::session::TINY);
    let out = dir.path().join(odd);
    let written = done(pcnbench().args(["run", &file, "--allow-debug-build", "--out"]).arg(&out));
    assert_eq!((written.code, written.err.as_str()), (Some(0), ""));
    assert!(out.join("run.json").is_file() && out.join("index.html").is_file());
    for subcommand in ["plot", "report"] {
        assert_eq!(done(pcnbench().arg(subcommand).arg(&out)).code, Some(0));
    }
    let missing = done(pcnbench().args(["verify", "--cases"]).arg(odd));
    assert_eq!(missing.code, Some(1));
}

/// Options may stand anywhere, and `-v` speaks on standard error only.
#[test]
fn verbosity_leaves_standard_output_alone() {
    let (dir, file) = crate::session::suite(crate::session::TINY);
    let out = |name: &str| crate::session::arg(dir.path().join(name));
    let loud = run(&[
        "run",
        &file,
        "--allow-debug-build",
        "--no-plots",
        "--format",
        "json",
        "--out",
        &out("a"),
        "-vv",
    ]);
    assert_eq!(loud.code, Some(0));
    assert!(loud.err.contains("finished") && !loud.err.contains('\u{1b}'), "{}", loud.err);
    assert_eq!(loud.out, "[]\n");
}

#[test]
fn axes_are_listed_with_defaults_and_limits() {
    let listed = succeeds(&["list", "--axes", "--format", "csv"]);
    let row =
        |name: &str| listed.lines().find(|line| line.starts_with(&format!("{name},"))).unwrap().to_owned();
    for axis in pcnbench::suite::AXES {
        says(&row(axis.name), &[&axis.default.to_string(), axis.about.trim()]);
    }
    says(&row("depth"), &["L", "layers", "4", "1 to 4096"]);
    says(&row("step_size"), &["g", "0.1", "1e-9 to 1e9"]);
    says(&row("device"), &["cpu, cuda"]);
    assert_eq!(run(&["list", "quick", "--axes"]).code, Some(1));
}
