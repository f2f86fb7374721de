//! Whether the points of a run fit into memory.

use candle_core::DType;

use crate::contender::{stable_step, ContenderSpec};
use crate::engine::EngineKind;
use crate::measure::memory_limit::Memory;
use crate::net::Graph;
use crate::optim::OptimiserKind;
use crate::rule::{Method, Rule, StepUnit};
use crate::suite::{DeviceKind, Model};
use crate::Result;

use super::point::Prepared;
use super::size::{check_room, data, elements, product};
use super::train::evaluation::ROWS as EVALUATED;
use super::weight_update::ROTATION;

/// Tensors `[B, N]` kept per layer: state, error, step, and the four of a linearisation.
const KEPT: f64 = 7.0;

/// Refuses points that would not fit into `memory`, instead of being killed later.
pub(super) fn check_memory(prepared: &[Prepared<'_>], memory: &Memory) -> Result<()> {
    for p in prepared.iter().filter(|p| p.point.device == DeviceKind::Cpu) {
        let what = || format!("point {}", p.point.id);
        check_room(what, bytes(p)?, memory, "lower its width, depth or batch")?;
    }
    Ok(())
}

/// Weights, optimiser state and gradients of all contenders and controls at once, with batches of their own; the states
/// of one at a time; and the largest parameter in f64 while it is drawn.
fn bytes(p: &Prepared<'_>) -> Result<f64> {
    let element = if p.point.dtype == DType::F64 { 8.0 } else { 4.0 };
    let batch = p.point.batch as f64;
    let timed = p.benchmark.model == Model::WeightUpdate;
    let (mut all, mut largest, mut at_work, mut drawn) = (0.0f64, 0.0f64, 0.0f64, 0.0f64);
    let mut searched = 0.0f64;
    for spec in &p.specs {
        let graph = spec.network.graph(spec.loss)?;
        let parameters = graph.params().iter().map(elements).sum::<f64>();
        let values = (0..graph.len()).map(|i| product(graph.shape(i))).sum::<f64>();
        let held = parameters * copies(spec);
        let copies = if p.has_control(spec) { 2.0 } else { 1.0 };
        all += copies * (held + ROTATION as f64 * batch * data(&graph) as f64);
        largest = largest.max(2.0 * held);
        let scratch = graph.costs(p.point.batch).iter().map(|cost| cost.scratch).max().unwrap_or(0) as f64;
        at_work = at_work.max(parameters + (KEPT + besides(spec)) * batch * values + scratch);
        searched = searched.max(search(spec, &graph, p.point.batch));
        if p.benchmark.model == Model::Training {
            // the start, a checkpoint, and the values of rows that are evaluated
            largest = largest.max(2.0 * held + 3.0 * parameters);
            at_work = at_work.max(parameters + batch.max(EVALUATED as f64) * values + scratch);
        }
        drawn = drawn.max(8.0 * graph.params().iter().map(elements).fold(0.0, f64::max));
    }
    Ok(element * (at_work + if timed { all } else { largest }) + drawn + searched)
}

/// Tensors per vertex that backpropagation holds: value, adjoint, and two of a linearisation.
const KEPT_BY_BACKPROPAGATION: f64 = 4.0;
/// Tensors of the largest vertex that operations hold for a moment.
const PASSING: f64 = 4.0;
/// Bytes of threads and code that an update brings along, whatever its size.
const FIXED: f64 = 24.0 * (1 << 20) as f64;

/// Bytes by which memory in use grows at most in one weight update on the CPU, from what is there before it.
///
/// Per vertex and sample the tensors that its rule holds; the largest scratch of an operation; and per parameter its direction,
/// the moved parameter and what the optimiser keeps. An engine that works on part of the batch holds the weights of
/// convolutions in the two orders in which they are read, and directions of every thread.
///
/// # Errors
/// [`Error::Invalid`](crate::Error::Invalid) if the contender's network cannot be built.
pub fn most_memory(spec: &ContenderSpec, batch: usize, threads: usize) -> Result<f64> {
    let element = if spec.dtype == DType::F64 { 8.0 } else { 4.0 };
    let graph = spec.network.graph(spec.loss)?;
    let parameters = graph.params().iter().map(elements).sum::<f64>();
    let sizes = || (0..graph.len()).map(|i| product(graph.shape(i)));
    let largest = sizes().fold(0.0, f64::max);
    // autograd keeps what every operation read and what it gave, and a gradient of each
    let by_hand = spec.rule.name() == "bp" && spec.id.engine != EngineKind::Autograd;
    let kept = if by_hand { KEPT_BY_BACKPROPAGATION } else { KEPT + besides(spec) };
    let values = batch as f64 * (kept * sizes().sum::<f64>() + PASSING * largest + data(&graph) as f64);
    let scratch = graph.costs(batch).iter().map(|cost| cost.scratch).max().unwrap_or(0) as f64;
    let in_parts = if spec.id.engine.is_fused() { 2.0 + threads as f64 } else { 0.0 };
    let sets = 2.0 + copies(spec) + in_parts;
    Ok(element * (values + 2.0 * scratch + sets * parameters) + FIXED + search(spec, &graph, batch))
}

/// Tensors per vertex that a rule keeps from step to step besides: those of its method of inference, multipliers, a second
/// phase.
fn besides(spec: &ContenderSpec) -> f64 {
    let kept = spec.rule.steps().map_or(0, |steps| {
        // descents of all vertices at once, before any of them moves
        let gathers = steps.residual > 0.0 || steps.method == Method::ConjugateGradient;
        steps.method.tensors() + usize::from(gathers)
    }) as f64;
    match spec.rule {
        Rule::PcAlm(_) => kept + 1.0,
        // a phase of its own for each sign of the nudge
        Rule::Ep(_) => kept + KEPT,
        _ => kept,
    }
}

/// Bytes of the search for a step.
fn search(spec: &ContenderSpec, graph: &Graph, batch: usize) -> f64 {
    if spec.rule.steps().is_none_or(|steps| steps.unit == StepUnit::One) {
        return 0.0;
    }
    let values = graph.topology().latent().map(|i| graph.shape(i).iter().product::<usize>()).sum::<usize>();
    stable_step::bytes(batch * values) as f64
}

/// How often a contender holds its parameters: themselves, backward weights, the optimiser's moments of both, variables.
fn copies(spec: &ContenderSpec) -> f64 {
    let moments = match spec.optimiser {
        OptimiserKind::Sgd | OptimiserKind::Mq => 0.0,
        OptimiserKind::Momentum => 1.0,
        OptimiserKind::Adam => 2.0,
    };
    let sets = if spec.rule.learns_feedback() { 2.0 } else { 1.0 };
    sets * (1.0 + moments) + if spec.id.engine == EngineKind::Autograd { 1.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::super::device_health::synchronise;
    use super::super::point::prepare;
    use super::super::resources::Resources;
    use super::*;
    use crate::suite::{Overrides, Suite};

    /// Of one network of width 4 on two samples of 64 pixels and 10 classes, in f32, with SGD.
    #[test]
    fn memory_is_counted_for_controls_and_batches() {
        let of = |contenders: &str, control: bool| {
            let text = format!(
                r#"schema = 1
name = "sizes"
about = "One point."
seed = 1
[[benchmark]]
name = "only"
model = "weight-update"
about = "x"
data = "digits"
contenders = [{contenders}]
[benchmark.axes]
depth = [2]
width = [4]
batch = [2]
[benchmark.timing]
control = {control}
"#
            );
            let suite = Suite::parse(&text, "sizes.toml", &Overrides::default()).unwrap();
            let mut resources = Resources::new(&suite, None, &synchronise).unwrap();
            bytes(&prepare(&suite, &mut resources).unwrap()[0]).unwrap()
        };
        // weights, and eight batches
        let each = 4.0 * ((64 * 4 + 4 * 10) as f64 + 8.0 * 2.0 * 74.0);
        let (one, two) = ("\"bp/reference\"", "\"bp/reference\", \"spc/reference\"");
        assert_eq!(of(two, false) - of(one, false), each);
        assert_eq!(of(two, true) - of(two, false), each, "BP is what sPC's ratio is to");
    }
}
