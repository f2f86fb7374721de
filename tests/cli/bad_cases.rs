//! `verify`: good cases, wrong numbers, and files that are no cases.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{json, Value};
use tempfile::TempDir;

use crate::session::{arg, refused, run, says, sentence, succeeds, Done};

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name)
}

fn spc() -> Value {
    serde_json::from_slice(&fs::read(case("closed_spc-linear-3-7-5-2-T25.json")).unwrap()).unwrap()
}

/// A folder with one good case and one file of `text`, and what `verify` says to it.
fn verified(text: &str) -> (TempDir, Done) {
    let dir = tempfile::tempdir().unwrap();
    fs::copy(case("closed_epc-linear-3-7-5-2-T12.json"), dir.path().join("good.json")).unwrap();
    fs::write(dir.path().join("bad.json"), text).unwrap();
    let done = run(&["verify", "--cases", &arg(dir.path())]);
    (dir, done)
}

/// The line of a case that must fail without keeping the good one from passing.
#[track_caller]
fn fails(text: &str) -> String {
    let (_dir, done) = verified(text);
    says(&sentence(&done, 2), &["1 of 2 cases failed", "FAIL"]);
    assert!(done.out.ends_with("1 passed, 1 failed, 0 skipped\n"), "{}", done.out);
    let mut lines = done.out.lines().filter(|line| line.starts_with("FAIL  "));
    let line = lines.next().unwrap().to_owned();
    assert_eq!((lines.next(), done.out.lines().count()), (None, 3), "{}", done.out);
    line
}

/// As [`fails`], after a change to a good case.
#[track_caller]
fn changed(change: impl FnOnce(&mut Value)) -> String {
    let mut value = spc();
    change(&mut value);
    fails(&value.to_string())
}

#[test]
fn the_projects_own_cases_pass() {
    let folder = arg(case(""));
    let out = succeeds(&["verify", "--cases", &folder]);
    assert!(out.lines().last().unwrap().contains(" passed, 0 failed, "), "{out}");
    let one = succeeds(&["verify", "--cases", &folder, "--rule", "epc", "--dtype", "f32"]);
    assert!(
        one.lines().all(|line| line.starts_with("pass  ")
            || line.starts_with("skip  ")
            || line.contains("0 failed")),
        "{one}"
    );
    let file = succeeds(&["verify", "--cases", &arg(case("closed_epc-linear-3-7-5-2-T12.json"))]);
    assert!(file.ends_with("1 passed, 0 failed, 0 skipped\n"));
}

/// A fused engine is also held against the reference engine, one line per rule and variant, counted with the cases.
#[test]
fn a_fused_engine_is_compared_with_the_reference_engine_too() {
    let file = arg(case("closed_epc-linear-3-7-5-2-T12.json"));
    let out = succeeds(&["verify", "--cases", &file, "--rule", "epc", "--engine", "fused", "--dtype", "f32"]);
    let lines: Vec<&str> = out.lines().collect();
    assert!(
        lines[1].starts_with("pass  differential/epc/fused: largest error ")
            && lines[1].contains(" at batch "),
        "{out}"
    );
    let variants = ["epc-momentum", "epc-nesterov", "epc-chebyshev"];
    for (line, variant) in lines[2..].iter().zip(variants) {
        assert!(line.starts_with(&format!("pass  differential/{variant}/fused: ")), "{out}");
    }
    assert_eq!((lines.len(), lines[5]), (6, "5 passed, 0 failed, 0 skipped"));
}

#[test]
fn wrong_numbers_and_names_fail() {
    says(&changed(|c| c["expect"]["output"][0][0] = json!(123.0)), &["`output` is off by", "allowed"]);
    says(&changed(|c| c["expect"]["stat.1"] = json!([1.0])), &["`stat.1`", "no such entry"]);
    says(&changed(|c| c["expect"] = json!({})), &["nothing that could be compared"]);
    says(&changed(|c| c["expect"]["output"] = json!([[1.0]])), &["`output`", "shape", "expected [1, 1]"]);
}

