//! `gate`: baselines made and held against, suspects measured again, and what it writes.
//!
//! Timings of a debug build on a busy machine are noise, so what decides here is made certain: a baseline edited far
//! beyond any noise, however long others had the processors; work that was counted otherwise; or a tolerance that
//! nothing exceeds.

use std::fs;
use std::path::Path;

use pcnbench::record;
use tempfile::TempDir;

use crate::session::{arg, done, names, pcnbench, refused, says, sentence, suite, Done};

const SUITE: &str = r#"schema = 1
name = "little"
about = "One point."
seed = 3

[[benchmark]]
name = "update"
model = "weight-update"
about = "Times."
contenders = ["bp/reference", "spc/reference", "epc/reference"]
[benchmark.axes]
depth = [3]
width = [8]
batch = [4]
[benchmark.timing]
warmup_seconds = 0.0
max_seconds = 0.5
min_rounds = 20
max_rounds = 20
"#;

struct Session {
    dir: TempDir,
    file: String,
}

impl Session {
    fn new() -> Self {
        let (dir, file) = suite(SUITE);
        Self { dir, file }
    }

    fn gate(&self, out: &str, more: &[&str]) -> Done {
        self.gate_with(out, more, &[])
    }

    /// With variables in the environment.
    fn gate_with(&self, out: &str, more: &[&str], variables: &[(&str, &str)]) -> Done {
        let (out, results) = (arg(self.dir.path().join(out)), arg(self.dir.path().join("results")));
        let common = [
            "gate",
            "--allow-debug-build",
            "--most-waiting",
            "100",
            "--suite",
            &self.file,
            "--out",
            &out,
            "--results",
            &results,
        ];
        done(pcnbench().args([&common[..], more].concat()).envs(variables.iter().copied()))
    }

    /// A baseline under the results folder; its path.
    fn with_baseline(&self) -> String {
        let done = self.gate("made", &["--update-baseline"]);
        assert_eq!((done.code, done.err.as_str()), (Some(0), ""));
        says(&done.out, &["baseline: ", "(3 entries)"]);
        let results = self.dir.path().join("results");
        let class = names(&results).remove(0);
        arg(results.join(class).join("baseline.toml"))
    }

    fn markdown(&self, out: &str) -> String {
        fs::read_to_string(self.dir.path().join(out).join("gate.md")).unwrap()
    }
}

fn edit(path: &str, change: impl Fn(&str) -> String) {
    let text = fs::read_to_string(path).unwrap();
    let changed = change(&text);
    assert_ne!(text, changed);
    fs::write(path, changed).unwrap();
}

/// Every ratio (with its interval) times `factor`.
fn scaled(text: &str, factor: f64) -> String {
    let keys = ["ratio = ", "low = ", "high = ", "quiet_ratio = "];
    let line = |line: &str| match keys.iter().find(|key| line.starts_with(**key)) {
        Some(key) => format!("{key}{:?}\n", line[key.len()..].parse::<f64>().unwrap() * factor),
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[test]
fn without_a_baseline_only_verification_is_judged() {
    let s = Session::new();
    let done = s.gate("out", &[]);
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""));
    says(&done.out, &["there is no baseline", "--update-baseline", "gate.md"]);
    says(
        &s.markdown("out"),
        &["## Gate has nothing to compare with; verification passed", "there is no baseline"],
    );
    assert_eq!(
        names(&s.dir.path().join("out")),
        ["bmf.json", "critcmp.json", "gate.md", "gha-bigger.json", "gha-smaller.json", "record"]
    );
    says(&refused_by(&s, "out"), &["is not empty", "--out"]);
    let strict = s.gate("strict", &["--strict"]);
    says(&sentence(&strict, 4), &["inconclusive: nothing compares: there is no baseline"]);
}

