//! Stacks of layers on which `lab/step.cu` is held against its equations, whoever runs it.

use pcnbench_kernels::step::{Act, Buffers, Dense, Loss, Settings, Table};

use crate::random::Random;
use crate::reference::{delta, hidden_error, moved, output_errors, prediction, Bounded};

const ACTS: [Act; 4] = [Act::Identity, Act::Tanh, Act::Relu, Act::Gelu];
const LOSSES: [Loss; 3] = [Loss::HalfSquaredError, Loss::SquaredError, Loss::CrossEntropy];
/// What no kernel may touch.
const UNTOUCHED: f32 = -77.25;

#[derive(Debug, Clone)]
pub struct Case {
    pub layers: Vec<Dense>,
    pub batch: usize,
    pub settings: Settings,
    /// The lowest layer of the light cone.
    pub first: usize,
    seed: u64,
}

/// What can be asked of whoever runs the kernels.
#[derive(Debug, Clone, Copy)]
pub enum Ask {
    /// Of layers from this one up.
    Predict(usize),
    /// Of layers from this one up.
    Update(usize),
    /// Of this layer.
    Forward(usize),
}

/// Does what is asked to the buffers.
pub type Runner<'a> = dyn FnMut(&Case, &Table, &mut Buffers<'_>, Ask) -> candle_core::Result<()> + 'a;

/// Sizes around everything that can be off by one: nothing, one, the depth of a tile, its edge, more than two tiles.
const SIZES: [usize; 12] = [0, 1, 2, 5, 15, 16, 17, 31, 63, 64, 65, 130];

pub fn case(seed: u64, widths: &[usize], batch: usize, skips: bool) -> Case {
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
pub struct Start {
    pub table: Table,
    pub weights: Vec<f32>,
    pub targets: Vec<f32>,
    pub states: Vec<f32>,
}

impl Case {
    pub fn start(&self) -> Result<Start, String> {
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

    pub fn layer_weights<'a>(&self, start: &'a Start, l: usize) -> &'a [f32] {
        &start.weights[start.table.rows()[l - 1].weights as usize..]
    }

    /// Predicts, moves, and runs forward, each from numbers that the one before left; everything in three buffers.
    pub fn check(&self, run: &mut Runner<'_>) -> Result<[Vec<f32>; 3], String> {
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
        run(self, table, &mut on, Ask::Predict(self.first)).map_err(said)?;
        self.check_predicted(&start, &on).map_err(|wrong| format!("predict: {wrong}"))?;
        let before = on.states.to_vec();
        run(self, table, &mut on, Ask::Update(self.first)).map_err(said)?;
        self.check_moved(&start, &before, &on).map_err(|wrong| format!("update: {wrong}"))?;
        let moved = on.states.to_vec();
        for l in 1..=table.depth() {
            run(self, table, &mut on, Ask::Forward(l)).map_err(said)?;
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
        self.check_errors(start, on, depth, on.states)
    }
}

fn holds(got: f32, allowed: &[Bounded], what: &str) -> Result<(), String> {
    if allowed.iter().any(|bounded| bounded.admits(got)) {
        return Ok(());
    }
    Err(format!("{what} is {got:e}; expected {:e} ± {:.1e}", allowed[0].value, allowed[0].error))
}

pub fn same(got: &[f32], expected: &[f32], what: &str) -> Result<(), String> {
    let bits = |numbers: &[f32]| numbers.iter().map(|n| n.to_bits()).collect::<Vec<_>>();
    if bits(got) == bits(expected) {
        Ok(())
    } else {
        Err(format!("{what} has changed"))
    }
}
