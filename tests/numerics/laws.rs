//! Oracle: laws that follow from a rule's equations, on networks where nothing else is known.

use super::rules::{every_rule, flat, Setting};
use super::{close, largest, random_problem, Random};
use candle_core::Tensor;
use pcnbench::engine::{unwatched, Engine as _, Learned, Shown};
use pcnbench::net::{Activation, ActivationOrder, Loss, MlpSpec, Parameterisation};
use pcnbench::rule::{Ar, Bp, Epc, Feedback, LearningRule, PcAlm, Rule, SeqIl, Steps, Sweep};
use pcnbench::theory::decay::SignalDecay;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

fn rule(name: &str, count: usize, size: f64) -> Rule {
    Rule::from_name(name, Steps::constant(count, size)).unwrap().evaluated()
}

/// Errors of two rules, to a tolerance that grows with the states they are differences of.
type Left = Learned<Tensor, Tensor, Tensor>;

fn same_errors(a: &Left, b: &Left, what: &str) {
    let scale = b.states.iter().map(largest).fold(1.0, f64::max);
    for (l, (a, b)) in a.errors.iter().zip(&b.errors).enumerate() {
        let (a, b) = (a.as_ref().unwrap(), b.as_ref().unwrap());
        let off = largest(&(a - b).unwrap());
        assert!(off < 1e-13 * (scale + largest(b)), "{what}: error {} is off by {off:e}", l + 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// FPA: every error and every direction is backpropagation's times P[Binomial(T, step) ≥ L − l].
    #[test]
    fn fixed_prediction_is_binomial(problem in random_problem(), t in 0usize..12, size in prop::sample::select(vec![0.1, 0.5, 0.9, 1.0])) {
        let setting = Setting::new(&problem);
        let law = SignalDecay::new(size).unwrap();
        let bp = setting.learn(&rule("bp", 0, 0.0));
        let fpa = setting.learn(&rule("fpa", t, size));
        let depth = problem.spec.depth;
        for l in 1..=depth {
            let share = law.arrived_share((depth - l) as u64, t as u64);
            let want = bp.errors[l - 1].as_ref().unwrap().affine(share, 0.0).unwrap();
            match &fpa.errors[l - 1] {
                None => prop_assert_eq!(share, 0.0),
                Some(got) => {
                    let scale = largest(&want) + bp.states.iter().map(largest).fold(1.0, f64::max);
                    prop_assert!(largest(&(got - &want).unwrap()) < 1e-13 * scale);
                }
            }
        }
    }

    /// FPA, layer after layer: every error is backpropagation's times (1 − (1 − step)^T)^(L − l).
    #[test]
    fn nested_fixed_prediction_is_geometric(problem in random_problem(), t in 0usize..12, size in prop::sample::select(vec![0.1, 0.5, 0.9, 1.0])) {
        let setting = Setting::new(&problem);
        let (bp, nested) = (setting.learn(&rule("bp", 0, 0.0)), setting.learn(&rule("fpa-nested", t, size)));
        let depth = problem.spec.depth;
        let one = 1.0 - (1.0 - size).powi(t as i32);
        for l in 1..=depth {
            let want = bp.errors[l - 1].as_ref().unwrap().affine(one.powi((depth - l) as i32), 0.0).unwrap();
            match &nested.errors[l - 1] {
                None => prop_assert_eq!((t, largest(&want)), (0, 0.0)),
                Some(got) => {
                    let scale = largest(&want) + bp.states.iter().map(largest).fold(1.0, f64::max);
                    prop_assert!(largest(&(got - &want).unwrap()) < 1e-13 * scale);
                }
            }
        }
    }

    /// sPC whose precisions cancel the step: the first error of layer l, after step L − l, is backpropagation's times the step.
    #[test]
    fn first_errors_under_a_precision_schedule_do_not_decay(problem in random_problem(), size in prop::sample::select(vec![0.05, 0.3, 1.0])) {
        let setting = Setting::new(&problem);
        let bp = setting.learn(&rule("bp", 0, 0.0));
        let depth = problem.spec.depth;
        let mut first: Vec<Option<Tensor>> = vec![None; depth];
        let mut watch = |shown: Shown<'_, Tensor>| {
            if let Some(l) = (depth - 1).checked_sub(shown.step).filter(|_| shown.step > 0) {
                first[l] = shown.errors[l].clone();
            }
            Ok(())
        };
        rule("spc-spike", depth, size).learn(&setting.engine(), &mut watch).unwrap();
        for (l, first) in first.iter().enumerate().take(depth - 1) {
            let want = bp.errors[l].as_ref().unwrap().affine(size, 0.0).unwrap();
            let scale = largest(&want) + bp.states.iter().map(largest).fold(1.0, f64::max);
            let off = largest(&(first.as_ref().unwrap() - &want).unwrap());
            prop_assert!(off < 1e-13 * scale, "layer {} of {}: {:e}", l + 1, depth, off);
        }
    }

    /// PC-ALM whose multipliers stay at zero is sPC, to the bit.
    #[test]
    fn without_multipliers_the_lagrangian_is_the_energy(problem in random_problem(), t in 0usize..7) {
        let setting = Setting::new(&problem);
        let steps = Steps::constant(t, 0.1);
        for post in [false, true] {
            let own = setting.learn(&Rule::PcAlm(PcAlm { steps, inner: 1, rho: 1.0, alpha: 0.0, post }));
            let spc = setting.learn(&rule("spc", t, 0.1));
            for (a, b) in flat(&own, &setting.params).iter().zip(&flat(&spc, &setting.params)) {
                close(a, b, 0.0, "pcalm at rate 0");
            }
        }
    }

    /// Z-IL is backpropagation, whichever nodes it updates.
    #[test]
    fn zil_is_backpropagation(problem in random_problem()) {
        let setting = Setting::new(&problem);
        let bp = setting.learn(&rule("bp", 0, 0.0));
        for name in ["zil", "zil-all", "zil-all-full"] {
            let zil = setting.learn(&rule(name, 3, 0.1));
            same_errors(&zil, &bp, name);
            for (got, want) in flat(&zil, &setting.params).iter().zip(&flat(&bp, &setting.params)) {
                close(got, want, 1e-9, name);
            }
        }
    }

    /// AR with step 1 is backpropagation after one sweep from the top, or L − 1 simultaneous ones.
    #[test]
    fn activation_relaxation_reaches_backpropagation(problem in random_problem()) {
        let setting = Setting::new(&problem);
        let bp = setting.learn(&rule("bp", 0, 0.0));
        same_errors(&setting.learn(&rule("ar-topdown", 1, 1.0)), &bp, "top down");
        same_errors(&setting.learn(&rule("ar", problem.spec.depth - 1, 1.0)), &bp, "simultaneous");
    }

    /// AR on the way there: FPA's binomial share of the adjoint, and the binomial remainder of every activation
    /// above, carried down.
    #[test]
    fn activation_relaxation_is_binomial(problem in random_problem(), t in 0usize..9, size in prop::sample::select(vec![0.2, 0.7, 1.0])) {
        let setting = Setting::new(&problem);
        let engine = setting.engine();
        let law = SignalDecay::new(size).unwrap();
        let topology = setting.graph.topology();
        let mut values: Vec<Tensor> = Vec::new();
        let mut at = Vec::new();
        for i in 0..topology.len() {
            let own = setting.graph.own(i, &setting.params);
            let inputs = setting.graph.inputs(i, &setting.data, &values);
            let (value, linearization) = engine.forward(i, &own, &inputs).unwrap();
            at.push(linearization);
            values.push(value);
        }
        let ar = setting.learn(&rule("ar", t, size));
        let depth = problem.spec.depth;
        // what each layer starts from: minus the activations, and ε_L
        let (output, hidden) = values.split_last().unwrap();
        let starts: Vec<Tensor> =
            hidden.iter().map(|vh| vh.neg().unwrap()).chain([engine.loss_error(0, output).unwrap()]).collect();
        for l in 1..=depth {
            let mut want = starts[l - 1].zeros_like().unwrap();
            let mut scale = 1.0f64;
            for above in l..=depth {
                let mut carried = starts[above - 1].clone();
                for m in (l + 1..=above).rev() {
                    let own = setting.graph.own(m - 1, &setting.params);
                    carried = engine.vjp(m - 1, 0, &own, &at[m - 1], &carried).unwrap();
                }
                let k = (above - l) as u64;
                let weight =
                    if above == depth { law.arrived_share(k, t as u64) } else { law.unit_jacobian(k, t as u64) };
                scale = scale.max(largest(&carried));
                carried = carried.affine(weight, 0.0).unwrap();
                want = (want + carried).unwrap();
            }
            let off = largest(&(ar.errors[l - 1].as_ref().unwrap() - &want).unwrap());
            prop_assert!(off < 1e-12 * scale, "layer {}: off by {:e}", l, off);
        }
    }

    /// Without derivatives to drop, dropping them changes nothing; without backward weights, learned feedback
    /// is transposed feedback.
    #[test]
    fn variants_of_ar_agree_where_they_must(problem in random_problem(), t in 0usize..5) {
        let mut problem = problem;
        let steps = Steps::constant(t, 0.4);
        let every = |setting: &Setting, derivatives, feedback| {
            [Sweep::Simultaneous, Sweep::TopDown].map(|sweep| {
                flat(&setting.learn(&Rule::Ar(Ar { steps, sweep, feedback, derivatives })), &setting.params)
            })
        };
        let same = |a: [Vec<Tensor>; 2], b: [Vec<Tensor>; 2], what: &str| {
            for (a, b) in a.iter().flatten().zip(b.iter().flatten()) {
                close(a, b, 0.0, what);
            }
        };
        let setting = Setting::new(&problem);
        same(
            every(&setting, true, Feedback::Learned),
            every(&setting, true, Feedback::Transposed),
            "without backward weights",
        );
        problem.spec.activation = Activation::Identity;
        let setting = Setting::new(&problem);
        same(
            every(&setting, false, Feedback::Transposed),
            every(&setting, true, Feedback::Transposed),
            "without derivatives",
        );
    }

    /// Output mixing β is an output precision of β/(1 + β).
    #[test]
    fn mixing_is_output_precision(problem in random_problem(), t in 0usize..5) {
        let steps = Steps::constant(t, 0.1);
        let mixed = Setting::new(&problem);
        let mut problem = problem;
        problem.loss.precision *= 4.0 / 5.0;
        let precise = Setting::new(&problem);
        let a = mixed.learn(&Rule::SeqIl(SeqIl { steps, mixing: Some(4.0) }));
        let b = precise.learn(&Rule::SeqIl(SeqIl { steps, mixing: None }));
        for (a, b) in flat(&a, &mixed.params).iter().zip(&flat(&b, &precise.params)) {
            close(a, b, 1e-11, "directions");
        }
    }

    /// Where the output is the target nothing is wrong, and nothing moves: every error, direction and moved
    /// parameter is exactly zero. (AR's adjoints start at the activations, so it is not among these.)
    #[test]
    fn no_error_means_no_change(problem in random_problem(), t in 0usize..5) {
        let mut problem = problem;
        problem.loss = Loss::HALF_SQUARED_ERROR;
        let mut setting = Setting::new(&problem);
        let mut values = setting.graph.forward(&setting.params, &setting.data).unwrap();
        setting.data[1] = values.pop().unwrap();
        for rule in every_rule(Steps::constant(t, 0.2)).filter(|r| !matches!(r, Rule::Ar(_))) {
            let learned = setting.learn(&rule);
            for error in learned.errors.iter().flatten() {
                prop_assert_eq!(largest(error), 0.0, "{}", rule);
            }
            for direction in flat(&learned, &setting.params) {
                prop_assert_eq!(largest(&direction), 0.0, "{}", rule);
            }
        }
    }
}

/// iPC is not backpropagation after any number of updates, on any activation: its direction, the sum of its
/// updates, is off by more than 5 % of backpropagation's norm however it is scaled.
#[test]
fn ipc_is_never_backpropagation() {
    let dot = |a: &[Tensor], b: &[Tensor]| -> f64 {
        a.iter().zip(b).map(|(a, b)| (a * b).unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap()).sum()
    };
    for activation in Activation::STACKED {
        let setting = deep(5, activation);
        let bp = flat(&setting.learn(&rule("bp", 0, 0.0)), &setting.params);
        for size in [0.05, 0.2] {
            for t in 1..25 {
                let ipc = flat(&setting.learn(&rule("ipc", t, size).with_weight_step(0.01)), &setting.params);
                let cosine = dot(&ipc, &bp) / (dot(&ipc, &ipc) * dot(&bp, &bp)).sqrt();
                let sine = (1.0 - cosine * cosine).sqrt();
                assert!(sine > 0.05, "{activation}, {t} updates with step {size}: sine {sine}");
            }
        }
    }
}

fn deep(depth: usize, activation: Activation) -> Setting {
    Setting::new(&Random {
        spec: MlpSpec {
            inputs: 6,
            width: 8,
            outputs: 3,
            depth,
            activation,
            activation_order: ActivationOrder::Pre,
            parameterisation: Parameterisation::SP,
            gain: 1.5,
            bias: true,
        },
        batch: 4,
        loss: Loss::HALF_SQUARED_ERROR,
        seed: 11,
    })
}

/// ePC after one step is the step size times backpropagation in hidden layers (and 1 at the output is not
/// claimed: the output error is that of the rebuilt network).
#[test]
fn one_epc_step_is_scaled_backpropagation() {
    let setting = deep(6, Activation::Tanh);
    let engine = setting.engine();
    let bp = Bp::default().learn(&engine, &mut unwatched).unwrap();
    let epc = Epc { steps: Steps::constant(1, 0.03) }.learn(&engine, &mut unwatched).unwrap();
    for l in 0..5 {
        let scaled = bp.errors[l].as_ref().unwrap().affine(0.03, 0.0).unwrap();
        close(epc.errors[l].as_ref().unwrap(), &scaled, 1e-14, "epc error");
    }
}

/// First arrival: ε_l(t = L − l) = λ^(L−l) times the negative backpropagation adjoint, and zero before. It
/// holds for iPC too: when the signal reaches layer l, no parameter below layer l + 2 has moved yet.
#[test]
fn errors_arrive_one_layer_per_step() {
    let setting = deep(7, Activation::Tanh);
    let engine = setting.engine();
    let adjoints = Bp::default().learn(&engine, &mut unwatched).unwrap().errors;
    let (depth, lambda) = (7usize, 0.3);
    for name in ["spc", "fpa", "ipc"] {
        let mut seen = 0;
        let mut watch = |Shown { step: t, errors, .. }: Shown<'_, Tensor>| {
            for l in 1..depth {
                let distance = depth - l;
                if t < distance {
                    assert!(errors[l - 1].is_none(), "{name}: layer {l} has an error after {t} steps");
                } else if t == distance {
                    let share = lambda_power(lambda, distance);
                    let want = adjoints[l - 1].as_ref().unwrap().affine(share, 0.0).unwrap();
                    // the error is a difference of states: its rounding scales with them
                    let error = largest(&(errors[l - 1].as_ref().unwrap() - &want).unwrap());
                    assert!(error < 1e-14, "{name}: layer {l} is off by {error:e}");
                    seen += 1;
                }
            }
            Ok(())
        };
        let rule = Rule::from_name(name, Steps::constant(8, lambda)).unwrap();
        rule.with_weight_step(0.1).evaluated().learn(&engine, &mut watch).unwrap();
        assert_eq!(seen, 6);
    }
}

