//! Oracle: the energy of each rule, differentiated automatically.

use std::sync::Arc;

use super::{close, identical, normal, random_problem, targets, Random};
use candle_core::{DType, Device, Tensor};
use pcnbench::engine::reference::Reference;
use pcnbench::engine::threads::limit;
use pcnbench::engine::{unwatched, Learned, Shown};
use pcnbench::net::Architecture;
use pcnbench::net::{Activation, ActivationOrder, Graph, Loss, MlpSpec, Parameterisation, Params};
use pcnbench::rule::{Decay, Info, Rule, Steps};
use pcnbench::verify::oracle::{self, Problem};
use proptest::prelude::*;
use rayon::prelude::*;

/// A random problem made concrete, in f64, with backward weights for the rules that learn them.
pub(crate) struct Setting {
    pub(crate) graph: Graph,
    pub(crate) params: Params,
    pub(crate) feedback: Vec<Option<Tensor>>,
    pub(crate) data: [Tensor; 2],
}

impl Setting {
    pub(crate) fn new(problem: &Random) -> Self {
        let spec = &problem.spec;
        Self {
            graph: spec.graph(problem.loss).unwrap(),
            params: spec.start(problem.seed, DType::F64, &Device::Cpu).unwrap(),
            feedback: spec.start_feedback(problem.seed, DType::F64, &Device::Cpu).unwrap(),
            data: [normal(&[problem.batch, spec.inputs], problem.seed ^ 1), targets(problem)],
        }
    }

    pub(crate) fn engine(&self) -> Reference<'_> {
        let Self { graph, params, feedback, data } = self;
        Reference { graph, params, data, feedback: Some(feedback) }
    }

    fn problem(&self) -> Problem<'_> {
        let Self { graph, params, feedback, data } = self;
        Problem { graph, params, data, feedback: Some(feedback) }
    }

    pub(crate) fn learn(&self, rule: &Rule) -> Learned<Tensor, Tensor, Tensor> {
        let engine = Reference { feedback: None, ..self.engine() };
        rule.learn(&engine, &mut unwatched).unwrap()
    }
}

/// All directions as tensors; a rule that moved parameters by steps of `WEIGHT_STEP` by how far it moved them.
pub(crate) fn flat(learned: &Learned<Tensor, Tensor, Tensor>, params: &[Tensor]) -> Vec<Tensor> {
    let moved = |i: usize, new: &Tensor| (new - &params[i]).unwrap().affine(1.0 / WEIGHT_STEP, 0.0).unwrap();
    (0..params.len())
        .map(|i| match (&learned.directions[i], &learned.params[i]) {
            (Some(d), _) => d.clone(),
            (None, Some(new)) => moved(i, new),
            (None, None) => params[i].zeros_like().unwrap(),
        })
        .collect()
}

const WEIGHT_STEP: f64 = 0.05;

