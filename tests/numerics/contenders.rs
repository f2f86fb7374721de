//! Oracle: what a contender does with the results of its rule.

use std::sync::Arc;

use super::rules::Setting;
use super::{close, largest, Random};
use candle_core::{DType, Device, Tensor};
use pcnbench::contender::{Contender, ContenderSpec};
use pcnbench::engine::reference::Reference;
use pcnbench::engine::unwatched;
use pcnbench::net::{Activation, ActivationOrder, Loss, MlpSpec, Parameterisation};
use pcnbench::optim::{OptimiserKind, Regularisation};
use pcnbench::rule::{Rule, Steps};

const RATE: f64 = 0.03;

fn network() -> MlpSpec {
    MlpSpec {
        inputs: 6,
        width: 8,
        outputs: 3,
        depth: 4,
        activation: Activation::Tanh,
        activation_order: ActivationOrder::Post,
        parameterisation: Parameterisation::SP,
        gain: 1.5,
        bias: true,
    }
}

fn spec(rule: &str, optimiser: OptimiserKind) -> ContenderSpec {
    ContenderSpec {
        id: format!("{rule}/reference").parse().unwrap(),
        rule: Rule::from_name(rule, Steps::constant(5, 0.2)).unwrap(),
        network: Arc::new(network()),
        loss: Loss::HALF_SQUARED_ERROR,
        optimiser,
        learning_rate: RATE,
        regularisation: Default::default(),
        dtype: DType::F64,
        strategies: None,
    }
}

fn setting(spec: &ContenderSpec) -> Setting {
    Setting::new(&Random { spec: network(), batch: 4, loss: spec.loss, seed: 3 })
}

fn contender(spec: &ContenderSpec) -> Contender {
    Contender::new(spec, 3, &Device::Cpu).unwrap()
}

fn differences(new: &[Tensor], old: &[Tensor]) -> Vec<Tensor> {
    new.iter().zip(old).map(|(n, o)| (n - o).unwrap()).collect()
}

/// An iPC contender's update is iPC's own: T weight steps of the learning rate, no optimiser after it; and its
/// directions are what it moved over the learning rate.
#[test]
fn ipc_updates_by_itself() {
    let spec = spec("ipc", OptimiserKind::Sgd);
    let setting = setting(&spec);
    let mut ipc = contender(&spec);
    let learned = ipc.rule().learn(&setting.engine(), &mut unwatched).unwrap();
    let old = ipc.state().unwrap().params;
    let directions = ipc.directions(&setting.data).unwrap();
    ipc.update(&setting.data).unwrap();
    let mut moved = 0;
    for ((new, old), (expected, d)) in
        ipc.state().unwrap().params.iter().zip(&old).zip(learned.params.iter().zip(&directions))
    {
        let (expected, d) = (expected.as_ref().unwrap(), d.as_ref().unwrap());
        close(new, expected, 0.0, "parameters");
        close(&d.affine(RATE, 0.0).unwrap(), &(new - old).unwrap(), 1e-12, "directions");
        moved += usize::from(largest(d) > 0.0);
    }
    assert_eq!(moved, 8, "every tensor moves");
}

/// Kernels move parameters by plain descent: any other optimiser is refused by name, and the reference takes it.
#[test]
fn fused_ipc_refuses_an_optimiser() {
    for kind in OptimiserKind::ALL {
        assert!(Contender::new(&spec("ipc", kind), 3, &Device::Cpu).is_ok());
        let fused = ContenderSpec { id: "ipc/fused".parse().unwrap(), ..spec("ipc", kind) };
        let made = Contender::new(&fused, 3, &Device::Cpu);
        assert_eq!(made.is_ok(), kind == OptimiserKind::Sgd);
        if let Err(e) = made {
            assert!(e.to_string().contains(kind.name()) && e.to_string().contains("ipc/reference"), "{e}");
        }
    }
}

/// Every one of the T steps of iPC is a step of AdamW (Loshchilov and Hutter, arXiv 1711.05101), whose moments live on from batch to
/// batch: two layers of one unit, in plain numbers.
#[test]
fn ipc_takes_every_step_by_the_optimiser() {
    const DECAY: f64 = 0.04;
    let (rate, g, steps) = (0.05, 0.3, 3);
    let network = MlpSpec {
        inputs: 1,
        width: 1,
        outputs: 1,
        depth: 2,
        bias: false,
        activation: Activation::Identity,
        ..network()
    };
    let spec = ContenderSpec {
        rule: Rule::from_name("ipc", Steps::constant(steps, g)).unwrap(),
        network: Arc::new(network),
        learning_rate: rate,
        regularisation: Regularisation { weight_decay: DECAY, clip_norm: None },
        ..spec("ipc", OptimiserKind::Adam)
    };
    let mut ipc = contender(&spec);
    let number = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f64>().unwrap()[0];
    let mut theta: Vec<f64> = ipc.state().unwrap().params.iter().map(number).collect();
    let (mut first, mut second, mut time) = ([0.0; 2], [0.0; 2], 0);
    for (x, y) in [(0.8, -0.5), (-1.3, 0.9), (0.4, 0.7)] {
        let mut v = theta[0] * x;
        for _ in 0..steps {
            let (below, above) = (v - theta[0] * x, y - theta[1] * v);
            let directions = [below * x, above * v];
            v += g * (theta[1] * above - below);
            time += 1;
            for k in 0..2 {
                first[k] = 0.9 * first[k] + 0.1 * directions[k];
                second[k] = 0.999 * second[k] + 0.001 * directions[k] * directions[k];
                let (m, s) = (first[k] / (1.0 - 0.9f64.powi(time)), second[k] / (1.0 - 0.999f64.powi(time)));
                theta[k] += rate * m / (s.sqrt() + 1e-8) - rate * DECAY * theta[k];
            }
        }
        let tensor = |value: f64| Tensor::from_vec(vec![value], (1, 1), &Device::Cpu).unwrap();
        ipc.update(&[tensor(x), tensor(y)]).unwrap();
        let found: Vec<f64> = ipc.state().unwrap().params.iter().map(number).collect();
        for (found, expected) in found.iter().zip(&theta) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }
}

