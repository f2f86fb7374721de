//! Oracle: an allocator that counts. How much memory a fused call holds at its peak, and that it asks for none inside
//! the inference loop.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{DType, Device, Tensor};
use pcnbench_kernels::fused::without_workers_ns;
use pcnbench_kernels::{Activation, Dense, Fused, Loss, Momentum, Optimiser, Rule, Schedule, Stack};

/// The system's allocator, watched: blocks asked for so far, bytes in use, and the most of them since they were last
/// read.
struct Watched;

#[global_allocator]
static ALLOCATOR: Watched = Watched;

static BLOCKS: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

fn taken(bytes: usize) {
    BLOCKS.fetch_add(1, Ordering::SeqCst);
    let now = BYTES.fetch_add(bytes, Ordering::SeqCst) + bytes;
    MOST.fetch_max(now, Ordering::SeqCst);
}

// SAFETY: every call is passed on to the system's allocator as it is; counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Ordering::SeqCst);
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Does `work`; blocks it asked for, and the most bytes in use meanwhile beyond those in use before.
fn watched<R>(work: impl FnOnce() -> R) -> (usize, usize, R) {
    let (blocks, bytes) = (BLOCKS.load(Ordering::SeqCst), BYTES.load(Ordering::SeqCst));
    MOST.store(bytes, Ordering::SeqCst);
    let done = work();
    (BLOCKS.load(Ordering::SeqCst) - blocks, MOST.load(Ordering::SeqCst) - bytes, done)
}

const LOSS: Loss = Loss::HALF_SQUARED_ERROR;
const SGD: Optimiser = Optimiser::Sgd { rate: 1e-3 };
const SPC: Rule = Rule::Spc { light_cone: true, deviation: false };

/// One test, because there is one heap: what another test asks for meanwhile would be counted too.
#[test]
fn memory_of_a_call() {
    peak_is_at_most_half_more_than_stack_and_states();
    nothing_is_allocated_inside_the_inference_loop();
}

/// One width for all layers, with tanh before every product but the first.
fn stack(depth: usize, width: usize) -> Stack {
    let layer = |l: usize| Dense {
        act_in: if l == 0 { Activation::Identity } else { Activation::Tanh },
        bias: true,
        ..Dense::linear(width, width)
    };
    Stack::new((0..depth).map(layer).collect()).unwrap()
}

fn operands(stack: &Stack, batch: usize) -> [Tensor; 3] {
    let numbers = |shape: &[usize], step: f64| {
        let count: usize = shape.iter().product();
        let values = (0..count).map(|i| (0.05 * (step * i as f64).sin()) as f32).collect::<Vec<_>>();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    };
    let (inputs, outputs) = (stack.units(0), stack.units(stack.depth()));
    [numbers(&[stack.parameters()], 1.3), numbers(&[batch, inputs], 0.7), numbers(&[batch, outputs], 2.9)]
}

fn steps(count: usize) -> Vec<f64> {
    vec![0.1; count]
}

/// The stack is θ. States are what the rule must remember of every layer between two visits: v_l and φ(v_l) for
/// l < L, ε_l for l ≥ 1, under ePC also the adjoint b_l that moves ε_l while ε_l itself is learned from, and with momentum u_l. Everything
/// else that is alive at the peak is overhead, but for x and y, which are the caller's.
fn peak_is_at_most_half_more_than_stack_and_states() {
    for depth in [32, 128] {
        // with momentum, one sum more
        let rules = [(SPC, 3, false), (Rule::Epc, 4, false), (SPC, 4, true), (Rule::Epc, 5, true)];
        for (rule, per_layer, carries) in rules {
            for threads in [1, 4] {
                let (stack, batch) = (stack(depth, 128), 64);
                let [theta, x, y] = operands(&stack, batch);
                let heavy = vec![Momentum { beta: 0.9, direct: 0.0, carried: 1.0 }; depth];
                let momentum = if carries { heavy } else { vec![] };
                let schedule = Schedule { momentum, ..Schedule::new(rule, steps(depth)) };
                let parameters = 4 * stack.parameters();
                let states = 4 * per_layer * batch * 128 * depth;

                let (_, most, engine) = watched(|| {
                    let engine = Fused::new(stack, threads).unwrap();
                    engine.train(&schedule, LOSS, SGD, &theta, (&x, &y)).unwrap();
                    engine
                });

                let ratio = (parameters + most) as f64 / (parameters + states) as f64;
                println!("{rule:?}, {depth} layers, {threads} threads: {ratio:.3} of stack and states");
                // less would mean that the count has missed the states
                assert!((1.0..=1.5).contains(&ratio), "{rule:?}, {depth} layers, {threads} threads: {ratio}");
                assert!(most >= engine.bytes());
            }
        }
    }
}

