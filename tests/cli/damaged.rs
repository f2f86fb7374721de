//! Records in which something was changed: each is refused, in a sentence that names the file.

use std::fs;
use std::path::{Path, PathBuf};

use pcnbench::record::read;
use serde_json::Value;
use tempfile::TempDir;

use crate::session::{arg, refused, run, says, seal, succeeds, suite, unfinish, SEALED};

/// One point of each kind of model, and a few rounds.
const EACH: &str = r#"schema = 1
name = "each"
about = "One point of each model."
seed = 3
[[benchmark]]
name = "update"
model = "weight-update"
about = "Times."
contenders = ["bp/reference", "spc/reference"]
[benchmark.axes]
depth = [2, 3]
width = [4]
batch = [2]
[benchmark.training]
accuracy_updates = 2
[benchmark.timing]
warmup_seconds = 0.0
turn_seconds = 0.0
min_rounds = 10
max_rounds = 10
[[benchmark]]
name = "trace"
model = "signal-decay"
about = "Energies."
contenders = ["spc/reference", "bp/reference", "zil/reference", "zil-all/reference", "ipc/reference", "ar/reference", "fpa/reference", "seqil/reference"]
[benchmark.axes]
depth = [2]
width = [4]
batch = [2]
[[benchmark]]
name = "angle"
model = "alignment"
about = "Directions."
contenders = ["spc/reference"]
[benchmark.axes]
depth = [2]
width = [4]
batch = [2]
[[benchmark]]
name = "study"
model = "conditioning"
about = "Spectra."
contenders = ["spc/reference"]
[benchmark.axes]
depth = [2]
width = [4]
batch = [2]
dtype = ["f64"]
"#;

fn record() -> (TempDir, PathBuf) {
    let (dir, file) = suite(EACH);
    let record = dir.path().join("record");
    succeeds(&["run", &file, "--allow-debug-build", "--no-plots", "--out", &arg(&record)]);
    (dir, record)
}

/// Every change of one value: of a cell of a table, of a JSON value; a line or key left out, a file emptied or gone.
fn changes(name: &str, text: &str) -> Vec<String> {
    let mut all = vec![String::new(), format!("{text}\n"), text[..text.len() - 1].to_owned()];
    if name.ends_with(".json") {
        let value: Value = serde_json::from_str(text).unwrap();
        all.extend(json_changes(&value).iter().map(|changed| format!("{changed:#}\n")));
        return all;
    }
    let lines: Vec<&str> = text.lines().collect();
    let with = |i: usize, line: Option<String>| {
        let mut changed: Vec<String> = lines.iter().map(|line| (*line).to_owned() + "\n").collect();
        changed[i] = line.map_or(String::new(), |line| line + "\n");
        changed.concat()
    };
    for (i, line) in lines.iter().enumerate() {
        all.push(with(i, None));
        all.push(with(i, Some(format!("{line}\n{line}"))));
        // Cells end where a comma or a space does; the point id in quotes is one of many.
        for (at, _) in line.match_indices(|c: char| c.is_ascii_alphanumeric()) {
            let end = at + 1 == line.len() || ",\" ".contains(&line[at + 1..=at + 1]);
            if end {
                let other = if &line[at..=at] == "7" { "3" } else { "7" };
                all.push(with(i, Some(format!("{}{other}{}", &line[..at], &line[at + 1..]))));
            }
        }
        for (at, _) in line.match_indices(",,") {
            all.push(with(i, Some(format!("{},1{}", &line[..at], &line[at + 1..]))));
        }
    }
    all
}

fn json_changes(value: &Value) -> Vec<Value> {
    let one = |change: Value| vec![change];
    match value {
        Value::Object(map) => map
            .iter()
            .flat_map(|(key, inner)| {
                let with = |new: Option<Value>| {
                    let mut map = map.clone();
                    match new {
                        Some(new) => drop(map.insert(key.clone(), new)),
                        None => drop(map.remove(key)),
                    }
                    Value::Object(map)
                };
                json_changes(inner).into_iter().map(Some).chain([None]).map(with).collect::<Vec<_>>()
            })
            .collect(),
        Value::Array(items) => {
            let mut all = vec![Value::Array([&items[..], &["more".into()]].concat())];
            for (i, inner) in items.iter().enumerate() {
                for new in json_changes(inner) {
                    let mut items = items.clone();
                    items[i] = new;
                    all.push(Value::Array(items));
                }
            }
            all
        }
        Value::String(text) => one(format!("{text}x").into()),
        Value::Number(n) => one(n.as_u64().map_or(Value::from(1.5), |n| (n + 1).into())),
        Value::Bool(b) => one((!b).into()),
        Value::Null => one("x".into()),
    }
}

