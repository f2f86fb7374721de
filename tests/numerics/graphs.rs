//! Oracle: the energy of random graphs, differentiated automatically; autograd's own gradient of the losses; recorded
//! against counted work. Graphs branch, share parameters, have paths of different length and several losses, some on
//! states.

use super::{close, identical, largest, normal};
use candle_core::Tensor;
use pcnbench::engine::autograd::Autograd;
use pcnbench::engine::counting::Counting;
use pcnbench::engine::recording::Recording;
use pcnbench::engine::reference::Reference;
use pcnbench::engine::{unwatched, Learned};
use pcnbench::net::layers::{Act, Add, Concat, Linear, Mul, Scale, Slice, Sub};
use pcnbench::net::{
    levels, Activation, Dense, Graph, GraphBuilder, LatentEnergy, Loss, LossKind, OutputEnergy, Params,
    Reduction, Source,
};
use pcnbench::rule::{Rule, Steps};
use pcnbench::verify::oracle::{self, Problem};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const WIDTH: usize = 3;
const BATCH: usize = 2;

/// A random graph with its tensors.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) graph: Graph,
    pub(crate) params: Params,
    pub(crate) data: Vec<Tensor>,
}

/// Every vertex but those under a `concat` has the same width, so that any two can be added.
pub(crate) fn random(seed: u64, precisions: &[f64]) -> Setting {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut pick = move |n: usize| rng.random_range(0..n);
    let mut g = GraphBuilder::new();
    let mut shapes: Vec<Vec<usize>> = Vec::new();
    let x = Source::Data(g.data("x", &[WIDTH]));
    let targets = [g.data("y", &[WIDTH]), g.data("p", &[WIDTH])];
    let shared = [g.param("shared w", &[WIDTH, WIDTH]), g.param("shared b", &[WIDTH])];
    shapes.extend([vec![WIDTH, WIDTH], vec![WIDTH]]);
    let mut ends: Vec<usize> = Vec::new();
    let mut read: Vec<Source> = Vec::new();
    let count = 2 + pick(8);
    for k in 0..count {
        let earlier = |pick: &mut dyn FnMut(usize) -> usize, ends: &[usize]| match pick(ends.len() + 1) {
            0 => x,
            n => Source::Vertex(ends[n - 1]),
        };
        let (a, b) = (earlier(&mut pick, &ends), earlier(&mut pick, &ends));
        let precision = match pick(3) {
            0 => None,
            _ => Some(precisions[pick(precisions.len())]),
        };
        let name = format!("v{k}");
        // the first vertex uses the shared parameters, so that they are used
        let kind = if k == 0 { 0 } else { pick(9) };
        let mut add =
            |op: std::sync::Arc<dyn pcnbench::net::Operation>, inputs: &[Source], params: &[usize]| {
                read.extend(inputs);
                g.add(&name, op, inputs, params, precision).unwrap()
            };
        let act =
            [Activation::Tanh, Activation::Sigmoid, Activation::Sin, Activation::Gelu, Activation::Identity];
        let vertex = match kind {
            0 => add(std::sync::Arc::new(Linear { bias: true }), &[a], &shared),
            1 | 2 => {
                let inner = act[pick(act.len())];
                add(std::sync::Arc::new(Act(inner)), &[a], &[])
            }
            3 => add(std::sync::Arc::new(Add), &[a, b, a], &[]),
            4 => add(std::sync::Arc::new(Mul), &[a, b], &[]),
            5 => add(std::sync::Arc::new(Sub), &[a, b], &[]),
            6 => add(std::sync::Arc::new(Scale { constant: -0.7 }), &[a], &[]),
            7 => {
                let joined = add(std::sync::Arc::new(Concat { axis: 1 }), &[a, b], &[]);
                let cut = Slice { axis: 1, from: 2, to: 2 + WIDTH };
                read.push(Source::Vertex(joined));
                g.vertex(&format!("{name} cut"), cut, &[Source::Vertex(joined)], &[]).unwrap()
            }
            _ => {
                let w = g.param(&format!("w{k}"), &[WIDTH, WIDTH]);
                shapes.push(vec![WIDTH, WIDTH]);
                read.push(a);
                g.add(&name, std::sync::Arc::new(Linear { bias: false }), &[a], &[w], precision).unwrap()
            }
        };
        // another energy of some states, where precisions differ too
        if precisions.len() > 2 && precision.is_some() && kind != 7 && pick(3) == 0 {
            g.energy(vertex, LatentEnergy::ALL[pick(LatentEnergy::ALL.len())]).unwrap();
        }
        ends.push(vertex);
    }
    for &vertex in &ends {
        // a loss where nothing else reads the vertex, and on some others
        if !read.contains(&Source::Vertex(vertex)) || pick(5) == 0 {
            let kind = LossKind::ALL[pick(LossKind::ALL.len())];
            let target = targets[usize::from(kind.judges_distributions())];
            let loss = Loss { kind, reduction: Reduction::ALL[pick(3)], precision: 0.8 };
            g.loss(vertex, target, loss).unwrap();
        }
    }
    // a parameter that stays as it is, in some graphs
    if shapes.len() > 2 && pick(3) == 0 {
        g.freeze(2);
    }
    // both targets are read
    let last = ends[ends.len() - 1];
    g.loss(last, targets[0], Loss::HALF_SQUARED_ERROR).unwrap();
    g.loss(last, targets[1], Loss::HALF_SQUARED_ERROR).unwrap();
    let params = shapes.iter().zip(0..).map(|(s, i)| normal(s, seed ^ (100 + i)).affine(0.6, 0.0).unwrap());
    let y = normal(&[BATCH, WIDTH], seed ^ 2);
    let data = vec![normal(&[BATCH, WIDTH], seed ^ 1), y.clone(), candle_nn::ops::softmax(&y, 1).unwrap()];
    Setting { graph: g.build().unwrap(), params: params.collect(), data }
}

