//! Whole calls on a GPU, on every strategy, against the engine on the CPU.

use candle_core::{DType, Device, Tensor};
use pcnbench_kernels::launch::Task;
use pcnbench_kernels::tune::Strategy;
use pcnbench_kernels::{Activation, Dense, Fused, Loss, MathMode, Optimiser, Rule, Schedule, Stack};

use crate::call_cases::{case, cases, tasks, Case, RULES};
use crate::random::Random;

/// The first GPU, or nothing if there is none.
fn gpu() -> Option<Device> {
    crate::gpu().map(Device::Cuda)
}

const STRATEGIES: [Strategy; 3] = [Strategy::Grouped, Strategy::Graph, Strategy::Cublas];

/// θ after `train`, or all results of `learn`, after `calls` calls.
fn run(
    case: &Case,
    device: &Device,
    dtype: DType,
    strategy: Option<Strategy>,
    calls: usize,
) -> candle_core::Result<Vec<f64>> {
    with_math(case, device, dtype, (strategy, MathMode::F32), calls)
}

fn with_math(
    case: &Case,
    device: &Device,
    dtype: DType,
    (strategy, math): (Option<Strategy>, MathMode),
    calls: usize,
) -> candle_core::Result<Vec<f64>> {
    let start = case.start();
    let engine = Fused::new(case.stack.clone(), 1).map_err(candle_core::Error::wrap)?.with_math(math);
    engine.set_strategy(strategy);
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

/// All cases that there can be on a GPU, where Candle makes no empty tensors; under a sanitizer fewer, spread over
/// rules and tasks.
fn possible() -> Vec<Case> {
    let mut all = cases(40);
    all.retain(|case| case.batch > 0 && (0..=case.stack.depth()).all(|l| case.stack.units(l) > 0));
    let most = std::env::var("PCNBENCH_DEVICE_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
    let apart = all.len().div_ceil(most.clamp(1, all.len()));
    all.into_iter().step_by(apart).collect()
}

#[test]
fn calls_do_on_a_card_what_they_do_on_the_cpu() {
    let Some(device) = gpu() else { return };
    for (index, case) in possible().iter().enumerate() {
        let expected = case.on_cpu(&case.start());
        for strategy in STRATEGIES {
            let got = run(case, &device, DType::F64, Some(strategy), 1)
                .unwrap_or_else(|error| panic!("{strategy:?} f64: {error} in {case:?}"));
            case.compare(&got, &expected, f64::EPSILON)
                .unwrap_or_else(|wrong| panic!("{strategy:?} f64: {wrong} in {case:?}"));
        }
        let got = run(case, &device, DType::F32, Some(STRATEGIES[index % 3]), 1)
            .unwrap_or_else(|error| panic!("f32: {error} in {case:?}"));
        case.compare(&got, &expected, f64::from(f32::EPSILON))
            .unwrap_or_else(|wrong| panic!("f32: {wrong} in {case:?}"));
    }
}

/// Inference in one launch, where the kernels can run it; elsewhere the error names the reason.
#[test]
fn calls_in_one_launch_do_what_the_engine_on_the_cpu_does() {
    let Some(device) = gpu() else { return };
    let (mut taken, possible) = (0, possible());
    for case in &possible {
        let expected = case.on_cpu(&case.start());
        match run(case, &device, DType::F32, Some(Strategy::Persistent), 1) {
            Ok(got) => {
                case.compare(&got, &expected, f64::from(f32::EPSILON))
                    .unwrap_or_else(|wrong| panic!("{wrong} in {case:?}"));
                taken += 1;
            }
            Err(error) => assert!(error.to_string().contains("does not take this call"), "{error}"),
        }
    }
    // five of fourteen rules
    assert!(5 * taken > possible.len(), "{taken} of {}", possible.len());
}

/// As many blocks as fit on a GPU exchange numbers for many steps, in every layout: blocks that hold one layer or
/// several, with resident items or items that use one set of tiles in turn; other launches use large tiles, with rows
/// that are fours and rows that are not. A value that is read too early, or from a stale cache, differs in one of the
/// runs.
#[test]
fn a_deep_net_in_one_launch_leaves_the_same_bits_every_time() {
    let Some(device) = gpu() else { return };
    let few = std::env::var_os("PCNBENCH_DEVICE_CASES").is_some();
    let runs = if few { 2 } else { 20 };
    for (width, batch, depth) in
        [(128, 64, 128), (128, 256, 31), (64, 100, 200), (62, 60, 200), (33, 17, 128), (128, 1024, 8)]
    {
        let layer = Dense { act_in: Activation::Tanh, bias: true, ..Dense::linear(width, width) };
        let stack = Stack::new(vec![layer; depth]).unwrap();
        let mut random = Random::new(depth as u64);
        let mut tensor = |shape: &[usize], scale: f32| {
            let numbers: Vec<f32> = (0..shape.iter().product()).map(|_| scale * random.number()).collect();
            Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap().to_device(&device).unwrap()
        };
        let theta = tensor(&[stack.parameters()], 1.5 / (width as f32).sqrt());
        let (x, y) = (tensor(&[batch, width], 1.0), tensor(&[batch, width], 1.0));
        let engine = Fused::new(stack, 1).unwrap();
        let loss = Loss::HALF_SQUARED_ERROR;
        let spc = Rule::Spc { light_cone: true, deviation: false };
        for (rule, steps) in [(spc, depth + 9), (Rule::Epc, 5), (Rule::Bp, 0)] {
            let schedule = Schedule::new(rule, vec![0.1; steps]);
            let on = |strategy| {
                engine.set_strategy(Some(strategy));
                &engine
            };
            let left = |engine: &Fused| -> Vec<f32> {
                let learned = engine.learn(&schedule, loss, &theta, (&x, &y), false).unwrap();
                learned.theta.to_device(&Device::Cpu).unwrap().to_vec1().unwrap()
            };
            let by_launches = left(on(Strategy::Grouped));
            let engine = on(Strategy::Persistent);
            let first = left(engine);
            let square =
                |numbers: &mut dyn Iterator<Item = f32>| numbers.map(|n| f64::from(n).powi(2)).sum::<f64>();
            let off = square(&mut first.iter().zip(&by_launches).map(|(a, b)| a - b));
            let apart = (off / square(&mut by_launches.iter().copied())).sqrt();
            assert!(apart < 1e-3, "{rule:?} on {width}, {batch}, {depth}: {apart:e} from the other launches");
            for run in 1..runs {
                let same = left(engine).iter().zip(&first).all(|(a, b)| a.to_bits() == b.to_bits());
                assert!(same, "{rule:?} on {width}, {batch}, {depth}: other bits in run {run}");
            }
        }
    }
}

/// A recording is replayed on the θ of the call before, and equal calls give equal bits.
#[test]
fn call_after_call_a_recording_gives_the_bits_of_its_launches() {
    let Some(device) = gpu() else { return };
    for (i, rule) in RULES.into_iter().enumerate() {
        for task in tasks() {
            let case = case(5000 + i as u64, &[9, 33, 33, 33, 4], 17, rule, 4, task);
            let on = |strategy| run(&case, &device, DType::F32, Some(strategy), 3).unwrap();
            let bits = |numbers: Vec<f64>| numbers.into_iter().map(f64::to_bits).collect::<Vec<_>>();
            let grouped = bits(on(Strategy::Grouped));
            assert_eq!(bits(on(Strategy::Graph)), grouped, "{case:?}");
            assert_eq!(bits(on(Strategy::Grouped)), grouped, "{case:?}");
        }
    }
}

#[test]
fn what_a_gpu_cannot_do_is_said_in_one_sentence() {
    let Some(device) = gpu() else { return };
    let deviation = Rule::Spc { light_cone: true, deviation: true };
    let case = case(6000, &[3, 4, 2], 2, deviation, 2, Task::Learn { traces: false });
    let error = run(&case, &device, DType::F32, None, 1).unwrap_err().to_string();
    assert!(error.contains("stores states, not deviations") && !error.contains('\n'), "{error}");
    let half = run(&case, &device, DType::BF16, None, 1).unwrap_err().to_string();
    assert!(half.contains("expected f32 or f64"), "{half}");
}

/// On every strategy that takes the call, off by no more than each product's share: 4u of the largest number, as in the
/// differential tests.
#[test]
fn operands_are_read_as_asked_for_on_every_strategy() {
    let Some(device) = gpu() else { return };
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
            for math in MathMode::ALL {
                let bound = 4.0 * case.bound(f64::from(f32::EPSILON)) + 4.0 * math.unit() * products;
                let takes = |strategy: &Strategy| {
                    *strategy != Strategy::Persistent || MathMode::RESIDENT.contains(&math)
                };
                for strategy in Strategy::ALL.into_iter().filter(takes) {
                    let got = with_math(&case, &device, DType::F32, (Some(strategy), math), 1).unwrap();
                    for (got, expected) in got.iter().zip(&expected) {
                        let off = (got - expected).abs();
                        assert!(off <= bound * most, "{math} on {strategy:?}: off by {off:e} in {case:?}");
                    }
                }
            }
        }
    }
}

