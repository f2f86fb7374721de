//! Bounds, counts and times of one measurement: each at least the one before.

use std::collections::HashSet;

use pcnbench::record::read;

use crate::session::{arg, refused, run, says, succeeds, suite};

/// Every rule that can be timed, by both engines, on all threads and on one.
const RULES: &str = r#"schema = 1
name = "limits"
about = "Every rule, timed for a moment."
seed = 3

[[benchmark]]
name = "update"
model = "weight-update"
about = "Times."
baseline = "bp/reference"
contenders = [
  "bp/autograd", "bp/reference", "bp/fused", "bp/fused:1", "spc/reference", "spc/fused", "spc/fused:1", "spc-full/fused",
  "epc/reference", "epc/fused", "epc/fused:1", "fpa/reference", "fpa/fused", "fpa-full/fused", "zil/fused", "zil-all/reference",
  "seqil/reference", "seqil/fused", "ipc/reference", "ipc/fused", "ar/reference", "ar/fused", "ar-topdown/fused",
]
[benchmark.axes]
depth = [2, 6]
width = [96]
batch = [64]
steps = [4]
dtype = ["f32", "f64"]
[benchmark.training]
accuracy_updates = 0
[benchmark.timing]
warmup_seconds = 0.0
turn_seconds = 0.0
max_seconds = 0.5
min_rounds = 3
max_rounds = 3
"#;

const UNOPTIMISED: bool = cfg!(debug_assertions);

/// No rule, network, engine or number of threads goes below its bound or above its ceiling, and the record has both. Only
/// optimised code reaches the ceiling, so times are held against it in builds without debug assertions; `.ci/run` does so with
/// the program that users get.
#[test]
fn nothing_measured_beats_its_bound() {
    let (dir, file) = suite(RULES);
    let out = dir.path().join("record");
    succeeds(&["run", &file, "--allow-debug-build", "--no-plots", "--out", &arg(&out)]);
    let record = read(&out).unwrap();
    let quantities: HashSet<&str> = record.run.ceilings.iter().map(|c| c.quantity.as_str()).collect();
    assert_eq!(quantities, HashSet::from(["fma", "gemm", "product", "copy", "read"]));
    assert!(record.summary.iter().all(|row| row.err.is_empty()), "{:?}", record.summary);
    for row in &record.summary {
        let which = format!("{} at {}", row.contender, row.point);
        let ceiling = record.ceiling(row).unwrap_or_else(|| panic!("{which} has no ceiling"));
        let reference = record.reference_rate(row).unwrap();
        let clock = ceiling.clock_hz.unwrap_or(1e9);
        assert!(
            (1e8..1e11).contains(&clock) && (UNOPTIMISED || reference.per_second < 1.05 * ceiling.per_second),
            "{ceiling:?} {reference:?}"
        );
        let (least, count) = (row.least_gemm_flops.unwrap(), row.gemm_flops);
        assert!(0 < least && least <= count && row.least_gemms.unwrap() <= row.gemms, "{which}");
        let bound = record.bound_ns(row).unwrap();
        let counted = 1e9 * count as f64 / ceiling.per_second;
        assert!(
            bound <= counted * (1.0 + 1e-12) && (UNOPTIMISED || counted <= row.min_ns as f64),
            "{which}: {bound} {counted} {}",
            row.min_ns
        );
    }
    assert!(UNOPTIMISED || record.beaten_bounds().is_empty());
    let printed = succeeds(&["report", &arg(&out), "--format", "csv"]);
    let mut rows = csv::Reader::from_reader(printed.as_bytes());
    let headers = rows.headers().unwrap().clone();
    let at = |name: &str| headers.iter().position(|h| h == name).unwrap();
    for row in rows.records().map(Result::unwrap) {
        let value = |name: &str| row[at(name)].parse::<f64>().unwrap();
        assert!(
            (UNOPTIMISED || (value("of_ceiling") <= 1.0 && value("over_bound") >= 1.0))
                && value("of_reference") > 0.0,
            "{row:?}"
        );
    }
}

/// A prediction is called one, is asked for, and is of one rule and engine only.
#[test]
fn steps_on_a_gpu_are_predicted_if_asked_for() {
    let net = ["bounds", "fused", "--depth", "64", "--width", "128", "--batch", "64", "--steps", "8"];
    let table = |more: &[&str]| succeeds(&[&net[..], more].concat());
    assert!(!table(&[]).contains("predicted step"));
    let told = table(&["--device-model", "h100"]);
    assert!(
        told.contains("`predicted step` is of a model of h100") && told.contains("nothing was measured"),
        "{told}"
    );
    let printed = table(&["--device-model", "h100", "--format", "csv"]);
    let mut rows = csv::Reader::from_reader(printed.as_bytes());
    let headers = rows.headers().unwrap().clone();
    let at = |name: &str| headers.iter().position(|h| h == name).unwrap();
    let mut predicted = 0;
    for row in rows.records().map(Result::unwrap) {
        let (contender, step) = (&row[at("contender")], &row[at("predicted_step_ns")]);
        let fused = contender.starts_with("spc") && contender.contains("/fused");
        let resident = fused && !contender.contains("deviation") && row[at("point")].contains("dtype=f32");
        assert_eq!(resident, !step.is_empty(), "{contender}: `{step}`");
        if resident {
            predicted += 1;
            // two products of 32 samples by 128 multiply-adds a cycle at 1.98 GHz take 4.1 us
            assert!((4_100.0..20_000.0).contains(&step.parse::<f64>().unwrap()), "{step}");
        }
    }
    assert!(predicted > 0);
    let unknown = run(&["bounds", "--device-model", "b300"]);
    assert_eq!(unknown.code, Some(1));
    says(&unknown.err, &["b300", "h100"]);
}

/// Bounds in time are asked for, because they take a measurement.
#[test]
fn bounds_are_times_only_if_asked_for() {
    let small = [
        "bounds", "rules", "--depth", "3", "--width", "8", "--batch", "4", "--steps", "2", "--format", "csv",
    ];
    let header = |text: String| text.lines().next().unwrap().to_owned();
    assert!(!header(succeeds(&small)).contains("bound_ns"));
    let printed = succeeds(&[&small[..], &["--seconds"]].concat());
    let mut rows = csv::Reader::from_reader(printed.as_bytes());
    let headers = rows.headers().unwrap().clone();
    let at = |name: &str| headers.iter().position(|h| h == name).unwrap();
    let mut per_flop = Vec::new();
    for row in rows.records().map(Result::unwrap) {
        let value = |name: &str| row[at(name)].parse::<f64>().unwrap();
        assert!(
            value("least_gemms") <= value("gemms") && value("least_inference_gemms") <= value("least_gemms")
        );
        per_flop
            .push((row[at("point")].contains("dtype=f64"), value("bound_ns") / value("least_gemm_flops")));
    }
    // one ceiling for each dtype
    for double in [true, false] {
        let own: Vec<f64> = per_flop.iter().filter(|(f64, _)| *f64 == double).map(|(_, x)| *x).collect();
        assert!(own.len() > 2 && own.iter().all(|x| (x / own[0] - 1.0).abs() < 1e-9 && *x > 0.0), "{own:?}");
    }
    says(&refused(&["bounds", "no-such-suite", "--seconds"]), &["no-such-suite"]);
}
