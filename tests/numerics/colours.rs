//! Oracle: sweeps in two colours are sweeps one state at a time, and descent over states that do not meet in the energy.

use super::inference::{chain, ended, excess, Quadratic};
use super::rules::{flat, Setting};
use super::{close, largest, random_problem};
use candle_core::Tensor;
use pcnbench::engine::curvature::Coordinates;
use pcnbench::engine::Shown;
use pcnbench::net::Activation;
use pcnbench::rule::{Rule, Steps};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Of at most two states, moving odd distances and then even ones is moving states from the top down: SeqIL.
    #[test]
    fn two_states_in_two_colours_are_a_sweep(problem in random_problem(), t in 0usize..7) {
        let mut problem = problem;
        problem.spec.depth = problem.spec.depth.min(3);
        let setting = Setting::new(&problem);
        let of = |name: &str| flat(&setting.learn(&Rule::from_name(name, Steps::constant(t, 0.1)).unwrap()), &setting.params);
        for (a, b) in of("spc-evenodd").iter().zip(&of("seqil")) {
            close(a, b, 1e-13, "two states");
        }
    }
}

/// In two colours an error crosses two layers per step, and not more.
#[test]
fn errors_cross_two_layers_per_step_in_two_colours() {
    let depth = 8;
    let setting = chain(depth, 4, Activation::Tanh, "sp-normal");
    let mut watch = |Shown { step, errors, .. }: Shown<'_, Tensor>| {
        for l in 1..depth {
            let reached = step >= (depth - l).div_ceil(2);
            assert_eq!(
                errors[l - 1].as_ref().is_some_and(|e| largest(e) > 0.0),
                reached,
                "layer {l}, {step} steps"
            );
            assert_eq!(errors[l - 1].is_some(), reached, "layer {l}, {step} steps");
        }
        Ok(())
    };
    Rule::from_name("spc-evenodd", Steps::constant(5, 0.1))
        .unwrap()
        .learn(&setting.engine(), &mut watch)
        .unwrap();
}

/// λ_max of the blocks of H that belong to one state each, all samples together.
fn steepest_block(setting: &Setting, quadratic: &Quadratic) -> f64 {
    let sizes =
        setting.graph.topology().latent().map(|i| 2 * setting.graph.shape(i).iter().product::<usize>());
    let (mut from, mut most) = (0, 0.0f64);
    for size in sizes {
        let block = quadratic.matrix.view((from, from), (size, size)).into_owned();
        most = most.max(block.symmetric_eigenvalues().max());
        from += size;
    }
    most
}

/// In two colours the energy falls in every step below 2 over the largest curvature of a single state, which is more than sPC may take;
/// and inference rests where sPC rests.
#[test]
fn two_colours_take_larger_steps_to_the_same_rest() {
    let setting = chain(6, 5, Activation::Identity, "mupc-residual");
    let quadratic = Quadratic::of(&setting, Coordinates::States);
    let stable = 2.0 / steepest_block(&setting, &quadratic);
    let g = 0.98 * stable;
    assert!(g > 1.1 * 2.0 / quadratic.ends[1], "{g} for {}", 2.0 / quadratic.ends[1]);
    let named =
        |name: &str, count: usize, size: f64| Rule::from_name(name, Steps::constant(count, size)).unwrap();
    let own = excess(&setting, &quadratic, &named("spc-evenodd", 400, g));
    for (t, pair) in own.windows(2).enumerate().filter(|(_, pair)| pair[0] > 1e-12) {
        assert!(pair[1] < pair[0], "step {t}: {} after {}", pair[1], pair[0]);
    }
    let at_once = excess(&setting, &quadratic, &named("spc", 400, g));
    assert!(at_once[400] > 1.0, "sPC is beyond its largest stable step: {}", at_once[400]);
    let rest = quadratic.minimum();
    let there = ended(&setting, Coordinates::States, &named("spc-evenodd", 4000, 0.5 * stable));
    let off = (&there - &rest).amax();
    assert!(off < 1e-9 * rest.amax(), "off by {off:e} of {:e}", rest.amax());
}

/// Where the largest curvature in errors is below 2, steps of size 1 are stable, beyond the bound of the blocks, and near rest several
/// times sooner than sPC at its best step.
#[test]
fn steps_of_one_rest_soon() {
    let depth = 8;
    let mut setting = chain(depth, 5, Activation::Identity, "mupc-residual");
    let [_, most] = Quadratic::of(&setting, Coordinates::Errors).ends;
    // the readout is in every path from an error to the output
    let readout = setting.params.len() - 1;
    setting.params[readout] = setting.params[readout].affine((0.8 / (most - 1.0)).sqrt(), 0.0).unwrap();
    let [_, most] = Quadratic::of(&setting, Coordinates::Errors).ends;
    assert!((most - 1.8).abs() < 1e-9, "{most}");
    let quadratic = Quadratic::of(&setting, Coordinates::States);
    assert!(2.0 / steepest_block(&setting, &quadratic) < 1.0);
    let run = |name: &str, count: usize, size: f64| {
        let rule = Rule::from_name(name, Steps::constant(count, size)).unwrap();
        excess(&setting, &quadratic, &rule)
    };
    let [smallest, largest] = quadratic.ends;
    let below = |excess: &[f64]| excess.iter().rposition(|e| *e >= 1e-3).map_or(0, |last| last + 1);
    let (own, at_once) =
        (below(&run("spc-evenodd", 100, 1.0)), below(&run("spc", 4000, 2.0 / (smallest + largest))));
    assert!(own < 100 && at_once > 5 * own, "{own} steps, and {at_once} of all states at once");
}
