use super::*;
use crate::layer::Dense;
use crate::persistent::CooperativeLimits;
use crate::persistent::PATIENCE;

const SPC: Rule = Rule::Spc { light_cone: true, deviation: false };
const F32: (Precision, MathMode) = (Precision::F32, MathMode::F32);

const fn gpu(processors: usize, kib: usize, capability: (u32, u32)) -> DeviceLimits {
    let limits = CooperativeLimits {
        multiprocessors: processors,
        shared_per_block: kib * 1024,
        resident_blocks: processors,
        capability,
        patience: PATIENCE,
    };
    DeviceLimits { processors, cooperative: Some(limits) }
}
const A100: DeviceLimits = gpu(108, 163, (8, 0));
const H100: DeviceLimits = gpu(132, 227, (9, 0));
/// A small GPU for games.
const SMALL: DeviceLimits = gpu(28, 99, (8, 6));

fn stack(widths: &[usize]) -> Stack {
    let layer = |pair: &[usize]| Dense::linear(pair[0], pair[1]);
    Stack::new(widths.windows(2).map(layer).collect()).unwrap()
}

fn choice(widths: &[usize], rule: Rule, steps: usize, batch: usize, device: &DeviceLimits) -> Choice {
    cuda(&stack(widths), &Schedule::new(rule, vec![0.1; steps]), batch, F32, device)
}

fn strategy(widths: &[usize], rule: Rule, steps: usize, device: &DeviceLimits) -> Strategy {
    choice(widths, rule, steps, 64, device).strategy
}

#[test]
fn one_launch_for_all_steps_wherever_it_fits() {
    // 128 layers of 128 units: a multiprocessor each on an H100. Two to a block are 132 KiB of weights and 33 of the
    // narrowest tiles, two more than an A100 has
    let deep = [128; 129];
    assert_eq!(
        choice(&deep, SPC, 128, 64, &H100),
        Choice { strategy: Strategy::Persistent, instead: None, entry: None }
    );
    assert_eq!(
        (strategy(&deep, SPC, 128, &A100), strategy(&[128; 109], SPC, 108, &A100)),
        (Strategy::Graph, Strategy::Persistent)
    );
    let small = choice(&deep, SPC, 128, 64, &SMALL);
    assert_eq!(small.strategy, Strategy::Graph);
    assert_eq!(
        small.instead.as_deref(),
        Some(
            "128 layers need 128 blocks at once with as many of them in a block as fit; this GPU holds 28 blocks"
        )
    );
    // what the small GPU holds it runs so
    assert_eq!(strategy(&[128; 17], SPC, 16, &SMALL), Strategy::Persistent);
    assert_eq!(strategy(&[64; 65], Rule::Epc, 8, &SMALL), Strategy::Persistent);
    for rule in [SPC, Rule::Epc, Rule::Bp, Rule::Zil] {
        assert_eq!(strategy(&[128; 17], rule, 16, &A100), Strategy::Persistent, "{rule:?}");
    }
}

#[test]
fn width_is_bounded_by_shared_memory() {
    // W of n rows of n + 4 floats and four tiles of 16 such rows: n(n + 4) + 64(n + 4) floats
    for (device, kib) in [(&A100, 163), (&H100, 227), (&SMALL, 99)] {
        let floats = kib * 1024 / 4;
        let widest = (16..).step_by(16).take_while(|n| (n + 64) * (n + 4) <= floats).last().unwrap();
        let at = |width: usize| choice(&[width; 9], SPC, 8, 16, device);
        assert_eq!(at(widest).strategy, Strategy::Persistent, "{widest} units in {kib} KiB");
        let wider = at(widest + 16);
        assert_eq!(wider.strategy, Strategy::Graph);
        assert!(wider.instead.unwrap().contains("of shared memory for W of"));
    }
}

