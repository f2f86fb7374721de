//! Directions against the energy they descend, in f64: F written down once more, its slope by central differences.

use pcnbench_kernels::emu::{Emulator, Order};
use pcnbench_kernels::launch::{Precision, Task};
use pcnbench_kernels::{Activation, LossKind, Rule};

use crate::call::{planned, run};
use crate::call_cases::{case, Case};
use crate::random::Random;
use crate::reference::erf;

fn act(kind: Activation, z: f64) -> f64 {
    match kind {
        Activation::Identity => z,
        Activation::Tanh => z.tanh(),
        Activation::Relu => z.max(0.0),
        Activation::Gelu => 0.5 * z * (1.0 + erf(z / 2f64.sqrt())),
        other => panic!("no layer of a stack has {other}"),
    }
}

/// μ_l of the batch.
fn predict(case: &Case, theta: &[f64], l: usize, below: &[f64]) -> Vec<f64> {
    let (layer, w) = (case.stack.layer(l), &theta[case.stack.weights(l)]);
    let b = &theta[case.stack.biases(l)];
    let mut mu = vec![];
    for sample in below.chunks(layer.inputs) {
        for j in 0..layer.outputs {
            let row = &w[j * layer.inputs..][..layer.inputs];
            let sum: f64 = row.iter().zip(sample).map(|(w, v)| w * act(layer.act_in, *v)).sum();
            let pre = layer.scale * sum + b.get(j).unwrap_or(&0.0);
            mu.push(act(layer.act_out, pre) + if layer.skip { sample[j] } else { 0.0 });
        }
    }
    mu
}

fn loss(case: &Case, o: &[f64], y: &[f64]) -> f64 {
    let n = case.stack.units(case.stack.depth());
    let squares: f64 = o.iter().zip(y).map(|(o, y)| (o - y).powi(2)).sum();
    let term = match case.loss.kind {
        LossKind::HalfSquaredError => 0.5 * squares,
        LossKind::SquaredError => squares,
        LossKind::CrossEntropy => o
            .chunks(n)
            .zip(y.chunks(n))
            .map(|(o, y)| {
                let log = o.iter().map(|o| o.exp()).sum::<f64>().ln();
                -o.iter().zip(y).map(|(o, y)| y * (o - log)).sum::<f64>()
            })
            .sum(),
        other => panic!("no stack has loss {other}"),
    };
    case.loss.precision * term
}

/// F of parameters and hidden states; the loss of the forward pass if there are none.
fn energy(case: &Case, theta: &[f64], states: Option<&[Vec<f64>]>) -> f64 {
    let (start, depth) = (case.start(), case.stack.depth());
    let (mut below, mut sum) = (start.x.clone(), 0.0);
    for l in 1..=depth {
        let mu = predict(case, theta, l, &below);
        if l == depth {
            return sum + loss(case, &mu, &start.y);
        }
        below = match states {
            Some(states) => {
                sum += 0.5 * states[l - 1].iter().zip(&mu).map(|(v, mu)| (v - mu).powi(2)).sum::<f64>();
                states[l - 1].clone()
            }
            None => mu,
        };
    }
    sum
}

/// Every tenth parameter or so, by central differences: off by h²·F''' and ε·F/h.
fn check(rule: Rule, steps: usize, seed: u64) {
    let case = case(seed, &[4, 6, 6, 6, 3], 5, rule, steps, Task::Learn { traces: true });
    let plan = planned(&case, Precision::F64, 132, false);
    let got = run::<f64>(&Emulator::new(Order::Forward), &case, &plan).unwrap();
    let (stack, depth) = (&case.stack, case.stack.depth());
    let mut at = stack.parameters() + case.batch * stack.units(depth);
    let states: Vec<Vec<f64>> = (1..depth)
        .map(|l| {
            let size = case.batch * stack.units(l);
            at += size;
            got[at - size..at].to_vec()
        })
        .collect();
    let states = (!matches!(rule, Rule::Bp)).then_some(&states[..]);
    let mut theta = case.start().theta;
    let (mut random, h) = (Random::new(seed), 1e-5);
    for _ in 0..40 {
        let i = random.index(stack.parameters());
        let mut moved = |by: f64| {
            theta[i] += by;
            let f = energy(&case, &theta, states);
            theta[i] -= by;
            f
        };
        let slope = (moved(h) - moved(-h)) / (2.0 * h);
        assert!((got[i] + slope).abs() < 1e-7, "{rule:?} seed {seed}: d[{i}] = {}, −∂F = {}", got[i], -slope);
    }
}

#[test]
fn directions_descend_the_energy() {
    for seed in [1, 2, 3, 4, 5, 6] {
        check(Rule::Bp, 0, seed);
        check(Rule::Spc { light_cone: true, deviation: false }, 5, seed);
        check(Rule::Spc { light_cone: false, deviation: false }, 2, seed);
        check(Rule::Epc, 3, seed);
        check(Rule::SeqIl { mixing: 1.0 }, 3, seed);
    }
}
