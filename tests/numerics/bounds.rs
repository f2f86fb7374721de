//! Oracle: simulation. Every bound is the makespan of its own schedule, or it is not a bound.

use super::{random_problem, Random};
use pcnbench::engine::recording::Recording;
use pcnbench::engine::unwatched;
use pcnbench::net::{LayerCost, Loss, Network, VerbCost};
use pcnbench::rule::{Rule, Steps};
use pcnbench::theory::bound::Source;
use pcnbench::theory::cost::NetCost;
use pcnbench::theory::makespan::{Graph, Task, Verb};
use proptest::prelude::*;

/// Layers whose verbs all take different times: bottlenecks anywhere.
fn random_layers() -> impl Strategy<Value = Vec<LayerCost>> {
    let product = |flops| VerbCost { gemms: 1, gemm_flops: flops, ..VerbCost::default() };
    let layer = [1u64..60, 1u64..60, 1u64..60].prop_map(move |[forward, vjp, param_grad]| LayerCost {
        forward: product(forward),
        vjp: product(vjp),
        vjp_linear: product(vjp),
        param_grad: product(param_grad),
        outputs: 1,
        parameters: 1,
    });
    prop::collection::vec(layer, 1..9)
}

fn graph(layers: &[LayerCost], rule: &Rule, stepwise: bool) -> Graph {
    let engine = Recording::new(layers.to_vec());
    if stepwise {
        rule.learn(&engine, &mut engine.stepwise()).unwrap();
    } else {
        rule.learn(&engine, &mut unwatched).unwrap();
    }
    engine.into_graph()
}

fn without_param_grads(layers: &[LayerCost]) -> Vec<LayerCost> {
    layers.iter().map(|l| LayerCost { param_grad: VerbCost::default(), ..*l }).collect()
}

