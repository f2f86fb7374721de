//! Whole calls on a card, on every rung, against the engine on the CPU.

use candle_core::{DType, Device, Tensor};
use pcnbench_kernels::launch::Task;
use pcnbench_kernels::stack::Activation;
use pcnbench_kernels::tune::Rung;
use pcnbench_kernels::{Fused, Operands, Optimiser, Rule};

use crate::call_cases::{case, cases, tasks, Case, RULES};

/// The first card, or nothing if there is none.
fn card() -> Option<Device> {
    crate::card().map(Device::Cuda)
}

const RUNGS: [Rung; 3] = [Rung::Grouped, Rung::Graph, Rung::Wide];

/// θ after `train`, or all that `learn` leaves, after `calls` calls.
fn run(
    case: &Case,
    device: &Device,
    dtype: DType,
    rung: Option<Rung>,
    calls: usize,
) -> candle_core::Result<Vec<f64>> {
    with_operands(case, device, dtype, (rung, Operands::F32), calls)
}

fn with_operands(
    case: &Case,
    device: &Device,
    dtype: DType,
    (rung, operands): (Option<Rung>, Operands),
    calls: usize,
) -> candle_core::Result<Vec<f64>> {
    let start = case.start();
    let engine = Fused::new(case.stack.clone(), 1).map_err(candle_core::Error::wrap)?.with_operands(operands);
    engine.on_rung(rung);
    let tensor = |numbers: &[f64], shape: &[usize]| {
        Tensor::from_slice(numbers, shape, &Device::Cpu)?.to_dtype(dtype)?.to_device(device)
    };
    let depth = case.stack.depth();
    let x = tensor(&start.x, &[case.batch, case.stack.units(0)])?;
    let y = tensor(&start.y, &[case.batch, case.stack.units(depth)])?;
    let theta = tensor(&start.theta, &[start.theta.len()])?;
    let moves = matches!(case.schedule.rule, Rule::Ipc { .. });
    let mut left = vec![];
    for _ in 0..calls {
        left = match case.task {
            Task::Learn { traces } => {
                let learned = engine.learn(&case.schedule, case.loss, &theta, (&x, &y), traces);
                let learned = learned.map_err(candle_core::Error::wrap)?;
                let (states, errors) = learned.traces.unwrap_or_default();
                [vec![learned.theta, learned.output], states, errors].concat()
            }
            Task::Train(optimiser) => {
                let optimiser = if moves { Optimiser::Sgd { rate: 0.0 } } else { optimiser };
                let done = engine.train(&case.schedule, case.loss, optimiser, &theta, (&x, &y));
                done.map_err(candle_core::Error::wrap)?;
                vec![theta.clone()]
            }
        };
    }
    engine.settled().map_err(candle_core::Error::wrap)?;
    let mut all = vec![];
    for tensor in left {
        all.extend(tensor.flatten_all()?.to_dtype(DType::F64)?.to_device(&Device::Cpu)?.to_vec1::<f64>()?);
    }
    Ok(all)
}

