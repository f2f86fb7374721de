//! `tune`: options, machines without a GPU, and files that are no tables of strategies.

use std::fs;

use crate::session::{arg, names, refused, run, says, succeeds};

const FILE: &str = r#"schema = 1
machine_class = "a-gpu"
device = "A GPU"
capability = "9.0"
driver = "580.82.07 (CUDA 13.0)"
rev = "abcdef"
dirty = false
started = "2026-12-01T10:00:00Z"
seconds = 0.1

[[entry]]
rule = "spc"
dtype = "f32"
operands = "tf32"
width = 128
batch = 64
depth = 8
steps = 8
strategy = "graph"
timed = [
  { strategy = "grouped", median_ns = 312345.6, q1_ns = 300000.0, q3_ns = 320000.0, samples = 13, calls = 7 },
  { strategy = "graph", median_ns = 98760.0, q1_ns = 98000.0, q3_ns = 99000.0, samples = 13, calls = 21 },
]
failed = [
  { strategy = "persistent", why = "a launch failed" },
]
"#;

#[test]
fn times_are_shown_fastest_first() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("strategies.toml");
    fs::write(&path, FILE).unwrap();
    let csv = succeeds(&["tune", "--show", &arg(&path), "--format", "csv"]);
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(
        lines,
        [
            "call,width,batch,depth,steps,strategy,median_ns,q1_ns,q3_ns,note",
            "spc in f32 with tf32 operands,128,64,8,8,graph,98760.0,98000.0,99000.0,fastest",
            "spc in f32 with tf32 operands,128,64,8,8,grouped,312345.6,300000.0,320000.0,",
            "spc in f32 with tf32 operands,128,64,8,8,persistent,,,,failed: a launch failed",
        ]
    );
    let table = succeeds(&["tune", "--show", &arg(&path)]);
    says(
        &table,
        &["A GPU, driver 580.82.07 (CUDA 13.0), measured 2026-12-01T10:00:00Z by revision abcdef", "98.8 µs"],
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), FILE, "showing writes nothing");
}

#[test]
fn files_that_are_no_tables_of_strategies_are_refused_in_one_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("strategies.toml");
    let said = |text: &str| {
        fs::write(&path, text).unwrap();
        let said = refused(&["tune", "--show", &arg(&path)]);
        says(&said, &["strategies.toml: "]);
        said
    };
    for (from, to, phrases) in [
        ("schema = 1", "schema = 7", ["schema 7", "this version reads schema 1", "`pcnbench tune`"]),
        ("dirty", "dirt", ["line 7", "unknown field `dirt`", "expected one of"]),
        ("\"spc\"", "\"hebb\"", ["entry 1", "unknown rule `hebb`", "bp, zil, spc"]),
        ("= \"grouped\"", "= \"loop\"", ["entry 1", "unknown strategy `loop`", "persistent, cublas"]),
        (
            "= \"graph\"\n",
            "= \"grouped\"\n",
            ["entry 1", "key `strategy` is `grouped`", "fastest that is timed is `graph`"],
        ),
        ("\"A GPU\"", "\"B GPU\"", ["`machine_class` is `a-gpu`", "device `B GPU`", "`b-gpu`"]),
    ] {
        assert!(FILE.contains(from));
        says(&said(&FILE.replacen(from, to, 1)), &phrases);
    }
    says(&said(""), &["key `schema` is missing", "no file of `pcnbench tune`"]);
    says(&said("\u{0}"), &["line 1"]);
    let missing = arg(dir.path().join("none.toml"));
    says(&refused(&["tune", "--show", &missing]), &["none.toml", "there is no such file"]);
}

#[test]
fn options_are_checked_before_any_device() {
    for (options, phrases) in [
        (["--device", "tpu"], ["unknown device `tpu`", "cpu, cuda"]),
        (["--device", "cpu"], ["device `cpu` has no launch strategies", "--device cuda"]),
        (["--seconds", "0"], ["--seconds is 0", "positive number of seconds"]),
        (["--seconds", "nan"], ["--seconds is NaN", "positive number of seconds"]),
        (["--seconds", "-1"], ["--seconds is -1", "positive number of seconds"]),
        (["--max-depth", "1"], ["--max-depth leaves no call", "2 layers"]),
    ] {
        says(&refused(&["tune", options[0], options[1]]), &phrases);
    }
    let both = run(&["tune", "--show", "a", "--seconds", "1"]);
    assert_eq!(both.code, Some(1));
    says(&both.err, &["cannot be used with"]);
}

/// What `run --device cuda` says, with the same exit code, and nothing is written.
#[test]
fn without_a_gpu_the_device_is_refused_as_run_refuses_it() {
    if cfg!(feature = "cuda") {
        return;
    }
    let (dir, suite) = crate::session::suite(crate::session::TINY);
    let results = arg(dir.path().join("results"));
    let of_run = refused(&["run", &suite, "--allow-debug-build", "--results", &results, "--device", "cuda"]);
    assert_eq!(refused(&["tune", "--results", &results]), of_run);
    let out = arg(dir.path().join("x.toml"));
    assert_eq!(refused(&["tune", "--allow-debug-build", "--out", &out]), of_run);
    assert_eq!(names(dir.path()), ["suite.toml"]);
}