fn variants(t: usize) -> impl Iterator<Item = Rule> {
    let steps = Steps::constant(t, 0.1);
    Rule::NAMES.into_iter().flat_map(move |name| {
        let rule = Rule::from_name(name, steps).unwrap();
        [rule, rule.evaluated()]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// The bound on either machine is the simulated time of the schedule, parameter VJPs taken out: on one
    /// processor, and step by step on a processor per layer.
    #[test]
    fn bounds_are_makespans(layers in random_layers(), t in 0usize..9) {
        let net = NetCost::new(layers.clone(), &Loss::HALF_SQUARED_ERROR);
        let inference = without_param_grads(&layers);
        for rule in variants(t) {
            let bound = rule.bound(&net);
            prop_assert_eq!(bound.rule, rule.name());
            let serial = graph(&inference, &rule, true);
            prop_assert_eq!(bound.serial.time, serial.schedule(1).unwrap().makespan, "{} serial", rule);
            let parallel = graph(&inference, &rule, true);
            prop_assert_eq!(
                bound.layer_parallel.time,
                parallel.schedule(layers.len()).unwrap().makespan,
                "{} layer-parallel", rule
            );
        }
    }

    /// What the paper states: FPA and Z-IL never beat backpropagation, even with a processor per layer.
    #[test]
    fn nothing_in_the_paper_beats_backpropagation(layers in random_layers(), extra in 0usize..4) {
        let net = NetCost::new(layers.clone(), &Loss::HALF_SQUARED_ERROR);
        for rule in variants(layers.len() - 1 + extra) {
            let bound = rule.bound(&net);
            prop_assert!(bound.serial.over_bp >= 1.0 || bound.updates > 1, "{}: {}", rule, bound.serial.over_bp);
            let in_paper = ["bp", "fpa", "zil"].contains(&rule.family());
            if in_paper || bound.layer_parallel.source == Source::Paper {
                prop_assert!(bound.layer_parallel.over_bp >= 1.0, "{}: {}", rule, bound.layer_parallel.over_bp);
            }
        }
    }

    /// One processor needs the sum of all durations, unlimited ones the longest path, and P of them neither
    /// less than both allow nor more than Graham's bound; with equal durations the longest path is the counted
    /// critical path.
    #[test]
    fn makespans_lie_between_work_and_depth(problem in random_problem(), t in 0usize..6, processors in 1usize..9) {
        let Random { spec, batch, loss, .. } = &problem;
        let layers = Network::mlp(spec).unwrap().costs(*batch);
        let net = NetCost::new(layers.clone(), loss);
        let unit: Vec<LayerCost> = layers.iter().map(|l| {
            let one = VerbCost { gemm_flops: 1, ..l.forward };
            LayerCost { forward: one, vjp: one, vjp_linear: one, param_grad: one, ..*l }
        }).collect();
        for rule in variants(t) {
            let g = graph(&layers, &rule, false);
            let (work, depth) = (g.work(), g.critical_path());
            prop_assert_eq!(work, rule.cost(&net).work.gemm_flops);
            prop_assert_eq!(g.schedule(1).unwrap().makespan, work);
            prop_assert_eq!(g.schedule(usize::MAX).unwrap().makespan, depth);
            let p = processors as u64;
            let schedule = g.schedule(processors).unwrap();
            prop_assert!(schedule.makespan >= depth.max(work.div_ceil(p)));
            prop_assert!(p * schedule.makespan <= work + (p - 1) * depth);
            check_placement(&g, processors);
            prop_assert_eq!(graph(&unit, &rule, false).critical_path(), rule.cost(&net).critical_path);
            prop_assert_eq!(graph(&unit, &rule, true).critical_path(), rule.cost(&net).stepwise);
        }
    }
}

/// No processor does two things at once, and no task starts before what it waits for has ended.
fn check_placement(g: &Graph, processors: usize) {
    let schedule = g.schedule(processors).unwrap();
    let mut free = vec![0; processors];
    let mut ends = vec![0; g.tasks().len()];
    for p in &schedule.placed {
        assert!(p.start >= free[p.processor]);
        free[p.processor] = p.start + g.tasks()[p.task].duration;
        ends[p.task] = free[p.processor];
    }
    let mut starts = vec![None; g.tasks().len()];
    schedule.placed.iter().for_each(|p| starts[p.task] = Some(p.start));
    for (i, task) in g.tasks().iter().enumerate() {
        let ready = task.after.iter().map(|t| ends[*t]).max().unwrap_or(0);
        match starts[i] {
            Some(start) => assert!(start >= ready, "task {i} starts before it can"),
            None => ends[i] = ready,
        }
    }
}

/// A slow layer is paid for once by backpropagation and in every step by FPA.
#[test]
fn a_bottleneck_costs_fixed_prediction_every_step() {
    let product = |flops| VerbCost { gemms: 1, gemm_flops: flops, ..VerbCost::default() };
    let layer = |flops| LayerCost {
        forward: product(flops),
        vjp: product(flops),
        vjp_linear: product(flops),
        param_grad: product(flops),
        outputs: 1,
        parameters: 1,
    };
    let layers = vec![layer(1), layer(1000), layer(1), layer(1), layer(1)];
    let net = NetCost::new(layers, &Loss::HALF_SQUARED_ERROR);
    let at = |name: &str| Rule::from_name(name, Steps::constant(5, 0.1)).unwrap().bound(&net);
    assert_eq!(at("bp").layer_parallel.time, 1004 + 1003);
    assert_eq!(at("fpa-full").layer_parallel.time, 1004 + 5 * 1000);
    // under the light cone the first three steps have not reached the slow layer yet
    assert_eq!(at("fpa").layer_parallel.time, 1004 + 3 + 2 * 1000);
    assert_eq!(at("fpa").slowest_layer, 2);
    let text = at("fpa").to_string();
    assert!(text.starts_with("fpa\n") && text.contains("[P]") && text.contains("[O]"), "{text}");
}

/// Misuse is an error, not a panic.
#[test]
fn graphs_refuse_what_cannot_be_scheduled() {
    let task = |after| Task { verb: Verb::Forward, layer: 1, duration: 2, after };
    let mut g = Graph::new();
    assert!(g.push(task(vec![0])).is_err());
    assert!(g.schedule(0).is_err());
    assert_eq!(g.schedule(3).unwrap().makespan, 0);
    assert_eq!(g.push(task(vec![])).unwrap(), 0);
    assert_eq!(g.push(task(vec![0])).unwrap(), 1);
    assert_eq!(g.schedule(3).unwrap().makespan, 4);
}
