//! Oracle: the closed form of descent on quadratics, and dense matrices. If this fails silently, inference ends elsewhere than its bound
//! says, and records count steps that were not taken.

use super::inference::{chain, Quadratic};
use super::rules::{flat, Setting};
use super::{close, identical, random_problem, Random};
use candle_core::Tensor;
use pcnbench::contender::{self, ContenderSpec};
use pcnbench::engine::counting::Counting;
use pcnbench::engine::curvature::Coordinates;
use pcnbench::engine::{unwatched, Shown};
use pcnbench::net::{Activation, Architecture};
use pcnbench::optim::OptimiserKind;
use pcnbench::rule::{Rule, Steps};
use pcnbench::theory::cost::NetCost;
use pcnbench::verify::oracle::{self, Problem};
use proptest::prelude::*;
use std::sync::Arc;

/// The variants that end at a residual.
const ALL: [&str; 9] = [
    "spc",
    "spc-full",
    "spc-momentum",
    "spc-nesterov",
    "spc-cg",
    "epc",
    "epc-adam",
    "epc-chebyshev",
    "epc-cg",
];

fn rule(name: &str, count: usize, size: f64, residual: f64) -> Rule {
    Rule::from_name(name, Steps { residual, ..Steps::constant(count, size) }).unwrap()
}

/// The last step that a rule shows.
fn taken(setting: &Setting, rule: &Rule) -> usize {
    let mut last = 0;
    let mut watch = |shown: Shown<'_, Tensor>| {
        last = shown.step;
        Ok(())
    };
    rule.learn(&setting.engine(), &mut watch).unwrap();
    last
}

/// One state of one number and curvature h: the residual after t steps is |1 − gh|^t of the first, so inference takes the first whole
/// number of steps from ln ε/ln|1 − gh| on, or all T if these are fewer.
#[test]
fn one_state_takes_the_steps_of_its_closed_form() {
    for (name, coordinates) in [("spc", Coordinates::States), ("epc", Coordinates::Errors)] {
        let mut setting = chain(2, 1, Activation::Identity, "sp-normal");
        setting.data = setting.data.map(|t| t.narrow(0, 0, 1).unwrap());
        let [h, top] = Quadratic::of(&setting, coordinates).ends;
        assert_eq!(h, top);
        for (share, bound) in [(0.1, 1e-3), (0.37, 1e-6), (0.9, 0.3), (1.7, 1e-4)] {
            let g = share / h;
            let want = (f64::ln(bound) / (1.0 - share).abs().ln()).ceil() as usize;
            assert_eq!(
                taken(&setting, &rule(name, 500, g, bound)),
                want,
                "{name}, share {share}, bound {bound}"
            );
            assert_eq!(
                taken(&setting, &rule(name, want.min(2), g, bound)),
                want.min(2),
                "{name}: more than T"
            );
        }
        // at its best step one is enough, and so it is for conjugate gradients
        assert_eq!(taken(&setting, &rule(name, 9, 1.0 / h, 1e-10)), 1);
        assert_eq!(taken(&setting, &rule(&format!("{name}-cg"), 9, 1.0 / h, 1e-10)), 1);
    }
}

