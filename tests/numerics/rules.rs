//! Oracle: the energy of each rule, differentiated automatically; and the laws that follow from it.

use super::{close, largest, normal, random_problem, targets, Random};
use candle_core::{DType, Device, Tensor};
use pcnbench::engine::reference::Reference;
use pcnbench::engine::{unwatched, Learned};
use pcnbench::net::{Activation, Loss, MlpSpec, Network, Parameterisation, Params, Placement};
use pcnbench::rule::{Bp, Decay, Epc, LearningRule, Rule, Spc, Steps};
use pcnbench::verify::oracle::{self, Problem};
use proptest::prelude::*;

struct Setting {
    network: Network,
    params: Params,
    x: Tensor,
    y: Tensor,
    loss: Loss,
}

impl Setting {
    fn new(problem: &Random) -> Self {
        Self {
            network: Network::mlp(&problem.spec).unwrap(),
            params: problem.spec.start(problem.seed, DType::F64, &Device::Cpu).unwrap(),
            x: normal(&[problem.batch, problem.spec.inputs], problem.seed ^ 1),
            y: targets(problem),
            loss: problem.loss,
        }
    }

    fn engine(&self) -> Reference<'_> {
        Reference { network: &self.network, params: &self.params, x: &self.x, y: &self.y, loss: self.loss }
    }

    fn problem(&self) -> Problem<'_> {
        Problem { network: &self.network, params: &self.params, x: &self.x, y: &self.y, loss: self.loss }
    }
}

