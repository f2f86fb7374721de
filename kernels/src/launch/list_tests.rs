//! Oracle: blocks counted by hand.

use crate::launch::params::{Elementwise, Moves};
use crate::launch::{plan, Ask, Launch, Precision, Task};
use crate::layer::{Activation, Dense};
use crate::loss::OutputError;
use crate::tune::DeviceLimits;
use crate::{MathMode, Momentum, Rule, Schedule, Stack};

/// The layers of most blocks, of each launch of a kernel and mode: the first, how many, and blocks of each and before
/// them.
fn uniform(widths: &[usize], rule: Rule, kernel: &str, mode: i32) -> Vec<[i32; 4]> {
    let layer = |pair: &[usize]| Dense { act_in: Activation::Tanh, ..Dense::linear(pair[0], pair[1]) };
    let stack = Stack::new(widths.windows(2).map(layer).collect()).unwrap();
    let schedule = Schedule::new(rule, vec![0.1]);
    let ask = Ask {
        stack: &stack,
        schedule: &schedule,
        output: OutputError { weight: 1.0, softmax: false },
        batch: 64,
        task: Task::Learn { traces: false },
        precision: Precision::F32,
        math: MathMode::F32,
        // one multiprocessor has no use for small tiles
        device: DeviceLimits { processors: 1, cooperative: None },
        products: false,
    };
    let plan = plan(&ask).unwrap();
    let found = plan.launches().filter_map(|launch| match launch {
        Launch::Kernel(it) if it.name.starts_with(kernel) && it.params.mode == mode => Some(it.params),
        _ => None,
    });
    found.map(|p| [p.uniform_first, p.uniform_layers, p.uniform_blocks, p.uniform_before]).collect()
}

/// A GPU would run the plain rule in its place; momentum of zero is the plain rule.
#[test]
fn momentum_is_refused_in_one_sentence() {
    let stack = Stack::new(vec![Dense::linear(3, 3); 2]).unwrap();
    let refused = |beta: f64| {
        let momentum = vec![Momentum { beta, direct: 0.0, carried: 1.0 }];
        let ask = Ask {
            stack: &stack,
            schedule: &Schedule { momentum, ..Schedule::new(Rule::Epc, vec![0.1]) },
            output: OutputError { weight: 1.0, softmax: false },
            batch: 2,
            task: Task::Learn { traces: false },
            precision: Precision::F32,
            math: MathMode::F32,
            device: DeviceLimits { processors: 1, cooperative: None },
            products: false,
        };
        plan(&ask).err().map(|error| error.to_string())
    };
    let sentence = "the fused engine on a GPU has plain descent only, no momentum; use device `cpu`";
    assert_eq!(refused(0.9).as_deref(), Some(sentence));
    assert_eq!(refused(0.0), None);
}

#[test]
fn most_blocks_find_their_layer_without_a_look() {
    let learnt = |widths: &[usize]| uniform(widths, Rule::Bp, "learn", Moves::Write as i32);
    // tiles of 64 by 64: W_1 is 2 by 13 of them, W_2 and W_3 are 2 by 2 and W_4 is 1 by 2
    assert_eq!(learnt(&[784, 128, 128, 128, 10]), [[1, 1, 26, 0]]);
    assert_eq!(learnt(&[64, 128, 128, 128, 128, 128, 10]), [[2, 4, 4, 2]]);
    // hidden layers alone; a chunk is of 1024 numbers: 64 samples of 16 units are one
    let started = |widths: &[usize]| {
        uniform(widths, Rule::Ar { top_down: false }, "elementwise", Elementwise::Start as i32)
    };
    assert_eq!(started(&[9, 16, 16, 16, 9]), [[1, 3, 1, 0]]);
    assert_eq!(started(&[9, 16, 16, 32, 32, 32, 9]), [[3, 3, 2, 2]]);
    assert_eq!(started(&[9, 32, 16, 16, 48, 9]), [[4, 1, 3, 4]]);
    // equally many blocks: the first
    assert_eq!(started(&[9, 32, 16, 16, 9]), [[1, 1, 2, 0]]);
}