fn lambda_power(lambda: f64, d: usize) -> f64 {
    lambda.powi(i32::try_from(d).unwrap())
}

/// The energy falls at every step when the step is small.
#[test]
fn energy_falls_under_a_small_step() {
    for activation in Activation::STACKED {
        let setting = deep(5, activation);
        let engine = setting.engine();
        for rule in ["spc", "epc", "seqil"] {
            let rule = Rule::from_name(rule, Steps::constant(30, 0.02)).unwrap();
            let mut last = f64::INFINITY;
            let mut watch = |Shown { errors, outputs, .. }: Shown<'_, Tensor>| {
                let total: f64 = engine.energies(errors, outputs)?.iter().sum();
                assert!(total < last, "{rule} {activation}: {total} after {last}");
                last = total;
                Ok(())
            };
            rule.learn(&engine, &mut watch).unwrap();
        }
    }
}

/// Where PC-ALM comes to rest, errors are zero, states are the forward pass, and multipliers and directions are backpropagation's,
/// whatever the penalty. A linear network, on which it does: elsewhere multipliers times second derivatives may outweigh the penalty.
#[test]
fn at_rest_the_lagrangian_is_backpropagation() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let problem = random_problem().new_tree(&mut runner).unwrap().current();
    let spec = MlpSpec {
        depth: 4,
        width: 5,
        activation: Activation::Identity,
        parameterisation: "sp-normal".parse().unwrap(),
        gain: 1.0,
        bias: true,
        ..problem.spec.clone()
    };
    let setting = Setting::new(&Random { spec, loss: Loss::HALF_SQUARED_ERROR, ..problem });
    let bp = setting.learn(&rule("bp", 0, 0.0));
    for (rho, alpha, inner) in [(1.0, 0.2, 1), (2.5, 0.5, 1), (1.0, 0.3, 3)] {
        let steps = Steps::constant(6000, 0.1);
        let own = setting.learn(&Rule::PcAlm(PcAlm { steps, inner, rho, alpha, post: true }));
        for (l, error) in own.errors.iter().enumerate().take(3) {
            let off = largest(error.as_ref().unwrap());
            assert!(off < 1e-9, "error {} at rest: {off:e}", l + 1);
            let (got, want) = (own.multipliers[l].as_ref().unwrap(), bp.errors[l].as_ref().unwrap());
            close(got, want, 1e-7, &format!("multiplier {}", l + 1));
        }
        for (got, want) in flat(&own, &setting.params).iter().zip(&flat(&bp, &setting.params)) {
            close(got, want, 1e-7, "direction");
        }
    }
}
