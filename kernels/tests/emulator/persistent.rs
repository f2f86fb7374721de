//! `cuda/persistent.cu` and `cuda/sweep.cu` in the emulator: whole relaxations against the loop that their equations
//! make in f64; the same bits in every order, and with the light cone as without it.

use pcnbench_kernels::emu::{Buffers, Emulator, Order};
use pcnbench_kernels::persistent::{
    shape, CooperativeLimits, Plan, Relaxation, Shape, StateLayout, PATIENCE, ROWS,
};
use pcnbench_kernels::{Activation, Dense, Loss, LossKind, MathMode, Reduction, Stack};

use crate::random::Random;
use crate::relaxation::{relaxed, Net};

const LIGHT: Relaxation = Relaxation::Spc { light_cone: true };
const FULL: Relaxation = Relaxation::Spc { light_cone: false };
/// A value in memory that no kernel may change.
const UNTOUCHED: f32 = -77.25;

#[derive(Debug, Clone)]
struct Case {
    net: Net,
    shape: Shape,
}

struct Wanted {
    widths: Vec<usize>,
    batch: usize,
    steps: usize,
    smooth: bool,
}

fn net(random: &mut Random, wanted: &Wanted) -> Net {
    let acts = if wanted.smooth {
        &[Activation::Identity, Activation::Tanh, Activation::Gelu][..]
    } else {
        &Activation::STACKED[..]
    };
    let layers: Vec<Dense> = wanted
        .widths
        .windows(2)
        .map(|pair| {
            let skip = pair[0] == pair[1] && random.index(2) == 0;
            // a Jacobian of norm about one at most, so that steps do not blow up what is rounded
            let gain = random.one_of(&[0.6, -0.8, 1.0]) * if skip { 0.3 } else { 1.0 };
            Dense {
                inputs: pair[0],
                outputs: pair[1],
                act_in: random.one_of(acts),
                act_out: random.one_of(acts),
                scale: gain / (pair[0].max(pair[1]).max(1) as f64).sqrt(),
                bias: random.index(2) == 0,
                skip,
            }
        })
        .collect();
    let loss = Loss {
        kind: random.one_of(&LossKind::STACKED),
        reduction: Reduction::Sum,
        precision: random.one_of(&[1.0, 0.25]),
    };
    let step_sizes = (0..wanted.steps).map(|_| random.one_of(&[0.1, 0.3, 0.2])).collect();
    let stack = Stack::new(layers).unwrap();
    let weights = random.numbers(stack.parameters());
    let input = random.numbers(wanted.batch * stack.units(0));
    let outputs = stack.units(stack.depth());
    let mut targets = vec![0.0; wanted.batch * outputs];
    for sample in targets.chunks_mut(outputs.max(1)) {
        sample[random.index(outputs)] = 1.0;
    }
    Net { stack, batch: wanted.batch, loss, step_sizes, weights, input, targets }
}

/// A random shape that fits on the emulated GPU.
fn any_shape(random: &mut Random, net: &Net) -> Shape {
    loop {
        let limits = CooperativeLimits {
            multiprocessors: 64,
            shared_per_block: random.one_of(&[227 * 1024, 48 * 1024, 20 * 1024]),
            resident_blocks: random.one_of(&[2, 5, 40]),
            capability: (9, 0),
            patience: PATIENCE,
        };
        let per_block = 1 + random.index(net.stack.depth().min(7));
        // an emulated tile of 64 samples takes four times as long, however many of them exist
        let much = net.stack.depth() * net.step_sizes.len() > 40;
        let rows = if much { 16 } else { random.one_of(&ROWS) };
        if let Some(shape) = shape(&net.stack, net.batch, rows, per_block, &limits) {
            return shape;
        }
    }
}