impl Setting {
    /// The result of a rule, on the graph that it runs on.
    fn learn(&self, rule: &Rule) -> Learned<Tensor, Tensor, Tensor> {
        let (graph, _) = rule.prepare(&self.graph).unwrap();
        let Self { params, data, .. } = self;
        rule.learn(&Reference { graph: &graph, params, data, feedback: None }, &mut unwatched).unwrap()
    }

    /// Directions; those of a rule that moves parameters from how far it moved them.
    fn directions(&self, rule: &Rule) -> Vec<Tensor> {
        let learned = self.learn(rule);
        let each = learned.directions.into_iter().zip(learned.params).zip(&self.params);
        each.map(|((direction, moved), old)| match (direction, moved) {
            (Some(direction), _) => direction,
            (None, Some(new)) => (new - old).unwrap().affine(1.0 / WEIGHT_STEP, 0.0).unwrap(),
            (None, None) => old.zeros_like().unwrap(),
        })
        .collect()
    }
}

const WEIGHT_STEP: f64 = 0.05;

/// Whether numbers are of the size of those that they come from; what is no number is not.
pub(crate) fn tame(t: &Tensor) -> bool {
    t.flatten_all().unwrap().to_vec1::<f64>().unwrap().iter().all(|v| v.abs() < 100.0)
}

