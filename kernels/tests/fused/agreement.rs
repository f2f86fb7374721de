//! For every stack, rule, loss, batch and number of threads, the results of the engine agree with the equations.

use candle_core::DType;
use pcnbench_kernels::Rule;
use proptest::prelude::*;

use crate::case::{case, Case, Size};

/// Compares the engine with the plain loops. A relu within the allowance of its kink may fall either way, so such a
/// draw is inconclusive.
fn agree(case: &Case, dtype: DType) -> Result<(), TestCaseError> {
    let numbers = case.numbers();
    let want = case.plain(&numbers);
    let tolerance = case.tolerance(dtype);
    prop_assume!(want.nearest_kink > tolerance * want.scale);
    let (worst, at) = case.fused(&numbers, dtype).against(&want, tolerance, case.batch);
    if std::env::var_os("SHOW_ERRORS").is_some() {
        println!("{worst:8.4} {at} scale {:.1} {:?} {:?}", want.scale, dtype, case.schedule.rule);
    }
    prop_assert!(worst <= 1.0, "{at}: {worst} times what is allowed ({tolerance:e})");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 384, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn small_stacks_in_f64(case in case(Size::Small)) {
        prop_assert!(case.tolerance(DType::F64) < 1e-10);
        agree(&case, DType::F64)?;
    }

    #[test]
    fn small_stacks_in_f32(case in case(Size::Small)) {
        agree(&case, DType::F32)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn large_stacks_in_f64(case in case(Size::Large)) {
        prop_assert!(case.tolerance(DType::F64) < 1e-10);
        agree(&case, DType::F64)?;
    }

    #[test]
    fn large_stacks_in_f32(case in case(Size::Large)) {
        agree(&case, DType::F32)?;
    }

    /// Layers that no error has reached are skipped, not forgotten.
    #[test]
    fn the_light_cone_changes_nothing(case in case(Size::Large)) {
        let mut full = case.clone();
        match &mut full.schedule.rule {
            Rule::Spc { light_cone, .. } | Rule::Fpa { light_cone } | Rule::Ipc { light_cone, .. } => {
                *light_cone = !*light_cone;
            }
            _ => return Ok(()),
        }
        let numbers = case.numbers();
        let mut want = case.fused(&numbers, DType::F64);
        want.scale = case.plain(&numbers).scale;
        let (worst, at) = full.fused(&numbers, DType::F64).against(&want, case.tolerance(DType::F64), case.batch);
        prop_assert!(worst <= 1.0, "{at}: {worst} times what is allowed");
    }
}
