//! What products read of their operands, on every strategy: backpropagation through two layers of one unit, where no sum has
//! more than one term, so that every number is known to the bit.

use pcnbench_kernels::emu::{Emulator, Order};
use pcnbench_kernels::launch::{plan, resident, Ask, Plan, Precision, Task};
use pcnbench_kernels::persistent::{Facts, PATIENCE};
use pcnbench_kernels::stack::{Activation, LayerSpec, Loss, LossKind};
use pcnbench_kernels::tune::Card;
use pcnbench_kernels::{Operands, Rule, Schedule, Stack};

use crate::random::Random;

/// A card's own words for rounding, once more: to nearest by way of f64, ties as each format says.
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

fn read(operands: Operands, x: f32) -> f32 {
    match operands {
        Operands::F32 | Operands::Tf32x3 => x,
        Operands::Tf32 => nearest(x, 10, false),
        Operands::Bf16 => nearest(x, 7, true),
    }
}

/// dW_1, dW_2 and o.
fn expected(operands: Operands, [w1, w2, x, y]: [f32; 4]) -> [f32; 3] {
    let times = |a: f32, b: f32| read(operands, a) * read(operands, b);
    let state = times(w1, x);
    let output = times(w2, state);
    let error = y - output;
    let below = times(w2, error);
    [times(below, x), times(error, state), output]
}

fn plans(operands: Operands, stack: &Stack, schedule: &Schedule) -> Vec<(&'static str, Plan)> {
    let ask = |products| Ask {
        stack,
        schedule,
        loss: Loss { kind: LossKind::HalfSquaredError, weight: 1.0 },
        batch: 1,
        task: Task::Learn { traces: false },
        precision: Precision::F32,
        operands,
        card: Card { processors: 4, cooperative: None },
        products,
    };
    let facts = Facts {
        multiprocessors: 4,
        shared_per_block: 64 * 1024,
        resident_blocks: 4,
        capability: (8, 0),
        patience: PATIENCE,
    };
    let mut plans = vec![("grouped", plan(&ask(false)).unwrap()), ("cublas", plan(&ask(true)).unwrap())];
    if Operands::RESIDENT.contains(&operands) {
        plans.push(("persistent", resident(&ask(false), &facts).unwrap()));
    }
    plans
}

/// Every strategy and every kind of operand, of one variant of the kernels.
pub fn battery(variant: &str) -> Result<(), String> {
    let layer = LayerSpec {
        inputs: 1,
        outputs: 1,
        act_in: Activation::Identity,
        act_out: Activation::Identity,
        scale: 1.0,
        skip: false,
        bias: false,
    };
    let stack = Stack::new(vec![layer; 2]).unwrap();
    let schedule = Schedule { rule: Rule::Bp, steps: vec![] };
    let emulator = Emulator { order: Order::Forward, variant: variant.to_owned() };
    let mut random = Random::new(11);
    for operands in Operands::ALL {
        let plans = plans(operands, &stack, &schedule);
        for _ in 0..20 {
            let numbers = [(); 4].map(|()| random.number());
            let [w1, w2, x, y] = numbers;
            let expected = expected(operands, numbers);
            for (strategy, plan) in &plans {
                let mut out = [f32::NAN; 3];
                emulator
                    .call(plan, &mut [w1, w2], (&[x], &[y]), &mut out)
                    .map_err(|error| error.to_string())?;
                // only there are operands split, which leaves out a part in 2¹⁹ of a product; numbers are below 1, directions products of
                // two or three
                let split = operands == Operands::Tf32x3 && *strategy == "persistent";
                let near = |got: f32, expected: f32| (got - expected).abs() <= 2f32.powi(-17);
                let same =
                    |(got, expected): (&f32, &f32)| got == expected || (split && near(*got, *expected));
                if !out.iter().zip(&expected).all(same) {
                    return Err(format!("{operands} operands, {strategy}: {out:?}, expected {expected:?}"));
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
    let layer = LayerSpec {
        inputs: 1,
        outputs: 1,
        act_in: Activation::Identity,
        act_out: Activation::Identity,
        scale: 1.0,
        skip: false,
        bias: false,
    };
    let (stack, schedule) = (Stack::new(vec![layer]).unwrap(), Schedule { rule: Rule::Bp, steps: vec![] });
    let ask = Ask {
        stack: &stack,
        schedule: &schedule,
        loss: Loss { kind: LossKind::HalfSquaredError, weight: 1.0 },
        batch: 1,
        task: Task::Learn { traces: false },
        precision: Precision::F64,
        operands: Operands::Bf16,
        card: Card { processors: 4, cooperative: None },
        products: false,
    };
    let said = plan(&ask).unwrap_err().to_string();
    assert!(said.contains("bf16 operands are for f32"), "{said}");
}
