//! How products read their operands, on every strategy: backpropagation through two layers of one unit, where no
//! sum has more than one term, so that every number is known to the bit.

use pcnbench_kernels::emu::{Emulator, Order};
use pcnbench_kernels::launch::{plan, resident, Ask, Plan, Precision, Task};
use pcnbench_kernels::persistent::{CooperativeLimits, PATIENCE};
use pcnbench_kernels::tune::DeviceLimits;
use pcnbench_kernels::{Dense, MathMode, OutputError, Rule, Schedule, Stack};

use crate::random::Random;

/// The rounding of each format, written independently: to nearest by way of f64, with the ties of the format.
fn nearest(x: f32, bits: i32, ties_to_even: bool) -> f32 {
    let x = f64::from(x);
    if x == 0.0 {
        return 0.0;
    }
    let unit = 2f64.powi(x.abs().log2().floor() as i32 - bits);
    let scaled = x / unit;
    let rounded = if ties_to_even { scaled.round_ties_even() } else { scaled.round() };
    (rounded * unit) as f32
}

fn read(math: MathMode, x: f32) -> f32 {
    match math {
        MathMode::F32 | MathMode::Tf32x3 => x,
        MathMode::Tf32 => nearest(x, 10, false),
        MathMode::Bf16 => nearest(x, 7, true),
    }
}

/// dW_1, dW_2 and o.
fn expected(math: MathMode, [w1, w2, x, y]: [f32; 4]) -> [f32; 3] {
    let times = |a: f32, b: f32| read(math, a) * read(math, b);
    let state = times(w1, x);
    let output = times(w2, state);
    let error = y - output;
    let below = times(w2, error);
    [times(below, x), times(error, state), output]
}

fn plans(math: MathMode, stack: &Stack, schedule: &Schedule) -> Vec<(&'static str, Plan)> {
    let ask = |products| Ask {
        stack,
        schedule,
        output: OutputError { weight: 1.0, softmax: false },
        batch: 1,
        task: Task::Learn { traces: false },
        precision: Precision::F32,
        math,
        device: DeviceLimits { processors: 4, cooperative: None },
        products,
    };
    let limits = CooperativeLimits {
        multiprocessors: 4,
        shared_per_block: 64 * 1024,
        resident_blocks: 4,
        capability: (8, 0),
        patience: PATIENCE,
    };
    let mut plans = vec![("grouped", plan(&ask(false)).unwrap()), ("cublas", plan(&ask(true)).unwrap())];
    if MathMode::RESIDENT.contains(&math) {
        plans.push(("persistent", resident(&ask(false), &limits).unwrap()));
    }
    plans
}

/// Every strategy and every kind of operand, of one variant of the kernels.
pub fn battery(variant: &str) -> Result<(), String> {
    let layer = Dense::linear(1, 1);
    let stack = Stack::new(vec![layer; 2]).unwrap();
    let schedule = Schedule::new(Rule::Bp, vec![]);
    let emulator = Emulator { order: Order::Forward, variant: variant.to_owned() };
    let mut random = Random::new(11);
    for math in MathMode::ALL {
        let plans = plans(math, &stack, &schedule);
        for _ in 0..20 {
            let numbers = [(); 4].map(|()| random.number());
            let [w1, w2, x, y] = numbers;
            let expected = expected(math, numbers);
            for (strategy, plan) in &plans {
                let mut out = [f32::NAN; 3];
                emulator
                    .call(plan, &mut [w1, w2], (&[x], &[y]), &mut out)
                    .map_err(|error| error.to_string())?;
                // only there are operands split, which leaves out a part in 2¹⁹ of a product; numbers are below 1,
                // directions products of two or three
                let split = math == MathMode::Tf32x3 && *strategy == "persistent";
                let near = |got: f32, expected: f32| (got - expected).abs() <= 2f32.powi(-17);
                let same =
                    |(got, expected): (&f32, &f32)| got == expected || (split && near(*got, *expected));
                if !out.iter().zip(&expected).all(same) {
                    return Err(format!("{math} operands, {strategy}: {out:?}, expected {expected:?}"));
                }
            }
        }
    }
    Ok(())
}

#[test]
fn products_read_what_they_are_told_to_on_every_strategy() {
    battery("clean").unwrap();
}

#[test]
fn operands_of_less_are_for_f32() {
    let layer = Dense::linear(1, 1);
    let (stack, schedule) = (Stack::new(vec![layer]).unwrap(), Schedule::new(Rule::Bp, vec![]));
    let ask = Ask {
        stack: &stack,
        schedule: &schedule,
        output: OutputError { weight: 1.0, softmax: false },
        batch: 1,
        task: Task::Learn { traces: false },
        precision: Precision::F64,
        math: MathMode::Bf16,
        device: DeviceLimits { processors: 4, cooperative: None },
        products: false,
    };
    let said = plan(&ask).unwrap_err().to_string();
    assert!(said.contains("bf16 operands are for f32"), "{said}");
}
