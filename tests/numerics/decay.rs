//! Oracle: the published picture of signal decay (Goemaere et al., arXiv 2505.20137).
//!
//! The recipe: 784-128, 18 × (128-128), 128-10, GELU (erf), orthogonal gain √2, zero bias, untrained, one
//! image in [−1, 1], half squared error, step 0.1. It wants MNIST; here a synthetic image (smooth blobs of the
//! same size and range) stands in, because nine parts in ten of what is seen are the network's. One net
//! differs much from the next, so medians over draws are held against the published single draw.

use std::sync::Arc;

use candle_core::{DType, Device};
use pcnbench::contender::{Contender, ContenderSpec};
use pcnbench::data::{synthetic, Batches};
use pcnbench::engine::Shown;
use pcnbench::net::{Activation, ActivationOrder, Loss, MlpSpec};
use pcnbench::optim::OptimiserKind;
use pcnbench::rule::{Rule, Steps};

const DEPTH: usize = 20;
const DRAWS: u64 = 15;

/// Energies [step][layer] of one draw.
fn trace(rule: &str, steps: usize, dtype: DType, seed: u64) -> Vec<Vec<f64>> {
    let spec = ContenderSpec {
        id: format!("{rule}/reference").parse().unwrap(),
        rule: Rule::from_name(rule, Steps::constant(steps, 0.1)).unwrap(),
        network: Arc::new(MlpSpec {
            inputs: 784,
            width: 128,
            outputs: 10,
            depth: DEPTH,
            activation: Activation::Gelu,
            activation_order: ActivationOrder::Post,
            parameterisation: "sp-orthogonal".parse().unwrap(),
            gain: 2f64.sqrt(),
            bias: false,
        }),
        loss: Loss::HALF_SQUARED_ERROR,
        optimiser: OptimiserKind::Sgd,
        learning_rate: 0.1,
        regularisation: Default::default(),
        dtype,
        strategies: None,
    };
    let blobs = synthetic::blobs(20, 10, 7).unwrap();
    let batch = Batches::new(&blobs.train, 1, seed).unwrap().endless().next().unwrap();
    let data = batch.to_tensors(dtype, &Device::Cpu).unwrap();
    let contender = Contender::new(&spec, seed, &Device::Cpu).unwrap();
    let state = contender.state().unwrap();
    let engine = state.bind(contender.graph(), &data);
    let mut energies = vec![];
    spec.rule
        .learn(&engine, &mut |Shown { errors, outputs, .. }| {
            energies.push(engine.energies(errors, outputs)?);
            Ok(())
        })
        .unwrap();
    energies
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Total energy of ePC: .46 .18 .12 .10 .093 .092 in the paper's draw, after 0…5 steps.
#[test]
fn epc_relaxes_in_a_handful_of_steps() {
    let traces: Vec<_> = (0..DRAWS).map(|seed| trace("epc", 8, DType::F32, seed)).collect();
    for (step, published) in [0.46, 0.18, 0.12, 0.10, 0.093, 0.092].into_iter().enumerate() {
        let total = median(traces.iter().map(|t| t[step].iter().sum()).collect());
        assert!((total / published - 1.0).abs() < 0.25, "step {step}: {total} for {published}");
    }
    // flat from the first step on: every layer has its error at once, of the same order in f32 as at the end
    for t in &traces {
        for (l, (first, last)) in (1..DEPTH).zip(t[1].iter().zip(&t[8])) {
            assert!(*first > 0.0, "layer {l} is silent after one step");
            assert!((last / first).log10().abs() < 2.0, "layer {l} was not there from the start");
        }
    }
}

/// sPC in f32 after 20 steps: nothing in layers 1 to 8, 1e-18 in layer 9, rising to 10^-1.5 at the output.
#[test]
fn spc_leaves_the_lower_layers_silent() {
    let at_20: Vec<_> = (0..DRAWS).map(|seed| trace("spc", 20, DType::F32, seed)[20].clone()).collect();
    let silent = |e: &Vec<f64>| e.iter().take_while(|v| **v == 0.0).count();
    let layers = median(at_20.iter().map(|e| silent(e) as f64).collect());
    assert!((6.0..=9.0).contains(&layers), "{layers} silent layers; published 8");
    let front = median(at_20.iter().map(|e| e[silent(e)].log10()).collect());
    assert!((-20.0..-15.0).contains(&front), "front at 10^{front}; published 10^-18");
    let output = median(at_20.iter().map(|e| e[DEPTH - 1].log10()).collect());
    assert!((-2.0..-1.0).contains(&output), "output at 10^{output}; published 10^-1.5");
    for e in &at_20 {
        assert!(e[silent(e)..].windows(2).filter(|w| w[1] < w[0]).count() <= 2, "not a wedge: {e:?}");
    }
}

/// In f64 the wedge is on time while 0.1^d stays above rounding (d = 12 here), and every layer has heard
/// within 40 steps: what silences the lower layers in f32 is rounding.
#[test]
fn in_f64_the_signal_arrives_on_time() {
    let t = trace("spc", 40, DType::F64, 1);
    for (step, energies) in t.iter().enumerate().take(13) {
        for l in DEPTH - 12..=DEPTH {
            assert_eq!(energies[l - 1] > 0.0, step >= DEPTH - l, "layer {l} after {step} steps");
        }
    }
    assert!(t[40].iter().all(|e| *e > 0.0), "{:?}", t[40]);
    assert!(trace("spc", 40, DType::F32, 1)[40].contains(&0.0));
}