/// Every depth with every number of steps, and sizes around the edges of tiles; small where there is much to do.
fn cases(smooth: bool) -> Vec<Case> {
    let mut random = Random::new(5);
    let mut cases = Vec::new();
    let mut add = |random: &mut Random, widths: Vec<usize>, batch, steps| {
        let net = net(random, &Wanted { widths, batch, steps, smooth });
        let shape = any_shape(random, &net);
        cases.push(Case { net, shape });
    };
    for depth in [1, 2, 3, 8, 33] {
        for steps in [0, 1, 2, depth, 2 * depth] {
            let much = depth * steps > 40;
            let width = if much { random.one_of(&[1, 7, 16]) } else { random.one_of(&[7, 16, 33, 64]) };
            let batch = if much { random.one_of(&[1, 5, 17]) } else { random.one_of(&[1, 5, 64, 65]) };
            let mut widths = vec![width; depth + 1];
            (widths[0], widths[depth]) = (random.one_of(&[3, 40, width]), random.one_of(&[2, 10, width]));
            add(&mut random, widths, batch, steps);
        }
    }
    for (widths, batch, steps) in [
        (vec![150, 128, 128, 10], 65, 4),
        (vec![20, 129, 129, 10], 17, 3),
        (vec![129, 40, 129], 5, 2),
        (vec![784, 30, 30, 10], 5, 3),
        (vec![4, 1, 1, 1, 1], 1, 8),
        (vec![5, 0, 6, 3], 4, 2),
    ] {
        add(&mut random, widths, batch, steps);
    }
    // every activation on both sides, every loss
    for (index, act) in
        Activation::STACKED.into_iter().enumerate().filter(|(_, act)| !smooth || *act != Activation::Relu)
    {
        for loss in LossKind::STACKED {
            let mut it =
                net(&mut random, &Wanted { widths: vec![9, 18, 18, 18, 6], batch: 20, steps: 6, smooth });
            let out = if smooth { act } else { Activation::STACKED[3 - index % 2 * 2] };
            let layers = it.stack.layers().iter();
            let layers = layers.map(|layer| Dense { act_in: act, act_out: out, ..*layer }).collect();
            (it.stack, it.loss.kind) = (Stack::new(layers).unwrap(), loss);
            let shape = any_shape(&mut random, &it);
            cases.push(Case { net: it, shape });
        }
    }
    cases
}

type Left = [Vec<f32>; 3];

fn layout(net: &Net) -> StateLayout {
    StateLayout::new(&net.stack, net.batch).unwrap()
}

fn start(net: &Net) -> Left {
    let layout = layout(net);
    let mut states = vec![f32::NAN; layout.elements()];
    states[layout.range(0)].copy_from_slice(&net.input);
    [states, vec![UNTOUCHED; layout.elements()], vec![UNTOUCHED; layout.elements()]]
}

fn on<'a>(net: &'a Net, left: &'a mut Left) -> Buffers<'a> {
    let [states, errors, deltas] = left;
    Buffers { weights: &net.weights, targets: &net.targets, states, errors, deltas }
}

fn run(emulator: &Emulator, case: &Case, what: Relaxation, math: MathMode) -> Result<Left, String> {
    let net = &case.net;
    let plan = Plan::with_shape(&net.stack, net.batch, what, math, case.shape).map_err(|e| e.to_string())?;
    let mut left = start(net);
    emulator
        .relax(&plan, &mut on(net, &mut left), net.output(), &net.step_sizes)
        .map_err(|error| error.to_string())?;
    Ok(left)
}

fn same(got: &[f32], expected: &[f32], what: &str) -> Result<(), String> {
    let equal =
        got.len() == expected.len() && got.iter().zip(expected).all(|(a, b)| a.to_bits() == b.to_bits());
    if equal {
        Ok(())
    } else {
        Err(format!("{what} has changed"))
    }
}

