//! Standard output and standard error that are closed, full or not there: they cost what would have been written to them,
//! never the work, and never the verdict.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use pcnbench::record::read;

use crate::comparing::{altered, slower};
use crate::session::{arg, mixed, pcnbench, says, suite, Done, TINY};

/// How a stream is of no use.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stream {
    /// Its reader has gone.
    Closed,
    /// A device without space.
    #[cfg(target_os = "linux")]
    Full,
    /// As usual.
    Read,
}

/// What a command says and ends with under these streams.
fn under(args: &[&str], out: Stream, err: Stream) -> Done {
    let mut command = Command::new(pcnbench().get_program());
    command.args(args).env("RUST_BACKTRACE", "1").env("RAYON_NUM_THREADS", "1");
    let stdio = |stream| match stream {
        #[cfg(target_os = "linux")]
        Stream::Full => Stdio::from(File::options().write(true).open("/dev/full").unwrap()),
        _ => Stdio::piped(),
    };
    let mut child = command.stdout(stdio(out)).stderr(stdio(err)).spawn().unwrap();
    // before the program can have written anything: it takes milliseconds to load
    if out == Stream::Closed {
        drop(child.stdout.take());
    }
    if err == Stream::Closed {
        drop(child.stderr.take());
    }
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Done { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// A folder with a case whose expectation is wrong.
fn wrong_case() -> tempfile::TempDir {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/closed_epc-linear-3-7-5-2-T12.json");
    let mut value: serde_json::Value = serde_json::from_slice(&fs::read(case).unwrap()).unwrap();
    let expected = value["expect"].as_object_mut().unwrap().values_mut().next().unwrap();
    let first = expected.as_array_mut().and_then(|rows| rows.first_mut()).unwrap();
    *first = match first.as_array() {
        Some(row) => serde_json::json!(vec![7.5; row.len()]),
        None => serde_json::json!(7.5),
    };
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("wrong.json"), value.to_string()).unwrap();
    dir
}

#[test]
fn a_verdict_does_not_depend_on_who_reads_it() {
    let case = wrong_case();
    let ((_a, base), (_b, new)) = (altered(|_| ()), altered(slower));
    let (_c, other) = altered(|record| record.machine.class = "cpu-other-9c".into());
    let (base, new, other) = (arg(base), arg(new), arg(other));
    let (case, out) = (arg(case.path()), tempfile::tempdir().unwrap());
    let baseline = arg(out.path().join("none.toml"));
    for (args, code, sentence) in [
        (&["verify", "--cases", &case][..], 2, "error: 1 of 1 cases failed"),
        (&["cmp", &base, &new], 3, "error: regressed: "),
        (&["cmp", &base, &new, "--format", "json"], 3, "error: regressed: "),
        (&["cmp", &base, &other, "--strict"], 4, "error: inconclusive: "),
        (&["export", &base, "--format", "bmf"], 0, ""),
        (&["gate", "--record", &base, "--baseline", &baseline], 1, "error: "),
    ] {
        let usual = under(args, Stream::Read, Stream::Read);
        assert_eq!(usual.code, Some(code), "{args:?}: {}{}", usual.out, usual.err);
        says(&usual.err, &[sentence]);
        let closed = under(args, Stream::Closed, Stream::Read);
        assert_eq!((closed.code, &closed.err), (Some(code), &usual.err), "{args:?}");
        #[cfg(target_os = "linux")]
        if code != 1 {
            let full = under(args, Stream::Full, Stream::Read);
            assert_eq!(full.code, Some(code.max(1)), "{args:?}: {}", full.err);
            assert_eq!(full.err.lines().count(), 1, "{}", full.err);
            says(&full.err, &[sentence, "cannot write to standard output: No space left"]);
        }
        // nor on whether standard error is read
        for err in useless() {
            assert_eq!(under(args, Stream::Read, err).out, usual.out, "{args:?}");
            assert_eq!(under(args, Stream::Closed, err).code, Some(code), "{args:?}");
        }
    }
}

fn useless() -> Vec<Stream> {
    vec![
        Stream::Closed,
        #[cfg(target_os = "linux")]
        Stream::Full,
    ]
}

/// A run measures and writes to the last file although its warnings reach no reader; where neither stream is of use it
/// draws as well.
#[test]
fn a_run_does_its_work_whatever_becomes_of_its_streams() {
    let (dir, file) = suite(TINY);
    let pairs = useless().into_iter().flat_map(|s| [(s, Stream::Read), (Stream::Read, s), (s, s)]);
    for (i, (out, err)) in pairs.enumerate() {
        let record = dir.path().join(format!("record-{i}"));
        let place = arg(&record);
        let drawn = (out, err) == (Stream::Closed, Stream::Closed);
        let plots: &[&str] = if drawn { &[] } else { &["--no-plots"] };
        let run = ["-vv", "run", &file, "--allow-debug-build", "--out", &place];
        let done = under(&[&run[..], plots].concat(), out, err);
        #[cfg(target_os = "linux")]
        let code = i32::from(out == Stream::Full);
        #[cfg(not(target_os = "linux"))]
        let code = 0;
        assert_eq!(done.code, Some(code), "{out:?} {err:?}: {}", done.err);
        assert!(!done.err.contains("panicked"), "{}", done.err);
        let record = read(&record).unwrap();
        assert!(record.run.finished.is_some() && record.summary.len() == 1);
        assert_eq!(record.dir.join("index.html").is_file(), drawn);
        assert_eq!(under(&["report", &place], out, err).code, Some(code));
    }
}

/// A gate writes its report before it prints.
#[test]
fn a_gate_whose_reader_has_gone_writes_its_report() {
    let record = arg(mixed().0);
    let dir = tempfile::tempdir().unwrap();
    let out = arg(dir.path().join("out"));
    let results = arg(dir.path());
    let args = ["gate", "--record", &record, "--results", &results, "--out", &out];
    // without a baseline, what failed blocks
    let done = under(&args, Stream::Closed, Stream::Read);
    assert_eq!(done.code, Some(2), "{}", done.err);
    says(&done.err, &["spc diverged"]);
    says(&fs::read_to_string(Path::new(&out).join("gate.md")).unwrap(), &["## Gate failed", "spc diverged"]);
}

/// A file that the program opens must not become its standard output or error.
#[cfg(unix)]
#[test]
fn without_any_stream_no_message_gets_into_a_file() {
    let (dir, file) = suite(TINY);
    let (with, without) = (dir.path().join("with"), dir.path().join("without"));
    for (out, closed) in [(&with, ""), (&without, "<&- >&- 2>&-")] {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec \"$0\" \"$@\" {closed}")]).arg(pcnbench().get_program());
        shell
            .args(["-vv", "run", &file, "--allow-debug-build", "--out"])
            .arg(out)
            .env("RAYON_NUM_THREADS", "1");
        assert_eq!(shell.output().unwrap().status.code(), Some(0));
    }
    assert_eq!(read(&with).unwrap().summary, read(&without).unwrap().summary);
    for name in ["samples.csv", "summary.csv", "signals.csv", "machine.json"] {
        assert_eq!(fs::read(with.join(name)).unwrap(), fs::read(without.join(name)).unwrap(), "{name}");
    }
}

/// Help and versions come from another writer.
#[cfg(target_os = "linux")]
#[test]
fn help_on_a_full_device_is_told() {
    for args in [&["--help"][..], &["--version"], &["run", "--help"]] {
        let done = under(args, Stream::Full, Stream::Read);
        assert_eq!(done.code, Some(1), "{args:?}");
        says(&done.err, &["error: cannot write to standard output: No space left"]);
        assert_eq!(under(args, Stream::Closed, Stream::Closed).code, Some(0));
    }
    for err in useless() {
        assert_eq!(under(&["frobnicate"], Stream::Read, err).code, Some(1));
    }
}