/// Nothing that a record's files say can be changed without notice, the hashes themselves included.
#[test]
fn every_single_change_of_a_finished_record_is_refused() {
    let (_dir, record) = record();
    read(&record).unwrap();
    let mut count = 0;
    for name in SEALED.into_iter().chain(["files.sha256"]) {
        let path = record.join(name);
        let text = fs::read_to_string(&path).unwrap();
        for changed in changes(name, &text) {
            if changed == text {
                continue;
            }
            fs::write(&path, &changed).unwrap();
            match read(&record) {
                Ok(_) => panic!("{name} passes as\n{changed}"),
                Err(error) => assert!(error.to_string().starts_with(&arg(&record)), "{error}"),
            }
            count += 1;
        }
        fs::remove_file(&path).unwrap();
        read(&record).unwrap_err();
        fs::write(&path, &text).unwrap();
    }
    read(&record).unwrap();
    assert!(count > 1000, "{count} changes");
}

/// By every command that reads records.
#[test]
fn every_command_refuses() {
    let (dir, record) = record();
    let whole = arg(dir.path().join("whole"));
    fs::create_dir(&whole).unwrap();
    for name in SEALED.into_iter().chain(["files.sha256"]) {
        fs::copy(record.join(name), Path::new(&whole).join(name)).unwrap();
    }
    let text = fs::read_to_string(record.join("summary.csv")).unwrap();
    let cut = text.rfind('0').unwrap();
    fs::write(record.join("summary.csv"), format!("{}1{}", &text[..cut], &text[cut + 1..])).unwrap();
    let (damaged, out) = (arg(&record), arg(dir.path().join("out")));
    for command in [
        &["report", &damaged][..],
        &["plot", &damaged, "--out", &out],
        &["cmp", &damaged, &whole],
        &["cmp", &whole, &damaged],
        &["rank", &damaged],
        &["export", &damaged, "--format", "bmf"],
        &["merge", &damaged, "--out", &out],
        &["gate", "--suite", &arg(dir.path().join("suite.toml")), "--record", &damaged, "--out", &out],
    ] {
        says(&refused(command), &["record/summary.csv: "]);
    }
    assert!(!Path::new(&out).exists());
}

/// In an unfinished record, what is finished is as safe, and `--resume` asks first.
#[test]
fn every_single_change_of_an_unfinished_record_is_refused() {
    let (dir, record) = record();
    unfinish(&record);
    read(&record).unwrap();
    let resume = [
        "run",
        &arg(dir.path().join("suite.toml")),
        "--allow-debug-build",
        "--no-plots",
        "--resume",
        &arg(&record),
    ];
    for name in SEALED {
        let path = record.join(name);
        let text = fs::read_to_string(&path).unwrap();
        // An empty line after the last is no row, and an interrupted writer's rows may follow what is finished.
        let appended = |changed: &str| changed.starts_with(&text) && name.ends_with(".csv");
        let mut last = None;
        for changed in
            changes(name, &text).into_iter().filter(|changed| *changed != text && !appended(changed))
        {
            fs::write(&path, &changed).unwrap();
            assert!(read(&record).is_err(), "{name} passes as\n{changed}");
            last = Some(changed);
        }
        let done = run(&resume);
        assert_eq!(done.code, Some(1), "{name}: {}", done.out);
        assert_eq!(fs::read_to_string(&path).unwrap(), last.unwrap(), "{name} is as it was");
        fs::write(&path, &text).unwrap();
    }
    succeeds(&resume);
    read(&record).unwrap();
}

/// One value of one row; the row is found by `row`.
fn set(record: &Path, name: &str, row: &str, column: &str, value: &str) {
    let path = record.join(name);
    let mut reader = csv::Reader::from_path(&path).unwrap();
    let header = reader.headers().unwrap().clone();
    let at = header.iter().position(|h| h == column).unwrap();
    let mut writer = csv::WriterBuilder::new().from_writer(vec![]);
    writer.write_record(&header).unwrap();
    let mut found = false;
    for line in reader.records().map(Result::unwrap) {
        let hit = !found && format!("{line:?}").contains(row);
        found |= hit;
        writer
            .write_record(line.iter().enumerate().map(|(i, cell)| if hit && i == at { value } else { cell }))
            .unwrap();
    }
    assert!(found, "{row} in {name}");
    fs::write(path, writer.into_inner().unwrap()).unwrap();
}

