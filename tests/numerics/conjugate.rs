//! Oracle: the theory of conjugate gradients on quadratics, with dense matrices; and an independent solver. If this fails silently, an
//! inference that is called conjugate is some other descent, and steps to the equilibrium are compared with those of a wrong method.

use super::close;
use super::inference::{chain, ended, excess, Quadratic};
use super::rules::Setting;
use candle_core::Tensor;
use nalgebra::DVector;
use pcnbench::engine::curvature::Coordinates;
use pcnbench::engine::{unwatched, Shown};
use pcnbench::net::{Activation, Loss, LossKind};
use pcnbench::rule::{Rule, Steps};
use pcnbench::theory::conjugate_gradient::solve;

const BOTH: [(&str, Coordinates); 2] = [("spc-cg", Coordinates::States), ("epc-cg", Coordinates::Errors)];

/// A chain under a loss, of three samples.
fn chain_under(activation: Activation, loss: Loss) -> Setting {
    super::minimum::setting(activation, loss, "sp-normal", 5)
}

fn named(name: &str, count: usize) -> Rule {
    // a step size that would diverge at once, were it read
    Rule::from_name(name, Steps::constant(count, 1e9)).unwrap()
}

/// Different eigenvalues of one sample's quadratic, those of all samples of a linear network being the same, that the first descent has a
/// part in: in errors it has none in the eigenvectors that the output does not feel.
fn different(quadratic: &Quadratic) -> usize {
    let descent = &quadratic.matrix * quadratic.minimum();
    let eigen = quadratic.matrix.clone().symmetric_eigen();
    let parts = eigen.eigenvectors.transpose() * &descent;
    let mut values: Vec<(f64, f64)> =
        eigen.eigenvalues.iter().copied().zip(parts.iter().map(|part| part * part)).collect();
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    values.dedup_by(|next, kept| {
        let same = (next.0 - kept.0).abs() < 1e-9 * kept.0;
        kept.1 += if same { next.1 } else { 0.0 };
        same
    });
    values.iter().filter(|(_, square)| square.sqrt() > 1e-9 * descent.norm()).count()
}

/// On linear networks under half the squared error inference is at the minimum after as many steps as one sample's quadratic has
/// different eigenvalues, among them a network whose states all have one number. One step less is not there, and F never rises.
#[test]
fn the_minimum_is_reached_in_as_many_steps_as_eigenvalues() {
    for (depth, width) in [(2, 1), (4, 1), (7, 1), (3, 4), (6, 2)] {
        for (name, coordinates) in BOTH {
            let setting = chain(depth, width, Activation::Identity, "mupc-residual");
            let quadratic = Quadratic::of(&setting, coordinates);
            let count = different(&quadratic);
            let minimum = quadratic.minimum();
            let off = (ended(&setting, coordinates, &named(name, count)) - &minimum).amax() / minimum.amax();
            assert!(off < 1e-10, "{name}, {depth} × {width}, {count} steps: off by {off:e}");
            let before =
                (ended(&setting, coordinates, &named(name, count - 1)) - &minimum).amax() / minimum.amax();
            assert!(before > 1e-9, "{name}, {depth} × {width}: {before:e} after a step less than {count}");
            let all = excess(&setting, &quadratic, &named(name, count + 4));
            for (t, pair) in all.windows(2).enumerate() {
                assert!(pair[1] <= pair[0] + 1e-13, "{name}, step {t}: {} after {}", pair[1], pair[0]);
            }
        }
    }
}

/// On one sample every step is where a textbook's solver of H z = d stands after as many products: another recursion, on the dense matrix.
#[test]
fn one_sample_follows_the_textbook() {
    for (name, coordinates) in BOTH {
        let mut setting = chain(6, 5, Activation::Identity, "sp-normal");
        setting.data = setting.data.map(|t| t.narrow(0, 0, 1).unwrap());
        let quadratic = Quadratic::of(&setting, coordinates);
        let descent = &quadratic.matrix * quadratic.minimum();
        for count in 0..9 {
            let apply = |z: &DVector<f64>| Ok(&quadratic.matrix * z);
            let want = solve(&descent, 0.0, count, apply).unwrap().x;
            let off = (ended(&setting, coordinates, &named(name, count)) - &want).amax();
            assert!(off < 1e-10 * (1e-3 + want.amax()), "{name}, {count} steps: off by {off:e}");
        }
    }
}

/// Samples do not know of each other: each of a batch ends where it ends alone, whatever the network and the loss.
#[test]
fn samples_are_apart() {
    let cross_entropy = Loss { kind: LossKind::CrossEntropy, ..Loss::HALF_SQUARED_ERROR };
    for (activation, loss) in
        [(Activation::Identity, Loss::HALF_SQUARED_ERROR), (Activation::Tanh, cross_entropy)]
    {
        let mut setting = chain_under(activation, loss);
        setting.data[1] = candle_nn::ops::softmax(&setting.data[1], 1).unwrap();
        for (name, _) in BOTH {
            let together = setting.learn(&named(name, 5));
            for sample in 0..setting.data[0].dim(0).unwrap() {
                let alone = Setting {
                    data: setting.data.clone().map(|t| t.narrow(0, sample, 1).unwrap()),
                    ..chain_under(activation, loss)
                };
                for (own, all) in alone.learn(&named(name, 5)).states.iter().zip(&together.states) {
                    close(own, &all.narrow(0, sample, 1).unwrap(), 1e-12, name);
                }
            }
        }
    }
}

/// On networks that are not linear the gradient falls to rounding, near where plain descent rests; and no step size is read.
#[test]
fn nonlinear_networks_come_to_rest() {
    for (name, plain) in [("spc-cg", "spc"), ("epc-cg", "epc")] {
        let setting = chain_under(Activation::Tanh, Loss::HALF_SQUARED_ERROR);
        let rest = setting.learn(&Rule::from_name(plain, Steps::constant(20_000, 0.1)).unwrap());
        let own = setting.learn(&named(name, 200));
        for (a, b) in own.states.iter().zip(&rest.states) {
            close(a, b, 1e-8, name);
        }
        let other = Rule::from_name(name, Steps::constant(200, 0.1).decaying()).unwrap();
        for (a, b) in own.states.iter().zip(&setting.learn(&other).states) {
            assert!(super::identical(a, b), "{name}: a step size was read");
        }
        // far fewer steps than plain descent takes at this step
        let energies = |rule: &Rule| {
            let engine = setting.engine();
            let mut all = Vec::new();
            let mut watch = |Shown { errors, outputs, .. }: Shown<'_, Tensor>| {
                all.push(engine.energies(errors, outputs)?.iter().sum::<f64>());
                Ok(())
            };
            rule.learn(&engine, &mut watch).unwrap();
            all
        };
        let plain = energies(&Rule::from_name(plain, Steps::constant(40, 0.1)).unwrap());
        assert!(energies(&named(name, 40))[40] <= plain[40] * (1.0 + 1e-12), "{name}");
    }
}

/// A rule that moves its coordinates one by one refuses the method in one sentence.
#[test]
fn other_rules_refuse_it() {
    let setting = chain(3, 4, Activation::Tanh, "sp-normal");
    let steps = named("spc-cg", 3).steps().unwrap();
    let rule = Rule::from_name("pcalm", Steps::constant(3, 0.1)).unwrap().with_steps(steps);
    let said = rule.learn(&setting.engine(), &mut unwatched).unwrap_err().to_string();
    assert!(said.contains("use spc-cg or epc-cg") && !said.contains('\n'), "{said}");
}
