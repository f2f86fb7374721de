//! Oracle: other people's programs and closed forms, as conformance cases.

use std::path::PathBuf;

use candle_core::{DType, Device};
use pcnbench::engine::EngineKind;
use pcnbench::verify::{find, run, CaseOutcome, Options};

fn judge(engine: EngineKind, dtype: DType) -> (usize, Vec<String>, Vec<String>) {
    judge_in("tests/cases", engine, dtype)
}

fn judge_in(folder: &str, engine: EngineKind, dtype: DType) -> (usize, Vec<String>, Vec<String>) {
    let cases = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder);
    let options = Options { rule: None, engine, dtype, device: Device::Cpu };
    let (mut passed, mut failed, mut skipped) = (0, vec![], vec![]);
    for file in find(&[cases]).unwrap() {
        let report = run(&file, &options).unwrap();
        match report.outcome {
            CaseOutcome::Passed { .. } => passed += 1,
            CaseOutcome::Failed(why) => failed.push(format!("{}: {why}", report.id)),
            CaseOutcome::Skipped(why) => skipped.push(format!("{}: {why}", report.id)),
        }
    }
    (passed, failed, skipped)
}

/// Every case of every rule, in f64 at the case's own tolerance.
#[test]
fn reference_f64_agrees_with_other_programs() {
    assert_eq!(judge(EngineKind::Reference, DType::F64), (48, vec![], vec![]));
}

/// The same in f32 at its own bound.
#[test]
fn reference_f32_stays_within_its_bound() {
    assert_eq!(judge(EngineKind::Reference, DType::F32), (48, vec![], vec![]));
}

/// Cases of the augmented Lagrangian, in both precisions.
#[test]
fn lagrangians_agree_with_their_equations() {
    for dtype in [DType::F64, DType::F32] {
        let found = judge_in("tests/cases/pcalm", EngineKind::Reference, dtype);
        assert_eq!(found, (3, vec![], vec![]));
    }
}

/// The fused engine on the same cases, none of them skipped for a rule.
#[test]
fn fused_agrees_with_other_programs() {
    for dtype in [DType::F64, DType::F32] {
        let (passed, failed, skipped) = judge(EngineKind::Fused, dtype);
        assert_eq!(failed, Vec::<String>::new());
        assert!(
            skipped.iter().all(|why| why.contains("the kernels take chains of dense layers")),
            "{skipped:#?}"
        );
        assert!(passed >= 36, "{passed}");
    }
}

/// Stored as deviations from the forward pass, states are the same states.
#[test]
fn fused_deviations_agree_with_other_programs() {
    for dtype in [DType::F64, DType::F32] {
        let (passed, failed, _) = judge(EngineKind::FusedDeviation, dtype);
        assert_eq!(failed, Vec::<String>::new());
        assert!(passed >= 14, "{passed}");
    }
}

/// Candle's reverse mode gives the same gradients as the hand-written schedule.
#[test]
fn autograd_f64_agrees_with_other_programs() {
    let (passed, failed, _) = judge(EngineKind::Autograd, DType::F64);
    assert_eq!(failed, Vec::<String>::new());
    assert!(passed >= 3);
}

/// Products that round their operands stay within their own bound, every case of every rule that the engine runs; and
/// they do round: another program's numbers are farther off than f32 would make them.
#[test]
fn rounded_operands_stay_within_their_bound() {
    for engine in [EngineKind::FusedTf32x3, EngineKind::FusedTf32, EngineKind::FusedBf16] {
        let (passed, failed, skipped) = judge(engine, DType::F32);
        assert_eq!(failed, Vec::<String>::new());
        assert!(
            skipped.iter().all(|why| why.contains("the kernels take chains of dense layers")),
            "{skipped:#?}"
        );
        assert!(passed >= 36, "{engine}: {passed}");
        let (passed, failed, _) = judge(engine, DType::F64);
        assert!(failed.iter().all(|why| why.contains("computes in f32 on operands of")), "{failed:#?}");
        assert!(passed <= 6, "closed forms alone have no operands: {passed}");
    }
}

/// Every graph, on the reference engine in both precisions and on autograd; fused engines take none that is no stack, and
/// say why.
#[test]
fn graphs_agree_with_other_programs() {
    for dtype in [DType::F64, DType::F32] {
        assert_eq!(judge_in("tests/cases/graphs", EngineKind::Reference, dtype), (26, vec![], vec![]));
    }
    let (passed, failed, _) = judge_in("tests/cases/graphs", EngineKind::Autograd, DType::F64);
    assert_eq!((passed, failed), (5, Vec::new()));
    let (passed, failed, skipped) = judge_in("tests/cases/graphs", EngineKind::Fused, DType::F64);
    assert_eq!((passed, failed), (0, Vec::new()));
    assert!(
        skipped.iter().any(|why| why.contains("the kernels take chains of dense layers")),
        "{skipped:#?}"
    );
}