/// Against the loop in f64. A step of these nets adds what `MathMode::bound` says of its sums, some eight roundings,
/// and no more than doubles what is wrong before it; over all steps and layers the sum of what is added is far above
/// what is seen.
fn close(case: &Case, what: Relaxation, math: MathMode, left: &Left) -> Result<(), String> {
    let (net, layout) = (&case.net, layout(&case.net));
    let exact = relaxed(net, what);
    let longest = net.stack.layers().iter().map(|layer| layer.inputs.max(layer.outputs)).max().unwrap_or(0);
    let each = math.bound(longest) + 8.0 * f64::from(f32::EPSILON);
    let bound = each * (net.stack.depth() + net.step_sizes.len() + 1) as f64;
    for (name, got, exact) in [
        ("v", &left[0], &exact.states),
        ("error", &left[1], &exact.errors),
        ("delta", &left[2], &exact.deltas),
    ] {
        let most = exact.iter().fold(1.0f64, |most, x| most.max(x.abs()));
        for l in 1..=net.stack.depth() {
            for at in layout.range(l) {
                let off = (f64::from(got[at]) - exact[at]).abs();
                if off.is_nan() || off > bound * most {
                    let at = at - layout.range(l).start;
                    return Err(format!(
                        "{name} of layer {l}, number {at}, is off by {off:e}; {:.1e} allowed",
                        bound * most
                    ));
                }
            }
        }
    }
    let first = layout.range(0);
    same(&left[0][first.clone()], &net.input, "the input")?;
    same(&left[1][first.clone()], &vec![UNTOUCHED; first.len()], "an error below layer 1")
}

/// The results in the first order, after they have passed the check and the other orders have given the same results.
fn everywhere(
    variant: &str,
    case: &Case,
    what: Relaxation,
    math: MathMode,
    orders: &[Order],
    check: &dyn Fn(&Left) -> Result<(), String>,
) -> Result<Left, String> {
    let mut first: Option<Left> = None;
    for order in orders.iter().copied() {
        let emulator = Emulator { order, variant: variant.to_owned() };
        let wrong = |wrong: String| format!("{order:?}: {wrong}, {what:?} {math:?} in {case:?}");
        let mut left = run(&emulator, case, what, math).map_err(wrong)?;
        match &first {
            None => {
                check(&left).map_err(wrong)?;
                first = Some(std::mem::take(&mut left));
            }
            Some(first) => {
                for (got, first) in left.iter().zip(first) {
                    same(got, first, "a result against the first order").map_err(wrong)?;
                }
            }
        }
    }
    first.ok_or_else(|| "there is no order".to_owned())
}

/// All tests of `cuda/persistent.cu`, on one variant of it.
pub fn battery(variant: &str) -> Result<(), String> {
    for case in cases(false) {
        let close = |left: &Left| close(&case, LIGHT, MathMode::F32, left);
        let light = everywhere(variant, &case, LIGHT, MathMode::F32, &Order::ALL, &close)?;
        everywhere(variant, &case, FULL, MathMode::F32, &[Order::Shuffled(4)], &|left| {
            let mut all = left.iter().zip(&light).zip(["v", "errors", "deltas"]);
            all.try_for_each(|((got, light), name)| {
                same(got, light, &format!("without the light cone, {name}"))
            })
        })?;
    }
    tensor_cores(variant, &[LIGHT])
}

/// All tests of `cuda/sweep.cu`, on one variant of it.
pub fn sweep_battery(variant: &str) -> Result<(), String> {
    for case in cases(false) {
        for what in [Relaxation::Epc, Relaxation::Bp] {
            let close = |left: &Left| close(&case, what, MathMode::F32, left);
            everywhere(variant, &case, what, MathMode::F32, &Order::ALL, &close)?;
        }
    }
    tensor_cores(variant, &[Relaxation::Epc, Relaxation::Bp])
}

fn tensor_cores(variant: &str, all: &[Relaxation]) -> Result<(), String> {
    for case in cases(true).into_iter().filter(|case| case.net.stack.depth() < 9) {
        for what in all {
            for math in &MathMode::RESIDENT[1..] {
                let emulator = Emulator { order: Order::Shuffled(3), variant: variant.to_owned() };
                let wrong = |wrong: String| format!("{wrong}, {what:?} {math:?} in {case:?}");
                let left = run(&emulator, &case, *what, *math).map_err(wrong)?;
                close(&case, *what, *math, &left).map_err(wrong)?;
            }
        }
    }
    Ok(())
}

