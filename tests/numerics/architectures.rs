//! Oracle: automatic differentiation and the energies of rules, on every architecture that suites can name.

use super::{close, normal};
use candle_core::{DType, Device, Tensor};
use pcnbench::contender::{Contender, ContenderId, ContenderSpec};
use pcnbench::engine::autograd::Autograd;
use pcnbench::engine::counting::Counting;
use pcnbench::engine::recording::Recording;
use pcnbench::engine::reference::Reference;
use pcnbench::engine::unwatched;
use pcnbench::net::architecture::{Kind, Settings, KINDS};
use pcnbench::net::{
    Activation, ActivationOrder, Architecture, Graph, LatentEnergy, Loss, LossKind, Params, Reduction,
    Weighted,
};
use pcnbench::optim::OptimiserKind;
use pcnbench::rule::{Rule, Steps};
use pcnbench::verify::oracle::{self, Problem};
use std::sync::Arc;

const BATCH: usize = 2;

/// An architecture with its tensors.
struct Setting {
    network: Arc<dyn Architecture>,
    graph: Graph,
    params: Params,
    data: Vec<Tensor>,
}

fn settings(input: &[usize], depth: usize, width: usize, outputs: usize) -> Settings {
    Settings {
        input: input.to_vec(),
        outputs,
        width,
        depth,
        activation: Activation::Tanh,
        activation_order: ActivationOrder::Post,
        parameterisation: "sp-normal".parse().unwrap(),
        gain: 1.0,
        bias: true,
    }
}

fn build(kind: &str, settings: &Settings) -> Setting {
    let network = (Kind::of(kind).unwrap().build)(settings);
    let loss = Loss { kind: LossKind::CrossEntropy, reduction: Reduction::Sum, precision: 1.0 };
    let graph = network.graph(loss).unwrap();
    let params = network.start(7, DType::F64, &Device::Cpu).unwrap();
    let data = graph.data().iter().zip(1..).map(|(named, seed)| {
        let values = normal(&[&[BATCH], &named.shape[..]].concat(), seed);
        let target = graph.losses().iter().any(|term| term.target + 1 == seed as usize);
        if target {
            candle_nn::ops::softmax(&values, values.rank() - 1).unwrap()
        } else {
            values
        }
    });
    let data = data.collect();
    Setting { network, graph, params, data }
}

/// One of every kind, as small as its depth allows.
fn all() -> Vec<(&'static str, Setting)> {
    let sizes = |kind: &str| match kind {
        "vgg" => settings(&[2, 32, 32], 5, 2, 3),
        "resnet" => settings(&[2, 16, 16], 10, 2, 3),
        "cnn" => settings(&[2, 16, 16], 5, 8, 3),
        "rnn" | "lstm" => settings(&[60], 20, 4, 3),
        "rnn-many" | "lstm-many" => settings(&[60], 20, 4, 40),
        "attention" => settings(&[15], 5, 4, 3),
        _ => settings(&[6], 4, 5, 3),
    };
    let named = KINDS.iter().map(|kind| (kind.name, build(kind.name, &sizes(kind.name)))).collect::<Vec<_>>();
    assert_eq!(named.len(), 10);
    named
}

impl Setting {
    fn directions(&self, rule: &Rule) -> Vec<Tensor> {
        let (graph, _) = rule.prepare(&self.graph).unwrap();
        let Self { params, data, .. } = self;
        let learned =
            rule.learn(&Reference { graph: &graph, params, data, feedback: None }, &mut unwatched).unwrap();
        let each = learned.directions.into_iter().zip(&self.params);
        each.map(|(direction, old)| direction.unwrap_or_else(|| old.zeros_like().unwrap())).collect()
    }
}

/// Fixed prediction with step 1 and as many steps as states, and Z-IL in every variant, are backpropagation.
#[test]
fn fixed_prediction_and_zil_are_backpropagation() {
    for (kind, setting) in all() {
        let latent = setting.graph.topology().latent().count();
        let (expected, _) =
            Autograd::new(&setting.params).unwrap().directions(&setting.graph, &setting.data).unwrap();
        for name in ["bp", "fpa", "fpa-nested", "zil", "zil-all"] {
            let rule = Rule::from_name(name, Steps::constant(latent, 1.0)).unwrap();
            for (p, (got, want)) in setting.directions(&rule).iter().zip(&expected).enumerate() {
                close(got, want, 1e-10, &format!("{kind} {name} {}", setting.graph.params()[p].name));
            }
        }
    }
}

/// Rules follow the energy that defines them, differentiated automatically.
#[test]
fn rules_follow_their_energy() {
    for (kind, setting) in all() {
        let Setting { graph, params, data, .. } = &setting;
        for name in ["spc", "spc-evenodd", "spc-nesterov", "epc", "epc-chebyshev", "seqil", "ar"] {
            let rule = Rule::from_name(name, Steps::constant(3, 0.1)).unwrap();
            let expected =
                oracle::directions(&Problem { graph, params, data, feedback: None }, &rule).unwrap();
            for (got, want) in setting.directions(&rule).iter().zip(&expected) {
                close(got, want, 1e-8, &format!("{kind} {name}"));
            }
        }
    }
}