/// Every rule and variant with these steps.
pub(crate) fn every_rule(steps: Steps) -> impl Iterator<Item = Rule> {
    Rule::NAMES
        .into_iter()
        .map(move |name| Rule::from_name(name, steps).unwrap().with_weight_step(WEIGHT_STEP).evaluated())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Every rule's parameter directions are those of its energy, or of its definition, under automatic
    /// differentiation. Without this, a wrong sign or a stale error in a schedule goes unseen outside the
    /// public cases.
    #[test]
    fn rules_follow_their_energy(problem in random_problem(), t in 0usize..7, inverse in any::<bool>()) {
        let setting = Setting::new(&problem);
        let decay = if inverse { Decay::Inverse } else { Decay::None };
        let steps = Steps { decay, ..Steps::constant(t, 0.15) };
        for rule in every_rule(steps) {
            let learned = rule.learn(&setting.engine(), &mut unwatched).unwrap();
            let expected = oracle::directions(&setting.problem(), &rule).unwrap();
            for (got, want) in flat(&learned, &setting.params).iter().zip(&expected) {
                close(got, want, 1e-9, rule.name());
            }
        }
    }

    /// The light cone changes no bit of states, output, errors, directions or moved parameters.
    #[test]
    fn the_light_cone_is_exact(problem in random_problem(), t in 0usize..9) {
        let setting = Setting::new(&problem);
        let steps = Steps::constant(t, 0.2);
        for (with, without) in [("spc", "spc-full"), ("fpa", "fpa-full"), ("zil-all", "zil-all-full"), ("ipc", "ipc-full")] {
            let learned = |name| {
                let rule: Rule = Rule::from_name(name, steps).unwrap();
                setting.learn(&rule.with_weight_step(WEIGHT_STEP).evaluated())
            };
            let (with, without) = (learned(with), learned(without));
            for (a, b) in with.states.iter().zip(&without.states) {
                prop_assert!(identical(a, b));
            }
            prop_assert!(identical(&with.outputs[0], &without.outputs[0]));
            for (a, b) in with.errors.iter().zip(&without.errors) {
                let b = b.as_ref().unwrap();
                let zero = b.zeros_like().unwrap();
                prop_assert!(identical(a.as_ref().unwrap_or(&zero), b));
            }
            for (a, b) in flat(&with, &setting.params).iter().zip(&flat(&without, &setting.params)) {
                prop_assert!(identical(a, b));
            }
        }
    }

    /// A watcher is called at the start and after each step, whatever the rule.
    #[test]
    fn watchers_see_every_step(problem in random_problem(), t in 0usize..5) {
        let setting = Setting::new(&problem);
        let depth = problem.spec.depth;
        for rule in every_rule(Steps::constant(t, 0.1)) {
            let mut seen = vec![];
            let mut watch = |Shown { step, errors, .. }: Shown<'_, Tensor>| {
                assert_eq!(errors.len(), depth);
                seen.push(step);
                Ok(())
            };
            rule.learn(&setting.engine(), &mut watch).unwrap();
            let steps = match rule {
                Rule::Bp(_) => 0,
                Rule::Zil(_) => depth - 1,
                // one layer after another
                Rule::Fpa(rule) if rule.nested => t * (depth - 1),
                // two phases
                Rule::Ep(_) => 2 * t,
                _ => t,
            };
            prop_assert_eq!(seen, (0..=steps).collect::<Vec<_>>(), "{}", rule);
        }
    }
}

/// Every rule, dtype and parameterisation passes on its reduced problem; this is what guards timed rows.
#[test]
fn contenders_pass_their_preflight() {
    use pcnbench::contender::ContenderSpec;
    use pcnbench::engine::EngineKind;
    let every = EngineKind::ALL.into_iter().flat_map(|engine| {
        Rule::NAMES.into_iter().filter(move |rule| Info::runs(rule, engine)).map(move |rule| (rule, engine))
    });
    let mut specs = Vec::new();
    for (rule, engine) in every {
        // operands that are rounded are f32's
        for dtype in [DType::F32, DType::F64].into_iter().filter(|dtype| engine.check(*dtype, false).is_ok())
        {
            for name in Parameterisation::NAMES.into_iter().chain(["mupc-residual"]) {
                // imitating is slow, and one smooth activation and one with a kink show what rounding does
                let few = [Activation::Tanh, Activation::Relu];
                let imitated = engine.check(dtype, true).is_err();
                for activation in Activation::STACKED.into_iter().filter(|a| !imitated || few.contains(a)) {
                    specs.push(ContenderSpec {
                        id: format!("{rule}/{engine}").parse().unwrap(),
                        rule: Rule::from_name(rule, Steps::constant(32, 0.1)).unwrap(),
                        network: Arc::new(MlpSpec {
                            inputs: 64,
                            width: 64,
                            outputs: 10,
                            depth: 32,
                            activation,
                            activation_order: ActivationOrder::Pre,
                            parameterisation: name.parse().unwrap(),
                            gain: 1.0,
                            bias: true,
                        }),
                        loss: Loss::HALF_SQUARED_ERROR,
                        optimiser: pcnbench::optim::OptimiserKind::Sgd,
                        learning_rate: 0.1,
                        regularisation: Default::default(),
                        dtype,
                        strategies: None,
                    });
                }
            }
        }
    }
    // every spec has a worker of its own, of which there are as many as before the limit
    assert!(rayon::current_num_threads() > 0);
    let _limit = limit(Some(1));
    specs.par_iter().for_each(|spec| {
        let (id, dtype, network) = (&spec.id, spec.dtype, &spec.network);
        let share = pcnbench::verify::preflight::check(spec, 5, &Device::Cpu)
            .unwrap_or_else(|e| panic!("{id} {network:?} {dtype:?}: {e}"));
        assert!(share < 0.9, "{id} {network:?} {dtype:?}: {share}");
    });
}

