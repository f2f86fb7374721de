//! Worked cases: networks whose numbers were fixed before this code existed.

use std::path::Path;

use nalgebra::DMatrix;
use serde_json::Value;

use super::super::{LinearLayer, LinearNet, Snapshot};

struct Case {
    json: Value,
    net: LinearNet,
    x: DMatrix<f64>,
    y: DMatrix<f64>,
}

/// A nested list as a matrix; a flat list becomes one column.
fn matrix(value: &Value) -> DMatrix<f64> {
    let row = |value: &Value| -> Vec<f64> {
        match value.as_array() {
            Some(row) => row.iter().map(|v| v.as_f64().unwrap()).collect(),
            None => vec![value.as_f64().unwrap()],
        }
    };
    let rows: Vec<Vec<f64>> = value.as_array().unwrap().iter().map(row).collect();
    DMatrix::from_fn(rows.len(), rows[0].len(), |i, j| rows[i][j])
}

fn load(file: &str) -> Case {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(file);
    let json: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let tensors = &json["tensors"];
    let layers = json["layers"].as_array().unwrap().iter().enumerate().map(|(index, layer)| {
        let l = index + 1;
        assert_eq!(layer["act_in"], "identity");
        assert_eq!(layer["act_out"], "identity");
        LinearLayer {
            weight: matrix(&tensors[format!("w.{l}")]),
            bias: layer["bias"]
                .as_bool()
                .unwrap()
                .then(|| matrix(&tensors[format!("b.{l}")]).column(0).into_owned()),
            scale: layer["scale"].as_f64().unwrap(),
            skip: layer["skip"].as_bool().unwrap(),
        }
    });
    let (x, y) = (matrix(&tensors["x"]), matrix(&tensors["y"]));
    let loss = &json["loss"];
    let count = match loss["reduction"].as_str().unwrap() {
        "sum" => 1,
        "batch_mean" => x.nrows(),
        "element_mean" => y.len(),
        other => panic!("reduction {other}"),
    };
    let factor = if loss["kind"] == "squared_error" { 2.0 } else { 1.0 };
    let curvature = factor * loss["output_precision"].as_f64().unwrap() / count as f64;
    let net = LinearNet::new(layers.collect(), curvature).unwrap();
    Case { json, net, x, y }
}

impl Case {
    /// Every entry of `expect` under its name, at the tolerance of the case.
    fn check(&self, got: &Snapshot) {
        let relative = self.json["tolerance"]["relative"].as_f64().unwrap();
        let absolute = self.json["tolerance"]["absolute"].as_f64().unwrap();
        for (name, want) in self.json["expect"].as_object().unwrap() {
            let (kind, l) = match name.rsplit_once('.') {
                Some((kind, l)) => (kind, l.parse::<usize>().unwrap() - 1),
                None => (name.as_str(), 0),
            };
            let computed = match kind {
                "output" => got.output.clone(),
                "state" => got.states[l].clone(),
                "error" => got.errors[l].clone(),
                "energy" => DMatrix::from_column_slice(got.energies.len(), 1, &got.energies),
                "grad.w" => got.weight_gradients[l].clone(),
                "grad.b" => {
                    let gradient = got.bias_gradients[l].as_ref().unwrap();
                    DMatrix::from_column_slice(gradient.len(), 1, gradient.as_slice())
                }
                other => panic!("unknown entry {other}"),
            };
            let want = matrix(want);
            assert_eq!(computed.shape(), want.shape(), "{}: {name}", self.json["id"]);
            let worst = (&computed - &want).amax();
            let bound = relative * want.amax() + absolute;
            assert!(worst <= bound, "{}: {name} differs by {worst:e}, allowed {bound:e}", self.json["id"]);
        }
    }
}

/// ε_l = P_{l+1}ᵀ S⁻¹ r and everything derived from it, against closed-form results published by others and
/// one made from the definition. Without it a wrong output precision or scale would still give a perfect
/// "equilibrium".
#[test]
fn equilibrium_cases() {
    for file in [
        "closed_equilibrium-bias-6-4-9-3-8-2.json",
        "jpc_equilibrium-mupc-residual.json",
        "jpc_equilibrium-sp-lambda10.json",
        "jpc_equilibrium-sp.json",
    ] {
        let case = load(file);
        case.check(&case.net.equilibrium(&case.x, &case.y).unwrap());
    }
}

/// v(T) = v* + (I − γH)^T (v(0) − v*) and its counterpart in the errors, against worked cases. Without it an oracle
/// for sPC or ePC could share the mistake of the rule it judges.
#[test]
fn trajectory_cases() {
    let case = load("closed_spc-linear-3-7-5-2-T25.json");
    case.check(&case.net.state_descent(&case.x, &case.y, 0.2, 25).unwrap());
    let case = load("closed_epc-linear-3-7-5-2-T12.json");
    case.check(&case.net.error_descent(&case.x, &case.y, 0.1, 12).unwrap());
}
