//! Oracle: Candle's optimisers, and momentum's recursion by hand.

use super::{close, normal};
use candle_core::{Tensor, Var};
use candle_nn::optim::{AdamW, Optimizer, ParamsAdamW, SGD};
use pcnbench::optim::{Optimiser as _, OptimiserKind};

/// Both sides minimise ½‖w − c‖² with a step-dependent c, so that moments matter.
fn gradient(w: &Tensor, step: u64) -> Tensor {
    (w - normal(&[3, 4], 100 + step)).unwrap()
}

fn ours(kind: OptimiserKind, rate: f64, steps: u64) -> Tensor {
    let mut params = vec![normal(&[3, 4], 1)];
    let mut optimiser = kind.build(rate, vec![vec![0]]);
    for step in 0..steps {
        let direction = gradient(&params[0], step).neg().unwrap();
        optimiser.step(&mut params, &vec![Some(direction)], 1).unwrap();
    }
    params.remove(0)
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

/// MQ's recursion on plain numbers, one scalar per layer, at batches of different sizes: the directions are
/// sums, its equations are about means.
#[test]
fn mq_follows_its_recursion() {
    let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    for max_decay in [0.9999, 0.6] {
        let (alpha, r, min_rate) = (0.02, 1e-6, 1e-3);
        let mut params = vec![normal(&[3, 4], 1), normal(&[3], 2), normal(&[2, 3], 3)];
        let groups = vec![vec![0, 1], vec![2]];
        let mut by_hand: Vec<Vec<f64>> = params.iter().map(&flat).collect();
        let mut v = [alpha; 2];
        let mut optimiser = pcnbench::optim::Mq::new(alpha, max_decay, groups.clone());
        for n in 1..8u64 {
            let batch = 1 + (n as usize * 5) % 7;
            // the second layer learns nothing in every third batch
            let directions: Vec<Option<Tensor>> = vec![
                Some(normal(&[3, 4], 10 * n)),
                Some(normal(&[3], 10 * n + 1)),
                (n % 3 != 0).then(|| normal(&[2, 3], 10 * n + 2)),
            ];
            optimiser.step(&mut params, &directions, batch).unwrap();
            let rho = (n as f64 / (n as f64 + 1.0)).min(max_decay);
            for (l, group) in groups.iter().enumerate() {
                let factor = alpha / (v[l] + r) + min_rate;
                let (mut total, mut count) = (0.0, 0.0);
                for &k in group {
                    let p = &mut by_hand[k];
                    let d = match &directions[k] {
                        Some(d) => flat(d),
                        None => vec![0.0; p.len()],
                    };
                    for (p, d) in p.iter_mut().zip(d) {
                        let mean = d / batch as f64;
                        *p += factor * mean;
                        total += mean.abs();
                        count += 1.0;
                    }
                }
                v[l] = rho * v[l] + (1.0 - rho) * total / count;
            }
            for (own, expected) in params.iter().zip(&by_hand) {
                for (got, want) in flat(own).iter().zip(expected) {
                    assert!((got - want).abs() < 1e-13, "batch {n}: {got} for {want}");
                }
            }
        }
    }
}

/// MQ sees means: doubling the batch and its directions changes nothing. The others see sums.
#[test]
fn only_mq_divides_by_the_batch() {
    for kind in OptimiserKind::ALL {
        let mut ends = vec![];
        for batch in [3, 6] {
            let mut params = vec![normal(&[3, 4], 1)];
            let direction = normal(&[3, 4], 7).affine(batch as f64, 0.0).unwrap();
            kind.build(0.1, vec![vec![0]]).step(&mut params, &vec![Some(direction)], batch).unwrap();
            ends.push(params.remove(0));
        }
        // Adam's first step is the sign of the direction, whatever its size, up to its ε
        let same = super::largest(&(&ends[0] - &ends[1]).unwrap()) < 1e-7;
        let expected = matches!(kind, OptimiserKind::Mq | OptimiserKind::Adam);
        assert_eq!(same, expected, "{kind}");
    }
}

/// A direction known to be zero without being computed is a zero direction.
#[test]
fn none_is_a_zero_direction() {
    for kind in OptimiserKind::ALL {
        let mut ends = vec![];
        for explicit in [true, false] {
            let mut params = vec![normal(&[3, 4], 1)];
            let mut optimiser = kind.build(0.1, vec![vec![0]]);
            for step in 0..4 {
                let zero = explicit.then(|| params[0].zeros_like().unwrap());
                let direction = if step == 0 { Some(normal(&[3, 4], 7)) } else { zero };
                optimiser.step(&mut params, &vec![direction], 1).unwrap();
            }
            ends.push(params.remove(0));
        }
        close(&ends[0], &ends[1], 1e-15, kind.name());
    }
}