/// Rounded operands give other directions than f32 does, in the order of the format's unit and no more than 3×tf32 may;
/// what a CPU imitates is not timed.
#[test]
fn operands_are_rounded_where_the_engine_says_so() {
    use pcnbench::contender::{Contender, ContenderSpec};
    use pcnbench::engine::EngineKind;
    let spec = |engine: EngineKind| ContenderSpec {
        id: format!("spc/{engine}").parse().unwrap(),
        rule: Rule::from_name("spc", Steps::constant(8, 0.1)).unwrap(),
        network: Arc::new(MlpSpec {
            inputs: 12,
            width: 16,
            outputs: 4,
            depth: 4,
            activation: Activation::Tanh,
            activation_order: ActivationOrder::Pre,
            parameterisation: "sp".parse().unwrap(),
            gain: 1.0,
            bias: true,
        }),
        loss: Loss::HALF_SQUARED_ERROR,
        optimiser: pcnbench::optim::OptimiserKind::Sgd,
        learning_rate: 0.1,
        regularisation: Default::default(),
        dtype: DType::F32,
        strategies: None,
    };
    let numbers = |n: usize| (0..n).map(|i| (i as f32 * 0.7).sin()).collect::<Vec<_>>();
    let batch = [(60, (5, 12)), (20, (5, 4))]
        .map(|(n, shape)| Tensor::from_vec(numbers(n), shape, &Device::Cpu).unwrap());
    // of the output layer, whose direction is largest
    let direction = |engine| {
        let contender = Contender::new(&spec(engine), 3, &Device::Cpu).unwrap();
        let all = contender.directions(&batch).unwrap();
        all[6].clone().unwrap()
    };
    let exact = direction(EngineKind::Reference);
    let largest =
        |t: &Tensor| t.abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar::<f32>().unwrap();
    let off = |engine| f64::from(largest(&(direction(engine) - &exact).unwrap()) / largest(&exact));
    assert!(off(EngineKind::FusedTf32x3) < 1e-5);
    for (engine, low, high) in [
        (EngineKind::FusedTf32, 2f64.powi(-14), 2f64.powi(-8)),
        (EngineKind::FusedBf16, 2f64.powi(-11), 2f64.powi(-5)),
    ] {
        let off = off(engine);
        assert!(low < off && off < high, "{engine}: {off}");
        assert!(engine.check(DType::F32, false).is_ok());
        let said = engine.check(DType::F32, true).unwrap_err().to_string();
        assert!(said.contains("needs a GPU") && said.contains("--device cuda"), "{said}");
        let mut contender = Contender::new(&spec(engine), 3, &Device::Cpu).unwrap();
        let said = contender.update(&batch).unwrap_err().to_string();
        assert!(said.contains("operands need a GPU") && !said.contains('\n'), "{said}");
        let said = Contender::new(&ContenderSpec { dtype: DType::F64, ..spec(engine) }, 3, &Device::Cpu)
            .unwrap_err();
        assert!(said.to_string().contains("use --dtype f32"), "{said}");
    }
}
