//! The records of traced kernels: every phase of the last steps of the layer in the middle, in order, and nothing else.

use pcnbench_kernels::emu::{Buffers, Emulator, Order};
use pcnbench_kernels::persistent::trace::{durations, PHASES, STEPS, WORDS};
use pcnbench_kernels::persistent::{shape, CooperativeLimits, Plan, Relaxation, StateLayout, PATIENCE};
use pcnbench_kernels::{Activation, Dense, MathMode, OutputError, Stack};

const LIMITS: CooperativeLimits = CooperativeLimits {
    multiprocessors: 132,
    shared_per_block: 227 * 1024,
    resident_blocks: 132,
    capability: (9, 0),
    patience: PATIENCE,
};
const SPC: Relaxation = Relaxation::Spc { light_cone: true };

/// The records of sPC on a chain of `depth` layers.
fn traced(depth: usize, steps: usize, order: Order) -> Vec<u64> {
    const UNITS: usize = 4;
    const BATCH: usize = 20;
    let layer = Dense { act_in: Activation::Tanh, scale: 0.5, ..Dense::linear(UNITS, UNITS) };
    let stack = Stack::new(vec![layer; depth]).unwrap();
    let layout = StateLayout::new(&stack, BATCH).unwrap();
    let (weights, targets) = (vec![0.25; stack.parameters()], vec![0.5; BATCH * UNITS]);
    let mut states = vec![f32::NAN; layout.elements()];
    states[layout.range(0)].fill(1.0);
    let (mut errors, mut deltas) = (vec![0.0; layout.elements()], vec![0.0; layout.elements()]);
    let shape = shape(&stack, BATCH, 16, 1, &LIMITS).expect("small layers fit");
    let plan = Plan::with_shape(&stack, BATCH, SPC, MathMode::F32, shape).unwrap();
    let mut on = Buffers {
        weights: &weights,
        targets: &targets,
        states: &mut states,
        errors: &mut errors,
        deltas: &mut deltas,
    };
    let output = OutputError { weight: 1.0, softmax: false };
    Emulator::new(order).relax(&plan, &mut on, output, &vec![0.1; steps]).unwrap()
}

#[test]
fn phases_of_the_last_steps_are_written_down_in_their_order() {
    for order in Order::ALL {
        let clocks = traced(4, STEPS + 6, order);
        assert_eq!(clocks.len(), WORDS);
        assert!(clocks.windows(2).all(|pair| 0 < pair[0] && pair[0] < pair[1]), "{clocks:?}");
        // each clock is one more than the last: no other block and no other thread has written one
        assert_eq!(durations(&clocks), vec![[1; PHASES.len()]; STEPS - 1]);
    }
}

/// Of four layers that counted from 0 is number 2, which the error reaches at step 1: five of six steps.
#[test]
fn steps_that_are_not_made_leave_nothing() {
    let clocks = traced(4, 6, Order::Forward);
    let made = clocks.chunks(PHASES.len()).map(|step| step.iter().filter(|clock| **clock > 0).count());
    let expected = (0..STEPS).map(|step| if (1..6).contains(&step) { PHASES.len() } else { 0 });
    assert_eq!(made.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    assert_eq!(durations(&clocks).len(), 4);
}
