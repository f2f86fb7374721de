//! Parameters move as each optimiser's formula says, over three updates, state and all.

use candle_core::DType;
use pcnbench_kernels::{Fused, Optimiser, Rule};
use proptest::prelude::*;

use crate::case::{case, distance, values, Case, Size};
use crate::plain;

/// The optimiser of update n = 1, 2, 3.
fn optimiser(kind: usize, n: i32) -> Optimiser {
    match kind {
        0 => Optimiser::Sgd { rate: 0.01 },
        1 => Optimiser::Momentum { rate: 0.01, mu: 0.9 },
        // ε far above rounding: the step of a direction that is nothing but rounding would be nothing but noise
        2 => Optimiser::Adam { rate: 0.01, betas: (0.9, 0.999), epsilon: 1e-3, update: n },
        _ => Optimiser::Mq { rate: 0.05, min_rate: 1e-3, r: 1e-6, decay: f64::from(n) / f64::from(n + 1) },
    }
}

/// θ and state after three updates: the engine's, the formulas'; and by how much the latter moved θ.
fn three_updates(case: &Case, kind: usize, dtype: DType) -> Option<(Vec<f64>, Vec<f64>, f64)> {
    let (stack, mut numbers) = (case.stack(), case.numbers());
    let parameters = stack.parameters();
    let state = optimiser(kind, 1).state_elements(parameters, stack.depth());
    let start = if kind == 3 { 0.05 } else { 0.0 };
    // a number of f32, as all others are
    numbers.theta.resize(parameters + state, f64::from(start as f32));
    let [theta, x, y] = case.tensors(&numbers, dtype);
    let engine = Fused::new(case.stack(), case.threads).unwrap();
    let mut want = numbers.theta.clone();
    for n in 1..=3 {
        engine.train(&case.schedule, case.loss, optimiser(kind, n), &theta, (&x, &y)).unwrap();
        let left = plain::learn(&stack, &case.schedule, case.loss, &want, &numbers.x, &numbers.y, case.batch);
        if left.nearest_kink < 10.0 * case.tolerance(dtype) * left.scale {
            return None;
        }
        match case.schedule.rule {
            Rule::Ipc { .. } => want[..parameters].copy_from_slice(&left.theta),
            _ => plain::step(&stack, optimiser(kind, n), &mut want, &left.theta, case.batch),
        }
    }
    let moved = distance(&want, &numbers.theta);
    Some((values(&theta), want, moved))
}

fn follows(case: &Case, kind: usize, dtype: DType) -> Result<(), TestCaseError> {
    let mut case = case.clone();
    // MQ divides by the batch
    case.batch = case.batch.max(1);
    let kind = if matches!(case.schedule.rule, Rule::Ipc { .. }) { 0 } else { kind };
    let Some((got, want, moved)) = three_updates(&case, kind, dtype) else { return Ok(()) };
    // three updates, each with a direction (a sum over the batch) and a later point as wrong as the last one left it;
    // dividing by √s + ε magnifies by up to α/ε = 10
    let largest = want.iter().fold(1.0f64, |m, v| m.max(v.abs()));
    if !(largest < 1e2 && moved.is_finite()) {
        // these rates do not suit that net: where parameters of size 1 have grown so far, an update magnifies the rounding of the one
        // before it by as much, and no bound that follows from sizes holds
        return Ok(());
    }
    let allowed = 300.0 * case.tolerance(dtype) * largest * case.batch as f64;
    let worst = distance(&got, &want);
    prop_assert!(worst <= allowed, "{worst:e} of {allowed:e} allowed, moved by {moved:e}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn on_small_stacks(case in case(Size::Small), kind in 0usize..4) {
        follows(&case, kind, DType::F64)?;
    }

    #[test]
    fn in_f32(case in case(Size::Small), kind in 0usize..4) {
        follows(&case, kind, DType::F32)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn on_large_stacks(case in case(Size::Large), kind in 0usize..4) {
        follows(&case, kind, DType::F64)?;
    }
}
