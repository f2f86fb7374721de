//! `cuda/step.cu` against its equations.

use pcnbench_kernels::emu::{Buffers, Emulator, Order};
use pcnbench_kernels::step::{Act, Dense, Loss, Settings, Table};

use crate::random::Random;
use crate::reference::{delta, hidden_error, moved, output_errors, prediction, Bounded};

const ACTS: [Act; 4] = [Act::Identity, Act::Tanh, Act::Relu, Act::Gelu];
const LOSSES: [Loss; 3] = [Loss::HalfSquaredError, Loss::SquaredError, Loss::CrossEntropy];
/// What no kernel may touch.
const UNTOUCHED: f32 = -77.25;

#[derive(Debug, Clone)]
pub struct Case {
    layers: Vec<Dense>,
    batch: usize,
    settings: Settings,
    /// The lowest layer of the light cone.
    first: usize,
    seed: u64,
}

/// Sizes around everything that can be off by one: nothing, one, the depth of a tile, its edge, more than two tiles.
const SIZES: [usize; 12] = [0, 1, 2, 5, 15, 16, 17, 31, 63, 64, 65, 130];

fn case(seed: u64, widths: &[usize], batch: usize, skips: bool) -> Case {
    let mut random = Random::new(seed);
    let layers = widths.windows(2).map(|pair| Dense {
        inputs: pair[0],
        outputs: pair[1],
        act_in: random.one_of(&ACTS),
        act_out: random.one_of(&ACTS),
        scale: random.one_of(&[1.0, 0.37, -1.5]),
        bias: random.one_of(&[true, false]),
        skip: skips && pair[0] == pair[1],
    });
    let layers: Vec<_> = layers.collect();
    let settings = Settings {
        loss: random.one_of(&LOSSES),
        precision: random.one_of(&[1.0, 0.25]),
        step_size: random.one_of(&[0.1, 0.5]),
    };
    let first = 1 + random.index(layers.len());
    Case { layers, batch, settings, first, seed }
}

/// Fixed ones where something is known to end, then drawn ones.
pub fn cases() -> Vec<Case> {
    let mut cases = vec![
        case(1, &[784, 33, 10], 3, false),
        case(2, &[7, 64, 64, 64, 64, 10], 64, true),
        case(3, &[65, 65, 65, 65], 65, true),
        case(4, &[3, 128, 128, 40], 63, true),
        case(5, &[4, 0, 3], 5, false),
        case(6, &[0, 4, 0], 5, false),
        case(7, &[4, 4, 4], 0, true),
        case(8, &[1, 1], 1, true),
        case(9, &[17, 65], 130, false),
    ];
    for (index, loss) in LOSSES.into_iter().enumerate() {
        let mut wide = case(20 + index as u64, &[16, 63, 63, 65], 33, true);
        (wide.settings.loss, wide.first) = (loss, 1);
        cases.push(wide);
    }
    for act in ACTS {
        let mut both = case(30 + act as u64, &[19, 21, 21, 6], 18, true);
        both.layers.iter_mut().for_each(|layer| (layer.act_in, layer.act_out) = (act, act));
        both.first = 1;
        cases.push(both);
    }
    for seed in 100..130 {
        let mut random = Random::new(seed);
        let depth = 1 + random.index(4);
        let mut widths = vec![random.one_of(&SIZES)];
        for _ in 0..depth {
            let last = widths[widths.len() - 1];
            widths.push(if random.index(3) == 0 { last } else { random.one_of(&SIZES) });
        }
        let batch = random.one_of(&SIZES);
        cases.push(case(seed, &widths, batch, random.index(2) == 0));
    }
    cases
}

/// What a case starts from.
struct Start {
    table: Table,
    weights: Vec<f32>,
    targets: Vec<f32>,
    states: Vec<f32>,
}

impl Case {
    fn start(&self) -> Result<Start, String> {
        let table = Table::new(&self.layers, self.batch).map_err(|error| error.to_string())?;
        let mut random = Random::new(self.seed ^ 0xabcd);
        let weights = random.numbers(table.parameters());
        let outputs = self.layers[self.layers.len() - 1].outputs;
        let mut targets = vec![0.0; table.targets()];
        for sample in targets.chunks_mut(outputs.max(1)) {
            sample[random.index(outputs)] = 1.0;
        }
        let mut states = random.numbers(table.states());
        // the derivative of relu where it jumps
        states.iter_mut().step_by(7).for_each(|state| *state = 0.0);
        Ok(Start { table, weights, targets, states })
    }

