//! Oracle: bugs planted at the end of a tile, and what the sizes have to be.

use crate::rule::Info;
use candle_core::{DType, Device};

use super::*;

fn options(engine: EngineKind, dtype: DType) -> Options {
    Options { rule: None, engine, dtype, device: Device::Cpu }
}

fn names(engine: EngineKind) -> impl Iterator<Item = &'static str> {
    Rule::NAMES.into_iter().filter(move |name| Info::runs(name, engine) && has_own_schedule(name))
}

#[test]
fn every_width_meets_every_depth_and_every_depth_every_batch() {
    let networks = networks();
    for depth in DEPTHS {
        for width in WIDTHS {
            assert!(networks.iter().any(|(units, _)| *units == vec![width; depth + 1]), "{width} {depth}");
        }
        for batch in BATCHES {
            let met = |(units, b): &(Vec<usize>, usize)| units.len() == depth + 1 && *b == batch;
            assert!(networks.iter().any(met), "{depth} {batch}");
        }
        let ragged = |(units, _): &(Vec<usize>, usize)| {
            units.len() == depth + 1 && units.windows(2).all(|pair| pair[0] != pair[1])
        };
        assert!(networks.iter().any(ragged), "{depth}");
    }
}

#[test]
fn the_fused_engine_agrees_with_the_reference_engine_at_every_size() {
    for dtype in [DType::F64, DType::F32] {
        let options = options(EngineKind::Fused, dtype);
        let reports: Vec<Report> = run(&options).collect();
        assert_eq!(reports.len(), names(EngineKind::Fused).count());
        for Report { id, outcome } in reports {
            let CaseOutcome::Passed { worst, compared } = outcome else { panic!("{id}: {outcome:?}") };
            assert!(worst.error > 0.0 && compared > 300, "{id} compared {compared}: {worst:?}");
        }
    }
}

/// Every rule, in f32, which allows more: the products of the last unit of a layer one wider than a tile are left out,
/// as by a kernel that rounds the number of its tiles down.
#[test]
fn a_unit_left_out_behind_a_tile_fails_and_says_where() {
    let options = options(EngineKind::Fused, DType::F32);
    let cut = |case: &Case| {
        let mut case = case.clone();
        for w in &mut case.params {
            let [outputs, inputs] = *w.shape else { continue };
            if outputs % 16 == 1 && outputs > 1 {
                let last = w.data.len() - inputs;
                w.data[last..].iter_mut().for_each(|w| *w = 0.0);
            }
        }
        execute::execute(&case, EngineKind::Fused, DType::F32, &Device::Cpu)
    };
    for name in names(EngineKind::Fused) {
        let Some(Report { outcome: CaseOutcome::Failed(why), .. }) = report(name, &options, &cut) else {
            panic!("{name} passed")
        };
        assert!(why.contains(" of 45 networks: 17-17 at batch ") && !why.contains('\n'), "{name}: {why}");
        assert!(why.contains("; also 129-129 at batch ") && !why.contains("16-16 at"), "{name}: {why}");
    }
}

/// A step too few, one of a wrong size and a sign: what a schedule can have wrong.
#[test]
fn a_wrong_schedule_fails() {
    let options = options(EngineKind::Fused, DType::F32);
    for name in ["spc", "spc-momentum", "epc", "epc-momentum", "fpa", "seqil", "ipc", "ar"] {
        for (count, size) in [(STEPS - 1, STEP), (STEPS, 1.1 * STEP), (STEPS, -STEP)] {
            let wrong = |case: &Case| {
                let mut case = case.clone();
                // the method stays: only count and size are wrong
                let steps = |rule: Rule| Steps { count, size, ..rule.steps().unwrap() };
                case.schedule = case.schedule.map(|rule| rule.with_steps(steps(rule)));
                execute::execute(&case, EngineKind::Fused, DType::F32, &Device::Cpu)
            };
            let outcome = report(name, &options, &wrong).map(|report| report.outcome);
            assert!(matches!(outcome, Some(CaseOutcome::Failed(_))), "{name} {count} {size}: {outcome:?}");
        }
    }
}

#[test]
fn what_is_not_executed_fails_and_what_is_not_asked_for_is_left_out() {
    let refuses = |_: &Case| Err(crate::Error::Invalid("no such kernel".into()));
    let mut options = options(EngineKind::Fused, DType::F64);
    let outcome = report("bp", &options, &refuses).map(|report| report.outcome);
    assert!(
        matches!(outcome, Some(CaseOutcome::Failed(why)) if why.starts_with("45 of 45 networks: 1-1 at batch 1: no such"))
    );
    options.rule = Some("spc".into());
    let ids: Vec<String> = run(&options).map(|report| report.id).collect();
    let names = ["spc", "spc-decay", "spc-momentum", "spc-nesterov", "spc-chebyshev", "spc-full"];
    assert_eq!(ids, names.map(|name| format!("differential/{name}/fused")));
}

#[test]
fn on_the_cpu_only_fused_engines_that_compute_what_they_say_are_compared() {
    let of = |kind, dtype| engine(&options(kind, dtype));
    assert_eq!(of(EngineKind::Reference, DType::F64), None);
    assert_eq!(of(EngineKind::Autograd, DType::F64), None);
    assert_eq!(of(EngineKind::FusedBf16, DType::F32), None);
    for kind in [EngineKind::Fused, EngineKind::FusedDeviation] {
        assert_eq!(of(kind, DType::F32), Some(kind));
    }
}