/// A net that fills a GPU in one launch. Bounds of the worst case say nothing in a net that deep; rounding of either
/// sign leaves all numbers together a third of a unit off where a CPU imitates it, and a part that is missing or read
/// too early leaves them off by their size. Operands that are not rounded at all are found too.
#[test]
fn operands_are_read_as_asked_for_in_a_net_that_fills_a_gpu() {
    let Some(device) = gpu() else { return };
    let (width, batch, depth) = (128, 64, 128);
    let layer = Dense { act_in: Activation::Tanh, bias: true, ..Dense::linear(width, width) };
    let spc = Rule::Spc { light_cone: true, deviation: false };
    let mut case = case(7100, &[width, width], batch, spc, 16, Task::Learn { traces: true });
    case.stack = Stack::new(vec![layer; depth]).unwrap();
    case.loss = Loss::HALF_SQUARED_ERROR;
    let expected = case.on_cpu(&case.start());
    let norm = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|n| n * n).sum::<f64>().sqrt();
    let size = norm(&mut expected.iter().copied());
    for math in MathMode::RESIDENT {
        let strategy = (Some(Strategy::Persistent), math);
        let got = with_math(&case, &device, DType::F32, strategy, 1).unwrap();
        assert_eq!(got.len(), expected.len());
        let apart = norm(&mut got.iter().zip(&expected).map(|(g, e)| g - e)) / size;
        let unit = math.unit();
        // of a product of two operands that are split, what `MathMode::bound` says they leave out
        let left_out = if math == MathMode::Tf32x3 { 2f64.powi(-19) } else { 0.0 };
        assert!(
            apart <= 1e-5 + 2.0 * unit + 4.0 * left_out && apart >= unit / 32.0,
            "{math}: {apart:e} of all numbers"
        );
    }
}
