use super::*;
use crate::layer::Activation;
use crate::loss::OutputError;

fn dense(inputs: usize, outputs: usize) -> Dense {
    Dense { act_in: Activation::Tanh, bias: true, ..Dense::linear(inputs, outputs) }
}

/// 784-128-...-128-10.
fn net(depth: usize, width: usize) -> Stack {
    let units = |l: usize| {
        if l == 0 {
            784
        } else if l == depth {
            10
        } else {
            width
        }
    };
    Stack::new((1..=depth).map(|l| dense(units(l - 1), units(l))).collect()).unwrap()
}

const SPC: Relaxation = Relaxation::Spc { light_cone: true };
const fn limits(multiprocessors: usize, kib: usize, capability: (u32, u32)) -> CooperativeLimits {
    CooperativeLimits {
        multiprocessors,
        shared_per_block: kib * 1024,
        resident_blocks: multiprocessors,
        capability,
        patience: PATIENCE,
    }
}

/// One block of 227 KiB for each of 132 multiprocessors.
const HOPPER: CooperativeLimits = limits(132, 227, (9, 0));
const AMPERE: CooperativeLimits = limits(108, 163, (8, 0));

#[test]
fn a_deep_net_has_a_block_for_every_layer() {
    let shape = fits(&net(128, 128), 64, SPC, &HOPPER).expect("128 layers on 132 multiprocessors");
    assert_eq!((shape.rows, shape.per_block, shape.stages, shape.replicas), (64, 1, 128, 1));
    // W of 128 rows of 132 floats, b in some of the last four of each, four tiles of 64 such rows
    assert_eq!((shape.resident, shape.shared), (true, (128 * 132 + 4 * 64 * 132) * 4));
}

#[test]
fn few_layers_share_out_the_batch() {
    let shape = fits(&net(32, 128), 64, SPC, &HOPPER).expect("32 layers");
    assert_eq!((shape.rows, shape.tiles, shape.per_block, shape.replicas), (16, 4, 1, 4));
    let wide = fits(&net(2, 128), 8192, SPC, &HOPPER).expect("2 layers");
    assert_eq!((wide.stages, wide.replicas), (2, 66));
    assert!(wide.blocks() <= 132);
}

#[test]
fn more_layers_than_blocks_share_a_block() {
    let shape = fits(&net(200, 128), 64, SPC, &HOPPER).expect("two layers to a block");
    assert_eq!((shape.per_block, shape.stages), (2, 100));
    assert!(shape.shared <= 227 * 1024);
    let small = fits(&net(1000, 16), 5, SPC, &HOPPER).expect("eight layers to a block");
    assert!(small.per_block >= 8 && small.blocks() <= 132);
}

#[test]
fn why_not_is_said_in_one_sentence() {
    let said = |stack: &Stack, batch, limits| {
        let text = fits(stack, batch, SPC, limits).expect_err("does not fit").to_string();
        assert!(!text.contains('\n'));
        text
    };
    // W of 512 rows of 516 floats alone is more than a megabyte; layer 1 passes through, but its tile does not fit
    // either
    assert!(said(&net(4, 512), 64, &HOPPER).contains("of shared memory for W of 512×"));
    assert_eq!(
        said(&net(600, 128), 64, &HOPPER),
        "600 layers need 300 blocks at once with as many of them in a block as fit; this GPU holds 132 blocks"
    );
    let old = CooperativeLimits { capability: (7, 5), ..HOPPER };
    assert!(said(&net(4, 64), 64, &old).contains("compute capability 7.5"));
    let bf16 = Plan::new(&net(4, 64), 64, SPC, MathMode::Bf16, &HOPPER).unwrap_err().to_string();
    assert_eq!(bf16, "bf16 operands have no persistent kernels; f32, 3xtf32 and tf32 have");
    assert_eq!(said(&net(4, 64), 0, &HOPPER), "a batch of no samples needs no launch");
    assert!(said(&net(4, 64), 1 << 40, &HOPPER).contains("the batch size is 1099511627776; expected at most"));
}

