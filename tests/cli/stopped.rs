//! SIGSTOP in the middle of a run: no sample of the record is as long as a stop.

#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use pcnbench::record::{read, summarise};

use crate::session::{arg, pcnbench, suite};

const SUITE: &str = r#"schema = 1
name = "stopped"
about = "One point, long enough to be stopped in."
seed = 3
[[benchmark]]
name = "update"
model = "weight-update"
about = "Times."
contenders = ["bp/reference", "spc/reference"]
[benchmark.axes]
depth = [3]
width = [16]
batch = [4]
[benchmark.timing]
warmup_seconds = 0.05
target_half_width = 1e-6
min_rounds = 40
max_rounds = 40
max_seconds = 600.0
"#;

const STOP: Duration = Duration::from_millis(1500);

#[test]
fn samples_in_which_the_process_was_stopped_are_taken_again() {
    let (dir, file) = suite(SUITE);
    let out = dir.path().join("record");
    let mut child = Command::new(pcnbench().get_program());
    child.args(["-vv", "run", &file, "--allow-debug-build", "--no-plots", "--out", &arg(&out)]);
    child.env("RAYON_NUM_THREADS", "1").stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    let id = child.id().to_string();
    let signal = |name: &str| assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    // one of the stops may fall between two samples, but not all
    for round in ["round 5", "round 10", "round 15"] {
        assert!(lines.any(|line| line.contains(round)), "{round} was never reached");
        signal("-STOP");
        sleep(STOP);
        signal("-CONT");
    }
    assert_eq!(lines.filter(|line| line.contains("ERROR")).count(), 0);
    assert!(child.wait().unwrap().success());

    let record = read(&out).unwrap();
    summarise::check(&record).unwrap();
    if record.samples.iter().any(|sample| sample.delay_ns.is_none()) {
        return; // this system does not report how long threads wait, without which a stop looks like a wait
    }
    assert_eq!(record.summary.iter().map(|row| row.n).collect::<Vec<_>>(), [40, 40]);
    let executed = |s: &pcnbench::record::Sample| s.wall_ns * u64::from(s.executions);
    let longest = record.samples.iter().map(executed).max().unwrap();
    assert!(u128::from(longest) < STOP.as_nanos(), "{longest}");
    let warning = record.run.warnings.iter().find(|w| w.starts_with("paused: ")).unwrap();
    assert!(warning.contains("discarded and taken again, 0 were kept"), "{warning}");
}