    fn layer_weights<'a>(&self, start: &'a Start, l: usize) -> &'a [f32] {
        &start.weights[start.table.rows()[l - 1].weights as usize..]
    }

    /// Predicts, moves, and runs forward, each from numbers that the one before left; everything in three buffers.
    pub fn check(&self, emulator: &Emulator) -> Result<[Vec<f32>; 3], String> {
        let start = self.start()?;
        let table = &start.table;
        let size = table.states();
        let (mut states, mut errors, mut deltas) =
            (start.states.clone(), vec![UNTOUCHED; size], vec![UNTOUCHED; size]);
        let mut on = Buffers {
            weights: &start.weights,
            targets: &start.targets,
            states: &mut states,
            errors: &mut errors,
            deltas: &mut deltas,
        };
        let said = |error: candle_core::Error| error.to_string();
        emulator.predict(table, &mut on, &self.settings, self.first).map_err(said)?;
        self.check_predicted(&start, &on).map_err(|wrong| format!("predict: {wrong}"))?;
        let before = on.states.to_vec();
        emulator.update(table, &mut on, &self.settings, self.first).map_err(said)?;
        self.check_moved(&start, &before, &on).map_err(|wrong| format!("update: {wrong}"))?;
        let moved = on.states.to_vec();
        for l in 1..=table.depth() {
            emulator.forward(table, &mut on, &self.settings, l).map_err(said)?;
        }
        self.check_forward(&start, &on).map_err(|wrong| format!("forward: {wrong}"))?;
        Ok([moved, errors, deltas])
    }

    fn check_predicted(&self, start: &Start, on: &Buffers<'_>) -> Result<(), String> {
        let (table, depth) = (&start.table, self.layers.len());
        // hidden states are read only
        let hidden = 0..table.state(depth).start;
        same(&on.states[hidden.clone()], &start.states[hidden], "a hidden state")?;
        for l in 0..self.first {
            let range = table.state(l);
            same(&on.errors[range.clone()], &vec![UNTOUCHED; range.len()], "an error below the light cone")?;
        }
        for l in self.first..=depth {
            self.check_errors(start, on, l, &start.states)?;
        }
        Ok(())
    }

    /// ε, δ and, for the output, v of layer l.
    fn check_errors(&self, start: &Start, on: &Buffers<'_>, l: usize, states: &[f32]) -> Result<(), String> {
        let (table, layer) = (&start.table, &self.layers[l - 1]);
        let (below, own) = (table.state(l - 1), table.state(l));
        for sample in 0..self.batch {
            let v = &states[below.clone()][sample * layer.inputs..][..layer.inputs];
            let units = 0..layer.outputs;
            let predicted: Vec<_> =
                units.clone().map(|unit| prediction(layer, self.layer_weights(start, l), v, unit)).collect();
            let place = |unit: usize| own.start + sample * layer.outputs + unit;
            let expected: Vec<Bounded> = if l == self.layers.len() {
                let mu: Vec<_> = predicted.iter().map(|(_, mu)| *mu).collect();
                for unit in units.clone() {
                    holds(
                        on.states[place(unit)],
                        &[mu[unit]],
                        &format!("v of output {unit}, sample {sample}"),
                    )?;
                }
                let y = &start.targets[sample * layer.outputs..][..layer.outputs];
                output_errors(&self.settings, &mu, y)
            } else {
                units.clone().map(|unit| hidden_error(predicted[unit].1, states[place(unit)])).collect()
            };
            for unit in units {
                let what = format!("layer {l}, unit {unit}, sample {sample}");
                holds(on.errors[place(unit)], &[expected[unit]], &format!("error of {what}"))?;
                let deltas = delta(layer, predicted[unit].0, expected[unit]);
                holds(on.deltas[place(unit)], &deltas, &format!("delta of {what}"))?;
            }
        }
        Ok(())
    }

    fn check_moved(&self, start: &Start, before: &[f32], on: &Buffers<'_>) -> Result<(), String> {
        let (table, depth) = (&start.table, self.layers.len());
        for l in (0..self.first).chain([depth]) {
            same(&on.states[table.state(l)], &before[table.state(l)], "a state that stays")?;
        }
        for l in self.first..depth {
            let (own, above, layer) = (table.state(l), table.state(l + 1), &self.layers[l]);
            for sample in 0..self.batch {
                let row = above.start + sample * layer.outputs..above.start + (sample + 1) * layer.outputs;
                let weights = self.layer_weights(start, l + 1);
                let above = (layer, weights, &on.errors[row.clone()], &on.deltas[row]);
                for unit in 0..layer.inputs {
                    let at = own.start + sample * layer.inputs + unit;
                    let expected = moved(&self.settings, before[at], on.errors[at], unit, above);
                    holds(
                        on.states[at],
                        &[expected],
                        &format!("v of layer {l}, unit {unit}, sample {sample}"),
                    )?;
                }
            }
        }
        Ok(())
    }

    fn check_forward(&self, start: &Start, on: &Buffers<'_>) -> Result<(), String> {
        let (table, depth) = (&start.table, self.layers.len());
        for l in 1..depth {
            let (below, own, layer) = (table.state(l - 1), table.state(l), &self.layers[l - 1]);
            for at in 0..own.len() {
                let (sample, unit) = (at / layer.outputs, at % layer.outputs);
                let v = &on.states[below.clone()][sample * layer.inputs..][..layer.inputs];
                let (_, mu) = prediction(layer, self.layer_weights(start, l), v, unit);
                holds(
                    on.states[own.start + at],
                    &[mu],
                    &format!("v of layer {l}, unit {unit}, sample {sample}"),
                )?;
            }
            let zero = |got: &[f32]| got.iter().all(|e| *e == 0.0);
            if !zero(&on.errors[own.clone()]) || !zero(&on.deltas[own]) {
                return Err(format!("layer {l} has an error after a forward pass"));
            }
        }
        self.check_errors(start, on, depth, &on.states.to_vec())
    }
}

fn holds(got: f32, allowed: &[Bounded], what: &str) -> Result<(), String> {
    if allowed.iter().any(|bounded| bounded.admits(got)) {
        return Ok(());
    }
    Err(format!("{what} is {got:e}; expected {:e} ± {:.1e}", allowed[0].value, allowed[0].error))
}

fn same(got: &[f32], expected: &[f32], what: &str) -> Result<(), String> {
    let bits = |numbers: &[f32]| numbers.iter().map(|n| n.to_bits()).collect::<Vec<_>>();
    if bits(got) == bits(expected) {
        Ok(())
    } else {
        Err(format!("{what} has changed"))
    }
}

/// Everything that is asked of `cuda/step.cu`, of one variant of it.
pub fn battery(variant: &str) -> Result<(), String> {
    for case in cases() {
        let mut first = None;
        for order in Order::ALL {
            let emulator = Emulator { order, variant: variant.to_owned() };
            let got = case.check(&emulator).map_err(|wrong| format!("{order:?}: {wrong} in {case:?}"))?;
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