fn flat(learned: &Learned<Reference<'_>>, params: &Params) -> Vec<Tensor> {
    let zeros = |i: usize| params[i].iter().map(|t| t.zeros_like().unwrap()).collect::<Vec<_>>();
    learned.directions.iter().enumerate().flat_map(|(i, d)| d.clone().unwrap_or_else(|| zeros(i))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Every rule's parameter directions are those of its energy under automatic differentiation.
    /// Without this, a wrong sign or a stale error in a schedule goes unseen outside the public cases.
    #[test]
    fn rules_follow_their_energy(problem in random_problem(), t in 0usize..7, inverse in any::<bool>()) {
        let setting = Setting::new(&problem);
        let decay = if inverse { Decay::Inverse } else { Decay::None };
        let steps = Steps { count: t, size: 0.15, decay };
        for rule in [Rule::Bp(Bp), Rule::Spc(Spc { steps, light_cone: true }), Rule::Epc(Epc { steps })] {
            let learned = rule.learn(&setting.engine(), &mut unwatched).unwrap();
            let expected: Vec<_> = oracle::directions(&setting.problem(), &rule).unwrap().into_iter().flatten().collect();
            for (got, want) in flat(&learned, &setting.params).iter().zip(&expected) {
                close(got, want, 1e-9, rule.name());
            }
        }
    }

    /// The light cone changes no bit of states, output, errors or directions.
    #[test]
    fn the_light_cone_is_exact(problem in random_problem(), t in 0usize..9) {
        let setting = Setting::new(&problem);
        let steps = Steps::constant(t, 0.2);
        let engine = setting.engine();
        let with = Spc { steps, light_cone: true }.learn(&engine, &mut unwatched).unwrap();
        let without = Spc { steps, light_cone: false }.learn(&engine, &mut unwatched).unwrap();
        for (a, b) in with.states.iter().zip(&without.states) {
            prop_assert_eq!(largest(&(a - b).unwrap()), 0.0);
        }
        prop_assert_eq!(largest(&(&with.output - &without.output).unwrap()), 0.0);
        for (a, b) in with.errors.iter().zip(&without.errors) {
            let b = b.as_ref().unwrap();
            prop_assert_eq!(largest(&a.as_ref().map_or(b.clone(), |a| (a - b).unwrap())), 0.0);
        }
        for (a, b) in flat(&with, &setting.params).iter().zip(&flat(&without, &setting.params)) {
            prop_assert_eq!(largest(&(a - b).unwrap()), 0.0);
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
            placement: Placement::Input,
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
    let bp = Bp.learn(&engine, &mut unwatched).unwrap();
    let epc = Epc { steps: Steps::constant(1, 0.03) }.learn(&engine, &mut unwatched).unwrap();
    for l in 0..5 {
        let scaled = bp.errors[l].as_ref().unwrap().affine(0.03, 0.0).unwrap();
        close(epc.errors[l].as_ref().unwrap(), &scaled, 1e-14, "epc error");
    }
}

/// First arrival: ε_l(t = L − l) = λ^(L−l) times the negative backpropagation adjoint, and zero before.
#[test]
fn spc_errors_arrive_one_layer_per_step() {
    let setting = deep(7, Activation::Tanh);
    let engine = setting.engine();
    let adjoints = Bp.learn(&engine, &mut unwatched).unwrap().errors;
    let (depth, lambda) = (7usize, 0.3);
    let mut seen = 0;
    let mut watch = |t: usize, errors: &[Option<Tensor>], _: &Tensor| {
        for l in 1..depth {
            let distance = depth - l;
            if t < distance {
                assert!(errors[l - 1].is_none(), "layer {l} has an error after {t} steps");
            } else if t == distance {
                let want =
                    adjoints[l - 1].as_ref().unwrap().affine(lambda_power(lambda, distance), 0.0).unwrap();
                // the error is a difference of states: its rounding scales with them
                let error = largest(&(errors[l - 1].as_ref().unwrap() - &want).unwrap());
                assert!(error < 1e-14, "layer {l}: off by {error:e}");
                seen += 1;
            }
        }
        Ok(())
    };
    Spc { steps: Steps::constant(8, lambda), light_cone: true }.learn(&engine, &mut watch).unwrap();
    assert_eq!(seen, 6);
}

fn lambda_power(lambda: f64, d: usize) -> f64 {
    lambda.powi(i32::try_from(d).unwrap())
}

/// The energy falls at every step when the step is small.
#[test]
fn energy_falls_under_a_small_step() {
    for activation in Activation::ALL {
        let setting = deep(5, activation);
        let engine = setting.engine();
        for rule in ["spc", "epc"] {
            let rule = Rule::from_name(rule, Steps::constant(30, 0.02)).unwrap();
            let mut last = f64::INFINITY;
            let mut watch = |_: usize, errors: &[Option<Tensor>], o: &Tensor| {
                let total: f64 = engine.energies(errors, o)?.iter().sum();
                assert!(total < last, "{rule} {activation}: {total} after {last}");
                last = total;
                Ok(())
            };
            rule.learn(&engine, &mut watch).unwrap();
        }
    }
}

/// Small twins of every rule, dtype and parameterisation pass; this is what guards timed rows.
#[test]
fn contenders_pass_their_twins() {
    use pcnbench::contender::ContenderSpec;
    use pcnbench::engine::EngineKind;
    for (rule, engine) in [
        ("bp", EngineKind::Autograd),
        ("bp", EngineKind::Reference),
        ("spc", EngineKind::Reference),
        ("epc", EngineKind::Reference),
    ] {
        for dtype in [DType::F32, DType::F64] {
            for name in Parameterisation::NAMES.into_iter().chain(["mupc-residual"]) {
                for activation in Activation::ALL {
                    let spec = ContenderSpec {
                        id: format!("{rule}/{engine}"),
                        rule: Rule::from_name(rule, Steps::constant(32, 0.1)).unwrap(),
                        engine,
                        network: MlpSpec {
                            inputs: 64,
                            width: 64,
                            outputs: 10,
                            depth: 32,
                            activation,
                            placement: Placement::Input,
                            parameterisation: name.parse().unwrap(),
                            gain: 1.0,
                            bias: true,
                        },
                        loss: Loss::HALF_SQUARED_ERROR,
                        optimiser: pcnbench::optim::OptimiserKind::Sgd,
                        learning_rate: 0.1,
                        dtype,
                    };
                    let share = pcnbench::verify::twin::check(&spec, 5, &Device::Cpu).unwrap();
                    assert!(share < 0.9, "{} {name} {activation}: {share}", spec.id);
                }
            }
        }
    }
}