/// Kernels on a GPU have plain descent: what carries momentum or finds its step anew is refused there by name, and on a CPU it runs.
#[test]
fn momentum_on_a_gpu_is_refused_by_name() {
    for rule in ["spc-momentum", "epc-momentum", "spc-nesterov", "epc-chebyshev", "spc-auto", "spc"] {
        let of = |engine: &str| ContenderSpec {
            id: format!("{rule}/{engine}").parse().unwrap(),
            ..spec(rule, OptimiserKind::Sgd)
        };
        for engine in ["reference", "fused"] {
            pcnbench::contender::check(&of(engine), false).unwrap();
        }
        pcnbench::contender::check(&of("reference"), true).unwrap();
        let said = pcnbench::contender::check(&of("fused"), true).err().map(|e| e.to_string());
        let why = match rule {
            "spc" => None,
            "spc-auto" => Some("gets another step before every update".to_owned()),
            _ => Some(format!(
                "{rule} carries momentum from step to step, which engine fused does not have on a GPU; use engine reference or \
                 --device cpu"
            )),
        };
        match (said, why) {
            (Some(said), Some(why)) => assert!(said.contains(&why) && !said.contains('\n'), "{said}"),
            (said, why) => assert_eq!(said, why),
        }
    }
    for engine in ["fused-3xtf32", "fused-tf32", "fused-bf16"] {
        let id = format!("spc-momentum/{engine}").parse::<pcnbench::contender::ContenderId>();
        assert!(id.unwrap_err().to_string().contains("does not run rule spc-momentum"));
    }
}

/// Learned backward weights start apart from the forward ones, carry the errors, and take the same steps.
#[test]
fn backward_weights_learn_by_the_same_rule() {
    let spec = spec("ar-topdown-feedback", OptimiserKind::Sgd);
    let setting = setting(&spec);
    let mut ar = contender(&spec);
    let start = ar.state().unwrap();
    let (old_w, old_psi) = (start.params.clone(), start.feedback.clone().unwrap());
    let of = |table: &[Option<Tensor>]| table.iter().flatten().cloned().collect::<Vec<_>>();
    for (w, psi) in old_w.iter().step_by(2).zip(of(&old_psi)) {
        assert!(largest(&(w - psi).unwrap()) > 0.1);
    }
    // a bias carries nothing down
    assert!(old_psi.iter().skip(1).step_by(2).all(Option::is_none) && of(&old_psi).len() == 4);
    let with = ar.directions(&setting.data).unwrap();
    let transposed = Reference { feedback: None, ..start.bind(ar.graph(), &setting.data) };
    let without = ar.rule().learn(&transposed, &mut unwatched).unwrap().directions;
    let first = |d: &[Option<Tensor>]| d[0].clone().unwrap();
    assert!(largest(&(first(&with) - first(&without)).unwrap()) > 1e-3, "backward weights are not used");

    ar.update(&setting.data).unwrap();
    let end = ar.state().unwrap();
    let moved_w: Vec<Tensor> = differences(&end.params, &old_w).into_iter().step_by(2).collect();
    let moved_psi = differences(&of(&end.feedback.unwrap()), &of(&old_psi));
    for (w, psi) in moved_w.iter().zip(&moved_psi) {
        assert!(largest(w) > 0.0);
        close(psi, w, 1e-12, "what backward weights learn");
    }
}

/// Given parameters, backward weights start as the forward ones, so the first directions are those of AR.
#[test]
fn given_parameters_give_the_backward_weights() {
    let (own, plain) = (spec("ar-feedback", OptimiserKind::Sgd), spec("ar", OptimiserKind::Sgd));
    let setting = setting(&own);
    let of = |spec: &ContenderSpec| {
        let contender = Contender::with_params(spec, setting.params.clone()).unwrap();
        contender.directions(&setting.data).unwrap().into_iter().flatten().collect::<Vec<_>>()
    };
    for (a, b) in of(&own).iter().zip(&of(&plain)) {
        close(a, b, 0.0, "directions");
    }
}

/// Every name gives a rule of that name, and nothing else has one.
#[test]
fn names_are_their_own() {
    let steps = Steps::constant(3, 0.1);
    for name in Rule::NAMES {
        let rule = Rule::from_name(name, steps).unwrap();
        assert_eq!(rule.name(), name);
        assert!(name.starts_with(rule.family()));
        assert!(format!("{name}/reference").parse::<pcnbench::contender::ContenderId>().is_ok());
    }
    for name in ["", "-", "spc-linear", "ar-full", "zil-full", "fpa-feedback", "ipc-", "BP"] {
        assert!(Rule::from_name(name, steps).is_err(), "{name}");
    }
}
