//! Oracle: dense matrices of linear networks, and the binomial sum of fixed predictions. If this fails silently, a rule `-auto` takes
//! steps that are not stable, or the documents refuse one where a curvature would have said something.

use super::inference::{chain, excess, Quadratic};
use super::largest;
use super::rules::Setting;
use candle_core::DType;
use nalgebra::DMatrix;
use pcnbench::contender::{Contender, ContenderSpec};
use pcnbench::engine::curvature::{Coordinates, Curvature, Descended, Matrix};
use pcnbench::engine::reference::Reference;
use pcnbench::engine::Shown;
use pcnbench::net::{Activation, ActivationOrder, Loss, MlpSpec};
use pcnbench::optim::OptimiserKind;
use pcnbench::rule::{Rule, Steps};
use std::sync::Arc;

const WIDTH: usize = 5;

/// A linear chain with weights that are so much longer than its start has.
fn linear(depth: usize, longer: f64) -> Setting {
    let mut setting = chain(depth, WIDTH, Activation::Identity, "sp-normal");
    setting.params = setting.params.iter().map(|p| p.affine(longer, 0.0).unwrap()).collect();
    setting
}

fn contender(name: &str, count: usize, share: f64, rate: f64, setting: &Setting, depth: usize) -> Contender {
    let spec = ContenderSpec {
        id: format!("{name}/reference").parse().unwrap(),
        rule: Rule::from_name(name, Steps::constant(count, share)).unwrap(),
        network: Arc::new(MlpSpec {
            inputs: 4,
            width: WIDTH,
            outputs: 3,
            depth,
            activation: Activation::Identity,
            activation_order: ActivationOrder::Pre,
            parameterisation: "sp-normal".parse().unwrap(),
            gain: 1.0,
            bias: false,
        }),
        loss: Loss::HALF_SQUARED_ERROR,
        optimiser: OptimiserKind::Sgd,
        learning_rate: rate,
        regularisation: Default::default(),
        dtype: DType::F64,
        strategies: None,
    };
    Contender::with_params(&spec, setting.params.clone()).unwrap()
}

/// F after every step of a contender's inference.
fn energies(contender: &Contender, setting: &Setting) -> Vec<f64> {
    let engine = setting.engine();
    let mut energies = Vec::new();
    let mut watch = |Shown { errors, outputs, .. }: Shown<'_, _>| {
        energies.push(engine.energies(errors, outputs)?.iter().sum::<f64>());
        Ok(())
    };
    contender.watch(&setting.data, &mut watch).unwrap();
    energies
}

/// λ_max of the blocks of one state each, of which there are as many samples as the batch has.
fn largest_block(matrix: &DMatrix<f64>, latent: usize) -> f64 {
    let n = matrix.nrows() / latent;
    let block = |k: usize| matrix.view((k * n, k * n), (n, n)).into_owned().symmetric_eigenvalues().max();
    (0..latent).map(block).fold(0.0, f64::max)
}

/// SeqIL on a quadratic: F falls in every sweep of every share up to 1, and up to the larger bound of its blocks; well beyond that it
/// rises. The largest stable step of all states is never above that of one.
#[test]
fn sweeps_in_place_descend_below_the_stable_step() {
    for (depth, longer) in [(4, 1.0), (7, 2.0), (7, 0.5)] {
        let setting = linear(depth, longer);
        let quadratic = Quadratic::of(&setting, Coordinates::States);
        let block = largest_block(&quadratic.matrix, depth - 1);
        assert!(block < quadratic.ends[1]);
        for (share, bound) in [(0.3, quadratic.ends[1]), (1.0, quadratic.ends[1]), (0.999, block)] {
            let rule = Rule::from_name("seqil", Steps::constant(40, share * 2.0 / bound)).unwrap();
            let all = excess(&setting, &quadratic, &rule);
            for pair in all.windows(2) {
                assert!(pair[1] < pair[0] + 1e-12, "{depth} layers, {share} of 2/{bound}: {pair:?}");
            }
        }
        let auto = energies(&contender("seqil-auto", 40, 1.0, 0.1, &setting, depth), &setting);
        assert!(auto.windows(2).all(|pair| pair[1] < pair[0] * (1.0 + 1e-12)), "{depth} layers: {auto:?}");
        let far = Rule::from_name("seqil", Steps::constant(40, 2.5 * 2.0 / block)).unwrap();
        assert!(excess(&setting, &quadratic, &far).into_iter().fold(0.0, f64::max) > 1.0, "{depth} layers");
    }
}