/// The same with energies of latent vertices other than ½‖ε‖².
#[test]
fn rules_follow_other_energies() {
    for (kind, setting) in all() {
        let Setting { params, data, .. } = &setting;
        for energy in [LatentEnergy::Huber, LatentEnergy::LogCosh] {
            let graph = &setting.graph.clone().with_energies(|_| (1.7, energy));
            for (name, g) in [
                ("spc", 0.1),
                ("spc-spike", 0.3),
                ("spc-evenodd", 0.2),
                ("epc", 0.1),
                ("fpa", 0.1),
                ("seqil", 0.1),
            ] {
                let rule = Rule::from_name(name, Steps::constant(2, g)).unwrap();
                let expected =
                    oracle::directions(&Problem { graph, params, data, feedback: None }, &rule).unwrap();
                let engine = Reference { graph, params, data, feedback: None };
                let learned = rule.learn(&engine, &mut unwatched).unwrap();
                for ((got, want), old) in learned.directions.into_iter().zip(&expected).zip(params) {
                    let got = got.unwrap_or_else(|| old.zeros_like().unwrap());
                    close(&got, want, 1e-8, &format!("{kind} {name} {energy}"));
                }
            }
            let refused =
                Rule::from_name("zil", Steps::constant(2, 0.1)).unwrap().prepare(graph).unwrap_err();
            assert!(refused.to_string().contains("under which Z-IL is not defined"), "{refused}");
        }
    }
}

/// What is counted is what is recorded.
#[test]
fn counted_is_recorded() {
    for (kind, setting) in all() {
        for name in [
            "bp",
            "spc",
            "spc-evenodd",
            "spc-adam",
            "epc",
            "epc-nesterov",
            "fpa",
            "fpa-nested",
            "zil",
            "seqil",
            "ipc",
            "ar",
        ] {
            let rule = Rule::from_name(name, Steps::constant(4, 0.1)).unwrap();
            let (graph, _) = rule.prepare(&setting.graph).unwrap();
            let counting = Counting::new(&graph, BATCH);
            rule.learn(&counting, &mut unwatched).unwrap();
            let recording = Recording::new(graph.topology().clone(), graph.costs(BATCH));
            rule.learn(&recording, &mut unwatched).unwrap();
            assert_eq!(recording.into_graph().work(), counting.totals().work.gemm_flops, "{kind} {name}");
        }
    }
}

/// The reduced network of a kind is one of its kind, with a start, and small.
#[test]
fn reduced_networks_stand() {
    for (kind, setting) in all() {
        let small = setting.network.reduced();
        assert_eq!(small.kind(), kind);
        let graph = small.graph(Loss::HALF_SQUARED_ERROR).unwrap();
        let count: usize = graph.params().iter().map(|named| named.shape.iter().product::<usize>()).sum();
        assert!(count < 8_000, "{kind}: {count}");
        let start = small.start(1, DType::F64, &Device::Cpu).unwrap();
        let feedback = small.start_feedback(1, DType::F64, &Device::Cpu).unwrap();
        assert_eq!((start.len(), feedback.len()), (graph.params().len(), graph.params().len()));
        for (tensor, named) in start.iter().zip(graph.params()) {
            assert_eq!(tensor.dims(), named.shape, "{kind} {}", named.name);
        }
    }
}

/// Published sizes: parameters of VGG-5, VGG-7, VGG-9 and of the fixed-prediction paper's CNN, counted by hand from their layers.
#[test]
fn published_networks_have_their_parameters() {
    let parameters = |kind: &str, depth: usize, width: usize| {
        let network = (Kind::of(kind).unwrap().build)(&settings(&[3, 32, 32], depth, width, 10));
        let graph = network.graph(Loss::HALF_SQUARED_ERROR).unwrap();
        graph.params().iter().map(|named| named.shape.iter().product::<usize>()).sum::<usize>()
    };
    let conv = |inputs: usize, outputs: usize| 9 * inputs * outputs + outputs;
    let first = conv(3, 128);
    assert_eq!(
        parameters("vgg", 5, 128),
        first + conv(128, 256) + conv(256, 512) + conv(512, 512) + (2 * 2 * 512 + 1) * 10
    );
    assert_eq!(
        parameters("vgg", 7, 128),
        first + conv(128, 128) + conv(128, 256) + conv(256, 256) + conv(256, 512) + conv(512, 512) + 5130
    );
    assert_eq!(
        parameters("vgg", 9, 128),
        first
            + conv(128, 128)
            + conv(128, 256)
            + conv(256, 256)
            + conv(256, 512)
            + 3 * conv(512, 512)
            + (2 * 2 * 512 + 1) * 10
    );
    let cnn = (75 * 6 + 6) + (150 * 16 + 16) + (1600 * 200 + 200) + (200 * 150 + 150) + (150 * 10 + 10);
    assert_eq!(parameters("cnn", 5, 200), cnn);
    // stem, then per stage two convolutions, and a third where sizes change
    let stages = 2 * conv(64, 64)
        + (2 * conv(64, 128) + conv(128, 128))
        + (2 * conv(128, 256) + conv(256, 256))
        + (2 * conv(256, 512) + conv(512, 512));
    assert_eq!(parameters("resnet", 10, 64), conv(3, 64) + stages + 5130);
}

