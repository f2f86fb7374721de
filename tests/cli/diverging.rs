//! Inference that diverges is a row with `err`; the run goes on and no other contender suffers.

use crate::session::{mixed, refused, run, says, sentence, suite};

#[test]
fn a_diverging_contender_is_a_row_and_the_others_have_timings() {
    let (record, done) = mixed();
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""), "{}", done.out);
    let record = pcnbench::record::read(record).unwrap();
    assert!(record.run.finished.is_some());
    let updates: Vec<_> = record.summary.iter().filter(|row| row.model == "weight-update").collect();
    assert_eq!(updates.len(), 8);
    for row in updates {
        if row.rule == "spc" {
            says(&row.err, &["spc diverged", "not finite", "step size", "50"]);
            assert_eq!((row.n, row.median_ns, row.test_accuracy), (0, 0, None));
        } else {
            assert_eq!(row.err, "");
            assert!(row.n >= 3 && row.median_ns > 0 && row.test_accuracy.is_some());
        }
    }
    assert!(record.samples.iter().all(|s| !s.contender.starts_with("spc")));
    assert!(record.ratios.iter().any(|r| r.contender == "epc/reference"));
    let traces: Vec<_> = record.summary.iter().filter(|row| row.model == "signal-decay").collect();
    says(&traces[0].err, &["spc diverged", "energy of layer", "50"]);
    assert_eq!(traces[1].err, "");
    assert!(record.signals.iter().all(|s| s.contender == "epc/reference"));
    says(&done.out, &["spc diverged"]);
}

/// Every contender diverges, the baseline too: there is a record, but exit code 1, and nothing to export.
#[test]
fn a_point_without_any_result_is_a_failure_with_a_record() {
    let (dir, file) = suite(
        r#"schema = 1
name = "hopeless"
about = "All diverge."
seed = 1
[[benchmark]]
name = "update"
model = "weight-update"
about = "Times."
contenders = ["bp/reference", "spc/reference", "epc/reference"]
[benchmark.axes]
depth = [3]
width = [4]
batch = [2]
activation = ["identity"]
step_size = [50.0]
[benchmark.training]
learning_rate = 1e12
[benchmark.timing]
warmup_seconds = 0.0
min_rounds = 3
max_rounds = 3
"#,
    );
    let out = dir.path().join("record");
    let done = run(&["run", &file, "--allow-debug-build", "--out", out.to_str().unwrap()]);
    says(
        &sentence(&done, 1),
        &["no contender has a result at 1 of the points", "update@", "bp/reference: bp diverged"],
    );
    says(&done.out, &["epc diverged", "record: ", "page: "]);
    let record = pcnbench::record::read(&out).unwrap();
    assert!(record.run.finished.is_some());
    assert_eq!(record.summary.len(), 3);
    for format in ["bmf", "gha-smaller", "gha-bigger", "critcmp"] {
        let refused = refused(&["export", out.to_str().unwrap(), "--format", format]);
        says(&refused, &["holds no result to export: every contender failed", "bp diverged"]);
    }
    for row in &record.summary {
        says(&row.err, &["diverged"]);
    }
    says(&record.summary[0].err, &["bp diverged", "learning rate"]);
}

/// Unstable, but finite for as many steps as the reduced problem has: chaos must not be taken for a wrong contender.
#[test]
fn large_steps_are_not_called_wrong() {
    for step_size in ["0.9", "2.0", "2.5", "5.0", "50.0", "1e6"] {
        let (dir, file) = suite(
            &crate::session::TINY
                .replace("step_size = [0.1]", &format!("step_size = [{step_size}]"))
                .replace("depth = [2]", "depth = [2, 6]")
                .replace(r#"["tanh"]"#, r#"["tanh", "relu", "gelu", "identity"]"#)
                .replace(r#"["f32"]"#, r#"["f32", "f64"]"#)
                .replace("steps = [3]", "steps = [40]")
                .replace(r#"["spc/reference"]"#, r#"["spc/reference", "epc/reference", "mupc/reference"]"#),
        );
        let out = dir.path().join("record");
        let done = run(&["run", &file, "--allow-debug-build", "--no-plots", "--out", out.to_str().unwrap()]);
        // at some points every contender may diverge
        match done.code {
            Some(0) => assert_eq!(done.err, ""),
            _ => says(&sentence(&done, 1), &["no contender has a result at ", " diverged: "]),
        }
    }
}
