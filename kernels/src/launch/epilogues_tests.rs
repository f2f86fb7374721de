//! Every number is a sum over arrays read and written, counted by hand from the equations of a rule.

use super::super::{plan, Ask, Precision, Task};
use crate::layer::{Activation, Dense};
use crate::loss::OutputError;
use crate::math_mode::MathMode;
use crate::schedule::{Optimiser, Rule, Schedule};
use crate::stack::Stack;
use crate::tune::DeviceLimits;

const SGD: Task = Task::Train(Optimiser::Sgd { rate: 0.1 });
const SPC: Rule = Rule::Spc { light_cone: true, deviation: false };

/// tanh before every product; the first layer has biases.
fn plain() -> Stack {
    let layer =
        |inputs, outputs, bias| Dense { act_in: Activation::Tanh, bias, ..Dense::linear(inputs, outputs) };
    Stack::new(vec![layer(3, 4, true), layer(4, 2, false)]).unwrap()
}

struct Call<'a> {
    stack: &'a Stack,
    batch: usize,
    softmax: bool,
    task: Task,
}

impl Call<'_> {
    fn bytes(&self, rule: Rule, steps: usize, precision: Precision, products: bool) -> u64 {
        let schedule = Schedule::new(rule, vec![0.1; steps]);
        let ask = Ask {
            stack: self.stack,
            schedule: &schedule,
            output: OutputError { weight: 1.0, softmax: self.softmax },
            batch: self.batch,
            task: self.task,
            precision,
            math: MathMode::F32,
            device: DeviceLimits { processors: 4, cooperative: None },
            products,
        };
        plan(&ask).unwrap().epilogue_bytes()
    }
}

/// 5 samples: 20 numbers in a state of layer 1, 10 in one of layer 2; W_1 has 12, b_1 has 4, W_2 has 8.
#[test]
fn of_a_plain_net_under_every_rule() {
    let stack = plain();
    let call = |rule, steps, task| {
        let call = Call { stack: &stack, batch: 5, softmax: false, task };
        assert_eq!(call.bytes(rule, steps, Precision::F32, false), 0, "no library, nothing after it");
        let bytes = call.bytes(rule, steps, Precision::F32, true);
        assert_eq!(call.bytes(rule, steps, Precision::F64, true), 2 * bytes);
        assert_eq!(bytes % 4, 0);
        bytes / 4
    };
    // product and biases to v and tanh v; product and y to o and ε
    let (up, top) = (3 * 20 + 4, 4 * 10);
    // the same where μ_1 is kept
    let kept = up + 20;
    // product to W_1 read and written, δ_1 to b_1; product to W_2
    let learn = 3 * 12 + (20 + 2 * 4) + 3 * 8;
    // product, v and tanh v to ε
    assert_eq!(call(Rule::Bp, 0, SGD), up + top + 4 * 20 + learn);
    // the same to v, tanh v and the error that arrives, then with an error to v and tanh v; errors from v and μ_1 each
    // time
    let errors = 3 * 20 + top;
    assert_eq!(call(SPC, 2, SGD), kept + top + 6 * 20 + errors + 6 * 20 + errors + learn);
    // no error but the last, so zeros for layer 1
    assert_eq!(call(SPC, 0, Task::Learn { traces: false }), kept + top + (12 + 4) + 2 * 8);
    // every sweep moves v and ε, the second one from an ε
    assert_eq!(
        call(Rule::SeqIl { mixing: 1.0 }, 2, SGD),
        kept + top + 6 * 20 + errors + 7 * 20 + errors + learn
    );
    // a step kept for later, and only the last layer learns
    let ipc = Rule::Ipc { light_cone: true, weight_step: 0.1, evaluate: false };
    assert_eq!(call(ipc, 1, SGD), up + top + 4 * 20 + 3 * 8);
    // ε read and written where it is
    assert_eq!(call(Rule::Ar { top_down: true }, 1, SGD), up + top + 5 * 20 + learn);
}

/// 2 samples of 4: 8 numbers in every state, 16 in every matrix. φ_in is the identity, so there is no φ_in(v); φ_out is
/// not.
#[test]
fn of_epc_with_skips_and_slopes() {
    let layer = Dense { act_out: Activation::Tanh, ..Dense::linear(4, 4) };
    let stack = Stack::new(vec![layer, Dense { skip: true, ..layer }, Dense { skip: true, ..layer }]);
    let task = Task::Train(Optimiser::Momentum { rate: 0.1, mu: 0.9 });
    let call = Call { stack: &stack.unwrap(), batch: 2, softmax: false, task };
    // product to μ_1, slope and v; product and v below to slope and v; product, v below and y to o, ε and δ
    let forward = 4 + 4 + 6;
    // product, v, ε_3 to ε, an adjoint for the skip, and δ from the slope; product, v, adjoint to ε, and v from μ_1
    let down = 7 + 6;
    // product, v below and ε to slope and v; the last layer as above
    let again = 5 + 6;
    // W and momentum read and written
    let learn = 3 * 5 * 16;
    let expected = 4 * (8 * (forward + down + again) + learn);
    assert_eq!(call.bytes(Rule::Epc, 1, Precision::F32, true), expected);
}

/// 3 samples of 2: 6 numbers in every state, 4 in every matrix, 2 in every bias.
#[test]
fn of_cross_entropy_and_pairs_of_errors() {
    let layer =
        Dense { act_in: Activation::Tanh, act_out: Activation::Relu, bias: true, ..Dense::linear(2, 2) };
    let stack = Stack::new(vec![layer; 2]).unwrap();
    let adam = Optimiser::Adam { rate: 0.01, betas: (0.9, 0.999), epsilon: 1e-8, update: 1 };
    let call = Call { stack: &stack, batch: 3, softmax: true, task: Task::Train(adam) };
    // product and bias to slope, v and tanh v; product and bias to o and slope; o and y to ε, and δ from the slope
    let forward = (4 * 6 + 2) + (3 * 6 + 2) + 5 * 6;
    // product, v and tanh v to the other ε, and to the other δ from the slope
    let step = 6 * 6;
    // W, m and s read and written, and the product read; the same with δ for biases
    let learn = 2 * (7 * 4 + (6 + 6 * 2));
    let bytes = call.bytes(Rule::Fpa { light_cone: true }, 1, Precision::F32, true);
    assert_eq!(bytes, 4 * (forward + step + learn));
}
