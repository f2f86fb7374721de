//! SIGKILL in the middle of a run: no finished point is lost, repeated or changed.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use pcnbench::record::{read, summarise, Record};

use crate::session::{arg, pcnbench, refused, run, says, suite};

const SUITE: &str = r#"schema = 1
name = "long"
about = "Points enough to be killed among."
seed = 3
[[benchmark]]
name = "update"
model = "weight-update"
about = "Times."
contenders = ["bp/reference", "spc/reference"]
[benchmark.axes]
depth = [2, 3]
width = [4, 5, 6]
batch = [2]
[benchmark.timing]
warmup_seconds = 0.03
min_rounds = 3
max_rounds = 3
# points of several are measured together and finished at once
instances = 1
[[benchmark]]
name = "trace"
model = "signal-decay"
about = "Energies."
contenders = ["spc/reference"]
[benchmark.axes]
depth = [2, 3, 4]
width = [4]
batch = [2]
"#;
const POINTS: usize = 9;

fn points(record: &Record) -> Vec<&str> {
    let mut points: Vec<&str> = record.summary.iter().map(|row| row.point.as_str()).collect();
    points.dedup();
    points
}

/// What is finished so far; nothing before there is a record.
fn finished(dir: &Path) -> usize {
    read(dir).map_or(0, |record| points(&record).len())
}

#[test]
fn a_killed_run_is_resumed_without_loss_or_repetition() {
    let (dir, file) = suite(SUITE);
    let out = dir.path().join("record");
    let out_arg = arg(&out);
    let common = ["run", &file, "--allow-debug-build", "--no-plots"];
    let mut before: Option<Record> = None;
    for (blow, place) in [["--out", &out_arg], ["--resume", &out_arg]].into_iter().enumerate() {
        let had = before.as_ref().map_or(0, |record| points(record).len());
        let mut child = Command::new(pcnbench().get_program());
        child.args(common).args(place).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = child.env("RAYON_NUM_THREADS", "1").spawn().unwrap();
        let begin = Instant::now();
        while finished(&out) <= had && begin.elapsed() < Duration::from_secs(60) {
            sleep(Duration::from_millis(1));
        }
        sleep(Duration::from_millis(7 * blow as u64));
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success(), "the run ended before it was killed");
        let now = read(&out).unwrap();
        assert!(points(&now).len() > had && points(&now).len() < POINTS, "{}", points(&now).len());
        summarise::check(&now).unwrap();
        if let Some(before) = before {
            begins_with(&now, &before);
        }
        before = Some(now);
    }
    let before = before.unwrap();
    // an unfinished record can be read, reported and drawn
    assert_eq!(run(&["report", &out_arg]).code, Some(0));
    assert_eq!(run(&["plot", &out_arg]).code, Some(0));
    // but not begun again, nor gone on with under another definition, seed or data
    says(&refused(&[&common[..], &["--out", &out_arg]].concat()), &["already holds a record", "--resume"]);
    says(
        &refused(&[&common[..], &["--resume", &out_arg, "--seed", "4"]].concat()),
        &["cannot be resumed", "another definition"],
    );
    assert_eq!(read(&out).unwrap().summary, before.summary);

    let done = run(&[&common[..], &["--resume", &out_arg]].concat());
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""), "{}", done.out);
    let after = read(&out).unwrap();
    begins_with(&after, &before);
    summarise::check(&after).unwrap();
    assert!(after.run.finished.is_some());
    let mut unique = points(&after);
    assert_eq!(unique.len(), POINTS);
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), POINTS, "no point was measured twice");
    let (rates, ceilings): (Vec<_>, Vec<_>) = after.run.ceilings.iter().partition(|c| c.quantity != "fma");
    let (before_rates, before_ceilings): (Vec<_>, Vec<_>) =
        before.run.ceilings.iter().partition(|c| c.quantity != "fma");
    assert_eq!(rates, before_rates, "reference rates are measured once");
    assert!(!ceilings.is_empty() && ceilings.len() == before_ceilings.len());
    for (now, then) in ceilings.iter().zip(&before_ceilings) {
        assert!(now.threads == then.threads && now.per_second >= then.per_second, "{now:?} {then:?}");
    }
    says(
        &refused(&[&common[..], &["--resume", &out_arg]].concat()),
        &["cannot be resumed", "it is finished"],
    );
}

/// Bit by bit: the finished points of `before` are the first of `after`.
fn begins_with(after: &Record, before: &Record) {
    assert_eq!(after.samples[..before.samples.len()], before.samples);
    assert_eq!(after.summary[..before.summary.len()], before.summary);
    assert_eq!(after.ratios[..before.ratios.len()], before.ratios);
    assert_eq!(after.signals[..before.signals.len()], before.signals);
}