#[test]
fn relaxations_follow_their_equations() {
    battery("clean").unwrap();
}

#[test]
fn sweeps_follow_their_equations() {
    sweep_battery("clean").unwrap();
}

/// Four layers of four units, a block each.
fn chain(steps: usize) -> Case {
    let net = net(&mut Random::new(9), &Wanted { widths: vec![4; 5], batch: 20, steps, smooth: true });
    let limits = CooperativeLimits {
        multiprocessors: 8,
        shared_per_block: 64 * 1024,
        resident_blocks: 8,
        capability: (9, 0),
        patience: PATIENCE,
    };
    let shape = shape(&net.stack, net.batch, 16, 1, &limits).unwrap();
    Case { net, shape }
}

/// Layer 2 of an sPC launch never publishes the prediction of its second step; in a sweep, layer 3 never publishes its
/// adjoint. Without a timeout both would hang, which the emulator reports as a deadlock.
#[test]
fn a_flag_that_never_comes_is_an_error_that_names_layer_and_step() {
    for order in Order::ALL {
        let emulator = Emulator { order, variant: "MUTANT_NEVER_PUBLISH".to_owned() };
        // layer 2 of 4 begins at step 3, so it publishes its second step in step 4; layer 3 misses that in step 5
        let error_of = |what, steps| match run(&emulator, &chain(steps), what, MathMode::F32) {
            Ok(_) => panic!("{what:?} has not missed anything"),
            Err(said) => said,
        };
        let said = error_of(LIGHT, 7);
        assert!(
            said.contains("has timed out: in step 5, layer 3 waited 30 s for what layer 2 predicts"),
            "{said}"
        );
        let said = error_of(FULL, 7);
        assert!(said.contains("in step 3, layer 3 waited 30 s for what layer 2 predicts"), "{said}");
        let said = error_of(Relaxation::Epc, 3);
        assert!(
            said.contains("in step 1, layer 2 waited 30 s for what layer 3 sends down (tile 1 of 2)"),
            "{said}"
        );
        let said = error_of(Relaxation::Bp, 0);
        assert!(said.contains("in the backward pass, layer 2 waited"), "{said}");
        assert!(!said.contains('\n') && said.contains("strategy `graph`"), "{said}");
        // no layer misses what would have been published after the last step that reads it
        run(&emulator, &chain(3), LIGHT, MathMode::F32).unwrap();
    }
}

/// A caller that does not check for the error still finds NaN.
#[test]
fn what_was_made_without_a_flag_is_not_a_number() {
    let case = chain(7);
    let plan = Plan::with_shape(&case.net.stack, case.net.batch, LIGHT, MathMode::F32, case.shape).unwrap();
    let mut left = start(&case.net);
    let emulator = Emulator { order: Order::Forward, variant: "MUTANT_NEVER_PUBLISH".to_owned() };
    emulator
        .relax(&plan, &mut on(&case.net, &mut left), case.net.output(), &case.net.step_sizes)
        .unwrap_err();
    for l in 1..=4 {
        let at = plan.states().range(l);
        assert!(left[1][at.clone()].iter().chain(&left[2][at]).all(|x| x.is_nan()), "layer {l}");
    }
}

#[test]
fn buffers_of_the_wrong_length_are_refused() {
    let case = chain(3);
    let plan = Plan::with_shape(&case.net.stack, case.net.batch, LIGHT, MathMode::F32, case.shape).unwrap();
    let mut left = start(&case.net);
    left[2].pop();
    let emulator = Emulator::new(Order::Forward);
    let refused =
        emulator.relax(&plan, &mut on(&case.net, &mut left), case.net.output(), &case.net.step_sizes);
    // five states of four units on 20 samples
    let said = refused.unwrap_err().to_string();
    assert!(said.contains("the buffer of deltas has 399 numbers; expected 400"), "{said}");
}
