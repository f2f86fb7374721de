//! `draw`: what cannot be drawn is refused in one sentence, and nothing is written then.

use std::fs;
use std::path::Path;

use serde_json::{json, Value};

use crate::drawing::root;
use crate::session::{arg, names, refused, run, says};

/// The smallest public graph, changed.
pub fn changed(dir: &Path, change: impl FnOnce(&mut Value)) -> String {
    let file = root("tests/cases/graphs/scalar_bp.json");
    let mut value: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    change(&mut value);
    let path = dir.join("case.json");
    fs::write(&path, value.to_string()).unwrap();
    arg(path)
}

#[test]
fn what_cannot_be_drawn_is_refused_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("kept.svg");
    fs::write(&out, "as it was").unwrap();
    let said = |args: &[&str]| {
        let said = refused(&[&["draw", "--out", &arg(&out)][..], args].concat());
        assert_eq!(fs::read_to_string(&out).unwrap(), "as it was");
        said
    };
    let case = arg(root("tests/cases/graphs/resnet_epc-g0.1-T5.json"));
    let mlp = ["--architecture", "mlp"];
    let with = |more: &[&'static str]| said(&[&mlp[..], more].concat());
    says(&said(&["nowhere.json"]), &["cannot read nowhere.json"]);
    says(&said(&[&case, "--rule", "bpp"]), &["unknown rule `bpp`", "expected one of", "bp"]);
    says(
        &said(&[&case, "--rule", "bp", "--steps", "3"]),
        &["resnet_epc", "--steps", "bp", "leave --steps out"],
    );
    says(&said(&[&case, "--steps", "60000"]), &["resnet_epc", "60000 steps", "fewer --steps"]);
    says(&said(&[&case, "--steps", "65537"]), &["--steps is 65537", "0 to 65536"]);
    says(&said(&[&case, "--steps", "300"]), &["more than 2000 matrix products", "--steps"]);
    says(&said(&[&case, "--batch", "0"]), &["--batch is 0", "1 to 1048576"]);
    says(&said(&[&case, "--processors", "0"]), &["--processors is 0", "1 or more"]);
    let attention = arg(root("tests/cases/graphs/attention_epc-g0.1-T5.json"));
    says(&said(&[&attention, "--rule", "ar-linear"]), &["attention", "-linear"]);
    says(&with(&["--depth", "201"]), &["201 vertices", "at most 200"]);
    says(&with(&["--depth", "0"]), &["--depth is 0", "1 to 4096"]);
    says(&with(&["--width", "99999"]), &["--width is 99999", "1 to 65536"]);
    says(&with(&["--outputs", "0"]), &["--outputs is 0"]);
    says(&with(&["--inputs", "8,0"]), &["--inputs is 0"]);
    says(
        &with(&["--depth", "60", "--rule", "zil-all"]),
        &["zil-all", "more than 2000", "use a smaller network"],
    );
    says(&with(&["--depth", "60", "--rule", "spc"]), &["spc", "more than 2000 matrix products"]);
    says(&said(&["--architecture", "mlpp"]), &["unknown architecture `mlpp`", "mlp"]);
    says(&said(&["--suite", "quickk"]), &["unknown suite `quickk`", "quick"]);
    says(&said(&["--suite", "quick", "--rule", "bpp"]), &["unknown rule `bpp`"]);
    says(&said(&["--suite", "quick", "--depth", "5000"]), &["depth", "5000", "4096"]);
    // a case that is none, and one whose sizes multiply beyond all counting
    let other = tempfile::tempdir().unwrap();
    let bad = changed(other.path(), |c| c["schema"] = json!(3));
    says(&said(&[&bad]), &["case.json", "schema 3", "expected 1 or 2"]);
    // a folder that is not there, and usage errors
    let nowhere = arg(dir.path().join("nowhere/x.svg"));
    says(&refused(&["draw", &case, "--out", &nowhere]), &["cannot write", "nowhere"]);
    for args in [&["draw"][..], &["draw", &case, "--suite", "quick"], &["draw", &case, "--depth", "3"]] {
        assert_eq!((run(args).code, run(args).out.as_str()), (Some(1), ""), "{args:?}");
    }
    assert_eq!(names(dir.path()), ["kept.svg"]);
}

/// Embeddings of embeddings: every value has a thousand times the axes of the one before, in a file of a few lines.
#[test]
fn values_beyond_all_memory_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = changed(dir.path(), |c| {
        let vertex = |i: usize| {
            let input = if i == 0 { "x".to_owned() } else { format!("e{}", i - 1) };
            json!({"name": format!("e{i}"), "op": {"kind": "embedding"}, "inputs": [input], "params": ["w"], "latent": false})
        };
        let mut vertices: Vec<Value> = (0..6).map(vertex).collect();
        let mut last = "e5".to_owned();
        for axis in (2..=7).rev() {
            let name = format!("s{axis}");
            let op = json!({"kind": "sum", "axis": axis});
            vertices.push(json!({"name": name, "op": op, "inputs": [last], "params": [], "latent": false}));
            last = name;
        }
        let loss = json!({"vertex": last, "target": "y", "kind": "squared_error", "reduction": "sum", "output_precision": 1.0});
        c["graph"] = json!({"vertices": vertices, "losses": [loss]});
        c["tensors"] = json!({"x": [[0.0]], "y": [[0.0]], "w": [vec![0.0; 1000]]});
        c["expect"] = json!({});
    });
    says(&refused(&["draw", &path]), &["case.json", "`e3`", "at most 2147483648"]);
}