/// Rules that are defined on any graph: not those that need a dense layer's product alone.
fn rules(steps: Steps) -> impl Iterator<Item = Rule> {
    let any = |name: &&str| !name.contains("linear") && !name.contains("feedback");
    let rule = move |name| Rule::from_name(name, steps).unwrap().with_weight_step(WEIGHT_STEP).evaluated();
    Rule::NAMES.into_iter().filter(any).map(rule)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    /// Directions of every rule, on any graph with any precisions, are those of its energy.
    #[test]
    fn rules_follow_their_energy_on_graphs(seed in any::<u64>(), t in 0usize..6) {
        let (plain, weighted) = (random(seed, &[1.0]), random(seed, &[1.0, 0.4, 2.5]));
        let gaussian = random(seed, &[1.0, 0.4]);
        for rule in rules(Steps::constant(t, 0.12)) {
            let setting = match rule.family() {
                "zil" => &plain,
                "pcalm" => &gaussian,
                _ => &weighted,
            };
            let Setting { graph, params, data } = setting;
            let expected = oracle::directions(&Problem { graph, params, data, feedback: None }, &rule).unwrap();
            // products of states can make inference diverge, and what diverges amplifies rounding
            if !expected.iter().chain(&setting.learn(&rule).states).all(tame) {
                continue;
            }
            for (got, want) in setting.directions(&rule).iter().zip(&expected) {
                close(got, want, 1e-7, rule.name());
            }
        }
    }

    /// Fixed prediction with step 1 and as many steps as there are states, and Z-IL in every variant, are
    /// backpropagation.
    #[test]
    fn fixed_prediction_and_zil_are_backpropagation_on_graphs(seed in any::<u64>()) {
        let setting = random(seed, &[1.0]);
        let latent = setting.graph.topology().latent().count();
        let (expected, _) = Autograd::new(&setting.params).unwrap().directions(&setting.graph, &setting.data).unwrap();
        for name in ["bp", "fpa", "fpa-full", "fpa-nested", "zil", "zil-all", "zil-all-full"] {
            let rule = Rule::from_name(name, Steps::constant(latent, 1.0)).unwrap();
            for (got, want) in setting.directions(&rule).iter().zip(&expected) {
                close(got, want, 1e-10, name);
            }
        }
    }

    /// What rules say of their last point is that point: values of deterministic vertices, errors, outputs and energies
    /// follow from the states, evaluated vertex by vertex.
    #[test]
    fn states_errors_and_energies_belong_together(seed in any::<u64>(), t in 0usize..6) {
        let setting = random(seed, &[1.0, 0.4, 2.5]);
        let Setting { graph, params, data } = &setting;
        let topology = graph.topology();
        // φ(ε), number by number
        let number = |energy: LatentEnergy, t: &Tensor| {
            let judged = |e: f64| match energy {
                LatentEnergy::Gaussian => 0.5 * e * e,
                LatentEnergy::LogCosh => e.cosh().ln(),
                LatentEnergy::Huber => if e.abs() <= 1.0 { 0.5 * e * e } else { e.abs() - 0.5 },
            };
            t.flatten_all().unwrap().to_vec1::<f64>().unwrap().into_iter().map(judged).sum::<f64>()
        };
        for name in ["spc", "spc-full", "seqil", "epc"] {
            let learned = setting.learn(&Rule::from_name(name, Steps::constant(t, 0.12)).unwrap());
            // products of states can make inference diverge
            if !learned.states.iter().all(tame) {
                continue;
            }
            let mut expected = Vec::new();
            for i in 0..graph.len() {
                let inputs = graph.inputs(i, data, &learned.states);
                let (prediction, _) = graph.operation(i).forward(&graph.own(i, params), &inputs).unwrap();
                let error = (&learned.states[i] - prediction).unwrap();
                match (topology.precision(i), &learned.errors[i]) {
                    (None, _) => prop_assert!(largest(&error) < 1e-12, "{}: {}", name, graph.name(i)),
                    (Some(_), None) => prop_assert!(largest(&error) < 1e-15, "{}: {}", name, graph.name(i)),
                    (Some(_), Some(said)) => prop_assert!(largest(&(&error - said).unwrap()) < 1e-12, "{}", name),
                }
                expected.extend(topology.precision(i).map(|precision| precision * number(topology.energy(i), &error)));
            }
            for (term, output) in graph.losses().iter().zip(&learned.outputs) {
                prop_assert_eq!(largest(&(output - &learned.states[term.vertex]).unwrap()), 0.0);
                expected.push(term.loss.value(output, &data[term.target]).unwrap());
            }
            let engine = Reference { graph, params, data, feedback: None };
            let energies = engine.energy(&learned).unwrap();
            prop_assert_eq!(energies.len(), expected.len());
            for (got, want) in energies.iter().zip(&expected) {
                prop_assert!((got - want).abs() < 1e-11 * (1.0 + want.abs()), "{}: {} for {}", name, got, want);
            }
        }
    }

    /// The light cone changes no bit on any graph.
    #[test]
    fn the_light_cone_is_exact_on_graphs(seed in any::<u64>(), t in 0usize..7) {
        for (with, without) in [("spc", "spc-full"), ("fpa", "fpa-full"), ("zil-all", "zil-all-full"), ("ipc", "ipc-full")] {
            let setting = random(seed, if with == "zil-all" { &[1.0] } else { &[1.0, 2.0] });
            let named = |name| {
                Rule::from_name(name, Steps::constant(t, 0.2)).unwrap().with_weight_step(WEIGHT_STEP).evaluated()
            };
            for (a, b) in setting.directions(&named(with)).iter().zip(&setting.directions(&named(without))) {
                prop_assert!(identical(a, b), "{}", with);
            }
        }
    }

    /// What the counting engine counts is what the recording engine records: FLOPs, and their longest path in products.
    #[test]
    fn counted_is_recorded_on_graphs(seed in any::<u64>(), t in 0usize..5) {
        let setting = random(seed, &[1.0]);
        for rule in rules(Steps::constant(t, 0.1)) {
            let (graph, _) = rule.prepare(&setting.graph).unwrap();
            let counting = Counting::new(&graph, BATCH);
            rule.learn(&counting, &mut unwatched).unwrap();
            let mut costs = graph.costs(BATCH);
            let recording = Recording::new(graph.topology().clone(), costs.clone());
            rule.learn(&recording, &mut unwatched).unwrap();
            prop_assert_eq!(recording.into_graph().work(), counting.totals().work.gemm_flops, "{}", rule);
            // every product as long as another: the longest path is the counted one
            for cost in &mut costs {
                let verbs = [&mut cost.forward, &mut cost.param_grad].into_iter();
                verbs.chain(&mut cost.vjp).chain(&mut cost.vjp_linear).for_each(|v| v.gemm_flops = v.gemms);
            }
            let recording = Recording::new(graph.topology().clone(), costs);
            rule.learn(&recording, &mut unwatched).unwrap();
            prop_assert_eq!(recording.into_graph().critical_path(), counting.totals().critical_path, "{}", rule);
        }
    }

    /// The levelled graph has the same values and only paths of equal length from its states.
    #[test]
    fn levelled_graphs_are_level(seed in any::<u64>()) {
        let setting = random(seed, &[1.0]);
        let (levelled, to) = setting.graph.levelled().unwrap();
        prop_assert!(levels::levels(levelled.topology()).is_ok());
        let old = setting.graph.forward(&setting.params, &setting.data).unwrap();
        let new = levelled.forward(&setting.params, &setting.data).unwrap();
        for (i, value) in old.iter().enumerate() {
            prop_assert_eq!(largest(&(value - &new[to[i]]).unwrap()), 0.0);
        }
        let again = levelled.levelled().unwrap().0;
        prop_assert_eq!(again.len(), levelled.len(), "a level graph stays as it is");
    }
}

