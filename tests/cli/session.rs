//! Starting the program, and the small things it is started on.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use assert_cmd::Command;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// A suite of one untimed point, for whatever is refused before anything is measured.
pub const TINY: &str = r#"schema = 1
name = "tiny"
about = "One point, untimed."
seed = 7

[[benchmark]]
name = "signal"
model = "signal-decay"
about = "A trace."
contenders = ["spc/reference"]

[benchmark.axes]
depth = [2]
width = [4]
batch = [2]
steps = [3]
step_size = [0.1]
activation = ["tanh"]
parameterisation = ["sp"]
dtype = ["f32"]

[benchmark.network]
gain = 1.0
loss = "half_squared_error"
reduction = "sum"
placement = "input"

[benchmark.training]
optimiser = "sgd"
learning_rate = 0.001

[benchmark.timing]
warmup_seconds = 0.0
max_seconds = 0.2
min_rounds = 3
max_rounds = 3
"#;

/// Timed and traced points with contenders that diverge among others that do not.
pub const MIXED: &str = r#"schema = 1
name = "mixed"
about = "Small, and not all of it can work."
seed = 11

[[benchmark]]
name = "update"
model = "weight-update"
about = "Times."
contenders = [
  "bp/autograd",
  "bp/reference",
  { id = "spc/reference", step_size = 50, steps = 60 },
  "epc/reference",
]
[benchmark.axes]
depth = [2, 3]
width = [4]
batch = [2]
[benchmark.training]
accuracy_updates = 2
[benchmark.timing]
warmup_seconds = 0.0
max_seconds = 0.2
min_rounds = 3
max_rounds = 8

[[benchmark]]
name = "trace"
model = "signal-decay"
about = "Energies."
contenders = [{ id = "spc/reference", step_size = 50, steps = 60 }, "epc/reference"]
[benchmark.axes]
depth = [3]
width = [4]
batch = [2]
"#;

/// The program, with the backtraces of every library that prints them switched on.
pub fn pcnbench() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pcnbench"));
    command.env("RUST_BACKTRACE", "1").env("RAYON_NUM_THREADS", "1").env_remove("COLUMNS");
    command
}

/// What a finished command left: exit code, standard output, standard error.
pub struct Done {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

pub fn done(command: &mut Command) -> Done {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let done = Done { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) };
    for stream in [&done.out, &done.err] {
        assert!(!stream.contains("panicked") && !stream.contains("stack backtrace"), "{stream}");
    }
    done
}

pub fn run<S: AsRef<OsStr>>(args: &[S]) -> Done {
    done(pcnbench().args(args))
}

/// Standard output of a command that must succeed in silence.
pub fn succeeds<S: AsRef<OsStr>>(args: &[S]) -> String {
    let done = run(args);
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""), "{}", done.out);
    done.out
}

/// The one sentence of a command that must be refused with `code`.
pub fn sentence(done: &Done, code: i32) -> String {
    assert_eq!(done.code, Some(code), "{}{}", done.out, done.err);
    let sentence = done.err.strip_prefix("error: ").unwrap_or_else(|| panic!("no sentence: {}", done.err));
    let sentence = sentence.strip_suffix('\n').unwrap_or_else(|| panic!("no end: {sentence}"));
    assert!(!sentence.contains('\n') && !sentence.is_empty(), "several lines: {sentence}");
    sentence.to_owned()
}

/// The one sentence of a command that must be refused as bad input, with nothing on standard output.
pub fn refused<S: AsRef<OsStr>>(args: &[S]) -> String {
    let done = run(args);
    assert_eq!(done.out, "");
    sentence(&done, 1)
}

/// Every phrase is in the sentence.
#[track_caller]
pub fn says(sentence: &str, phrases: &[&str]) {
    for phrase in phrases {
        assert!(sentence.contains(phrase), "`{phrase}` is not in: {sentence}");
    }
}

/// A folder with a suite file in it, and the file's path.
pub fn suite(text: &str) -> (TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("suite.toml");
    fs::write(&path, text).unwrap();
    let path = path.into_os_string().into_string().unwrap();
    (dir, path)
}

/// `path` as an argument.
pub fn arg(path: impl AsRef<Path>) -> String {
    path.as_ref().to_str().unwrap().to_owned()
}

/// Names in a folder, hidden ones too, sorted; nothing if there is no folder.
pub fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A record of [`MIXED`] with its figures, and what the run that wrote it printed. Measured once.
pub fn mixed() -> (&'static Path, &'static Done) {
    static RECORD: OnceLock<(TempDir, PathBuf, Done)> = OnceLock::new();
    let (_, record, done) = RECORD.get_or_init(|| {
        let (dir, file) = suite(MIXED);
        let record = dir.path().join("record");
        let done = run(&["run", &file, "--allow-debug-build", "--out", &arg(&record)]);
        (dir, record, done)
    });
    (record, done)
}

/// A copy of [`mixed`]'s record, to be ill-treated.
pub fn copy_of_mixed() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("record");
    fs::create_dir(&copy).unwrap();
    for entry in fs::read_dir(mixed().0).unwrap().map(Result::unwrap) {
        if entry.path().is_file() {
            fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
        }
    }
    (dir, copy)
}

/// The files whose hashes a record keeps that has all of them.
pub const SEALED: [&str; 9] = [
    "run.json",
    "machine.json",
    "samples.csv",
    "ratios.csv",
    "signals.csv",
    "alignments.csv",
    "regimes.csv",
    "quantities.csv",
    "summary.csv",
];

/// Those of them that a record has.
fn sealed(record: &Path) -> impl Iterator<Item = &'static str> + '_ {
    SEALED.into_iter().filter(|name| record.join(name).exists())
}

/// SHA-256 in lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// Gives a finished record whose files were changed on purpose the hashes of what they are now, as `sha256sum` does.
pub fn seal(record: &Path) {
    let line = |name: &str| format!("{}  {name}\n", sha256(&fs::read(record.join(name)).unwrap()));
    fs::write(record.join("files.sha256"), sealed(record).map(line).collect::<String>()).unwrap();
}

/// Makes a finished record one that was interrupted right before it could end.
pub fn unfinish(record: &Path) {
    let header = fs::read_to_string(record.join("run.json")).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&header).unwrap();
    json["finished"] = serde_json::Value::Null;
    fs::write(record.join("run.json"), json.to_string()).unwrap();
    let bytes = |name: &str| fs::read(record.join(name)).unwrap();
    let table = |name: &str| {
        (name.to_owned(), serde_json::json!({"bytes": bytes(name).len(), "sha256": sha256(&bytes(name))}))
    };
    let progress = serde_json::json!({
        "run": [sha256(&bytes("run.json"))],
        "machine": sha256(&bytes("machine.json")),
        "tables": sealed(record).skip(2).map(table).collect::<serde_json::Map<_, _>>(),
    });
    fs::write(record.join(".progress.json"), progress.to_string()).unwrap();
    fs::remove_file(record.join("files.sha256")).unwrap();
}
