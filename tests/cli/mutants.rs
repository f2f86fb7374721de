//! Definitions and cases with anything in place of anything: read or refused, never a panic, never a hang.

use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device};
use pcnbench::engine::EngineKind;
use pcnbench::suite::{Overrides, Suite, BUILT_IN};
use pcnbench::verify::{self, Options};
use proptest::prelude::*;
use proptest::sample::{select, Index};
use serde_json::{json, Value};

/// What is put in place of a value or a piece of text.
const SPLINTERS: [&str; 24] = [
    "",
    "0",
    "-1",
    "1e999",
    "nan",
    "inf",
    "-inf",
    "9223372036854775807",
    "99999999999999999999",
    "1e308",
    "5e-324",
    "\"\"",
    "\"L\"",
    "\"0L\"",
    "\"L/0\"",
    "[]",
    "[[]]",
    "{}",
    "true",
    "null",
    "\u{0}",
    "ÿ",
    "[[benchmark]]\n",
    "\"\"\"",
];

/// Cuts `text` at two places and puts a splinter between.
fn splintered(text: &str, from: Index, length: usize, splinter: &str) -> String {
    let boundary = |mut at: usize| {
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let from = boundary(from.index(text.len() + 1));
    let to = boundary((from + length).min(text.len())).max(from);
    format!("{}{splinter}{}", &text[..from], &text[to..])
}

/// Puts a splinter in place of the value of the `line`-th assignment.
fn reassigned(text: &str, line: Index, splinter: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let assignments: Vec<usize> = (0..lines.len()).filter(|i| lines[*i].contains(" = ")).collect();
    let at = assignments[line.index(assignments.len())];
    let key = lines[at].split(" = ").next().unwrap_or_default();
    let changed = format!("{key} = {splinter}");
    let new: Vec<&str> =
        lines.iter().enumerate().map(|(i, line)| if i == at { &changed } else { *line }).collect();
    new.join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_definition_makes_the_suite_reader_panic(
        which in select(BUILT_IN.iter().map(|(_, text)| *text).collect::<Vec<_>>()),
        cuts in prop::collection::vec((any::<Index>(), 0usize..40, select(SPLINTERS.to_vec())), 0..3),
        values in prop::collection::vec((any::<Index>(), select(SPLINTERS.to_vec())), 0..3),
    ) {
        let mut text = which.to_owned();
        for (line, splinter) in values {
            text = reassigned(&text, line, splinter);
        }
        for (from, length, splinter) in cuts {
            text = splintered(&text, from, length, splinter);
        }
        let overrides = Overrides { max_depth: Some(8), ..Overrides::default() };
        if let Err(error) = Suite::parse(&text, "mutant.toml", &overrides) {
            let sentence = error.to_string();
            prop_assert!(sentence.starts_with("mutant.toml") && !sentence.contains('\n'), "{}", sentence);
        }
    }
}

fn cases() -> Vec<PathBuf> {
    let small = |path: &PathBuf| fs::metadata(path).unwrap().len() < 30_000;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    verify::find(&[folder]).unwrap().into_iter().filter(small).collect()
}

/// Steps down `path` as far as it leads, and puts `new` there.
fn replace(value: &mut Value, path: &[Index], new: Value) {
    let inner = match (value, path) {
        (Value::Array(items), [index, ..]) if !items.is_empty() => {
            let at = index.index(items.len());
            &mut items[at]
        }
        (Value::Object(map), [index, ..]) if !map.is_empty() => {
            let at = index.index(map.len());
            map.values_mut().nth(at).unwrap()
        }
        (leaf, _) => return *leaf = new,
    };
    replace(inner, &path[1..], new);
}

fn replacements() -> Vec<Value> {
    let numbers = [0.0, -1.0, 1e308, -1e308, 5e-324, 1e-300, 3.5].map(|x| json!(x));
    let others = [
        json!(0),
        json!(2),
        json!(u64::MAX),
        json!(null),
        json!(true),
        json!([]),
        json!([[1.0]]),
        json!({}),
        json!(""),
    ];
    let words = [
        "dense",
        "conv2d",
        "bp",
        "spc",
        "epc",
        "linear_equilibrium",
        "cross_entropy",
        "sum",
        "relu",
        "inverse",
    ];
    numbers.into_iter().chain(others).chain(words.map(|word| json!(word))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// What is still accepted is also executed: a case must not be able to break a rule either.
    #[test]
    fn no_case_makes_the_verifier_panic(
        file in select(cases()),
        changes in prop::collection::vec((prop::collection::vec(any::<Index>(), 1..5), select(replacements())), 0..3),
        cut in prop::option::weighted(0.3, (any::<Index>(), 0usize..40, select(SPLINTERS.to_vec()))),
        f32: bool,
    ) {
        let mut value: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        for (path, replacement) in changes {
            replace(&mut value, &path, replacement);
        }
        let mut text = value.to_string();
        if let Some((from, length, splinter)) = cut {
            text = splintered(&text, from, length, splinter);
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mutant.json");
        fs::write(&path, text).unwrap();
        for engine in EngineKind::ALL {
            let dtype = if f32 { DType::F32 } else { DType::F64 };
            let options = Options { rule: None, engine, dtype, device: Device::Cpu };
            if let Some(report) = verify::run(&path, &options) {
                prop_assert!(!format!("{:?}", report.outcome).contains("\\n"), "{:?}", report.outcome);
            }
        }
    }
}