#[test]
fn wrong_shapes_name_the_tensor_and_the_shape_expected() {
    says(
        &changed(|c| c["tensors"]["w.1"] = json!([[1.0, 2.0]])),
        &["bad.json", "`w.1`", "[1, 2]", "[outputs, 3]"],
    );
    says(&changed(|c| c["tensors"]["y"] = json!([[1.0]])), &["bad.json", "`y`", "[1, 1]", "expected"]);
    says(&changed(|c| c["tensors"]["x"] = json!([1.0])), &["bad.json", "`x`", "[1]", "[B, n]"]);
    says(&changed(|c| c["tensors"]["x"] = json!(1.0)), &["bad.json", "`x`", "[B, n]"]);
    says(&changed(|c| c["tensors"]["x"] = json!([])), &["bad.json", "`x`", "empty list"]);
    says(&changed(|c| c["tensors"]["w.2"] = json!([[1.0, 2.0], [1.0]])), &["bad.json", "`w.2`", "ragged"]);
    says(&changed(|c| c["tensors"]["w.2"] = json!([[1.0, [2.0]]])), &["bad.json", "`w.2`", "ragged"]);
    says(
        &changed(|c| c["tensors"]["w.2"] = json!([[1.0, null]])),
        &["bad.json", "`w.2`", "`null` where a number belongs"],
    );
    says(
        &changed(|c| c["tensors"]["w.2"] = json!([["NaN", 1.0]])),
        &["bad.json", "`w.2`", "where a number belongs"],
    );
    says(
        &changed(|c| drop(c["tensors"].as_object_mut().unwrap().remove("w.2"))),
        &["bad.json", "`w.2` is missing"],
    );
    says(&changed(|c| c["tensors"]["w.9"] = json!([[1.0]])), &["bad.json", "`w.9` belongs to no layer"]);
    says(
        &changed(|c| drop(c["tensors"].as_object_mut().unwrap().remove("b.1"))),
        &["bad.json", "`b.1` is missing"],
    );
    says(
        &changed(|c| c["layers"][0]["skip"] = json!(true)),
        &["bad.json", "layer 1", "skip needs equal sizes"],
    );
    says(&changed(|c| c["layers"] = json!([])), &["bad.json", "layers", "at least one"]);
}

#[test]
fn wrong_switches_name_the_key() {
    says(
        &changed(|c| c["layers"][0]["act_in"] = json!("tahn")),
        &["bad.json", "layer 1", "unknown activation `tahn`"],
    );
    says(
        &changed(|c| c["layers"][0]["scales"] = json!(1.0)),
        &["bad.json", "layer 1", "unknown field `scales`"],
    );
    says(&changed(|c| c["loss"]["kind"] = json!("hinge")), &["bad.json", "loss", "unknown loss `hinge`"]);
    says(&changed(|c| c["loss"]["output_precision"] = json!(-1.0)), &["bad.json", "output_precision", "-1"]);
    says(
        &changed(|c| c["rule"]["steps"] = json!(1_000_000_000_000_000_000u64)),
        &["bad.json", "rule.steps", "1e18"],
    );
    says(&changed(|c| c["rule"]["steps"] = json!(-1)), &["bad.json", "rule.steps", "-1"]);
    says(&changed(|c| c["rule"]["step_size"] = json!(-0.1)), &["bad.json", "rule.step_size"]);
    says(&changed(|c| c["rule"]["step_size"] = json!("x")), &["bad.json", "rule", "expected f64"]);
    says(
        &changed(|c| c["tolerance"]["relative"] = json!(1e308)),
        &["bad.json", "tolerance.relative", "1e308"],
    );
    says(&changed(|c| c["tolerance"]["absolute"] = json!(-1)), &["bad.json", "tolerance.absolute", "-1"]);
    says(&changed(|c| c["schema"] = json!(2)), &["bad.json", "schema 2 needs `graph`"]);
    says(&changed(|c| c["schema"] = json!(3)), &["bad.json", "schema 3", "expected 1 or 2"]);
    says(&changed(|c| c["extra"] = json!(2)), &["bad.json", "unknown field `extra`"]);
    says(&changed(|c| c["rule"] = json!("spc")), &["bad.json", "rule", "`name`"]);
    // diverges: the step is legal, its outcome is not a number
    says(
        &changed(|c| {
            c["rule"]["step_size"] = json!(1e9);
            c["rule"]["steps"] = json!(100);
        }),
        &["off by inf"],
    );
}