/// Of deep networks d_t = (1 − gH)^t d_0 with a dense H, held against the largest so far; in states that is not the first one.
#[test]
fn deep_networks_are_held_against_their_largest_residual() {
    for (name, coordinates, grows) in
        [("spc", Coordinates::States, true), ("epc", Coordinates::Errors, false)]
    {
        let mut setting = chain(7, 5, Activation::Identity, "mupc-residual");
        if grows {
            // Jacobians above 1: an error that goes down grows
            setting.params = setting.params.iter().map(|p| p.affine(2.0, 0.0).unwrap()).collect();
        }
        let quadratic = Quadratic::of(&setting, coordinates);
        let g = 0.8 / quadratic.ends[1];
        let mut d = &quadratic.matrix * quadratic.minimum();
        let (first, mut largest, mut norms) = (d.norm(), 0.0f64, Vec::new());
        for _ in 0..4000 {
            largest = largest.max(d.norm());
            norms.push(d.norm() / largest);
            d -= g * (&quadratic.matrix * &d);
        }
        assert!(!grows || largest >= first);
        for bound in [0.5, 1e-1, 1e-2, 1e-3] {
            let want = norms.iter().position(|share| *share <= bound).unwrap();
            assert_eq!(taken(&setting, &rule(name, 4000, g, bound)), want, "{name}, bound {bound}");
            // what it ends with is what T = these steps end with
            let (own, fixed) =
                (setting.learn(&rule(name, 4000, g, bound)), setting.learn(&rule(name, want, g, 0.0)));
            for (a, b) in own.states.iter().zip(&fixed.states) {
                assert!(identical(a, b), "{name}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// A bound that nothing is below changes no bit; and what is counted and the closed formula are those of T steps and T checks.
    #[test]
    fn a_bound_that_is_not_reached_changes_nothing(problem in random_problem(), t in 0usize..7) {
        let setting = Setting::new(&problem);
        let graph = problem.spec.graph(problem.loss).unwrap();
        let net = NetCost::new(problem.spec.costs(problem.batch), &problem.loss);
        for name in ALL {
            let [with, without] = [1e-300, 0.0].map(|residual| rule(name, t, 0.1, residual));
            let [a, b] = [&with, &without].map(|rule| flat(&setting.learn(rule), &setting.params));
            for (a, b) in a.iter().zip(&b) {
                prop_assert!(identical(a, b), "{}", name);
            }
            for rule in [with, without] {
                let engine = Counting::new(&graph, problem.batch);
                rule.learn(&engine, &mut unwatched).unwrap();
                prop_assert_eq!(engine.totals().work, rule.cost(&net).work, "{}", name);
                prop_assert_eq!(rule.analysis(&net).moved, rule.cost(&net).work.moved, "{}", name);
            }
            prop_assert!(t == 0 || problem.spec.depth == 1 || with.cost(&net).work != without.cost(&net).work);
        }
    }

    /// Where inference ends early the directions are those of the energy there, under automatic differentiation.
    #[test]
    fn ended_inference_follows_its_energy(problem in random_problem(), bound in prop::sample::select(vec![0.9, 0.5, 0.1])) {
        let setting = Setting::new(&problem);
        let own = Problem { graph: &setting.graph, params: &setting.params, data: &setting.data, feedback: None };
        for name in ALL {
            let rule = rule(name, 6, 0.3, bound);
            let expected = oracle::directions(&own, &rule).unwrap();
            for (got, want) in flat(&setting.learn(&rule), &setting.params).iter().zip(&expected) {
                close(got, want, 1e-9, name);
            }
        }
    }
}

/// Rules and engines that take all steps refuse the bound in one sentence.
#[test]
fn what_takes_all_steps_is_refused() {
    let problem = {
        use proptest::strategy::ValueTree;
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        random_problem().new_tree(&mut runner).unwrap().current()
    };
    let Random { spec, loss, .. } = problem;
    let refused = |id: &str| {
        let name = id.split('/').next().unwrap();
        let spec = ContenderSpec {
            id: id.parse().unwrap(),
            rule: rule(name, 3, 0.1, 0.5),
            network: Arc::new(spec.clone()),
            loss,
            optimiser: OptimiserKind::Sgd,
            learning_rate: 0.1,
            regularisation: Default::default(),
            dtype: candle_core::DType::F32,
            strategies: None,
        };
        contender::check(&spec, false).err().map(|e| e.to_string())
    };
    for id in
        ["spc/fused", "pcalm/reference", "spc-evenodd/reference", "spc-spike/reference", "seqil/reference"]
    {
        let said = refused(id).unwrap();
        assert!(said.contains("takes all steps") && said.contains(id) && !said.contains('\n'), "{said}");
    }
    for id in ["spc/reference", "epc-cg/reference", "bp/reference", "bp/autograd"] {
        assert_eq!(refused(id), None, "{id}");
    }
}