#[test]
fn what_the_persistent_kernels_do_not_take_goes_to_another_strategy_with_a_reason() {
    let widths = [32; 9];
    let said = |choice: Choice| {
        assert_eq!(choice.strategy, Strategy::Graph, "{choice:?}");
        let why = choice.instead.unwrap();
        assert!(!why.contains('\n') && !why.ends_with('.'), "{why}");
        why
    };
    let ipc = Rule::Ipc { light_cone: true, weight_step: 0.1, evaluate: true };
    let others = [
        Rule::Fpa { light_cone: true },
        Rule::Ar { top_down: false },
        Rule::Ar { top_down: true },
        Rule::SeqIl { mixing: 1.0 },
        ipc,
    ];
    for rule in others {
        assert!(said(choice(&widths, rule, 8, 64, &H100)).contains("its rule is not one of"), "{rule:?}");
    }
    let schedule = Schedule::new(SPC, vec![0.1; 8]);
    let f64 = cuda(&stack(&widths), &schedule, 64, (Precision::F64, MathMode::F32), &H100);
    assert!(said(f64).contains("f64"));
    let none = DeviceLimits { processors: 132, cooperative: None };
    assert!(said(choice(&widths, SPC, 8, 64, &none)).contains("cooperative"));
    assert!(said(choice(&widths, SPC, 8, 64, &gpu(80, 96, (7, 0)))).contains("compute capability 7.0"));
    assert!(said(choice(&widths, SPC, 8, 0, &H100)).contains("no samples"));
    let bf16 = cuda(&stack(&widths), &schedule, 64, (Precision::F32, MathMode::Bf16), &H100);
    assert!(said(bf16).contains("bf16 operands have no persistent kernels"));
    for math in MathMode::RESIDENT {
        let found = cuda(&stack(&widths), &schedule, 64, (Precision::F32, math), &H100);
        assert_eq!(found.strategy, Strategy::Persistent, "{math}");
    }
}

#[test]
fn few_launches_are_not_worth_it() {
    let few = choice(&[128; 3], SPC, 1, 64, &H100);
    assert_eq!(few.strategy, Strategy::Grouped);
    assert!(few.instead.unwrap().contains("the 4 launches that it would replace"));
    assert_eq!(strategy(&[128; 3], SPC, 3, &H100), Strategy::Persistent);
    // backpropagation: one launch less than twice the layers
    assert_eq!(strategy(&[64; 5], Rule::Bp, 0, &H100), Strategy::Grouped);
    assert_eq!(strategy(&[64; 6], Rule::Bp, 0, &H100), Strategy::Persistent);
    assert_eq!(strategy(&[0, 0], Rule::Bp, 0, &H100), Strategy::Grouped);
}

#[test]
fn wide_layers_go_to_a_library_and_many_launches_are_recorded() {
    let strategy = |widths: &[usize], rule, steps| strategy(widths, rule, steps, &H100);
    assert_eq!(strategy(&[784, 4096, 4096, 10], SPC, 8), Strategy::Cublas);
    // most of the work is in a layer that is narrow on one side
    assert_eq!(strategy(&[784, 4096, 10], SPC, 8), Strategy::Graph);
    assert_eq!(strategy(&[1024; 2], Rule::Bp, 0), Strategy::Cublas);
    assert_eq!(strategy(&[512; 9], SPC, 8), Strategy::Graph);
}

/// Blocks for `layers` results of `[rows, columns]`.
fn blocks(layers: usize, rows: usize, columns: usize) -> [usize; 3] {
    TILES.map(|tile| layers * rows.div_ceil(tile) * columns.div_ceil(tile))
}

#[test]
fn small_tiles_spread_what_large_ones_would_leave_to_a_few() {
    // one layer at width 128, batch 64: 2, 8 or 32 blocks
    assert_eq!(tile_on(blocks(1, 64, 128), &H100), 2);
    // all layers of a deep net
    assert_eq!(tile_on(blocks(128, 64, 128), &H100), 0);
    assert_eq!(tile_on(blocks(1, 1024, 4096), &H100), 0);
    // nothing to spread over
    let one = |processors| DeviceLimits { processors, cooperative: None };
    assert_eq!(tile_on(blocks(1, 64, 128), &one(1)), 0);
    assert_eq!(tile_on([0; 3], &one(0)), 0);
}
