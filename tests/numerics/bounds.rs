//! Oracle: simulation. Counts and predictions are sums and makespans of the recorded schedule; a bound is what is left
//! of it without what reaches no direction.

use super::{random_problem, Random};
use pcnbench::engine::recording::Recording;
use pcnbench::engine::unwatched;
use pcnbench::net::{LayerCost, Loss, VerbCost};
use pcnbench::rule::{Rule, Steps};
use pcnbench::theory::analysis::Source;
use pcnbench::theory::cost::NetCost;
use pcnbench::theory::makespan::{Graph, Task, Verb};
use proptest::prelude::*;
use std::collections::HashSet;

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
    let engine = Recording::chain(layers);
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

    /// The count of inference is the simulated time of the schedule on one processor, parameter VJPs taken out, and the
    /// layer-parallel prediction that step by step on a processor per layer.
    #[test]
    fn counts_and_predictions_are_makespans(layers in random_layers(), t in 0usize..9) {
        let net = NetCost::new(layers.clone(), &Loss::HALF_SQUARED_ERROR);
        let inference = without_param_grads(&layers);
        for rule in variants(t) {
            let analysis = rule.analysis(&net);
            prop_assert_eq!(analysis.rule, rule.name());
            let serial = graph(&inference, &rule, true);
            prop_assert_eq!(analysis.inference.flops, serial.schedule(1).unwrap().makespan, "{} serial", rule);
            let parallel = graph(&inference, &rule, true);
            prop_assert_eq!(
                analysis.layer_parallel.flops,
                parallel.schedule(layers.len()).unwrap().makespan,
                "{} layer-parallel", rule
            );
        }
    }

    /// What reaches no direction can be left out, and nothing else: for rules that linearise anew the bound is the
    /// recorded schedule of the light cone without products on no way to a parameter gradient. Rules that keep their
    /// linearisation need each verb of a layer once, and Z-IL's result is backpropagation's.
    #[test]
    fn bounds_are_what_reaches_a_direction(layers in random_layers(), t in 0usize..9) {
        let net = NetCost::new(layers.clone(), &Loss::HALF_SQUARED_ERROR);
        let steps = Steps::constant(t, 0.1);
        let named = |name: &str| Rule::from_name(name, steps).unwrap();
        for rule in variants(t) {
            let least = rule.analysis(&net).least;
            let schedule = match rule.family() {
                "zil" => named("bp"),
                // every layer is reached in the first of its steps
                _ if rule.name() == "fpa-nested" => named(if t > 0 { "bp" } else { "fpa" }),
                // errors cross two layers per step
                _ if rule.name() == "spc-evenodd" => rule,
                // products of its own
                _ if rule.name() == "spc-cg" => rule,
                family @ ("spc" | "fpa" | "ipc") => named(family),
                _ => rule,
            };
            let once = ["fpa", "ar"].contains(&rule.family());
            let recorded = graph(&layers, &schedule, false);
            let (whole, inference) = match rule.family() {
                "ep" => less_shared(needed(&recorded, once), &recorded),
                _ => needed(&recorded, once),
            };
            prop_assert_eq!((least.update.gemms, least.update.gemm_flops), whole, "{} whole", rule);
            prop_assert_eq!((least.inference.gemms, least.inference.gemm_flops), inference, "{} inference", rule);
            let count = rule.cost(&net).work;
            prop_assert!(least.update.gemms <= count.gemms && least.update.gemm_flops <= count.gemm_flops);
            prop_assert!(least.inference.gemm_flops <= rule.analysis(&net).inference.flops);
            prop_assert_eq!(least.read, layers.len() as u64);
        }
        // where the cone ends decides what is written
        let reached = |t: usize| (t + 1).min(layers.len()) as u64;
        prop_assert_eq!(named("spc-full").analysis(&net).least.written, reached(t));
        prop_assert_eq!(named("fpa").analysis(&net).least.written, reached(t));
        prop_assert_eq!(named("ipc-full").analysis(&net).least.written, t.min(layers.len()) as u64);
        prop_assert_eq!(named("bp").analysis(&net).least.written, layers.len() as u64);
    }

    /// What the paper states: FPA and Z-IL never beat backpropagation, even with a processor per layer.
    #[test]
    fn nothing_in_the_paper_beats_backpropagation(layers in random_layers(), extra in 0usize..4) {
        let net = NetCost::new(layers.clone(), &Loss::HALF_SQUARED_ERROR);
        for rule in variants(layers.len() - 1 + extra) {
            let analysis = rule.analysis(&net);
            let serial = analysis.inference.over_bp;
            prop_assert!(serial >= 1.0 || analysis.updates > 1, "{}: {}", rule, serial);
            let in_paper = ["bp", "fpa", "zil"].contains(&rule.family());
            let parallel = analysis.layer_parallel;
            if in_paper || parallel.source == Source::Paper {
                prop_assert!(parallel.over_bp >= 1.0, "{}: {}", rule, parallel.over_bp);
            }
        }
    }

    /// One processor needs the sum of all durations, unlimited ones the longest path, and P of them neither
    /// less than both allow nor more than Graham's bound; with equal durations the longest path is the counted
    /// critical path.
    #[test]
    fn makespans_lie_between_work_and_depth(problem in random_problem(), t in 0usize..6, processors in 1usize..9) {
        let Random { spec, batch, loss, .. } = &problem;
        let layers = spec.costs(*batch);
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

/// Products from which some way leads to a parameter gradient, how many and their FLOPs: with those gradients and
/// without. If `once`, each verb of a layer counts once.
fn needed(g: &Graph, once: bool) -> ((u64, u64), (u64, u64)) {
    let mut reaches = vec![false; g.tasks().len()];
    let mut seen = HashSet::new();
    let (mut whole, mut inference) = ((0, 0), (0, 0));
    for (i, task) in g.tasks().iter().enumerate().rev() {
        reaches[i] |= task.verb == Verb::ParamGrad;
        if !reaches[i] {
            continue;
        }
        task.after.iter().for_each(|before| reaches[*before] = true);
        if task.verb == Verb::Join || (once && !seen.insert((task.verb, task.layer))) {
            continue;
        }
        whole = (whole.0 + 1, whole.1 + task.duration);
        if task.verb != Verb::ParamGrad {
            inference = (inference.0 + 1, inference.1 + task.duration);
        }
    }
    (whole, inference)
}

/// The same where two phases begin at one linearisation: of every layer the first VJP of the second phase is the first one's with another
/// sign, and so is the parameter VJP of the lowest layer, which both take at what the forward pass left below it.
fn less_shared((whole, inference): ((u64, u64), (u64, u64)), g: &Graph) -> ((u64, u64), (u64, u64)) {
    let less = |(n, sum): (u64, u64), task: &Task| (n - 1, sum - task.duration);
    let of = |verb: Verb| g.tasks().iter().filter(move |task| task.verb == verb);
    let (mut whole, mut inference) = (whole, inference);
    let mut seen = HashSet::new();
    for task in of(Verb::Vjp).filter(|task| seen.insert(task.layer)) {
        (whole, inference) = (less(whole, task), less(inference, task));
    }
    let lowest = of(Verb::ParamGrad).map(|task| task.layer).min();
    let twice: Vec<&Task> = of(Verb::ParamGrad).filter(|task| Some(task.layer) == lowest).collect();
    if let [task, _] = twice.as_slice() {
        whole = less(whole, task);
    }
    (whole, inference)
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
    let at = |name: &str| Rule::from_name(name, Steps::constant(5, 0.1)).unwrap().analysis(&net);
    assert_eq!(at("bp").layer_parallel.flops, 1004 + 1003);
    assert_eq!(at("fpa-full").layer_parallel.flops, 1004 + 5 * 1000);
    // under the light cone the first three steps have not reached the slow layer yet
    assert_eq!(at("fpa").layer_parallel.flops, 1004 + 3 + 2 * 1000);
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
