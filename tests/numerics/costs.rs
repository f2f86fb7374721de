//! Oracle: counting. If this fails silently, every FLOP, every bound and every utilisation is wrong.

use super::{random_problem, Random};
use pcnbench::contender::ContenderSpec;
use pcnbench::engine::counting::Counting;
use pcnbench::engine::{unwatched, EngineKind};
use pcnbench::net::Network;
use pcnbench::optim::OptimiserKind;
use pcnbench::rule::{Epc, LearningRule, Rule, Spc, Steps};
use pcnbench::theory::cost::{self, NetCost, RuleCost};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

fn counted(problem: &Random, rule: &impl LearningRule) -> RuleCost {
    let network = Network::mlp(&problem.spec).unwrap();
    let engine = Counting::new(
        network.costs(problem.batch),
        (problem.batch * problem.spec.inputs) as u64,
        &problem.loss,
    );
    rule.learn(&engine, &mut unwatched).unwrap();
    let totals = engine.totals();
    RuleCost { work: totals.work, critical_path: totals.critical_path }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// The closed formula of every rule equals its schedule, counted: products, FLOPs, element-wise work,
    /// elements moved and critical path.
    #[test]
    fn formula_equals_count(problem in random_problem(), t in 0usize..9) {
        let network = Network::mlp(&problem.spec).unwrap();
        let net = NetCost::new(network.costs(problem.batch), &problem.loss);
        let steps = Steps::constant(t, 0.1);
        prop_assert_eq!(counted(&problem, &pcnbench::rule::Bp), cost::bp(&net));
        for light_cone in [false, true] {
            prop_assert_eq!(counted(&problem, &Spc { steps, light_cone }), cost::spc(&net, t as u64, light_cone));
        }
        prop_assert_eq!(counted(&problem, &Epc { steps }), cost::epc(&net, t as u64));
    }

    /// The table of the literature: 3L − 1, 2L + 2T(L − 1), and 2·B·n_in·n_out FLOPs per product.
    #[test]
    fn gemms_are_those_of_the_table(problem in random_problem(), t in 1u64..9) {
        let network = Network::mlp(&problem.spec).unwrap();
        let net = NetCost::new(network.costs(problem.batch), &problem.loss);
        let depth = problem.spec.depth as u64;
        prop_assert_eq!(cost::bp(&net).work.gemms, 3 * depth - 1);
        prop_assert_eq!(cost::spc(&net, t, false).work.gemms, 2 * depth + 2 * t * (depth - 1));
        prop_assert_eq!(cost::epc(&net, t).work.gemms, 2 * depth + 2 * t * (depth - 1));
        let cone = cost::spc(&net, depth, true).work.gemms;
        prop_assert_eq!(cone, 2 * depth + (depth - 1) * (depth + 2));
        let s = &problem.spec;
        let sizes: Vec<u64> = std::iter::once(s.inputs)
            .chain(std::iter::repeat_n(s.width, s.depth - 1))
            .chain([s.outputs])
            .map(|n| n as u64)
            .collect();
        let product = |l: usize| 2 * problem.batch as u64 * sizes[l] * sizes[l + 1];
        let all: u64 = (0..s.depth).map(product).sum();
        prop_assert_eq!(cost::bp(&net).work.gemm_flops, 3 * all - product(0));
    }
}

/// A contender's counted work is that of its rule on its network.
#[test]
fn a_contender_counts_its_own_schedule() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let problem = random_problem().new_tree(&mut runner).unwrap().current();
    let spec = ContenderSpec {
        id: "spc/reference".into(),
        rule: Rule::from_name("spc", Steps::constant(3, 0.1)).unwrap(),
        engine: EngineKind::Reference,
        network: problem.spec.clone(),
        loss: problem.loss,
        optimiser: OptimiserKind::Sgd,
        learning_rate: 0.1,
        dtype: candle_core::DType::F32,
    };
    let network = Network::mlp(&problem.spec).unwrap();
    let net = NetCost::new(network.costs(problem.batch), &problem.loss);
    assert_eq!(spec.counted(problem.batch).unwrap().work, cost::spc(&net, 3, true).work);
}
