//! Whole calls, by the list of launches that a GPU gets, against the engine on the CPU.

use pcnbench_kernels::emu::{Emulator, Number, Order, ASAN};
use pcnbench_kernels::launch::{plan, resident, Ask, Launch, Plan, Precision, Task};
use pcnbench_kernels::persistent::{CooperativeLimits, PATIENCE};
use pcnbench_kernels::tune::DeviceLimits;
use pcnbench_kernels::{Activation, Dense, MathMode, OutputError, Rule, Schedule, Stack};

use crate::call_cases::{case, cases, Case, RULES};

/// The output error of a case, as the kernels read it.
fn output(case: &Case) -> OutputError {
    case.loss.on(case.batch, case.batch * case.stack.units(case.stack.depth())).unwrap()
}

pub fn planned(case: &Case, precision: Precision, processors: usize, products: bool) -> Plan {
    plan(&Ask {
        stack: &case.stack,
        schedule: &case.schedule,
        output: output(case),
        batch: case.batch,
        task: case.task,
        precision,
        math: MathMode::F32,
        device: DeviceLimits { processors, cooperative: None },
        products,
    })
    .unwrap()
}

/// θ after `train`, or all that `learn` leaves.
pub fn run<T: Number>(emulator: &Emulator, case: &Case, plan: &Plan) -> candle_core::Result<Vec<f64>> {
    let start = case.start();
    let numbers = |from: &[f64]| from.iter().map(|v| T::from_f64(*v)).collect::<Vec<_>>();
    let (mut theta, x, y) = (numbers(&start.theta), numbers(&start.x), numbers(&start.y));
    let mut out = vec![T::from_f64(f64::NAN); plan.out];
    emulator.call(plan, &mut theta, (&x, &y), &mut out)?;
    let left = if matches!(case.task, Task::Learn { .. }) { out } else { theta };
    Ok(left.into_iter().map(Number::exactly).collect())
}

fn check(
    case: &Case,
    variant: &str,
    order: Order,
    index: usize,
    expected: &[f64],
) -> Result<Vec<f64>, String> {
    let emulator = Emulator { order, variant: variant.to_owned() };
    // each tile size gets its turn, and products by a library
    let (processors, products) = ([1, 4, 1000][index % 3], index % 4 == 3);
    let said = |error: candle_core::Error| error.to_string();
    let exact = planned(case, Precision::F64, processors, products);
    let got = run::<f64>(&emulator, case, &exact).map_err(said)?;
    case.compare(&got, expected, f64::EPSILON).map_err(|wrong| format!("f64: {wrong}"))?;
    if order == Order::ALL[index % 4] {
        let plan = planned(case, Precision::F32, processors, products);
        let got = run::<f32>(&emulator, case, &plan).map_err(said)?;
        case.compare(&got, expected, f64::from(f32::EPSILON)).map_err(|wrong| format!("f32: {wrong}"))?;
    }
    Ok(got)
}