/// A frozen parameter has no direction, and the others have what they had.
#[test]
fn frozen_parameters_stay() {
    let build = |freeze: bool| {
        let mut g = GraphBuilder::new();
        let (x, y) = (Source::Data(g.data("x", &[2])), g.data("y", &[2]));
        let (w, u) = (g.param("w", &[2, 2]), g.param("u", &[2, 2]));
        if freeze {
            g.freeze(u);
        }
        let hidden = g.latent("hidden", Linear { bias: false }, &[x], &[w], 1.0).unwrap();
        let out = g.vertex("out", Linear { bias: false }, &[Source::Vertex(hidden)], &[u]).unwrap();
        g.loss(out, y, Loss::HALF_SQUARED_ERROR).unwrap();
        Setting {
            graph: g.build().unwrap(),
            params: vec![normal(&[2, 2], 1), normal(&[2, 2], 2)],
            data: vec![normal(&[3, 2], 3), normal(&[3, 2], 4)],
        }
    };
    let (free, frozen) = (build(false), build(true));
    for rule in rules(Steps::constant(3, 0.2)) {
        let (free, frozen) = (free.learn(&rule), frozen.learn(&rule));
        assert!(frozen.directions[1].is_none() && frozen.params[1].is_none(), "{rule}");
        match (&free.directions[0], &frozen.directions[0]) {
            (Some(a), Some(b)) => close(a, b, 0.0, rule.name()),
            (None, None) => assert!(rule.moves_parameters()),
            _ => panic!("{rule}"),
        }
    }
}