fn call(engine: &Fused, schedule: &Schedule, [theta, x, y]: &[Tensor; 3], train: bool) {
    if train {
        engine.train(schedule, LOSS, SGD, theta, (x, y)).unwrap();
    } else {
        engine.learn(schedule, LOSS, theta, (x, y), false).unwrap();
    }
}

/// Blocks asked for by one call of a warm engine. With several threads, the fewest of `calls` calls: a thread that is
/// woken may ask for blocks too.
fn blocks_of_a_call(
    (engine, threads): (&Fused, usize),
    schedule: &Schedule,
    operands: &[Tensor; 3],
    train: bool,
    calls: usize,
) -> usize {
    let calls = if threads == 1 { 1 } else { calls };
    let whole = || {
        // threads that the last call has left awake are asleep again
        std::thread::sleep(std::time::Duration::from_millis(1));
        let before = without_workers_ns();
        let (blocks, ..) = watched(|| call(engine, schedule, operands, train));
        // a call without workers allocates less; that happens where processors are contended
        (without_workers_ns() == before).then_some(blocks)
    };
    let whole: Vec<usize> = (0..20_000).filter_map(|_| whole()).take(calls).collect();
    assert_eq!(whole.len(), calls, "calls with all their workers");
    whole.into_iter().min().unwrap()
}

fn nothing_is_allocated_inside_the_inference_loop() {
    let deviation = Rule::Spc { light_cone: false, deviation: true };
    let ipc = Rule::Ipc { light_cone: true, weight_step: 1e-3, evaluate: false };
    let rules = [SPC, deviation, Rule::Epc, Rule::Fpa { light_cone: true }, Rule::SeqIl { mixing: 1.0 }, ipc];
    for rule in rules {
        // 65: one sample in a panel of its own, whose products use another kernel; others: tiles that fill no vector
        for (batch, threads) in [(64, 1), (65, 1), (65, 3), (3, 1), (20, 3), (79, 2)] {
            for train in [true, false] {
                // few enough for four steps to reach: parameters of layers out of reach have no gradient to be taken
                // wide enough for workers to share the shortest call
                let stack = stack(4, if matches!(rule, Rule::Ipc { .. }) { 128 } else { 96 });
                let operands = operands(&stack, batch);
                let engine = Fused::new(stack, threads).unwrap();
                let schedule = |count| Schedule::new(rule, steps(count));
                // memory is kept from call to call: what the longest one needs is there
                call(&engine, &schedule(80), &operands, train);
                // a long stencil is computed in another order than a short one, and needs a list of its blocks
                for (few, many) in [(4, 8), (40, 80)] {
                    let fewest = |calls| {
                        [few, many].map(|n| {
                            blocks_of_a_call((&engine, threads), &schedule(n), &operands, train, calls)
                        })
                    };
                    let mut counted = fewest(5);
                    if counted[0] != counted[1] {
                        // on a busy machine most calls find a thread that has to be woken
                        counted = fewest(1000);
                    }
                    let [few, many] = counted;
                    assert_eq!(few, many, "{rule:?}, batch {batch}, {threads} threads, train {train}");
                }
            }
        }
    }
    // the count counts
    let (blocks, most, _kept) = watched(|| Tensor::zeros(1000, DType::F32, &Device::Cpu).unwrap());
    assert!(blocks >= 1 && most >= 4000);
}
