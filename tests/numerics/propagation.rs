//! Oracle: backpropagation, which equilibrium propagation approaches as its nudge does zero, and the matrix of one sweep. If this fails
//! silently, a contender called EP takes other directions than EP.

use super::inference::{chain, Quadratic};
use super::rules::{flat, Setting};
use super::{close, largest, random_problem};
use candle_core::{DType, Device, Tensor};
use nalgebra::DMatrix;
use pcnbench::engine::curvature::Coordinates;
use pcnbench::engine::Shown;
use pcnbench::net::{host_tensor, Activation};
use pcnbench::rule::{Ep, Rule, Steps};
use proptest::prelude::*;

fn ep(count: usize, size: f64, nudge: f64) -> Rule {
    Rule::Ep(Ep { steps: Steps::constant(count, size), nudge })
}

fn bp(setting: &Setting) -> Vec<Tensor> {
    flat(&setting.learn(&Rule::from_name("bp", Steps::constant(0, 0.0)).unwrap()), &setting.params)
}

/// Largest difference of all directions.
fn off(a: &[Tensor], b: &[Tensor]) -> f64 {
    a.iter().zip(b).map(|(a, b)| largest(&(a - b).unwrap())).fold(0.0, f64::max)
}

/// At rest the directions are backpropagation's but for β²: half the nudge, a quarter of the difference. One phase alone leaves β.
#[test]
fn at_rest_the_estimate_is_off_by_the_square_of_the_nudge() {
    let setting = chain(5, 5, Activation::Tanh, "sp-normal");
    let exact = bp(&setting);
    let scale = exact.iter().map(largest).fold(0.0, f64::max);
    let of = |nudge: f64| off(&flat(&setting.learn(&ep(3000, 0.2, nudge)), &setting.params), &exact);
    let all = [0.08, 0.04, 0.02].map(of);
    assert!(all[0] > 1e-6 * scale, "the nudge shows: {all:?}");
    for pair in all.windows(2) {
        let times = pair[0] / pair[1];
        assert!((3.8..4.2).contains(&times), "{times} times less: {all:?}");
    }
    assert!(of(1e-4) < 1e-7 * scale, "{:e}", of(1e-4));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Which sign the nudge has, and so which phase comes first, changes nothing but rounding.
    #[test]
    fn the_sign_of_the_nudge_is_of_no_consequence(problem in random_problem(), t in 0usize..6) {
        let setting = Setting::new(&problem);
        let [more, less] = [0.3, -0.3].map(|nudge| flat(&setting.learn(&ep(t, 0.1, nudge)), &setting.params));
        for (a, b) in more.iter().zip(&less) {
            close(a, b, 1e-9, "another sign");
        }
    }

    /// Without states there is nothing to nudge, and the directions are backpropagation's whatever the nudge.
    #[test]
    fn one_layer_is_backpropagation(problem in random_problem(), t in 0usize..4, nudge in 0.01f64..2.0) {
        let mut problem = problem;
        problem.spec.depth = 1;
        let setting = Setting::new(&problem);
        for (a, b) in flat(&setting.learn(&ep(t, 0.1, nudge)), &setting.params).iter().zip(&bp(&setting)) {
            close(a, b, 1e-12, "one layer");
        }
    }
}

/// A linear chain of square layers, each a rotation times σ.
fn rotations(depth: usize, sigma: f64) -> Setting {
    let mut setting = chain(depth, 4, Activation::Identity, "sp-normal");
    setting.params = setting
        .params
        .iter()
        .map(|w| {
            let rows = w.to_vec2::<f64>().unwrap();
            if rows.len() != rows[0].len() {
                return w.clone();
            }
            let n = rows.len();
            let q = DMatrix::from_fn(n, n, |i, j| rows[i][j]).qr().q() * sigma;
            let numbers = (0..n * n).map(|k| q[(k / n, k % n)]).collect();
            host_tensor(numbers, &[n, n], DType::F64, &Device::Cpu).unwrap()
        })
        .collect();
    setting
}

/// The largest absolute eigenvalue of a sweep of step g over the energy without losses, I − g of the rows of H that move, odd distances
/// and then even ones. Samples do not meet, and the readout, which no state predicts, is left out.
fn sweep_radius(setting: &Setting, g: f64) -> f64 {
    let mut setting = Setting {
        graph: setting.graph.clone(),
        params: setting.params.clone(),
        feedback: setting.feedback.clone(),
        data: setting.data.clone(),
    };
    let last = setting.params.len() - 1;
    setting.params[last] = setting.params[last].affine(0.0, 0.0).unwrap();
    let h = Quadratic::of(&setting, Coordinates::States).matrix;
    let (latent, n) = (setting.graph.topology().latent().count(), h.nrows());
    let size = n / latent;
    let half = |odd: bool| {
        DMatrix::from_fn(n, n, |i, j| {
            let moves = ((latent - i / size) % 2 == 1) == odd;
            f64::from(u8::from(i == j)) - if moves { g * h[(i, j)] } else { 0.0 }
        })
    };
    let sweep = half(false) * half(true);
    sweep.complex_eigenvalues().iter().map(|z| z.norm()).fold(0.0, f64::max)
}

/// Sweeps in two colours converge iff g (1 + σ²) < 2: by steps of size 1 iff layers shrink what they carry. What the rule does agrees.
#[test]
fn steps_of_one_are_stable_where_layers_shrink() {
    for (sigma, g) in
        [(0.8, 1.0), (0.95, 1.0), (1.05, 1.0), (1.3, 1.0), (1.3, 0.7), (1.3, 0.8), (0.5, 1.55), (0.5, 1.65)]
    {
        let setting = rotations(6, sigma);
        let (radius, stable) = (sweep_radius(&setting, g), g * (1.0 + sigma * sigma) < 2.0);
        println!("{sigma} {g}: {radius}");
        assert_eq!(radius < 1.0, stable, "layers of {sigma}, step {g}: {radius}");
        let mut sizes = Vec::new();
        let mut watch = |Shown { step, errors, .. }: Shown<'_, Tensor>| {
            if [300, 600].contains(&step) {
                sizes.push(errors.iter().take(5).flatten().map(largest).fold(0.0, f64::max));
            }
            Ok(())
        };
        // one phase
        ep(600, g, 0.01).learn(&setting.engine(), &mut watch).unwrap();
        let grows = sizes[1] > 10.0 * sizes[0] || !sizes[1].is_finite();
        assert_eq!(!grows, stable, "layers of {sigma}, step {g}: {sizes:?}");
    }
}