#[test]
fn what_is_not_json_fails_with_line_and_column() {
    says(&fails("not json"), &["bad.json", "not a conformance case of schema 1", "line 1 column"]);
    says(&fails(""), &["bad.json", "EOF"]);
    says(&fails("[]"), &["bad.json", "not a conformance case"]);
    says(
        &fails(&format!("{{\"tensors\": {{\"x\": {}", "[".repeat(100_000))),
        &["bad.json", "recursion limit"],
    );
    let text = spc().to_string();
    says(&fails(&text[..text.len() / 2]), &["bad.json", "EOF"]);
    says(
        &fails(&text.replacen("\"relative\":", "\"relative\":NaN,\"r\":", 1)),
        &["bad.json", "line 1 column"],
    );
    says(&fails(&text.replacen("\"scale\":", "\"scale\":1e999,\"s\":", 1)), &["bad.json", "out of range"]);
}

/// A misspelt layer kind or rule is an error, never a reason to skip.
#[test]
fn what_is_misspelt_is_never_skipped() {
    says(
        &changed(|c| c["layers"][1]["kind"] = json!("attention")),
        &["layer 2", "`attention`", "dense, conv2d"],
    );
    says(&changed(|c| c["rule"]["name"] = json!("magic")), &["unknown rule `magic`", "spc", "zil"]);
}

/// Layers that do not fit what they read.
#[test]
fn layers_that_do_not_fit_are_refused_by_number() {
    let pool = json!({"kind": "maxpool", "size": 2, "stride": 2});
    says(
        &changed(|c| c["layers"][1] = pool),
        &["vertex `2`", "maxpool", "expected [channels, rows, columns]"],
    );
    let conv = json!({"kind": "conv2d", "act_in": "identity", "act_out": "tanh", "scale": 1.0, "skip": false, "bias": true,
        "stride": 1, "padding": 0});
    says(&changed(|c| c["layers"][0] = conv), &["`w.1` has shape", "rows, columns]"]);
    says(
        &changed(|c| c["layers"][1] = json!({"kind": "maxpool", "size": 2})),
        &["layer 2", "missing field `stride`"],
    );
}

/// Targets of a cross-entropy are distributions.
#[test]
fn rows_that_do_not_sum_to_one_are_no_targets() {
    let changed = changed(|c| {
        c["loss"]["kind"] = json!("cross_entropy");
        c["tensors"]["y"][0][0] = json!(7.0);
    });
    says(&changed, &["bad.json", "`y` has a row that sums to", "expected 1", "cross_entropy"]);
}

#[test]
fn bad_options_and_folders() {
    let dir = tempfile::tempdir().unwrap();
    let folder = arg(dir.path());
    says(&refused(&["verify", "--cases", &folder]), &[&folder, "holds no case files", "*.json"]);
    says(&refused(&["verify", "--cases", "/no/such"]), &["/no/such: does not exist", "--cases"]);
    says(&refused(&["verify", "--rule", "magic"]), &["unknown rule `magic`", "spc", "zil"]);
    says(&refused(&["verify", "--engine", "warp"]), &["unknown engine `warp`", "reference"]);
    says(&refused(&["verify", "--dtype", "f16"]), &["unknown dtype `f16`", "f32, f64"]);
    says(&refused(&["verify", "--device", "tpu"]), &["unknown device `tpu`", "cpu, cuda"]);
    let one = arg(case("closed_epc-linear-3-7-5-2-T12.json"));
    says(&refused(&["verify", "--cases", &one, "--rule", "bp"]), &["no case of rule `bp`"]);
    let away = crate::session::done(crate::session::pcnbench().arg("verify").current_dir(dir.path()));
    says(&sentence(&away, 1), &["tests/cases", "--cases"]);
}
