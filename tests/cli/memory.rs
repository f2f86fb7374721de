//! Oracle: the system's account of the process. No update grows it by more than `bounds` states, and what is stated of large
//! networks is no idle number.

use std::collections::BTreeMap;

use crate::session::{arg, succeeds, suite};

const SUITE: &str = r#"schema = 1
name = "memory"
about = "Networks large enough that an update's memory is more than that of threads and code."
seed = 5

[[benchmark]]
name = "dense"
model = "weight-update"
about = "x"
data = "digits"
contenders = ["bp/autograd", "bp/reference", "spc/reference", "epc/reference", "bp/fused", "spc/fused"]
[benchmark.axes]
depth = [12]
width = [384]
batch = [512]
steps = [1]
[benchmark.timing]
max_seconds = 1.0
warmup_seconds = 0.0
min_rounds = 2
max_rounds = 2

[[benchmark]]
name = "conv"
model = "weight-update"
about = "x"
data = "colour-blobs"
architecture = { kind = "vgg" }
contenders = ["bp/autograd", "bp/reference", "spc/reference", "bp/fused", "spc/fused"]
[benchmark.axes]
depth = [5]
width = [16]
batch = [32]
steps = [1]
activation = ["gelu"]
[benchmark.network]
loss = "cross_entropy"
[benchmark.timing]
max_seconds = 1.0
warmup_seconds = 0.0
min_rounds = 2
max_rounds = 2
"#;

/// A column of numbers by point and contender, where there is one.
fn column(text: &str, name: &str) -> BTreeMap<(String, String), f64> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let headers = reader.headers().unwrap().clone();
    let at = |name: &str| headers.iter().position(|h| h == name).unwrap();
    let (point, contender, value) = (at("point"), at("contender"), at(name));
    let rows = reader.records().map(Result::unwrap);
    rows.filter_map(|row| Some(((row[point].into(), row[contender].into()), row[value].parse().ok()?)))
        .collect()
}

#[test]
fn updates_take_less_memory_than_bounds_state() {
    let (dir, file) = suite(SUITE);
    let out = dir.path().join("record");
    succeeds(&["run", &file, "--allow-debug-build", "--threads", "2", "--no-plots", "--out", &arg(&out)]);
    let stated = column(&succeeds(&["bounds", &file, "--format", "csv"]), "most_memory_bytes");
    let measured = column(&std::fs::read_to_string(out.join("summary.csv")).unwrap(), "peak_bytes");
    assert_eq!(stated.len(), 11);
    // where the system does not tell, nothing can be compared
    for (key, measured) in &measured {
        let most = stated[key];
        assert!(*measured <= most, "{key:?} grew by {measured}, but {most} is stated");
    }
    let largest = measured.iter().map(|(key, measured)| measured / stated[key]).fold(0.0, f64::max);
    assert!(measured.is_empty() || largest > 0.2, "nothing comes near what is stated: {largest}");
}
