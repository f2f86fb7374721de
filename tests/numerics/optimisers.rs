//! Oracle: Candle's optimisers, and momentum's recursion by hand.

use super::{close, normal};
use candle_core::{Tensor, Var};
use candle_nn::optim::{AdamW, Optimizer, ParamsAdamW, SGD};
use pcnbench::optim::OptimiserKind;

/// Both sides minimise ½‖w − c‖² with a step-dependent c, so that moments matter.
fn gradient(w: &Tensor, step: u64) -> Tensor {
    (w - normal(&[3, 4], 100 + step)).unwrap()
}

fn ours(kind: OptimiserKind, rate: f64, steps: u64) -> Tensor {
    let mut params = vec![vec![normal(&[3, 4], 1)]];
    let mut optimiser = kind.build(rate);
    for step in 0..steps {
        let direction = gradient(&params[0][0], step).neg().unwrap();
        optimiser.step(&mut params, &vec![Some(vec![direction])]).unwrap();
    }
    params.remove(0).remove(0)
}

fn theirs(mut optimiser: impl Optimizer, var: &Var, steps: u64) -> Tensor {
    for step in 0..steps {
        let c = normal(&[3, 4], 100 + step);
        let loss = (var.as_tensor() - c).unwrap().sqr().unwrap().sum_all().unwrap().affine(0.5, 0.0).unwrap();
        optimiser.backward_step(&loss).unwrap();
    }
    var.as_detached_tensor()
}

#[test]
fn sgd_is_candles() {
    let var = Var::from_tensor(&normal(&[3, 4], 1)).unwrap();
    let want = theirs(SGD::new(vec![var.clone()], 0.1).unwrap(), &var, 9);
    close(&ours(OptimiserKind::Sgd, 0.1, 9), &want, 1e-14, "sgd");
}

#[test]
fn adam_is_candles_without_weight_decay() {
    let var = Var::from_tensor(&normal(&[3, 4], 1)).unwrap();
    let params = ParamsAdamW { lr: 0.05, weight_decay: 0.0, ..Default::default() };
    let want = theirs(AdamW::new(vec![var.clone()], params).unwrap(), &var, 9);
    close(&ours(OptimiserKind::Adam, 0.05, 9), &want, 1e-12, "adam");
}

#[test]
fn momentum_follows_its_recursion() {
    let (mut w, mut m) = (
        normal(&[3, 4], 1),
        Tensor::zeros((3, 4), candle_core::DType::F64, &candle_core::Device::Cpu).unwrap(),
    );
    for step in 0..9 {
        m = (m.affine(0.9, 0.0).unwrap() - gradient(&w, step)).unwrap();
        w = (w + m.affine(0.1, 0.0).unwrap()).unwrap();
    }
    close(&ours(OptimiserKind::Momentum, 0.1, 9), &w, 1e-13, "momentum");
}

/// A direction known to be zero without being computed is a zero direction.
#[test]
fn none_is_a_zero_direction() {
    for kind in OptimiserKind::ALL {
        let mut ends = vec![];
        for explicit in [true, false] {
            let mut params = vec![vec![normal(&[3, 4], 1)]];
            let mut optimiser = kind.build(0.1);
            for step in 0..4 {
                let zero = explicit.then(|| vec![params[0][0].zeros_like().unwrap()]);
                let direction = if step == 0 { Some(vec![normal(&[3, 4], 7)]) } else { zero };
                optimiser.step(&mut params, &vec![direction]).unwrap();
            }
            ends.push(params.remove(0).remove(0));
        }
        close(&ends[0], &ends[1], 1e-15, kind.name());
    }
}
