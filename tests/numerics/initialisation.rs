//! Oracle: the table of parameterisations, and moments of the distributions it names.

use candle_core::{DType, Device};
use pcnbench::net::parameterisation::Position;
use pcnbench::net::Architecture;
use pcnbench::net::{Activation, ActivationOrder, MlpSpec, Parameterisation};

fn at(layer: usize, depth: usize, inputs: usize, outputs: usize) -> Position {
    Position { layer, depth, inputs, outputs }
}

fn named(name: &str) -> Parameterisation {
    name.parse().unwrap()
}

/// a_l as tabled: D = 784, N = 128, L = 16.
#[test]
fn scales_are_the_tables() {
    let scales = |name: &str| {
        [at(1, 16, 784, 128), at(8, 16, 128, 128), at(16, 16, 128, 10)].map(|p| named(name).scale(p))
    };
    let (d, n, l) = (784f64, 128f64, 16f64);
    assert_eq!(scales("sp"), [1.0; 3]);
    assert_eq!(scales("ntp"), [1.0 / d.sqrt(), 1.0 / n.sqrt(), 1.0 / n.sqrt()]);
    assert_eq!(scales("mupc"), [1.0 / d.sqrt(), 1.0 / n.sqrt(), 1.0 / n]);
    assert_eq!(scales("mupc-residual"), [1.0 / d.sqrt(), 1.0 / (n * l).sqrt(), 1.0 / n]);
    let skips = |name: &str| [1, 2, 15, 16].map(|l| named(name).skip(at(l, 16, 128, 128)));
    assert_eq!(skips("mupc-residual"), [false, true, true, false]);
    assert_eq!(skips("sp-normal-residual"), [false, true, true, false]);
    assert_eq!(skips("mupc"), [false; 4]);
}

/// Variances: 1/(3·fan_in), 1/fan_in and 1, each within five standard errors of the sample variance.
#[test]
fn starts_have_their_variance() {
    let p = at(3, 9, 200, 300);
    for (name, variance) in
        [("sp-uniform", 1.0 / 600.0), ("sp-normal", 1.0 / 200.0), ("ntp", 1.0), ("mupc", 1.0)]
    {
        let w = named(name).start(p, 1.0, 42);
        assert_eq!(w.len(), 60_000);
        let mean = w.iter().sum::<f64>() / w.len() as f64;
        let var = w.iter().map(|x| x * x).sum::<f64>() / w.len() as f64;
        assert!(mean.abs() < 5.0 * (variance / 60_000f64).sqrt(), "{name} mean {mean}");
        assert!((var / variance - 1.0).abs() < 5.0 * (2.0f64 / 60_000.0).sqrt(), "{name} variance {var}");
    }
    let bound = 1.0 / 200f64.sqrt();
    assert!(named("sp").start(p, 1.0, 42).iter().all(|w| w.abs() <= bound));
}

/// W Wᵀ = gain² I (wide) and WᵀW = gain² I (tall).
#[test]
fn orthogonal_starts_are_orthogonal() {
    for (inputs, outputs) in [(12, 12), (20, 7), (7, 20)] {
        let w = named("sp-orthogonal").start(at(2, 4, inputs, outputs), 1.5, 7);
        let w = nalgebra::DMatrix::from_row_slice(outputs, inputs, &w);
        let gram = if outputs <= inputs { &w * w.transpose() } else { w.transpose() * &w };
        let n = inputs.min(outputs);
        assert!((gram - nalgebra::DMatrix::identity(n, n) * 2.25).amax() < 1e-13);
    }
}

/// f32 starts are the rounding of f64 starts, another seed gives other weights, and layers differ.
#[test]
fn starts_are_seeded_and_dtype_free() {
    let spec = MlpSpec {
        inputs: 5,
        width: 6,
        outputs: 3,
        depth: 4,
        activation: Activation::Tanh,
        activation_order: ActivationOrder::Pre,
        parameterisation: Parameterisation::MUPC,
        gain: 1.0,
        bias: true,
    };
    let start = |seed, dtype| spec.start(seed, dtype, &Device::Cpu).unwrap();
    let (wide, narrow, other) = (start(1, DType::F64), start(1, DType::F32), start(2, DType::F64));
    for (a, b) in wide.iter().zip(&narrow) {
        let a = a.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(a, b.flatten_all().unwrap().to_vec1::<f32>().unwrap());
    }
    let flat = |t: &candle_core::Tensor| t.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    assert_ne!(flat(&wide[2]), flat(&other[2]));
    assert_ne!(flat(&wide[2]), flat(&wide[4]));
}