/// The fused engine, on any number of threads, computes what the reference does: every architecture, rule and loss.
#[test]
fn fused_agrees_with_the_reference() {
    // stacks of layers have tests of their own
    for (kind, setting) in all().into_iter().filter(|(kind, _)| *kind != "mlp") {
        let Setting { network, params, data, .. } = setting;
        let spec = |id: &str, loss: Loss, energy: LatentEnergy| {
            let id: ContenderId = id.parse().unwrap();
            let precision = if energy == LatentEnergy::Gaussian { 1.0 } else { 1.4 };
            ContenderSpec {
                rule: Rule::from_name(&id.rule, Steps::constant(3, 0.1)).unwrap(),
                id,
                network: Arc::new(Weighted { of: Arc::clone(&network), precision, energy }),
                loss,
                optimiser: OptimiserKind::Sgd,
                learning_rate: 0.1,
                regularisation: Default::default(),
                dtype: DType::F64,
                strategies: None,
            }
        };
        let losses = LossKind::ALL
            .into_iter()
            .zip([Reduction::Sum, Reduction::BatchMean, Reduction::ElementMean].repeat(2));
        let rules = ["bp", "spc", "epc", "fpa", "zil", "seqil", "ar", "spc-momentum", "epc-nesterov"]
            .map(|rule| (rule, LatentEnergy::Gaussian));
        let others =
            [("spc", LatentEnergy::Huber), ("epc", LatentEnergy::LogCosh), ("seqil", LatentEnergy::LogCosh)];
        for ((rule, energy), (loss, reduction)) in rules.into_iter().chain(others).zip(losses.cycle()) {
            let loss = Loss { kind: loss, reduction, precision: 0.7 };
            let own = |id: String| {
                let mut contender = Contender::with_params(&spec(&id, loss, energy), params.clone()).unwrap();
                let directions = contender.directions(&data).unwrap();
                contender.update(&data).unwrap();
                (directions, contender.state().unwrap().params)
            };
            let (want, moved) = own(format!("{rule}/reference"));
            for threads in [1, 2] {
                if threads > pcnbench_kernels::tune::threads() {
                    continue;
                }
                let (got, own_moved) = own(format!("{rule}/fused:{threads}"));
                for (got, want) in got.iter().zip(&want) {
                    match (got, want) {
                        (Some(got), Some(want)) => {
                            close(got, want, 1e-11, &format!("{kind} {rule} {threads}"))
                        }
                        (None, None) => {}
                        (None, Some(want)) => assert_eq!(super::largest(want), 0.0, "{kind} {rule}"),
                        (Some(got), None) => assert_eq!(super::largest(got), 0.0, "{kind} {rule}"),
                    }
                }
                for (got, want) in own_moved.iter().zip(&moved) {
                    close(got, want, 1e-11, &format!("{kind} {rule} {threads}, moved"));
                }
            }
        }
    }
}

/// Sizes that no such network has are refused in a sentence that names the kind.
#[test]
fn sizes_that_do_not_fit_are_refused() {
    let refuse = |kind: &str, settings: &Settings| {
        let network = (Kind::of(kind).unwrap().build)(settings);
        let error = network.graph(Loss::HALF_SQUARED_ERROR).unwrap_err().to_string();
        assert_eq!(network.weights_read(), 0.0);
        error
    };
    assert!(refuse("vgg", &settings(&[3, 32, 32], 6, 4, 10)).contains("expected 5, 7 or 9"));
    assert!(refuse("vgg", &settings(&[64], 5, 4, 10)).contains("vgg reads images"));
    assert!(refuse("vgg", &settings(&[3, 8, 8], 5, 4, 10)).contains("vertex `4`"));
    assert!(refuse("resnet", &settings(&[3, 32, 32], 12, 4, 10)).contains("expected 10 or 18"));
    assert!(refuse("rnn", &settings(&[64], 5, 4, 10)).contains("which 5 does not divide"));
    assert!(refuse("lstm-many", &settings(&[64], 8, 4, 10)).contains("targets, which 8 does not divide"));
    assert!(refuse("autoencoder", &settings(&[64], 5, 4, 10)).contains("even number"));
    assert!(refuse("lstm", &settings(&[64], 0, 4, 10)).contains("at least 1"));
}
