//! Denormals are flushed where f32 is timed, and nowhere else: under sPC with a step of 1e-8, of which states keep their
//! deviation from the forward pass, the error that first arrives five layers below the output is 1e-40 times an adjoint of
//! order one, a denormal number in f32, which is zero where those are flushed.

use pcnbench::record::read;

use crate::session::{arg, run, suite};

/// 1e-20 times 1e-20: a denormal number in f32, and zero where those are flushed.
const CASE: &str = r#"{
  "schema": 1, "id": "denormal", "about": "One product of two small numbers.", "source": "closed form",
  "layers": [{"kind": "dense", "act_in": "identity", "act_out": "identity", "scale": 1.0, "skip": false, "bias": false}],
  "loss": {"kind": "half_squared_error", "reduction": "sum", "output_precision": 1.0},
  "rule": {"name": "bp"},
  "tensors": {"x": [[1e-20]], "y": [[0.0]], "w.1": [[1e-20]]},
  "expect": {"output": [[1e-40]]},
  "tolerance": {"relative": 1e-4, "absolute": 0.0}
}"#;

#[test]
fn conformance_cases_keep_denormals() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("denormal.json");
    std::fs::write(&file, CASE).unwrap();
    for engine in ["reference", "fused"] {
        let done = run(&["verify", "--cases", &arg(&file), "--dtype", "f32", "--engine", engine]);
        assert_eq!((done.code, done.err.as_str()), (Some(0), ""), "{engine}: {}", done.out);
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