/// Hashes that fit are not enough: this is what protects readers from writers with faults.
#[test]
fn values_out_of_range_and_rows_that_the_definition_does_not_know_are_refused() {
    let (_dir, record) = record();
    let whole: Vec<(&str, Vec<u8>)> = SEALED.map(|name| (name, fs::read(record.join(name)).unwrap())).into();
    let refusal = |change: &dyn Fn()| {
        change();
        seal(&record);
        let said = refused(&["report", &arg(&record)]);
        whole.iter().for_each(|(name, bytes)| fs::write(record.join(name), bytes).unwrap());
        said
    };
    for (name, row, column, value, expected) in [
        ("summary.csv", "bp/reference", "verify", "1e308", "verify is 1e308, expected a number from 0 to 1"),
        ("summary.csv", "bp/reference", "verify", "-0.1", "verify is -0.1"),
        ("summary.csv", "bp/reference", "verify", "NaN", "verify is NaN"),
        ("summary.csv", "bp/reference", "verify", "", "verify is empty"),
        (
            "summary.csv",
            "bp/reference",
            "test_accuracy",
            "-7",
            "test_accuracy is -7.0, expected a number from 0 to 1",
        ),
        ("summary.csv", "bp/reference", "test_accuracy", "1.001", "test_accuracy is 1.001"),
        ("summary.csv", "bp/reference", "train_updates", "3", "train_updates is not 2"),
        ("summary.csv", "bp/reference", "train_updates", "", "test_accuracy or train_updates is missing"),
        ("summary.csv", "bp/reference", "inference_over_bp", "0", "inference_over_bp is 0.0"),
        ("summary.csv", "bp/reference", "parallel_over_bp", "inf", "parallel_over_bp is inf"),
        ("summary.csv", "bp/reference", "depth", "3", "depth is `3`, but the definition says `2`"),
        ("summary.csv", "bp/reference", "width", "5", "width is `5`, but the definition says `4`"),
        ("summary.csv", "spc/reference", "step_size", "0.2", "step_size is `0.2`"),
        ("summary.csv", "spc/reference", "baseline", "spc/reference", "baseline is `spc/reference`"),
        ("summary.csv", "spc/reference", "parameterisation", "mupc-residual", "parameterisation is"),
        ("summary.csv", "bp/reference", "stop", "tired", "stop is `tired`"),
        ("summary.csv", "bp/reference", "energy_uj", "-1", "energy_uj is -1.0"),
        ("summary.csv", "trace@", "stop", "target", "times nothing"),
        (
            "summary.csv",
            "bp/reference",
            "contender",
            "epc/reference",
            "has the contenders epc/reference, spc/reference",
        ),
        ("samples.csv", "bp/reference", "checksum", "inf", "checksum is inf"),
        ("samples.csv", "bp/reference", "executions", "0", "executions is 0"),
        ("samples.csv", "bp/reference", "round", "77", "ratios.csv: "),
        ("ratios.csv", "spc/reference", "ratio", "-1", "ratio is -1.0, expected a finite number above 0"),
        ("ratios.csv", "spc/reference", "high", "inf", "high is inf"),
        ("ratios.csv", "spc/reference", "low", "1e300", "expected numbers in rising order"),
        ("signals.csv", "spc/reference", "energy", "-1e-9", "energy is -1e-9"),
        ("signals.csv", "spc/reference", "layer", "2", "expected one for each of 2 layers"),
        ("signals.csv", "spc/reference", "contender", "epc/reference", "0 rows, expected"),
        (
            "alignments.csv",
            "spc/reference",
            "cosine",
            "1.01",
            "cosine is 1.01, expected a number from -1 to 1",
        ),
        ("alignments.csv", "spc/reference", "norm_ratio", "-1", "norm_ratio is -1.0"),
        ("alignments.csv", "spc/reference", "energy", "NaN", "energy is NaN"),
        ("alignments.csv", "spc/reference", "layer", "1", "its rows are not those of layers 0 to 2"),
        ("regimes.csv", "spc/reference", "samples", "0", "samples is 0, expected at least 1"),
        ("regimes.csv", "spc/reference", "samples", "3", "samples is 3, but the batch is 2"),
        ("regimes.csv", "spc/reference", "layers", "7", "layers is 7, but the depth is 2"),
        ("regimes.csv", "spc/reference", "curvature_in", "weights", "curvature_in is `weights`"),
        ("regimes.csv", "spc/reference", "curvature_in", "", "expected an empty cell beside"),
        ("regimes.csv", "spc/reference", "step_times_curvature", "inf", "step_times_curvature is inf"),
        ("regimes.csv", "spc/reference", "relaxed_steepest", "NaN", "relaxed_steepest is NaN"),
        (
            "regimes.csv",
            "spc/reference",
            "cosine",
            "-1.01",
            "cosine is -1.01, expected a number from -1 to 1",
        ),
        ("regimes.csv", "spc/reference", "norm_ratio", "-1", "norm_ratio is -1.0"),
        ("regimes.csv", "spc/reference", "lowest_quarter_cosine", "2", "lowest_quarter_cosine is 2.0"),
        ("regimes.csv", "spc/reference", "zero_layers", "3", "zero_layers + rounded_layers is 3"),
        ("regimes.csv", "spc/reference", "layer_cosines", "1;2", "layer_cosines is 2.0"),
        ("regimes.csv", "spc/reference", "layer_cosines", "1;x", "`x` is not a number; expected numbers"),
        ("regimes.csv", "spc/reference", "layer_norm_ratios", "1;-1", "layer_norm_ratios is -1.0"),
        ("regimes.csv", "spc/reference", "layer_norm_ratios", "", "0 numbers, expected as many as"),
        ("regimes.csv", "spc/reference", "contender", "epc/reference", "holds a row of contender"),
        ("regimes.csv", "bp/reference", "contender", "spc/reference", "holds a row of contender"),
        (
            "quantities.csv",
            "largest",
            "quantity",
            "escape",
            "`escape` is no quantity of the model conditioning",
        ),
        ("quantities.csv", "largest", "quantity", "smallest", "`smallest` at 0 is listed twice"),
        ("quantities.csv", "largest", "value", "inf", "value is inf, expected a finite number"),
        ("quantities.csv", "largest", "at", "NaN", "at is NaN, expected a finite number"),
        ("quantities.csv", "largest", "contender", "epc/reference", "holds a row of contender"),
    ] {
        let said = refusal(&|| set(&record, name, row, column, value));
        assert!(said.contains(expected), "{column} {value}: {said}");
        assert!(said.contains(".csv: "), "{said}");
    }
    // Without rows, or without a point in any file.
    let header = |name: &str| {
        let text = fs::read_to_string(record.join(name)).unwrap();
        fs::write(record.join(name), text.lines().next().unwrap().to_owned() + "\n").unwrap();
    };
    says(&refusal(&|| header("signals.csv")), &["signals.csv: point `trace@", "0 rows, expected"]);
    says(&refusal(&|| header("alignments.csv")), &["alignments.csv: point `angle@"]);
    for depth in ["depth=2", "depth=3"] {
        let without = |name: &str| {
            let text = fs::read_to_string(record.join(name)).unwrap();
            let kept = text.lines().filter(|line| !(line.contains("update@") && line.contains(depth)));
            fs::write(record.join(name), kept.map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        };
        let tables = ["samples.csv", "summary.csv", "ratios.csv", "regimes.csv"];
        let said = refusal(&|| tables.iter().for_each(|name| without(name)));
        says(&said, &["summary.csv: point `update@", depth, "is missing"]);
    }
    // A header that contradicts itself.
    let edit = |from: &str, to: &str| {
        let text = fs::read_to_string(record.join("run.json")).unwrap();
        assert!(text.contains(from), "{from}");
        fs::write(record.join("run.json"), text.replacen(from, to, 1)).unwrap();
    };
    for (from, to, expected) in [
        ("depth = [2, 3]", "depth = [2, 4]", "key `definition` has the SHA-256"),
        ("\"definition_sha256\": \"", "\"definition_sha256\": \"0", "key `definition` has the SHA-256"),
        ("\"seed\": 3", "\"seed\": 4", "key `seed` is `4`, but the definition says `3`"),
        ("\"suite\": \"each\"", "\"suite\": \"all\"", "key `suite` is `all`"),
        ("\"threads\": 1", "\"threads\": 0", "threads is 0, expected at least 1"),
        ("\"started\": \"2", "\"started\": \"9", "expected a time not before the start"),
        ("\"started\": \"2", "\"started\": \"x", "expected a time like 2026-11-22T05:36:00Z"),
        ("\"per_second\": ", "\"per_second\": -", "per_second of a ceiling is -"),
    ] {
        says(&refusal(&|| edit(from, to)), &["run.json: ", expected]);
    }
    seal(&record);
    read(&record).unwrap();
}

/// Hashes in the form of `sha256sum`, which can check them.
#[cfg(target_os = "linux")]
#[test]
fn hashes_are_those_of_sha256sum() {
    let (_dir, record) = record();
    let mut check = std::process::Command::new("sha256sum");
    let output = check.args(["--check", "--strict", "files.sha256"]).current_dir(&record).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), SEALED.len());
}