/// Over many sizes: what fits really fits, every item has exactly one place, nothing overlaps, and a larger GPU never
/// refuses what a smaller one takes.
#[test]
fn whatever_fits_has_room() {
    let mut fitting = 0;
    for depth in [1, 2, 3, 8, 33, 107, 109, 131, 132, 133, 300, 700] {
        for width in [1, 7, 16, 64, 100, 128, 129, 200, 224, 300] {
            for batch in [1, 5, 16, 17, 64, 65, 1000] {
                for what in [SPC, Relaxation::Epc] {
                    let stack = net(depth, width);
                    let small = fits(&stack, batch, what, &AMPERE);
                    let large = fits(&stack, batch, what, &HOPPER);
                    assert!(small.is_err() || large.is_ok(), "{depth} {width} {batch}");
                    for (shape, limits) in [(small, AMPERE), (large, HOPPER)] {
                        let Ok(shape) = shape else { continue };
                        fitting += 1;
                        check(&stack, batch, what, shape, &limits);
                    }
                }
            }
        }
    }
    assert!(fitting > 1500, "{fitting}");
}

fn check(stack: &Stack, batch: usize, what: Relaxation, shape: Shape, limits: &CooperativeLimits) {
    assert!(shape.blocks() <= limits.resident_blocks && shape.shared <= limits.shared_per_block, "{shape:?}");
    assert!(shape.rows * shape.tiles >= batch && shape.rows * (shape.tiles - 1) < batch);
    assert!(
        shape.per_block * shape.stages >= stack.depth()
            && shape.per_block * (shape.stages - 1) < stack.depth()
    );
    assert!((1..=shape.tiles).contains(&shape.replicas));
    let plan = Plan::with_shape(stack, batch, what, MathMode::F32, shape).expect("counts");
    let end = |row: &ResidentRow| {
        row.held as usize + padded(row.outputs as usize) * stride(row.held_columns as usize)
    };
    for stage in plan.rows().chunks(shape.per_block) {
        for pair in stage.windows(2) {
            assert!(end(&pair[0]) <= pair[1].held as usize);
        }
        for row in stage {
            assert!(end(row) <= plan.tiles_at && row.held % 4 == 0);
            assert!(
                plan.stride >= stride(row.outputs as usize)
                    && plan.stride >= stride(row.held_columns as usize)
            );
        }
    }
    let slots = if shape.resident { shape.tiles.div_ceil(shape.replicas) * shape.per_block } else { 1 };
    assert_eq!((plan.tiles_at + slots * TILES * shape.rows * plan.stride) * 4, shape.shared);
    assert_eq!((plan.tiles_at % 4, plan.stride % 4), (0, 0), "128-bit loads");
    // rows begin in banks that eight neighbours do not share
    assert_eq!(plan.stride / 4 % 2, 1);
}

#[test]
fn kernels_are_named_after_shape_and_precision() {
    for (what, word) in [(SPC, "spc"), (Relaxation::Epc, "sweep"), (Relaxation::Bp, "sweep")] {
        for (math, suffix) in MathMode::RESIDENT.into_iter().zip(["f32", "3xtf32", "tf32"]) {
            for rows in ROWS {
                let stack = net(2, 16);
                let shape = shape(&stack, 20, rows, 1, &HOPPER).expect("small");
                let plan = Plan::with_shape(&stack, 20, what, math, shape).expect("counts");
                assert_eq!(plan.kernel(), format!("persistent_{word}_{rows}_{suffix}"));
            }
        }
    }
}

#[test]
fn a_launch_waits_as_long_as_it_is_told() {
    let at = Addresses {
        rows: 0,
        theta: 0,
        y: 0,
        step_sizes: 0,
        states: 0,
        errors: 0,
        deltas: 0,
        exchange: 0,
        flags: 0,
        timed_out: 0,
    };
    let output = OutputError { weight: 0.25, softmax: true };
    let seconds = |limits: &CooperativeLimits| {
        let plan = Plan::new(&net(4, 64), 64, SPC, MathMode::F32, limits).unwrap();
        let params = plan.launch(&at, 8, output).unwrap().params;
        assert_eq!((params.softmax, params.output_weight, params.batch, params.depth), (1, 0.25, 64, 4));
        params.patience as f64 / 1e9
    };
    // and a little longer, for what the block itself has to do
    assert!((30.0..30.1).contains(&seconds(&HOPPER)));
    assert!((2.0..2.1).contains(&seconds(&CooperativeLimits { patience: Duration::from_secs(2), ..HOPPER })));
}
