//! Denormals are flushed where f32 is timed, and nowhere else: under sPC with a step of 1e-8, of which states keep their
//! deviation from the forward pass, the error that first arrives five layers below the output is 1e-40 times an adjoint of
//! order one, a denormal number in f32, which is zero where those are flushed.

use pcnbench::record::read;

use crate::session::{arg, run, suite};

/// A case: linear units, each on the one before, and the output that they must have for the input `x`, to one part in 10⁹.
fn chain(x: f64, weights: &[f64], output: f64) -> String {
    let layer = r#"{"kind": "dense", "act_in": "identity", "act_out": "identity", "scale": 1.0, "skip": false, "bias": false}"#;
    let layers = vec![layer; weights.len()].join(", ");
    let tensors: Vec<String> =
        weights.iter().enumerate().map(|(i, w)| format!("\"w.{}\": [[{w:e}]]", i + 1)).collect();
    format!(
        r#"{{
  "schema": 1, "id": "denormal", "about": "Products of small numbers.", "source": "closed form",
  "layers": [{layers}],
  "loss": {{"kind": "half_squared_error", "reduction": "sum", "output_precision": 1.0}},
  "rule": {{"name": "bp"}},
  "tensors": {{"x": [[{x:e}]], "y": [[0.0]], {}}},
  "expect": {{"output": [[{output:e}]]}},
  "tolerance": {{"relative": 1e-9, "absolute": 0.0}}
}}"#,
        tensors.join(", ")
    )
}

/// What `verify` prints about a case.
fn verified(case: &str, dtype: &str, engine: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("denormal.json");
    std::fs::write(&file, case).unwrap();
    let done = run(&["verify", "--cases", &arg(&file), "--dtype", dtype, "--engine", engine]);
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""), "{engine}: {}", done.out);
    done.out
}

/// In f32 1e-20 · 1e-20 is a denormal number, and zero where those are flushed. What a case in f32 is allowed is far more
/// than that, so the error is read: half the distance of denormal numbers, 0.7e-45, and not 1e-40.
///
/// In f64 what is denormal, 1e-155 · 1e-155, is multiplied by 1e200, because a comparison with denormals flushed takes 1e-310 for
/// zero too.
#[test]
fn conformance_cases_keep_denormals() {
    for engine in ["reference", "autograd", "fused"] {
        let told = verified(&chain(1e-20, &[1e-20], 1e-40), "f32", engine);
        let error = told.strip_prefix("pass  denormal: largest error ").and_then(|rest| rest.split_once(' '));
        let error: f64 = error.unwrap_or_else(|| panic!("{engine}: {told}")).0.parse().unwrap();
        assert!(error < 1e-45, "{engine}: {told}");
        verified(&chain(1e-155, &[1e-155, 1e200], 1e-110), "f64", engine);
    }
}

fn definition(dtype: &str) -> String {
    format!(
        r#"schema = 1
name = "denormals"
about = "A timed point, then a trace."
seed = 3
[[benchmark]]
name = "update"
model = "weight-update"
about = "Times."
contenders = ["bp/reference", "bp/fused"]
[benchmark.axes]
depth = [2]
width = [4]
batch = [2]
dtype = ["{dtype}"]
[benchmark.timing]
warmup_seconds = 0.0
min_rounds = 3
max_rounds = 3
[[benchmark]]
name = "trace"
model = "signal-decay"
about = "Energies."
contenders = ["spc/fused-deviation"]
[benchmark.axes]
depth = [6]
width = [4]
batch = [2]
steps = [5]
step_size = [1e-8]
dtype = ["f32"]
"#
    )
}

#[test]
fn timed_points_flush_denormals_and_traces_after_them_do_not() {
    for (dtype, flushes) in [("f32", pcnbench_kernels::denormals::SUPPORTED), ("f64", false)] {
        let (dir, file) = suite(&definition(dtype));
        let out = dir.path().join("record");
        let done = run(&["run", &file, "--allow-debug-build", "--no-plots", "--out", &arg(&out)]);
        assert_eq!((done.code, done.err.as_str()), (Some(0), ""), "{}", done.out);
        let record = read(&out).unwrap();
        assert!(record.summary.iter().all(|row| row.err.is_empty()), "{:?}", record.summary);
        let named = record.run.switches.iter().any(|switch| switch.starts_with("denormals flushed to zero"));
        assert_eq!(named, flushes, "{:?}", record.run.switches);
        let arrived: Vec<f64> =
            record.signals.iter().filter(|s| s.step == 5 && s.layer == 1).map(|s| s.energy).collect();
        assert_eq!(arrived.len(), 1);
        // below half the square of the least normal number for each of 2·4 elements, and above zero
        let normal = 0.5 * 8.0 * f64::from(f32::MIN_POSITIVE).powi(2);
        assert!(arrived.iter().all(|energy| *energy > 0.0 && *energy < normal), "{arrived:?}");
    }
}
