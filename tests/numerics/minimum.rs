//! Oracle: the closed form of linear networks; two rules that share nothing but their minimum; a rule's own end. If this fails
//! silently, distances to the equilibrium, budgets and every comparison at the minimum are wrong.

use super::rules::{flat, Setting};
use super::{close, random_problem, Random};
use candle_core::Tensor;
use nalgebra::DMatrix;
use pcnbench::engine::curvature::{minimum, Coordinates, Curvature, Matrix};
use pcnbench::engine::reference::Reference;
use pcnbench::engine::Shown;
use pcnbench::net::{Activation, Loss, LossKind, MlpSpec};
use pcnbench::rule::{directions_at, Rule, Steps};
use pcnbench::theory::linear::{LinearLayer, LinearNet};
use proptest::strategy::{Strategy, ValueTree};

pub(crate) fn setting(activation: Activation, loss: Loss, parameterisation: &str, depth: usize) -> Setting {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let own = random_problem().new_tree(&mut runner).unwrap().current();
    let spec = MlpSpec {
        inputs: 3,
        width: 6,
        outputs: 2,
        depth,
        activation,
        parameterisation: parameterisation.parse().unwrap(),
        gain: 1.0,
        bias: false,
        ..own.spec.clone()
    };
    Setting::new(&Random { spec, batch: 3, loss, ..own })
}

fn matrix(t: &Tensor) -> DMatrix<f64> {
    let rows = t.to_vec2::<f64>().unwrap();
    DMatrix::from_fn(rows.len(), rows[0].len(), |i, j| rows[i][j])
}

/// Errors and energy at the minimum of linear networks are those of the closed form, after one system.
#[test]
fn linear_networks_have_their_closed_form() {
    for parameterisation in ["sp-normal", "mupc-residual"] {
        let loss = Loss { precision: 0.7, ..Loss::HALF_SQUARED_ERROR };
        let setting = setting(Activation::Identity, loss, parameterisation, 7);
        let layers = setting.graph.as_stack().unwrap();
        let linear = layers.iter().zip(&setting.params).map(|(layer, w)| LinearLayer {
            scale: layer.scale,
            skip: layer.skip,
            ..LinearLayer::new(matrix(w))
        });
        let net = LinearNet::new(linear.collect(), 0.7).unwrap();
        let want = net.equilibrium(&matrix(&setting.data[0]), &matrix(&setting.data[1])).unwrap();
        let found = minimum(Reference { feedback: None, ..setting.engine() }, 1e-13).unwrap();
        assert!(found.iterations <= 3, "{}", found.iterations);
        let off = (found.energy / want.free_energy() - 1.0).abs();
        assert!(off < 1e-12, "{parameterisation}: F* off by {off:e}");
        for (l, i) in setting.graph.topology().latent().enumerate() {
            let off = (matrix(found.errors[i].as_ref().unwrap()) - &want.errors[l]).amax();
            assert!(off < 1e-12 * want.errors[l].amax(), "{parameterisation}: error {l} off by {off:e}");
        }
    }
}

/// sPC and ePC come to rest at the same point of a network that is not linear, which is the minimum; parameter directions there agree
/// to 1e-8 (arXiv 2505.20137 says that ePC computes predictive coding's exact gradients).
#[test]
fn two_rules_rest_at_the_minimum() {
    let cross_entropy = Loss { kind: LossKind::CrossEntropy, ..Loss::HALF_SQUARED_ERROR };
    for (activation, loss) in [
        (Activation::Tanh, Loss::HALF_SQUARED_ERROR),
        (Activation::Sigmoid, Loss::HALF_SQUARED_ERROR),
        (Activation::Tanh, cross_entropy),
    ] {
        let setting = match loss.kind {
            LossKind::CrossEntropy => {
                let mut own = setting(activation, loss, "sp-normal", 5);
                own.data[1] = candle_nn::ops::softmax(&own.data[1], 1).unwrap();
                own
            }
            _ => setting(activation, loss, "sp-normal", 5),
        };
        let engine = Reference { feedback: None, ..setting.engine() };
        let found = minimum(engine, 1e-12).unwrap();
        let want = directions_at(&engine, &found.errors, &[]).unwrap();
        let forward = setting.graph.forward(&setting.params, &setting.data).unwrap();
        for (name, coordinates) in [("spc", Coordinates::States), ("epc", Coordinates::Errors)] {
            let top = Curvature::at_forward(engine, coordinates).unwrap();
            let top = top.largest(Matrix::GaussNewton, 1e-6, 200).unwrap().value;
            let rule = Rule::from_name(name, Steps::constant(4000, 1.0 / top)).unwrap();
            let learned = setting.learn(&rule);
            for (p, (own, want)) in flat(&learned, &setting.params).iter().zip(&want).enumerate() {
                close(own, want.as_ref().unwrap(), 1e-8, &format!("{name} {activation} {}: {p}", loss.kind));
            }
            let moved = super::largest(&(&learned.outputs[0] - forward.last().unwrap()).unwrap());
            assert!(moved > 1e-2, "the equilibrium is not the forward pass: {moved}");
        }
    }
}

/// What a rule shows after step t is what it would have ended with: directions at the shown errors and multipliers are those of T = t.
#[test]
fn shown_states_give_the_directions_of_their_step() {
    let setting = setting(Activation::Tanh, Loss::HALF_SQUARED_ERROR, "mupc-residual", 5);
    let engine = Reference { feedback: None, ..setting.engine() };
    for name in ["spc", "spc-momentum", "spc-cg", "epc", "epc-cg", "pcalm", "pcalm-post"] {
        let of = |count: usize| Rule::from_name(name, Steps::constant(count, 0.2)).unwrap();
        let mut seen = 0;
        let mut watch = |Shown { step, errors, multipliers, .. }: Shown<'_, Tensor>| {
            let shown = directions_at(&engine, errors, multipliers)?;
            for (p, want) in setting.learn(&of(step)).directions.iter().enumerate() {
                match (&shown[p], want) {
                    (Some(own), Some(want)) => close(own, want, 1e-13, &format!("{name}, step {step}: {p}")),
                    (None, None) => {}
                    _ => panic!("{name}, step {step}: one of them has no direction for {p}"),
                }
            }
            seen += 1;
            Ok(())
        };
        of(6).learn(&engine, &mut watch).unwrap();
        assert_eq!(seen, 7, "{name}");
    }
}