/// A baseline of nothing, and one that shares nothing with the record: no gate is passed by that.
#[test]
fn nothing_compared_is_no_gate_passed() {
    let s = Session::new();
    let path = s.with_baseline();
    let record = arg(s.dir.path().join("made/record"));
    let whole = fs::read_to_string(&path).unwrap();
    let nothing = whole.split("[[entry]]").next().unwrap().to_owned();
    let strange = whole.replace("point = \"update@", "point = \"other@");
    for (k, (text, strict)) in
        [(&nothing, false), (&nothing, true), (&strange, false), (&strange, true)].into_iter().enumerate()
    {
        fs::write(&path, text).unwrap();
        let out = format!("out-{k}");
        let more: &[&str] = if strict { &["--strict"] } else { &[] };
        let done = s.gate(&out, &[&["--record", record.as_str(), "--threshold", "1000"][..], more].concat());
        says(&sentence(&done, 4), &["inconclusive: nothing compares: ", "only in "]);
        let page = s.markdown(&out);
        says(&page, &["## Gate inconclusive: nothing compares"]);
        assert!(!page.contains("Gate passed"));
    }
}

fn refused_by(s: &Session, out: &str) -> String {
    let done = s.gate(out, &[]);
    assert_eq!(done.out, "");
    sentence(&done, 1)
}

#[test]
fn a_baseline_passes_regresses_and_crosses_machines() {
    let s = Session::new();
    let path = s.with_baseline();
    // Nothing changes a thousandfold.
    let passed = s.gate("passed", &["--threshold", "1000"]);
    assert_eq!((passed.code, passed.err.as_str()), (Some(0), ""), "{}", passed.out);
    says(&passed.out, &["compared with ", "spc/reference", "2 same"]);
    says(&s.markdown("passed"), &["## Gate passed", "All 2 rows", "| spc/reference |"]);

    // A baseline thrice as fast: found, measured again in four sessions, and found again.
    edit(&path, |text| scaled(text, 1.0 / 3.0));
    let slow = s.gate("slow", &["--threshold", "50"]);
    says(&sentence(&slow, 3), &["regressed: ", "at update@", "(of 2)"]);
    says(&slow.out, &["measured again, 4 times as long", "2 regressed"]);
    says(&s.markdown("slow"), &["## Gate regressed: "]);
    let written = names(&s.dir.path().join("slow"));
    assert_eq!(written.iter().filter(|name| name.starts_with("again-")).count(), 1, "{written:?}");
    let again = record::read(&s.dir.path().join("slow/again-1")).unwrap();
    // at least two rounds each, however slow the machine
    assert!(again.ratios.iter().all(|r| r.instances == 20 && r.pairs >= 40), "{:?}", again.ratios);

    // The same numbers from another machine class: thrice is beyond 1.5 times, not beyond 10.
    let other = Path::new(&path).parent().unwrap().with_file_name("cpu-other-9c");
    fs::rename(Path::new(&path).parent().unwrap(), &other).unwrap();
    let moved = arg(other.join("baseline.toml"));
    edit(&moved, |text| text.replacen("machine_class = \"", "machine_class = \"cpu-other-", 1));
    let strange = s.gate("strange", &[]);
    says(&sentence(&strange, 3), &["regressed: "]);
    says(&strange.out, &["stands in: the nearest", "factor of 1.5"]);
    let wide = s.gate("wide", &["--cross-machine-tolerance", "10"]);
    assert_eq!((wide.code, wide.err.as_str()), (Some(0), ""), "{}", wide.out);
    // A record is judged without measuring; absolute times of another machine are not.
    let record = arg(s.dir.path().join("wide/record"));
    let judged = s.gate("judged", &["--record", &record, "--cross-machine-tolerance", "10", "--absolute"]);
    says(&sentence(&judged, 4), &["inconclusive", "machine class"]);
    assert!(!s.dir.path().join("judged/record").exists());
}

