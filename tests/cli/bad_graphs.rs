//! `verify` on graphs: files that are no graph, one sentence each with the vertex's name.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{json, Value};

use crate::session::{arg, run, says, sentence, succeeds};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/graphs")
}

/// The smallest graph: x → linear `lin` → tan → sqrt …, from the fixed-prediction paper.
fn scalar() -> Value {
    serde_json::from_slice(&fs::read(folder().join("scalar_bp.json")).unwrap()).unwrap()
}

/// What `verify` says of a changed case, which must fail alone.
#[track_caller]
fn changed(change: impl FnOnce(&mut Value)) -> String {
    let mut value = scalar();
    change(&mut value);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("bad.json"), value.to_string()).unwrap();
    let done = run(&["verify", "--cases", &arg(dir.path())]);
    says(&sentence(&done, 2), &["1 of 1 cases failed"]);
    done.out.lines().next().unwrap().to_owned()
}

/// The vertices by position, each with its name.
fn vertex(c: &mut Value, i: usize) -> &mut Value {
    &mut c["graph"]["vertices"][i]
}

#[test]
fn the_graphs_of_the_project_pass() {
    let out = succeeds(&["verify", "--cases", &arg(folder())]);
    assert_eq!(out.lines().last(), Some("26 passed, 0 failed, 0 skipped"), "{out}");
}

#[test]
fn graphs_that_are_none_are_refused_by_name() {
    let names: Vec<String> = scalar()["graph"]["vertices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["name"].as_str().unwrap().into())
        .collect();
    let (first, second, last) = (&names[0], &names[1], &names[names.len() - 1]);
    let quoted = |name: &String| format!("`{name}`");
    // a cycle, a wrong order, an input that is nothing
    let cycle = changed(|c| vertex(c, 0)["inputs"][0] = json!(last));
    says(&cycle, &["bad.json", &quoted(first), "cycle"]);
    let order = changed(|c| c["graph"]["vertices"].as_array_mut().unwrap().swap(0, 1));
    says(&order, &["bad.json", &quoted(second), &quoted(first), "topological order"]);
    says(
        &changed(|c| vertex(c, 1)["inputs"][0] = json!("missing")),
        &[&quoted(second), "`missing`", "neither"],
    );
    // kinds and attributes
    says(&changed(|c| vertex(c, 0)["op"]["kind"] = json!("liner")), &[&quoted(first), "`liner`", "linear"]);
    says(&changed(|c| vertex(c, 0)["op"]["biass"] = json!(true)), &[&quoted(first), "biass"]);
    // latent vertices and precisions
    let latent = scalar()["graph"]["vertices"]
        .as_array()
        .unwrap()
        .iter()
        .position(|v| v["latent"] == json!(true))
        .unwrap();
    let name = quoted(&names[latent]);
    says(&changed(|c| vertex(c, latent)["precision"] = json!(0.0)), &[&name, "precision is 0"]);
    says(
        &changed(|c| drop(vertex(c, latent).as_object_mut().unwrap().remove("precision"))),
        &[&name, "no precision"],
    );
    says(&changed(|c| vertex(c, latent)["latent"] = json!(false)), &[&name, "not latent"]);
    // losses
    says(&changed(|c| c["graph"]["losses"] = json!([])), &["no loss"]);
    says(&changed(|c| c["graph"]["losses"][0]["vertex"] = json!("v9")), &["losses[0]", "`v9`"]);
    says(&changed(|c| c["graph"]["losses"][0]["target"] = json!("y9")), &["losses[0]", "`y9`"]);
    says(&changed(|c| c["graph"]["losses"][0]["kind"] = json!("hinge")), &["losses[0].kind", "`hinge`"]);
    let dead = changed(|c| {
        let mut copy = vertex(c, 0).clone();
        copy["name"] = json!("dead end");
        c["graph"]["vertices"].as_array_mut().unwrap().push(copy);
    });
    says(&dead, &["`dead end`", "leads to no loss"]);
    let twice = changed(|c| {
        let copy = vertex(c, 0).clone();
        c["graph"]["vertices"].as_array_mut().unwrap().push(copy);
    });
    says(&twice, &[&quoted(first), "twice"]);
    // tensors
    says(&changed(|c| c["tensors"]["spare"] = json!([[1.0]])), &["`spare`", "remove it"]);
    let params = scalar()["graph"]["vertices"][0]["params"].as_array().cloned().unwrap_or_default();
    if let Some(w) = params.first().and_then(Value::as_str) {
        let gone = changed(|c| drop(c["tensors"].as_object_mut().unwrap().remove(w)));
        says(&gone, &[&quoted(first), &format!("`{w}`"), "does not hold"]);
        let shape = changed(|c| c["tensors"][w] = json!([[1.0, 2.0, 3.0]]));
        says(&shape, &[&quoted(first), "W is [1, 3]"]);
    }
    // schemas and rules
    says(&changed(|c| c["schema"] = json!(3)), &["schema 3", "expected 1 or 2"]);
    says(&changed(|c| c["schema"] = json!(1)), &["schema 1 needs `layers`"]);
    says(&changed(|c| c["rule"] = json!({"name": "bpp"})), &["`bpp`", "expected", "bp"]);
    says(&changed(|c| c["rule"] = json!({"name": "linear_equilibrium"})), &["closed form"]);
    let zil = changed(|c| {
        c["rule"] = json!({"name": "zil", "step_size": 1.0});
        vertex(c, latent)["precision"] = json!(2.0);
    });
    says(&zil, &[&name, "precision", "Z-IL"]);
}

/// A misspelt operation is an error, not a reason to skip; so are attributes and parameters that do not fit.
#[test]
fn operations_that_do_not_fit_are_refused_by_name() {
    let with = |op: Value| changed(|c| vertex(c, 0)["op"] = op);
    says(&with(json!({"kind": "tanhh"})), &["FAIL", "`tanhh`", "conv2d"]);
    says(&with(json!({"kind": "conv2d"})), &["FAIL", "missing field `stride`"]);
    says(&with(json!({"kind": "flatten", "size": 2})), &["FAIL", "unknown field `size`"]);
    for kind in ["transpose", "matmul"] {
        let said = with(json!({"kind": kind}));
        assert!(said.starts_with("FAIL") && said.contains(kind), "{said}");
    }
}