/// Networks that cannot be built are refused in one sentence that names the vertex.
#[test]
fn networks_that_do_not_fit_are_refused_by_name() {
    let start = || {
        let mut g = GraphBuilder::new();
        let x = Source::Data(g.data("x", &[2]));
        let y = g.data("y", &[3]);
        let w = g.param("w", &[3, 2]);
        (g, x, y, w)
    };
    let said = |e: pcnbench::Error| {
        let said = e.to_string();
        assert!(!said.contains('\n'), "{said}");
        said
    };
    let (mut g, x, y, w) = start();
    let linear = Linear { bias: false };
    let v = g.latent("v", linear, &[x], &[w], 1.0).unwrap();
    let e = said(g.vertex("u", linear, &[Source::Vertex(v)], &[w]).unwrap_err());
    assert!(e.contains("vertex `u`") && e.contains("reads 3 values"), "{e}");
    let e = said(g.vertex("v", linear, &[x], &[w]).unwrap_err());
    assert!(e.contains("vertex `v`") && e.contains("unique"), "{e}");
    let e = said(g.latent("z", linear, &[x], &[w], -1.0).unwrap_err());
    assert!(e.contains("vertex `z`") && e.contains("precision -1"), "{e}");
    let e = said(g.vertex("s", Add, &[x], &[]).unwrap_err());
    assert!(e.contains("vertex `s`") && e.contains("two or more"), "{e}");
    let e = said(g.vertex("s", Slice { axis: 1, from: 1, to: 5 }, &[x], &[]).unwrap_err());
    assert!(e.contains("vertex `s`") && e.contains("1 to 5 of 2"), "{e}");
    let x_data = 0;
    let e = said(g.loss(v, x_data, Loss::HALF_SQUARED_ERROR).unwrap_err());
    assert!(e.contains("vertex `v`") && e.contains("`x`"), "{e}");
    let e = said(g.vertex("far", Act(Activation::Tanh), &[Source::Vertex(9)], &[]).unwrap_err());
    assert!(e.contains("vertex `far`") && e.contains("reads vertex 9"), "{e}");
    let e = said(g.vertex("far", linear, &[x], &[7]).unwrap_err());
    assert!(e.contains("vertex `far`") && e.contains("uses parameter 7"), "{e}");
    assert!(said(g.loss(5, y, Loss::HALF_SQUARED_ERROR).unwrap_err()).contains("a loss on vertex 5"));
    g.vertex("dead", Act(Activation::Tanh), &[Source::Vertex(v)], &[]).unwrap();
    g.loss(v, y, Loss::HALF_SQUARED_ERROR).unwrap();
    let e = said(g.build().unwrap_err());
    assert!(e.contains("vertex `dead` leads to no loss"), "{e}");

    let (mut g, x, y, w) = start();
    let v = g.vertex("v", linear, &[x], &[w]).unwrap();
    g.param("spare", &[1]);
    g.loss(v, y, Loss::HALF_SQUARED_ERROR).unwrap();
    let e = said(g.build().unwrap_err());
    assert!(e.contains("parameter `spare` is used by no vertex"), "{e}");
    let (mut g, x, _, w) = start();
    g.vertex("v", linear, &[x], &[w]).unwrap();
    assert!(said(g.build().unwrap_err()).contains("no loss"));
    let (mut g, ..) = start();
    g.data("w", &[2]);
    assert!(said(g.build().unwrap_err()).contains("tensor `w` has the name of another"));
    let (mut g, ..) = start();
    g.param("u", &[0, 2]);
    assert!(said(g.build().unwrap_err()).contains("tensor `u` has an axis of size 0"));
    // a softmax needs an axis besides the samples
    let mut g = GraphBuilder::new();
    let (x, y) = (Source::Data(g.data("x", &[])), g.data("y", &[]));
    let v = g.vertex("v", Act(Activation::Tanh), &[x], &[]).unwrap();
    let loss = Loss { kind: LossKind::CrossEntropy, ..Loss::HALF_SQUARED_ERROR };
    let e = said(g.loss(v, y, loss).unwrap_err());
    assert!(e.contains("vertex `v`") && e.contains("softmax"), "{e}");
}

/// A network that only a chain of dense layers is can be run by fused engines; every other says why not.
#[test]
fn only_chains_of_dense_layers_are_stacks() {
    let dense = || Dense {
        inputs: 2,
        outputs: 2,
        act_in: Activation::Tanh,
        act_out: Activation::Identity,
        scale: 1.0,
        skip: false,
        bias: false,
    };
    // a chain of two layers with something else: precision, input of the second, whether the parameter is shared,
    // target first
    let build = |precision: Option<f64>, direct: bool, shared: bool, swapped: bool| {
        let mut g = GraphBuilder::new();
        let named = |g: &mut GraphBuilder, name: &str| g.data(name, &[2]);
        let (x, y) = if swapped {
            let y = named(&mut g, "y");
            (named(&mut g, "x"), y)
        } else {
            (named(&mut g, "x"), named(&mut g, "y"))
        };
        let w = g.param("w", &[2, 2]);
        let u = if shared { w } else { g.param("u", &[2, 2]) };
        let first = g.add("1", std::sync::Arc::new(dense()), &[Source::Data(x)], &[w], precision).unwrap();
        let below = if direct { Source::Data(x) } else { Source::Vertex(first) };
        let last = g.vertex("2", dense(), &[below], &[u]).unwrap();
        g.loss(last, y, Loss::HALF_SQUARED_ERROR).unwrap();
        if direct {
            g.loss(first, y, Loss::HALF_SQUARED_ERROR).unwrap();
        }
        g.build().unwrap().as_stack()
    };
    assert_eq!(build(Some(1.0), false, false, false).unwrap().len(), 2);
    for (graph, why) in [
        (build(None, false, false, false), "`1` has no state"),
        (build(Some(2.0), false, false, false), "`1` has precision 2"),
        (build(Some(1.0), true, false, false), "`2` does not read the vertex before it"),
        (build(Some(1.0), false, true, false), "`2` shares a parameter"),
        (build(Some(1.0), false, false, true), "`1` does not read data tensor 0"),
    ] {
        let said = graph.unwrap_err().to_string();
        assert!(said.contains(why) && said.contains("use engine reference"), "{said}");
    }
}