#[test]
fn exact_facts_block() {
    let s = Session::new();
    let path = s.with_baseline();
    let record = arg(s.dir.path().join("made/record"));
    let judge = |out: &str| s.gate(out, &["--record", &record, "--threshold", "1000"]);
    assert_eq!(judge("same").code, Some(0));
    let original = fs::read_to_string(&path).unwrap();
    edit(&path, |text| text.replacen("gemms = ", "gemms = 9", 1));
    says(&sentence(&judge("work"), 2), &["counted work changed: bp/reference at update@", "gemms 9"]);
    says(&s.markdown("work"), &["## Gate failed: counted work changed"]);
    fs::write(&path, &original).unwrap();
    edit(&path, |text| text.replacen("allocations = ", "allocations = 9", 1));
    says(
        &sentence(&judge("blocks"), 2),
        &["counted work changed: bp/reference at update@", ": allocations 9"],
    );
    // from before there were counts: said, and no reason to fail
    let counts = ["allocations = ", "allocated_bytes = ", "instructions = "];
    let counted = |line: &&str| !counts.iter().any(|key| line.starts_with(key));
    fs::write(&path, original.lines().filter(counted).map(|line| format!("{line}\n")).collect::<String>())
        .unwrap();
    let old = judge("old");
    assert_eq!(old.code, Some(0), "{}", old.err);
    says(&old.out, &["allocations are not compared: ", "baseline.toml has none; make it again"]);
    // What cannot be compared would leave the gate open.
    fs::write(&path, &original).unwrap();
    edit(&path, |text| text.replacen("definition_sha256 = \"", "definition_sha256 = \"x", 2));
    says(&sentence(&judge("hash"), 4), &["inconclusive", "definition hash differs"]);
    let whole = fs::read_to_string(&path).unwrap();
    edit(&path, |text| text.replacen("suite = \"little\"", "suite = \"other\"", 1));
    says(
        &sentence(&judge("suite"), 1),
        &["is a baseline of suite `other`, and this gate is of `little`", "--baseline"],
    );
    assert!(!s.dir.path().join("suite").exists(), "said before anything is written");
    fs::write(&path, whole).unwrap();
    fs::write(&path, "schema = 7\n").unwrap();
    says(&sentence(&judge("schema"), 1), &["baseline.toml: schema 7", "--update-baseline"]);
    assert!(!s.dir.path().join("schema").exists(), "said before anything is written");
    let missing = s.gate("missing", &["--baseline", "/no/such.toml"]);
    says(&sentence(&missing, 1), &["/no/such.toml: there is no such baseline"]);
}

/// One block of 24 bytes more in each of sPC's updates, which no clock would see; debug builds can inject it. Every
/// gate above that passes shows that without it the counts of two runs are the same.
#[cfg(debug_assertions)]
#[test]
fn one_allocation_more_is_found() {
    let s = Session::new();
    s.with_baseline();
    let tolerant = ["--threshold", "1000"];
    let planted = s.gate_with("planted", &tolerant, &[("PCNBENCH_TRIAL_ALLOCATION", "spc")]);
    let what = sentence(&planted, 2);
    says(
        &what,
        &["counted work changed: spc/reference at update@", ": allocations ", "allocated bytes ", "(of 1)"],
    );
    let numbers = |quantity: &str| -> Vec<u64> {
        let (_, rest) = what.split_once(quantity).unwrap();
        rest.split(|c: char| !c.is_ascii_digit())
            .filter(|n| !n.is_empty())
            .take(2)
            .map(|n| n.parse().unwrap())
            .collect()
    };
    let (blocks, bytes) = (numbers(": allocations "), numbers("allocated bytes "));
    assert_eq!((blocks[1] - blocks[0], bytes[1] - bytes[0]), (1, 24), "{what}");
    says(&s.markdown("planted"), &["## Gate failed: counted work changed: spc/reference"]);
}

#[test]
fn bad_options_are_refused_before_measuring() {
    says(&refused(&["gate", "--suite", "nonsense"]), &["unknown suite `nonsense`", "gate"]);
    says(&refused(&["gate", "--threshold", "nan"]), &["--threshold NaN", "0 to 1000"]);
    says(&refused(&["gate", "--cross-machine-tolerance", "0"]), &["--cross-machine-tolerance 0", "1 to 100"]);
    says(&refused(&["gate", "--most-waiting", "101"]), &["--most-waiting 101", "0 to 100"]);
    says(&refused(&["gate", "--record", "/no/such"]), &["/no/such"]);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "x").unwrap();
    says(&refused(&["gate", "--out", &arg(dir.path())]), &["is not empty", "--out"]);
    says(&refused(&["gate", "--out", &arg(dir.path().join("file"))]), &["is not a folder", "--out"]);
    assert_eq!(names(dir.path()), ["file"]);
}
