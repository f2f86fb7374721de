//! Oracle: counting. If this fails silently, every FLOP, every bound and every utilisation is wrong.

use std::sync::Arc;

use super::{random_problem, Random};
use pcnbench::contender::ContenderSpec;
use pcnbench::engine::counting::{Counting, Totals};
use pcnbench::engine::unwatched;
use pcnbench::net::Architecture;
use pcnbench::optim::OptimiserKind;
use pcnbench::rule::{PcAlm, Rule, Steps};
use pcnbench::theory::cost::{self, NetCost, RuleCost};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

/// Work and critical path as they are, and the critical path with a barrier after every step.
fn counted(problem: &Random, rule: &Rule) -> RuleCost {
    let graph = rule.prepare(&problem.spec.graph(problem.loss).unwrap()).unwrap().0;
    let engine = || Counting::new(&graph, problem.batch);
    let (free, stepwise) = (engine(), engine());
    rule.learn(&free, &mut unwatched).unwrap();
    rule.learn(&stepwise, &mut stepwise.stepwise()).unwrap();
    let Totals { work, critical_path } = free.totals();
    assert_eq!(work, stepwise.totals().work);
    RuleCost { work, critical_path, stepwise: stepwise.totals().critical_path }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// The closed formula of every rule equals its schedule, counted: products, FLOPs, element-wise work,
    /// elements moved and both critical paths.
    #[test]
    fn formula_equals_count(problem in random_problem(), t in 0usize..9) {
        let net = NetCost::new(problem.spec.costs(problem.batch), &problem.loss);
        for name in Rule::NAMES {
            let rule = Rule::from_name(name, Steps::constant(t, 0.1)).unwrap();
            for rule in [rule, rule.evaluated()] {
                prop_assert_eq!(counted(&problem, &rule), rule.cost(&net), "{}", name);
            }
        }
    }

    /// The same for settings of PC-ALM that no name has.
    #[test]
    fn formula_equals_count_of_any_lagrangian(
        problem in random_problem(),
        count in 0usize..7,
        inner in 1usize..4,
        rho in prop::sample::select(vec![1.0, 2.5]),
        alpha in prop::sample::select(vec![1.0, 0.5]),
        post in any::<bool>(),
    ) {
        let net = NetCost::new(problem.spec.costs(problem.batch), &problem.loss);
        let rule = Rule::PcAlm(PcAlm { steps: Steps::constant(count, 0.1), inner, rho, alpha, post });
        prop_assert_eq!(counted(&problem, &rule), rule.cost(&net));
    }

    /// The table of the literature, and 2·B·n_in·n_out FLOPs per product.
    #[test]
    fn gemms_are_those_of_the_table(problem in random_problem(), t in 1u64..9) {
        let net = NetCost::new(problem.spec.costs(problem.batch), &problem.loss);
        let l = problem.spec.depth as u64;
        let gemms = |cost: RuleCost| cost.work.gemms;
        prop_assert_eq!(gemms(cost::bp(&net)), 3 * l - 1);
        prop_assert_eq!(gemms(cost::spc(&net, t, false, false)), 2 * l + 2 * t * (l - 1));
        prop_assert_eq!(gemms(cost::epc(&net, t)), 2 * l + 2 * t * (l - 1));
        prop_assert_eq!(gemms(cost::spc_conjugate(&net, t, false)), 2 * l + 3 * t * (l - 1));
        prop_assert_eq!(gemms(cost::epc_conjugate(&net, t)), 2 * l + 3 * t * (l - 1));
        prop_assert_eq!(gemms(cost::spc_conjugate(&net, l, true)), 2 * l + 3 * (l - 1) * (l + 2) / 2);
        prop_assert_eq!(gemms(cost::fpa(&net, t, false)), 2 * l + t * (l - 1));
        prop_assert_eq!(gemms(cost::zil(&net)), 3 * l - 1);
        prop_assert_eq!(gemms(cost::zil_all(&net, false)), 2 * l + 2 * (l - 1) * (l - 1));
        prop_assert_eq!(gemms(cost::seqil(&net, t, false)), 2 * l + 2 * t * (l - 1));
        prop_assert_eq!(gemms(cost::ipc(&net, t, false, false)), t * (3 * l - 1));
        prop_assert_eq!(gemms(cost::ipc(&net, t, false, true)), t * (3 * l - 1) + l);
        prop_assert_eq!(gemms(cost::ar(&net, t, false, true)), 2 * l + t * (l - 1));
        prop_assert_eq!(gemms(cost::ar(&net, t, true, false)), 2 * l + t * (l - 1));
        // under the light cone, at T = L
        prop_assert_eq!(gemms(cost::spc(&net, l, true, false)), 2 * l + (l - 1) * (l + 2));
        if l.is_multiple_of(2) {
            prop_assert_eq!(gemms(cost::spc_even_odd(&net, l / 2)), 2 * l + (l * l + 2 * l - 4) / 2);
            prop_assert_eq!(gemms(cost::ep(&net, l / 2)), 3 * l - 1 + l * l + 2 * l - 4);
        }
        if l > 2 {
            let cost = cost::spc_even_odd(&net, t);
            prop_assert_eq!((cost.critical_path, cost.stepwise), (l + 2 * t + 2, l + 3 * t + 1));
            let cost = cost::ep(&net, t);
            prop_assert_eq!((cost.critical_path, cost.stepwise), (l + 2 * t + 2, l + 6 * t + 1));
        }
        prop_assert_eq!(gemms(cost::fpa(&net, l, true)), 2 * l + (l - 1) * (l + 2) / 2);
        prop_assert_eq!(gemms(cost::zil_all(&net, true)), 2 * l + l * (l - 1));
        prop_assert_eq!(gemms(cost::ipc(&net, l, true, false)), (3 * l * l + 3 * l - 2) / 2);
        if l > 1 {
            let paths = |cost: RuleCost| (cost.critical_path, cost.stepwise);
            prop_assert_eq!(paths(cost::bp(&net)), (2 * l, 2 * l));
            prop_assert_eq!(paths(cost::spc(&net, t, true, false)), (l + 2 * t + 1, l + 2 * t + 1));
            prop_assert_eq!(paths(cost::spc_conjugate(&net, t, true)), (l + 3 * t + 1, l + 3 * t + 1));
            let sweeps = l + 3 * t * (l - 1) + 1;
            prop_assert_eq!(paths(cost::epc_conjugate(&net, t)), (sweeps, sweeps));
            prop_assert_eq!(paths(cost::fpa(&net, t, true)), (l + t.min(l - 1) + 1, l + t + 1));
            prop_assert_eq!(paths(cost::zil(&net)), (2 * l, 2 * l));
            prop_assert_eq!(paths(cost::zil_all(&net, true)), (3 * l - 2, 3 * l - 1));
            prop_assert_eq!(paths(cost::seqil(&net, t, false)), (2 * l + 2 * t - 1, l + t * l + 1));
            prop_assert_eq!(paths(cost::ipc(&net, t, true, false)), (l + 2 * t - 1, l + 2 * t - 1));
            prop_assert_eq!(paths(cost::ar(&net, t, false, true)), (l + t.min(l - 1) + 1, l + t + 1));
            prop_assert_eq!(paths(cost::ar(&net, t, true, true)), (2 * l, l + t * (l - 1) + 1));
        }
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
        id: "spc/reference".parse().unwrap(),
        rule: Rule::from_name("spc", Steps::constant(3, 0.1)).unwrap(),
        network: Arc::new(problem.spec.clone()),
        loss: problem.loss,
        optimiser: OptimiserKind::Sgd,
        learning_rate: 0.1,
        regularisation: Default::default(),
        dtype: candle_core::DType::F32,
        strategies: None,
    };
    let net = NetCost::new(problem.spec.costs(problem.batch), &problem.loss);
    assert_eq!(spec.counted(problem.batch).unwrap().work, cost::spc(&net, 3, true, false).work);
}
