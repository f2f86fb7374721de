//! Oracle: backpropagation's own learning curve. A rule whose directions come near BP's must learn as BP does.

use candle_core::{DType, Device, Tensor};
use pcnbench::contender::{Contender, ContenderSpec};
use pcnbench::data::{text, Batches};
use pcnbench::net::architecture::{Kind, Settings};
use pcnbench::net::{Activation, ActivationOrder, Loss, LossKind, OutputEnergy, Parameterisation, Reduction};
use pcnbench::optim::OptimiserKind;
use pcnbench::rule::{Rule, Steps};

/// Time steps, symbols, and updates.
const STEPS: usize = 6;
const SYMBOLS: usize = 32;
const UPDATES: usize = 120;

/// Cross-entropy per symbol on text that was kept apart, after training.
fn loss(rule: &str, seed: u64) -> f64 {
    let data = text::load(STEPS * SYMBOLS, SYMBOLS, 4_000, 400).unwrap();
    let settings = Settings {
        input: vec![STEPS * SYMBOLS],
        outputs: SYMBOLS,
        width: 16,
        depth: STEPS,
        activation: Activation::Tanh,
        activation_order: ActivationOrder::Post,
        parameterisation: Parameterisation::SP,
        gain: 1.0,
        bias: true,
    };
    let spec = ContenderSpec {
        id: format!("{rule}/reference").parse().unwrap(),
        // a step below 1: each time step carries 1 − 0.5¹⁰ of what the one after it had
        rule: Rule::from_name(rule, Steps::constant(10, 0.5)).unwrap(),
        network: (Kind::of("lstm").unwrap().build)(&settings),
        loss: Loss { kind: LossKind::CrossEntropy, reduction: Reduction::BatchMean, precision: 1.0 },
        optimiser: OptimiserKind::Adam,
        learning_rate: 0.02,
        regularisation: Default::default(),
        dtype: DType::F64,
        strategies: None,
    };
    let mut contender = Contender::new(&spec, seed, &Device::Cpu).unwrap();
    let shaped = |[x, y]: [Tensor; 2]| [x.reshape(((), STEPS, SYMBOLS)).unwrap(), y];
    for batch in Batches::new(&data.train, 32, seed).unwrap().endless().take(UPDATES) {
        contender.update(&shaped(batch.to_tensors(DType::F64, &Device::Cpu).unwrap())).unwrap();
    }
    let apart = data.test.in_order(400).next().unwrap();
    let [x, y] = shaped(apart.to_tensors(DType::F64, &Device::Cpu).unwrap());
    let values = contender.graph().forward(&contender.state().unwrap().params, &[x]).unwrap();
    spec.loss.value(&values[contender.graph().losses()[0].vertex], &y).unwrap()
}

/// An LSTM on text under BP and under fixed prediction, time step after time step, from three seeds: both learn, and to one
/// loss within what seeds make of it (Millidge, Tschantz & Buckley, arXiv 2006.04182, with a step below theirs in accuracy).
#[test]
fn an_lstm_learns_text_under_fixed_prediction_as_under_backpropagation() {
    let losses = |rule: &str| [1, 2, 3].map(|seed| loss(rule, seed));
    let (bp, fpa) = (losses("bp"), losses("fpa-nested"));
    println!("bp {bp:?}, fpa-nested {fpa:?}");
    let mean = |l: [f64; 3]| l.iter().sum::<f64>() / 3.0;
    let spread = bp.iter().copied().fold(f64::MIN, f64::max) - bp.iter().copied().fold(f64::MAX, f64::min);
    // a network that has learned nothing is at log 32 = 3.47
    assert!(bp.iter().chain(&fpa).all(|loss| *loss < 3.0), "{bp:?} {fpa:?}");
    assert!((mean(bp) - mean(fpa)).abs() <= spread, "{bp:?} {fpa:?}");
    assert!(bp != fpa, "the same numbers would be the same rule twice");
}