/// iPC with weights that hardly move is sPC, whose border of stability is sharp: F falls in every step at a share below 1, and grows
/// without end at one above. With weights that move it falls over both together.
#[test]
fn incremental_steps_are_stable_below_the_stable_step() {
    let (depth, still) = (6, 1e-12);
    let setting = linear(depth, 1.5);
    let below = energies(&contender("ipc-auto", 300, 0.98, still, &setting, depth), &setting);
    assert!(below.len() == 301 && below.windows(2).all(|pair| pair[1] <= pair[0] * (1.0 + 1e-12)));
    let above = energies(&contender("ipc-auto", 300, 1.03, still, &setting, depth), &setting);
    assert!(above[300] > 1e3 * above[0], "{} after {}", above[300], above[0]);
    let both = energies(&contender("ipc-auto", 60, 0.5, 1e-4, &setting, depth), &setting);
    assert!(both.windows(2).all(|pair| pair[1] < pair[0]), "{both:?}");
    let fixed = energies(&contender("ipc-auto", 60, 0.5, still, &setting, depth), &setting);
    assert!(both[60] < 0.99 * fixed[60], "weights lower F too: {} and {}", both[60], fixed[60]);
}

/// λ_max of iPC is that of the parameters which a batch finds, searched for once however many updates follow; and the work of the search
/// is that of every other rule in the states.
#[test]
fn incremental_updates_share_one_search() {
    let depth = 5;
    let setting = linear(depth, 1.0);
    let (mut ipc, layers) = (contender("ipc-auto", 9, 0.5, 0.05, &setting, depth), depth as u64);
    for update in 0..4 {
        let params = ipc.state().unwrap().params;
        let before = Quadratic::of(&Setting { params, ..linear(depth, 1.0) }, Coordinates::States).ends[1];
        ipc.update(&setting.data).unwrap();
        let params = ipc.state().unwrap().params;
        let after = Quadratic::of(&Setting { params, ..linear(depth, 1.0) }, Coordinates::States).ends[1];
        let own = ipc.last_rule().steps().unwrap().size;
        // later searches have eight products
        let off = |largest: f64| (own * largest - 1.0).abs();
        assert!(off(before) < if update == 0 { 1e-3 } else { 2e-2 }, "update {update}: {}", own * before);
        // a search at the weights that the updates leave would have found a smaller step
        assert!(update > 0 || own * after > 1.001, "weights move: {before} to {after}");
    }
    for name in ["ipc-auto", "seqil-auto", "ep-auto", "spc-auto"] {
        for count in [1, 9] {
            let work = contender(name, count, 0.5, 0.05, &setting, depth).spec().search(2).unwrap();
            assert_eq!(work.gemms, layers + 8 * 2 * (layers - 1), "{name}, {count} steps");
        }
    }
}

/// I − g of the rows of H that move, odd distances and then even ones.
fn sweep(h: &DMatrix<f64>, latent: usize, g: f64) -> DMatrix<f64> {
    let n = h.nrows();
    let half = |odd: bool| {
        DMatrix::from_fn(n, n, |i, j| {
            let moves = ((latent - i * latent / n) % 2 == 1) == odd;
            f64::from(u8::from(i == j)) - if moves { g * h[(i, j)] } else { 0.0 }
        })
    };
    half(false) * half(true)
}

