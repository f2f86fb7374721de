//! Oracle: backpropagation, which equilibrium propagation approaches as its nudge does zero, and the matrix of one sweep. If this fails
//! silently, a contender called EP takes other directions than EP.

use super::inference::{chain, Quadratic};
use super::rules::{flat, Setting};
use super::{close, largest, random_problem};
use candle_core::{DType, Device, Tensor};
use nalgebra::DMatrix;
use pcnbench::engine::curvature::Coordinates;
use pcnbench::engine::Shown;
use pcnbench::net::{host_tensor, Activation, ActivationOrder, Architecture, Loss, MlpSpec};
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
    let all = [0.008, 0.004, 0.002].map(of);
    assert!(all[0] > 1e-6 * scale, "the nudge shows: {all:?}");
    for pair in all.windows(2) {
        let times = pair[0] / pair[1];
        assert!((3.9..4.3).contains(&times), "{times} times less: {all:?}");
    }
    assert!(of(1e-4) < 1e-5 * scale, "{:e} of {scale:e}", of(1e-4));
}

/// Steps of size 1 need no rest to wait for: after as many sweeps as there are states above one another the directions are
/// backpropagation's but for β², on any activation and however long the layers, and not before; and after fewer than half as many the lowest layer learns nothing.
#[test]
fn steps_of_one_arrive_in_as_many_sweeps_as_states() {
    for (activation, longer) in [
        (Activation::Tanh, 1.0),
        (Activation::Tanh, 2.0),
        (Activation::Identity, 1.0),
        (Activation::Gelu, 1.0),
    ] {
        for depth in [3, 6, 7] {
            let mut setting = chain(depth, 5, activation, "sp-normal");
            setting.params = setting.params.iter().map(|p| p.affine(longer, 0.0).unwrap()).collect();
            let exact = bp(&setting);
            let of = |count: usize, nudge: f64| {
                off(&flat(&setting.learn(&ep(count, 1.0, nudge)), &setting.params), &exact)
            };
            let (scale, own) = (
                exact.iter().map(largest).fold(0.0, f64::max),
                [2e-4, 1e-4].map(|nudge| of(depth - 1, nudge)),
            );
            assert!(own[1] < 1e-4 * scale, "{activation}, {depth} layers: {own:?} of {scale}");
            assert!((3.8..4.2).contains(&(own[0] / own[1])), "{activation}, {depth} layers: {own:?}");
            let (before, after) = (of(depth - 2, 1e-4), of(depth, 1e-4));
            assert!(before > 100.0 * own[1], "{activation}, {depth} layers: {before} before {own:?}");
            assert!(after < 1e-4 * scale, "{activation}, {depth} layers: {after} after {own:?}");
            let early = setting.learn(&ep((depth - 1).div_ceil(2) - 1, 1.0, 1e-4));
            assert!(early.directions[0].is_none());
        }
    }
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

/// A linear chain of square layers, each a rotation times σ, under a loss of this precision.
fn rotations(depth: usize, sigma: f64, precision: f64) -> Setting {
    let mut setting = chain(depth, 4, Activation::Identity, "sp-normal");
    let loss = Loss { precision, ..Loss::HALF_SQUARED_ERROR };
    let spec = MlpSpec {
        inputs: 4,
        width: 4,
        outputs: 3,
        depth,
        activation: Activation::Identity,
        activation_order: ActivationOrder::Pre,
        parameterisation: "sp-normal".parse().unwrap(),
        gain: 1.0,
        bias: false,
    };
    setting.graph = spec.graph(loss).unwrap();
    let turned = |w: &Tensor| {
        let rows = w.to_vec2::<f64>().unwrap();
        let n = rows.len();
        if n != rows[0].len() {
            return w.clone();
        }
        let q = DMatrix::from_fn(n, n, |i, j| rows[i][j]).qr().q() * sigma;
        host_tensor((0..n * n).map(|k| q[(k / n, k % n)]).collect(), &[n, n], DType::F64, &Device::Cpu)
            .unwrap()
    };
    setting.params = setting.params.iter().map(turned).collect();
    setting
}

/// A sweep of step g: I − g of the rows of H that move, odd distances and then even ones.
fn sweep(setting: &Setting, g: f64) -> DMatrix<f64> {
    let h = Quadratic::of(setting, Coordinates::States).matrix;
    let (latent, n) = (setting.graph.topology().latent().count(), h.nrows());
    let half = |odd: bool| {
        DMatrix::from_fn(n, n, |i, j| {
            let moves = ((latent - i * latent / n) % 2 == 1) == odd;
            f64::from(u8::from(i == j)) - if moves { g * h[(i, j)] } else { 0.0 }
        })
    };
    half(false) * half(true)
}

/// ‖M^k‖^(1/k) for a large k: the largest absolute eigenvalue.
fn radius(mut matrix: DMatrix<f64>) -> f64 {
    let (mut log, mut power) = (0.0, 1.0);
    for _ in 0..14 {
        let norm = matrix.norm();
        if norm == 0.0 {
            return 0.0;
        }
        log += norm.ln() / power;
        matrix = &matrix / norm;
        matrix = &matrix * &matrix;
        power *= 2.0;
    }
    (log + matrix.norm().ln() / power).exp()
}

/// Whether sweeps with steps of size 1 are stable on the energy of predictive coding, whose blocks I + JᵀJ they do not invert.
///
/// Without losses they are, however long the layers: L − 1 sweeps are the zero matrix, because each colour is set to what reaches it. Steps
/// near 1 are not, between layers that lengthen: beyond 2/max_l λ_max(I + JᵀJ) nothing is promised. With losses of weight β the errors come
/// back through the output, and steps of 1 stay stable while the largest curvature in errors is below 2, β λ_max(S) < 1.
#[test]
fn sweeps_of_size_one_end_by_themselves() {
    for sigma in [0.5, 1.0, 2.0] {
        for depth in [4, 7] {
            let setting = rotations(depth, sigma, 0.0);
            let one = sweep(&setting, 1.0);
            let power = (2..depth).fold(one.clone(), |power, _| power * &one);
            assert!(power.amax() < 1e-9, "{sigma}, {depth} layers: {:e}", power.amax());
            assert!(one.amax() > 0.1, "and not because nothing moves");
            for share in [0.3, 0.7, 0.97] {
                let below = radius(sweep(&setting, share * 2.0 / (1.0 + sigma * sigma)));
                assert!(below < 1.0, "{sigma}, {depth} layers, {share} of the bound: {below}");
            }
        }
    }
    let long = rotations(7, 2.0, 0.0);
    for g in [0.8, 0.9, 1.1, 1.2] {
        let radius = radius(sweep(&long, g));
        assert!(radius > 1.1, "step {g}: {radius}");
    }
    for sigma in [0.7, 1.0, 1.3] {
        let curvature = |precision: f64| {
            Quadratic::of(&rotations(6, sigma, precision), Coordinates::Errors)
                .matrix
                .symmetric_eigenvalues()
                .max()
        };
        let most = curvature(1.0) - 1.0;
        assert!((curvature(0.1) - 1.0 - 0.1 * most).abs() < 1e-9 * most);
        for share in [0.2, 0.9] {
            let radius = radius(sweep(&rotations(6, sigma, share / most), 1.0));
            assert!(radius < 1.0, "{sigma}, {share} of the weight: {radius}");
        }
        let radius = radius(sweep(&rotations(6, sigma, 20.0 / most), 1.0));
        assert!(radius > 1.0, "{sigma}: {radius}");
    }
}

/// Down the energy less too much of the losses there is no rest: with β λ_max(S) > 1 the phase of −β runs away, whatever the step; with less
/// it ends.
#[test]
fn too_large_a_nudge_has_no_rest() {
    let setting = rotations(5, 1.2, 1.0);
    let most = Quadratic::of(&setting, Coordinates::Errors).matrix.symmetric_eigenvalues().max() - 1.0;
    let ends = |nudge: f64| {
        let mut sizes = Vec::new();
        let mut watch = |Shown { step, errors, .. }: Shown<'_, Tensor>| {
            if [1000, 2000].contains(&step) {
                sizes.push(errors.iter().take(4).flatten().map(largest).fold(0.0, f64::max));
            }
            Ok(())
        };
        ep(2000, 0.5, nudge).learn(&setting.engine(), &mut watch).unwrap();
        sizes[1] < 1.01 * sizes[0]
    };
    assert!(ends(0.7 / most) && !ends(1.5 / most));
}