/// The same call with inference in one launch, if its rule, its scales and its sizes are of that kind.
fn check_resident(case: &Case, variant: &str, order: Order, expected: &[f64]) -> Result<(), String> {
    let taken =
        matches!(case.schedule.rule, Rule::Bp | Rule::Zil | Rule::Spc { .. } | Rule::Epc) && case.batch > 0;
    let ask = Ask {
        stack: &case.stack,
        schedule: &case.schedule,
        output: output(case),
        batch: case.batch,
        task: case.task,
        precision: Precision::F32,
        math: MathMode::F32,
        device: DeviceLimits { processors: 4, cooperative: None },
        products: false,
    };
    match resident(&ask, &SMALL) {
        Ok(plan) if taken => {
            let emulator = Emulator { order, variant: variant.to_owned() };
            let got = run::<f32>(&emulator, case, &plan).map_err(|error| error.to_string())?;
            case.compare(&got, expected, f64::from(f32::EPSILON))
        }
        Err(error)
            if !taken && error.to_string().contains("strategy `persistent` does not take this call") =>
        {
            Ok(())
        }
        Ok(_) => Err("a call is taken that the persistent kernels are not for".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// A GPU of few blocks, so that layers and tiles share them.
const SMALL: CooperativeLimits = CooperativeLimits {
    multiprocessors: 5,
    shared_per_block: 200 * 1024,
    resident_blocks: 5,
    capability: (8, 0),
    patience: PATIENCE,
};

/// All tests of the kernels of a call, on one variant of them.
pub fn battery(variant: &str) -> Result<(), String> {
    // under AddressSanitizer everything takes five times as long
    let drawn = if ASAN { 6 } else { 24 };
    for (index, case) in cases(drawn).iter().enumerate() {
        let expected = case.on_cpu(&case.start());
        let mut first: Option<Vec<f64>> = None;
        for order in Order::ALL {
            let got = check(case, variant, order, index, &expected)
                .map_err(|wrong| format!("{order:?}: {wrong} in {case:?}"))?;
            if order == Order::ALL[(index + 1) % 4] {
                check_resident(case, variant, order, &expected)
                    .map_err(|wrong| format!("persistent, {order:?}: {wrong} in {case:?}"))?;
            }
            let bits = |numbers: &[f64]| numbers.iter().map(|n| n.to_bits()).collect::<Vec<_>>();
            if first.as_ref().is_some_and(|first| bits(first) != bits(&got)) {
                return Err(format!("{order:?} gives other bits than the first order in {case:?}"));
            }
            first = Some(got);
        }
    }
    crate::math_mode::battery(variant)
}

#[test]
fn calls_do_what_the_engine_on_the_cpu_does_in_every_order() {
    battery("clean").unwrap();
}

fn deep(depth: usize, width: usize) -> Stack {
    let layer = Dense { act_in: Activation::Tanh, skip: true, bias: true, ..Dense::linear(width, width) };
    Stack::new(vec![layer; depth]).unwrap()
}

fn launches(depth: usize, width: usize, rule: Rule, steps: usize, products: bool) -> [usize; 3] {
    let stack = deep(depth, width);
    let schedule = Schedule::new(rule, vec![0.1; steps]);
    let output = OutputError { weight: 1.0, softmax: false };
    let (precision, math) = (Precision::F32, MathMode::F32);
    let device = DeviceLimits { processors: 132, cooperative: None };
    let task = Task::Train(pcnbench_kernels::Optimiser::Sgd { rate: 0.1 });
    let ask = Ask {
        stack: &stack,
        schedule: &schedule,
        output,
        batch: 64,
        task,
        precision,
        math,
        device,
        products,
    };
    let plan = plan(&ask).unwrap();
    [plan.load.len(), plan.infer.len(), plan.finish.len()]
}

/// Counted from the schedules: L for the forward pass, then what a step needs whatever the depth, or per layer.
#[test]
fn launches_are_as_many_as_the_schedule_needs() {
    let (depth, steps) = (16, 20);
    for rule in RULES {
        let infer = match rule {
            Rule::Bp | Rule::Zil => depth + depth - 1,
            Rule::Spc { light_cone, .. } => depth + usize::from(!light_cone) + 2 * steps,
            Rule::Epc => depth + steps * 2 * (depth - 1) + 1,
            // after an even number of steps the results are in the first buffers
            Rule::Fpa { light_cone } => depth + usize::from(!light_cone) + steps,
            Rule::Ar { top_down: false } => depth + 1 + steps,
            Rule::Ar { top_down: true } => depth + 1 + steps * (depth - 1),
            Rule::SeqIl { .. } => depth + steps * depth,
            Rule::Ipc { light_cone, evaluate, .. } => {
                depth + usize::from(!light_cone) + 4 * steps - usize::from(!evaluate)
            }
        };
        let finish = usize::from(!matches!(rule, Rule::Ipc { .. }));
        assert_eq!(launches(depth, 64, rule, steps, false), [2, infer, finish], "{rule:?}");
    }
}

/// Backpropagation is 3L − 1 products, and sPC T·(2L − 2) more but for layer 1's prediction, which stays; a library
/// makes as many as the kernels.
#[test]
fn flops_are_those_of_the_schedule() {
    let (depth, width, batch, steps) = (6, 10, 4, 3);
    let one = (2 * batch * width * width) as f64;
    for (rule, products) in [
        (Rule::Bp, 3 * depth - 1),
        (Rule::Spc { light_cone: false, deviation: false }, 2 * depth + steps * (2 * depth - 2)),
        // layers from L − t + 1 predicted and from L − t pulled: 1 + 2 + 3 of each, then 3 more directions
        (Rule::Spc { light_cone: true, deviation: false }, depth + 6 + 6 + 4),
        (Rule::Epc, 2 * depth + steps * (2 * depth - 2)),
        (Rule::Fpa { light_cone: false }, 2 * depth + steps * (depth - 1)),
    ] {
        let (stack, schedule) = (deep(depth, width), Schedule::new(rule, vec![0.1; steps]));
        for library in [false, true] {
            let ask = Ask {
                stack: &stack,
                schedule: &schedule,
                output: OutputError { weight: 1.0, softmax: false },
                batch,
                task: Task::Learn { traces: false },
                precision: Precision::F32,
                math: MathMode::F32,
                device: DeviceLimits { processors: 4, cooperative: None },
                products: library,
            };
            assert_eq!(plan(&ask).unwrap().flops() / one, products as f64, "{rule:?} {library}");
        }
    }
}

/// All layers of one size share one library product per phase.
#[test]
fn equal_layers_are_one_product() {
    let rule = Rule::Spc { light_cone: false, deviation: false };
    let with = |depth| launches(depth, 64, rule, 1, true);
    // pulls, predictions but layer 1's, directions
    assert_eq!(with(9)[1] - with(8)[1], 2);
    assert_eq!(with(9)[2], with(8)[2]);
    assert_eq!(with(8), [2, 2 * 8 + 1 + 2 + 2, 2]);
}

#[test]
fn deviations_are_refused_in_one_sentence() {
    let stack = deep(2, 3);
    let rule = Rule::Spc { light_cone: true, deviation: true };
    let schedule = Schedule::new(rule, vec![0.1]);
    let ask = Ask {
        stack: &stack,
        schedule: &schedule,
        output: OutputError { weight: 1.0, softmax: false },
        batch: 1,
        task: Task::Learn { traces: false },
        precision: Precision::F64,
        math: MathMode::F32,
        device: DeviceLimits { processors: 1, cooperative: None },
        products: false,
    };
    let error = plan(&ask).expect_err("deviations").to_string();
    assert!(error.contains("stores states, not deviations") && !error.contains('\n'), "{error}");
}

/// Repeated inference, which benches use to measure its cost, begins with the loaded batch each time. Under a rule that
/// moves the parameters in inference the results would differ, so such calls are refused.
#[test]
fn inference_queued_again_leaves_the_same_bits() {
    let emulator = Emulator { order: Order::ALL[0], variant: "clean".to_owned() };
    for (index, rule) in RULES.into_iter().enumerate() {
        let task = Task::Learn { traces: true };
        let case = case(8000 + index as u64, &[9, 17, 17, 17, 4], 5, rule, 3, task);
        let mut plans =
            vec![planned(&case, Precision::F32, 4, false), planned(&case, Precision::F32, 4, true)];
        let ask = Ask {
            stack: &case.stack,
            schedule: &case.schedule,
            output: output(&case),
            batch: case.batch,
            task,
            precision: Precision::F32,
            math: MathMode::F32,
            device: DeviceLimits { processors: 4, cooperative: None },
            products: false,
        };
        plans.extend(resident(&ask, &SMALL));
        for plan in plans {
            let left = |plan: &Plan| run::<f32>(&emulator, &case, plan).unwrap();
            let bits = |numbers: Vec<f64>| numbers.into_iter().map(f64::to_bits).collect::<Vec<_>>();
            let infer = [&plan.infer[..], &plan.infer, &plan.infer].concat();
            let same = bits(left(&Plan { infer, ..plan.clone() })) == bits(left(&plan));
            assert_eq!(same, !plan.moves, "{rule:?}");
        }
    }
}

/// Offsets of a plan stay within its arena, and no kernel has more blocks or threads than it says.
#[test]
fn launches_are_never_empty() {
    for case in cases(60) {
        for products in [false, true] {
            for launch in planned(&case, Precision::F32, 8, products).launches() {
                match launch {
                    Launch::Kernel(kernel) => assert!(kernel.blocks > 0 && kernel.params.count > 0),
                    Launch::Product(product) => assert!(product.m * product.n * product.count > 0),
                    Launch::Relax(relax) => panic!("unexpected launch {relax:?}"),
                }
            }
        }
    }
}
