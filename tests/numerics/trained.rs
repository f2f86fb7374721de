//! Oracle: the directions of real networks. A layer is trained if some parameter of it has a direction other than zero.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use pcnbench::contender::{Contender, ContenderSpec};
use pcnbench::net::{Activation, ActivationOrder, Loss, MlpSpec};
use pcnbench::optim::OptimiserKind;
use pcnbench::rule::{Rule, Steps};

use super::{largest, normal};

fn spec(rule: &str, parameterisation: &str, depth: usize, steps: Steps) -> ContenderSpec {
    ContenderSpec {
        id: format!("{rule}/reference").parse().unwrap(),
        rule: Rule::from_name(rule, steps).unwrap(),
        network: Arc::new(MlpSpec {
            inputs: 5,
            width: 6,
            outputs: 4,
            depth,
            activation: Activation::Tanh,
            activation_order: ActivationOrder::Pre,
            parameterisation: parameterisation.parse().unwrap(),
            gain: 1.0,
            bias: true,
        }),
        loss: Loss::HALF_SQUARED_ERROR,
        optimiser: OptimiserKind::Sgd,
        learning_rate: 0.01,
        regularisation: Default::default(),
        dtype: DType::F64,
        strategies: None,
    }
}

/// Layers with a direction other than zero in f64 on one batch.
fn moved(spec: &ContenderSpec) -> usize {
    let batch = [normal(&[3, 5], 1), normal(&[3, 4], 2)];
    let contender = Contender::new(spec, 4, &Device::Cpu).unwrap();
    let directions = contender.directions(&batch).unwrap();
    let moves = |d: &Option<Tensor>| d.as_ref().is_some_and(|d| largest(d) > 0.0);
    contender
        .graph()
        .topology()
        .groups()
        .iter()
        .filter(|layer| layer.iter().any(|&p| moves(&directions[p])))
        .count()
}

#[test]
fn trained_layers_are_those_with_a_direction() {
    let (mut fewer, mut all) = (0, 0);
    for rule in Rule::NAMES {
        for parameterisation in ["sp", "mupc-residual"] {
            for depth in [1, 2, 5] {
                for count in [0, 1, 2, 3, 6] {
                    let spec = spec(rule, parameterisation, depth, Steps::constant(count, 0.2));
                    let found = moved(&spec);
                    let said = spec.trained_layers().unwrap();
                    assert_eq!(said, found, "{rule} on {parameterisation}, L = {depth}, T = {count}");
                    fewer += usize::from(found < depth);
                    all += usize::from(found == depth);
                }
            }
        }
    }
    assert!(fewer > 50 && all > 300, "{fewer} trained in part, {all} as a whole");
}

/// From the forward pass an error travels one layer per step of sPC (Zahid, Guo & Fountas, arXiv 2304.02658).
#[test]
fn spc_trains_one_layer_more_than_it_has_steps() {
    for (depth, count) in [(8, 0), (8, 1), (8, 6), (8, 7), (8, 100), (128, 3)] {
        for rule in ["spc", "spc-full"] {
            let spec = spec(rule, "sp", depth, Steps::constant(count, 0.1));
            assert_eq!(
                spec.trained_layers().unwrap(),
                depth.min(count + 1),
                "{rule}, L = {depth}, T = {count}"
            );
        }
    }
    // a step of no size moves no state, so that no error arrives
    assert_eq!(spec("spc", "sp", 8, Steps::constant(9, 0.0)).trained_layers().unwrap(), 1);
}
