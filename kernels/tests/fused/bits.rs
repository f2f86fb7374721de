//! Equal calls leave equal bits, on any number of threads.

use candle_core::DType;
use pcnbench_kernels::{Fused, Momentum, Rule};
use proptest::prelude::*;

use crate::case::{case, Case, Size};
use crate::plain::Left;

fn bits(left: &Left) -> Vec<u64> {
    let layers = left.states.iter().chain(&left.errors);
    let all = [&left.theta, &left.output].into_iter().chain(layers);
    all.flatten().map(|v| v.to_bits()).collect()
}

fn dtype(wide: bool) -> DType {
    if wide {
        DType::F64
    } else {
        DType::F32
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// With fresh memory, and with memory that another call has used before.
    #[test]
    fn of_the_same_call_twice(case in case(Size::Large), other in case(Size::Small), wide in any::<bool>()) {
        let numbers = case.numbers();
        let first = bits(&case.fused(&numbers, dtype(wide)));
        let engine = Fused::new(case.stack(), case.threads).unwrap();
        let between = Case { layers: case.layers.clone(), threads: case.threads, ..other };
        between.fused_on(&engine, &between.numbers(), dtype(wide));
        prop_assert_eq!(&first, &bits(&case.fused_on(&engine, &numbers, dtype(wide))));
        prop_assert_eq!(&first, &bits(&case.fused_on(&engine, &numbers, dtype(wide))));
    }

    /// Momentum that carries nothing is plain descent, in every way of writing it that is exact.
    #[test]
    fn of_momentum_zero_and_of_none(case in case(Size::Small), direct in any::<bool>(), wide in any::<bool>()) {
        prop_assume!(matches!(case.schedule.rule, Rule::Spc { .. } | Rule::Epc));
        let [mut none, mut zero] = [case.clone(), case];
        let share = |own: bool| f64::from(u8::from(own));
        let m = Momentum { beta: 0.0, direct: share(direct), carried: share(!direct) };
        none.schedule.momentum = vec![];
        zero.schedule.momentum = vec![m; zero.schedule.steps.len()];
        prop_assert!(zero.schedule.carried().is_none());
        let numbers = none.numbers();
        prop_assert_eq!(bits(&none.fused(&numbers, dtype(wide))), bits(&zero.fused(&numbers, dtype(wide))));
    }

    /// How a call is cut into tiles and blocks follows from the number of threads; in which order a number is summed
    /// does not.
    #[test]
    fn whatever_the_number_of_threads(case in case(Size::Large), wide in any::<bool>()) {
        let numbers = case.numbers();
        let on = |threads| bits(&Case { threads, ..case.clone() }.fused(&numbers, dtype(wide)));
        let one = on(1);
        for threads in 2..=4 {
            prop_assert!(one == on(threads), "{threads} threads leave other bits than one");
        }
    }
}
