//! `lab/step.cu` against its equations, in the emulator.

use pcnbench_kernels::emu::{Emulator, Order};
use pcnbench_kernels::step::{Act, Buffers, Loss, Settings, Table};

use crate::cases::{case, cases, same, Ask, Case};

fn run(
    emulator: &Emulator,
    case: &Case,
    table: &Table,
    on: &mut Buffers<'_>,
    ask: Ask,
) -> candle_core::Result<()> {
    match ask {
        Ask::Predict(first) => emulator.predict(table, on, &case.settings, first),
        Ask::Update(first) => emulator.update(table, on, &case.settings, first),
        Ask::Forward(l) => emulator.forward(table, on, &case.settings, l),
    }
}

/// Everything that is asked of `lab/step.cu`, of one variant of it.
pub fn battery(variant: &str) -> Result<(), String> {
    for case in cases() {
        let mut first = None;
        for order in Order::ALL {
            let emulator = Emulator { order, variant: variant.to_owned() };
            let mut runner =
                |case: &Case, table: &Table, on: &mut Buffers<'_>, ask| run(&emulator, case, table, on, ask);
            let got = case.check(&mut runner).map_err(|wrong| format!("{order:?}: {wrong} in {case:?}"))?;
            let first = first.get_or_insert_with(|| got.clone());
            for (got, first) in got.iter().zip(first.iter()) {
                same(got, first, &format!("a result in {order:?} against the first order in {case:?}"))?;
            }
        }
    }
    Ok(())
}

#[test]
fn a_step_follows_its_equations_in_every_order() {
    battery("clean").unwrap();
}

/// T steps of a linear net against the f64 loop that takes the same steps: rounding must not build up by more than a
/// factor per step that the Lipschitz constant of a step allows.
#[test]
fn steps_one_after_another_stay_with_a_loop_in_f64() {
    let mut case = case(77, &[6, 20, 20, 20, 4], 9, true);
    case.settings = Settings { loss: Loss::HalfSquaredError, precision: 1.0, step_size: 0.1 };
    case.layers.iter_mut().for_each(|layer| {
        (layer.act_in, layer.act_out, layer.scale) = (Act::Tanh, Act::Identity, 0.2);
    });
    let start = case.start().unwrap();
    let (table, depth, steps) = (&start.table, case.layers.len(), 20);
    let mut exact: Vec<f64> = start.states.iter().map(|v| f64::from(*v)).collect();
    for _ in 0..steps {
        let mut errors = vec![0.0; exact.len()];
        for l in 1..=depth {
            let (layer, w) = (&case.layers[l - 1], case.layer_weights(&start, l));
            for (at, place) in table.state(l).enumerate() {
                let (sample, unit) = (at / layer.outputs, at % layer.outputs);
                let below = &exact[table.state(l - 1)][sample * layer.inputs..][..layer.inputs];
                let mut mu: f64 =
                    (0..layer.inputs).map(|k| f64::from(w[unit * layer.inputs + k]) * below[k].tanh()).sum();
                mu *= f64::from(layer.scale);
                mu += if layer.bias { f64::from(w[layer.inputs * layer.outputs + unit]) } else { 0.0 };
                mu += if layer.skip { below[unit] } else { 0.0 };
                errors[place] =
                    if l == depth { f64::from(start.targets[at]) - mu } else { exact[place] - mu };
            }
        }
        let old = exact.clone();
        for l in 1..depth {
            let (layer, w) = (&case.layers[l], case.layer_weights(&start, l + 1));
            for (at, place) in table.state(l).enumerate() {
                let (sample, unit) = (at / layer.inputs, at % layer.inputs);
                let e = &errors[table.state(l + 1)][sample * layer.outputs..][..layer.outputs];
                let back: f64 =
                    (0..layer.outputs).map(|k| f64::from(w[k * layer.inputs + unit]) * e[k]).sum();
                let slope = 1.0 - old[place].tanh().powi(2);
                let skipped = if layer.skip { e[unit] } else { 0.0 };
                exact[place] +=
                    0.1f32 as f64 * (slope * f64::from(layer.scale) * back + skipped - errors[place]);
            }
        }
    }
    let (mut states, mut errors, mut deltas) =
        (start.states.clone(), vec![0.0; table.states()], vec![0.0; table.states()]);
    let mut on = Buffers {
        weights: &start.weights,
        targets: &start.targets,
        states: &mut states,
        errors: &mut errors,
        deltas: &mut deltas,
    };
    let emulator = Emulator::new(Order::Shuffled(3));
    for _ in 0..steps {
        emulator.predict(table, &mut on, &case.settings, 1).unwrap();
        emulator.update(table, &mut on, &case.settings, 1).unwrap();
    }
    // g·(1 + 2·‖J‖ + ‖J‖²) ≤ 1 with ‖J‖ ≤ 1 + 0.2·√(20·20)/√3 < 3.4: one step at most doubles what is wrong
    // before it, and adds (K + 8)·ε; over all of them the first dominates, far above what is seen.
    let hidden = 0..table.state(depth).start;
    let worst = hidden.map(|at| (f64::from(on.states[at]) - exact[at]).abs()).fold(0.0, f64::max);
    assert!(worst <= 28.0 * f64::from(f32::EPSILON) * f64::from(steps), "off by {worst:e}");
}

#[test]
fn buffers_of_the_wrong_length_are_refused() {
    let case = case(5, &[4, 3, 2], 5, false);
    let start = case.start().unwrap();
    let (mut states, mut errors, mut deltas) = (start.states.clone(), start.states.clone(), vec![0.0; 3]);
    let mut on = Buffers {
        weights: &start.weights,
        targets: &start.targets,
        states: &mut states,
        errors: &mut errors,
        deltas: &mut deltas,
    };
    let refused = Emulator::new(Order::Forward).predict(&start.table, &mut on, &case.settings, 1);
    let error = refused.expect_err("deltas are short").to_string();
    assert!(error.contains("deltas has 3 numbers; expected 45"), "{error}");
}