#[test]
fn calls_do_on_a_card_what_they_do_on_the_cpu() {
    let Some(device) = card() else { return };
    // under a sanitizer fewer, and spread over rules and tasks
    let most = std::env::var("PCNBENCH_CARD_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
    let all = cases(40);
    let apart = all.len().div_ceil(most.clamp(1, all.len()));
    for (index, case) in all.iter().enumerate().step_by(apart) {
        // Candle makes no empty tensors on a card
        if case.batch == 0 || (0..=case.stack.depth()).any(|l| case.stack.units(l) == 0) {
            continue;
        }
        let expected = case.on_cpu(&case.start());
        for rung in RUNGS {
            let got = run(case, &device, DType::F64, Some(rung), 1).unwrap();
            case.compare(&got, &expected, f64::EPSILON)
                .unwrap_or_else(|wrong| panic!("{rung:?} f64: {wrong} in {case:?}"));
        }
        let got = run(case, &device, DType::F32, Some(RUNGS[index % 3]), 1).unwrap();
        case.compare(&got, &expected, f64::from(f32::EPSILON))
            .unwrap_or_else(|wrong| panic!("f32: {wrong} in {case:?}"));
    }
}

/// Inference in one launch, where the kernels take it; where they do not, they say why.
#[test]
fn calls_in_one_launch_do_what_the_engine_on_the_cpu_does() {
    let Some(device) = card() else { return };
    let mut taken = 0;
    for case in cases(40) {
        let expected = case.on_cpu(&case.start());
        match run(&case, &device, DType::F32, Some(Rung::Persistent), 1) {
            Ok(got) => {
                case.compare(&got, &expected, f64::from(f32::EPSILON))
                    .unwrap_or_else(|wrong| panic!("{wrong} in {case:?}"));
                taken += 1;
            }
            Err(error) => assert!(error.to_string().contains("does not take this call"), "{error}"),
        }
    }
    assert!(taken > 30, "{taken}");
}

/// A recording is replayed on the θ of the call before, and equal calls give equal bits.
#[test]
fn call_after_call_a_recording_gives_the_bits_of_its_launches() {
    let Some(device) = card() else { return };
    for (i, rule) in RULES.into_iter().enumerate() {
        for task in tasks() {
            let case = case(5000 + i as u64, &[9, 33, 33, 33, 4], 17, rule, 4, task);
            let on = |rung| run(&case, &device, DType::F32, Some(rung), 3).unwrap();
            let bits = |numbers: Vec<f64>| numbers.into_iter().map(f64::to_bits).collect::<Vec<_>>();
            let grouped = bits(on(Rung::Grouped));
            assert_eq!(bits(on(Rung::Graph)), grouped, "{case:?}");
            assert_eq!(bits(on(Rung::Grouped)), grouped, "{case:?}");
        }
    }
}

#[test]
fn what_a_card_cannot_do_is_said_in_one_sentence() {
    let Some(device) = card() else { return };
    let deviation = Rule::Spc { light_cone: true, deviation: true };
    let case = case(6000, &[3, 4, 2], 2, deviation, 2, Task::Learn { traces: false });
    let error = run(&case, &device, DType::F32, None, 1).unwrap_err().to_string();
    assert!(error.contains("stores states, not deviations") && !error.contains('\n'), "{error}");
    let half = run(&case, &device, DType::BF16, None, 1).unwrap_err().to_string();
    assert!(half.contains("expected f32 or f64"), "{half}");
}

/// On every rung that takes the call, off by no more than each product's share: 4u of the largest number, as for twins.
#[test]
fn operands_are_read_as_asked_for_on_every_rung() {
    let Some(device) = card() else { return };
    let smooth = |case: &Case| {
        let kinked =
            |l: usize| [case.stack.layer(l).act_in, case.stack.layer(l).act_out].contains(&Activation::Relu);
        !(1..=case.stack.depth()).any(kinked)
    };
    let learn = Task::Learn { traces: true };
    let spc = Rule::Spc { light_cone: true, deviation: false };
    for rule in [Rule::Bp, spc, Rule::Epc] {
        let drawn = (7000..).map(|seed| case(seed, &[40, 33, 33, 33, 4], 17, rule, 4, learn));
        for case in drawn.filter(smooth).take(3) {
            let expected = case.on_cpu(&case.start());
            let most = expected.iter().fold(1.0f64, |most, e| most.max(e.abs()));
            let products = 2.0 * (case.stack.depth() + case.schedule.steps.len()) as f64 + 1.0;
            for operands in Operands::ALL {
                let bound = 4.0 * case.bound(f64::from(f32::EPSILON)) + 4.0 * operands.unit() * products;
                for rung in Rung::ALL {
                    let got = with_operands(&case, &device, DType::F32, (Some(rung), operands), 1).unwrap();
                    for (got, expected) in got.iter().zip(&expected) {
                        let off = (got - expected).abs();
                        assert!(off <= bound * most, "{operands} on {rung:?}: off by {off:e} in {case:?}");
                    }
                }
            }
        }
    }
}
