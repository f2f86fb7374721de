//! Threads and memory that the system does not give: fewer workers with a warning, or one sentence; no panic, no wait
//! without end.

use std::path::Path;
use std::time::Duration;

use pcnbench::record::read;

use crate::session::{arg, copy_of_mixed, done, pcnbench, says, sentence, suite, Done, TINY};

/// A stack of this size has no place in any address space, so that no thread can be made.
const NO_THREADS: (&str, &str) = ("RUST_MIN_STACK", "1152921504606846976");

fn without_threads(args: &[&str]) -> Done {
    let mut command = pcnbench();
    command.env_remove("RAYON_NUM_THREADS").env(NO_THREADS.0, NO_THREADS.1);
    done(command.args(args).timeout(Duration::from_secs(600)))
}

fn cores() -> usize {
    std::thread::available_parallelism().unwrap().get()
}

const FUSED: &str = r#"schema = 1
name = "fused"
about = "Calls that are worth sharing."
seed = 1
[[benchmark]]
name = "update"
model = "weight-update"
about = "Times."
contenders = ["bp/fused", "spc/fused", "bp/reference"]
baseline = "bp/fused"
[benchmark.axes]
depth = [6]
width = [64]
batch = [128]
[benchmark.timing]
warmup_seconds = 0.0
max_seconds = 0.2
min_rounds = 3
max_rounds = 3
"#;

/// Figures are drawn too.
#[test]
fn a_run_without_threads_measures_on_one_and_says_so() {
    let (dir, file) = suite(FUSED);
    let out = dir.path().join("record");
    let done = without_threads(&["run", &file, "--allow-debug-build", "--out", &arg(&out)]);
    assert_eq!(done.code, Some(0), "{}", done.err);
    let record = read(&out).unwrap();
    assert_eq!(record.run.threads, 1);
    assert!(record.summary.iter().all(|row| row.err.is_empty() && row.n >= 3));
    assert!(record.run.ceilings.iter().any(|ceiling| ceiling.quantity == "copy" && ceiling.threads == 1));
    if cores() > 1 {
        says(&done.err, &["WARN", "the system grants 1 of ", "worker threads", "threads used: 1"]);
    }
}

#[test]
fn an_option_that_cannot_be_met_for_want_of_threads_is_refused() {
    if cores() == 1 {
        return;
    }
    for command in [&["run", "quick"][..], &["verify"], &["doctor"]] {
        let done = without_threads(&[command, &["--threads", "2"]].concat());
        assert_eq!(done.out, "");
        says(&sentence(&done, 1), &["--threads 2: ", "grants 1 of 2 worker threads", "give --threads 1"]);
    }
}

#[test]
fn every_other_command_needs_no_threads() {
    let (_dir, record) = copy_of_mixed();
    let record = arg(&record);
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/closed_epc-linear-3-7-5-2-T12.json");
    let cases = arg(cases);
    let out = tempfile::tempdir().unwrap();
    let gate = arg(out.path().join("gate"));
    for (args, code) in [
        (&["list"][..], 0),
        (&["bounds", "quick", "--simulate", "3"], 0),
        (&["report", &record], 0),
        (&["cmp", &record, &record], 0),
        (&["rank", &record, "--contender", "epc/reference"], 0),
        (&["export", &record, "--format", "bmf"], 0),
        (&["gate", "--record", &record, "--out", &gate, "--results", &gate], 2),
        (&["doctor"], 0),
        (&["verify", "--cases", &cases, "--engine", "fused", "--rule", "epc"], 0),
        (&["completions", "bash"], 0),
        (&["man"], 0),
    ] {
        let done = without_threads(args);
        assert_eq!(done.code, Some(code), "{args:?}: {}{}", done.out, done.err);
    }
}

/// The program in a shell that limits its address space, in KiB.
#[cfg(target_os = "linux")]
fn within(kib: u64, args: &[&str]) -> Done {
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &format!("ulimit -v {kib}; exec \"$0\" \"$@\"")]).arg(pcnbench().get_program());
    shell.args(args).env("RUST_BACKTRACE", "1").env("RAYON_NUM_THREADS", "1");
    done(&mut shell.into())
}

/// Three layers of 8192 units are a gigabyte of weights and gradients: more than 600 MiB, and there without a limit.
#[cfg(target_os = "linux")]
#[test]
fn a_limit_on_memory_is_told_before_it_is_met() {
    let (dir, file) =
        suite(&TINY.replace("depth = [2]", "depth = [3]").replace("width = [4]", "width = [8192]"));
    let out = arg(dir.path().join("record"));
    let done = within(600 << 10, &["run", &file, "--allow-debug-build", "--no-plots", "--out", &out]);
    says(
        &sentence(&done, 1),
        &["point signal@", "GiB of memory", "this process (`ulimit -v`) has 0.6", "lower its width"],
    );
    assert!(!Path::new(&out).exists());
    let seen = within(600 << 10, &["doctor"]);
    says(&seen.out, &["0.6 GiB"]);
}

/// A schedule of 20 million products, placed one by one; and the data of a teacher.
#[cfg(target_os = "linux")]
#[test]
fn what_a_number_on_the_command_line_asks_for_is_estimated_first() {
    let refused = |args: &[&str]| sentence(&within(1 << 20, args), 1);
    let network = ["bounds", "rules", "--simulate", "4", "--width", "1", "--batch", "1"];
    let long = refused(&[&network[..], &["--depth", "4096", "--steps", "5000"]].concat());
    says(&long, &["--simulate: the schedule of ", "matrix products", "lower depth or steps"]);
    let wide = refused(&[&network[..], &["--depth", "1500", "--steps", "2000"]].concat());
    says(&wide, &["--simulate: the schedule of ", "GiB of memory", "this process (`ulimit -v`)"]);
    // processors that no schedule could use cost nothing
    let many =
        within(1 << 20, &["bounds", "quick", "--max-depth", "4", "--simulate", "18446744073709551615"]);
    assert_eq!(many.code, Some(0), "{}", many.err);

    let (_dir, file) = suite(&TINY.replace("contenders", "data = \"teacher\"\ncontenders"));
    let data = refused(&["bounds", &file, "--width", "4096", "--batch", "4000"]);
    says(&data, &["data set `teacher` (", "GiB of memory", "lower width or batch"]);
}