/// EP: the step is a share of 2/λ_max of the energy with losses weighted by β, below which sweeps of both phases contract; and at rest
/// directions are backpropagation's but for β².
#[test]
fn nudged_phases_contract_below_the_stable_step() {
    let depth = 5;
    for (longer, last) in [(0.6, 1.0), (1.0, 1.0), (0.6, 6.0)] {
        let mut setting = linear(depth, longer);
        setting.params[depth - 1] = setting.params[depth - 1].affine(last, 0.0).unwrap();
        let weighted = |loss_weight: f64| {
            let engine = Reference { feedback: None, ..setting.engine() };
            let energy = Descended { coordinates: Coordinates::States, loss_weight };
            let curvature = Curvature::of(engine, energy).unwrap();
            let n = curvature.dim();
            let unit = |k: usize| nalgebra::DVector::from_fn(n, |i, _| f64::from(u8::from(i == k)));
            let columns: Vec<_> =
                (0..n).map(|k| curvature.product(Matrix::GaussNewton, &unit(k)).unwrap()).collect();
            DMatrix::from_columns(&columns)
        };
        // half the squared error is a quadratic, so that the weight of the losses enters linearly
        let (more, whole) = (weighted(0.01), Quadratic::of(&setting, Coordinates::States).matrix);
        let losses = (&whole - &more) / 0.99;
        let less = &more - &losses * 0.02;
        let ends = |m: &DMatrix<f64>| m.clone().symmetric_eigenvalues();
        assert!(ends(&less).min() > 0.0, "rest exists");
        assert!(ends(&less).max() <= ends(&more).max() && ends(&more).max() < ends(&whole).max());
        // a long last layer is curved by its whole loss alone, which EP does not descend
        assert!(last == 1.0 || 1.5 * ends(&more).max() < ends(&whole).max());
        for share in [0.3, 0.8, 1.0] {
            let found = contender("ep-auto", 3, share, 0.1, &setting, depth).rule_on(&setting.data).unwrap();
            let g = found.steps().unwrap().size;
            let times = g * ends(&more).max() / (2.0 * share);
            assert!((0.999..=1.0 + 1e-12).contains(&times), "{times} of the share");
            for (matrix, phase) in [(&more, "more"), (&less, "less")] {
                let one = sweep(matrix, depth - 1, g);
                let power = (0..12).fold(one, |power, _| &power * &power);
                assert!(power.norm() < 1e-3, "{longer}, {share} in phase {phase}: {:e}", power.norm());
            }
        }
        if last > 1.0 {
            // (βλ)² is too much here for directions to be backpropagation's
            continue;
        }
        let auto = contender("ep-auto", 4000, 0.9, 0.1, &setting, depth);
        let bp = setting.learn(&Rule::from_name("bp", Steps::constant(0, 0.0)).unwrap());
        for (own, exact) in auto.directions(&setting.data).unwrap().iter().zip(&bp.directions) {
            let (own, exact) = (own.as_ref().unwrap(), exact.as_ref().unwrap());
            let off = largest(&(own - exact).unwrap()) / largest(exact);
            assert!(off < 0.02, "{longer}: {off} of backpropagation's direction");
        }
    }
}

/// Σ_{k<d} C(T, k) γ^k (1 − γ)^(T−k): ((1 − γ)I + γN)^T in one row of a chain, without its last column.
fn missing(distance: usize, steps: usize, gamma: f64) -> f64 {
    let mut binomial = 1.0;
    (0..distance.min(steps + 1))
        .map(|k| {
            let term = binomial * gamma.powi(k as i32) * (1.0 - gamma).powi((steps - k) as i32);
            binomial *= (steps - k) as f64 / (k + 1) as f64;
            term
        })
        .sum()
}

/// With predictions fixed the largest stable step is 2, whatever the weights: what an error of FPA is short of backpropagation's is the
/// same binomial sum at every length of the layers, which vanishes below 2 after it has grown, and grows for ever above.
#[test]
fn fixed_predictions_are_stable_below_two_whatever_the_weights() {
    let depth = 11;
    assert!((missing(10, 18, 1.5).abs() - 2_776.382_545).abs() < 1e-5);
    let most = (1..60).map(|t| missing(10, t, 1.5).abs()).fold(0.0, f64::max);
    assert!(most == missing(10, 18, 1.5).abs());
    for longer in [0.5, 1.0, 3.0] {
        let mut setting = chain(depth, WIDTH, Activation::Tanh, "sp-normal");
        setting.params = setting.params.iter().map(|p| p.affine(longer, 0.0).unwrap()).collect();
        let bp = setting.learn(&Rule::from_name("bp", Steps::constant(0, 0.0)).unwrap().evaluated());
        // the share by which an error of layer l is off, along backpropagation's
        let off = |name: &str, count: usize, gamma: f64, l: usize| {
            let rule = Rule::from_name(name, Steps::constant(count, gamma)).unwrap();
            let learned = setting.learn(&rule);
            let (own, exact) = (learned.errors[l - 1].clone().unwrap(), bp.errors[l - 1].clone().unwrap());
            largest(&(own - &exact).unwrap()) / largest(&exact)
        };
        for (gamma, count) in [(1.5, 18), (1.5, 60), (1.9, 25), (2.1, 25)] {
            for l in [1, 6, 10] {
                let (got, want) = (off("fpa", count, gamma, l), missing(depth - l, count, gamma).abs());
                assert!(
                    (got - want).abs() < 1e-6 * (1.0 + want),
                    "step {gamma}, layer {l}: {got} for {want}"
                );
            }
        }
        for name in ["fpa", "ar", "ar-topdown"] {
            assert!(off(name, 120, 1.5, 1) < 1e-6, "{name}, layers {longer} times as long");
            let [early, late] = [60, 120].map(|count| off(name, count, 2.1, 10));
            assert!(late > 100.0 * early, "{name}, layers {longer} times as long: {early} and {late}");
        }
    }
}
