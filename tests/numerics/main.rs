//! Numerics, sorted by oracle: equations, automatic differentiation, closed formulas, other optimisers.

mod architectures;
mod bounds;
mod colours;
mod conjugate;
mod contenders;
mod costs;
mod curvature;
mod decay;
mod graphs;
mod inference;
mod initialisation;
mod laws;
mod layers;
mod learning;
mod minimum;
mod optimisers;
mod propagation;
mod residual;
mod rules;
mod stable_steps;
mod studies;
mod trained;

use candle_core::{DType, Device, Tensor};
use pcnbench::net::{
    host_tensor, Activation, ActivationOrder, Loss, LossKind, MlpSpec, Parameterisation, Reduction,
};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;

/// A random perceptron, batch size and loss.
#[derive(Debug, Clone)]
pub(crate) struct Random {
    pub(crate) spec: MlpSpec,
    pub(crate) batch: usize,
    pub(crate) loss: Loss,
    pub(crate) seed: u64,
}

pub(crate) fn random_problem() -> impl Strategy<Value = Random> {
    let sizes = (1usize..7, 1usize..7, 1usize..5, 1usize..7, 1usize..5);
    let names: Vec<_> = Parameterisation::NAMES.into_iter().chain(["mupc-residual"]).collect();
    let loss = (prop::sample::select(LossKind::ALL.to_vec()), prop::sample::select(Reduction::ALL.to_vec()));
    let words = (
        prop::sample::select(names),
        prop::sample::select(Activation::STACKED.to_vec()),
        any::<bool>(),
        any::<bool>(),
    );
    (sizes, words, loss, any::<u64>()).prop_map(|(sizes, words, loss, seed)| {
        let (inputs, width, outputs, depth, batch) = sizes;
        let (parameterisation, activation, output_side, bias) = words;
        Random {
            spec: MlpSpec {
                inputs,
                width,
                outputs,
                depth,
                activation,
                activation_order: if output_side { ActivationOrder::Post } else { ActivationOrder::Pre },
                parameterisation: parameterisation.parse().unwrap(),
                gain: 1.3,
                bias,
            },
            batch,
            loss: Loss { kind: loss.0, reduction: loss.1, precision: 0.7 },
            seed,
        }
    })
}

pub(crate) fn normal(shape: &[usize], seed: u64) -> Tensor {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let values = (0..shape.iter().product()).map(|_| rng.sample(StandardNormal)).collect();
    host_tensor(values, shape, DType::F64, &Device::Cpu).unwrap()
}

/// Targets: normal, or a distribution over outputs for cross-entropy.
pub(crate) fn targets(problem: &Random) -> Tensor {
    let y = normal(&[problem.batch, problem.spec.outputs], problem.seed ^ 2);
    match problem.loss.kind {
        kind if kind.judges_distributions() => candle_nn::ops::softmax(&y, 1).unwrap(),
        _ => y,
    }
}

/// Whether two tensors hold the same numbers, or both no number at the same places: inference may diverge, and does so alike.
pub(crate) fn identical(a: &Tensor, b: &Tensor) -> bool {
    let numbers = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let same = |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan());
    a.dims() == b.dims() && numbers(a).iter().zip(&numbers(b)).all(same)
}

pub(crate) fn largest(t: &Tensor) -> f64 {
    let values = t.abs().unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
    // `f64::max` passes over NaN; here one NaN is the largest, and no comparison with it holds.
    values
        .into_iter()
        .fold(0.0, |most: f64, x| if most.is_nan() || x.is_nan() { f64::NAN } else { most.max(x) })
}

pub(crate) fn close(a: &Tensor, b: &Tensor, relative: f64, what: &str) {
    assert_eq!(a.dims(), b.dims(), "{what}");
    let error = largest(&(a - b).unwrap());
    let allowed = relative * (largest(b) + 1e-3);
    assert!(error <= allowed, "{what}: off by {error:e}, allowed {allowed:e}");
}
