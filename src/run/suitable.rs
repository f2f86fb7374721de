//! Whether a contender's network, data and model go together: what a suite cannot say before data are loaded and networks built.

use crate::contender::{self, ContenderSpec};
use crate::data::{Dataset, Targets};
use crate::net::architecture::mlp::X;
use crate::net::Graph;
use crate::rule::Info;
use crate::suite::{limits, DeviceKind, Model, Point, Study};
use crate::{Error, Result};

/// Refuses a contender at a point that would fail, or mean something else than its name says.
pub(super) fn check(spec: &ContenderSpec, model: Model, point: &Point, data: &Dataset) -> Result<()> {
    contender::check(spec, point.device == DeviceKind::Cuda)?;
    let graph = spec.network.graph(spec.loss)?;
    distributions(spec, &graph, data)?;
    match model {
        Model::SignalDecay => traced(spec, &graph),
        Model::Study(study) => studied(spec, &graph, study),
        Model::WeightUpdate | Model::Alignment | Model::Training => Ok(()),
    }
}

/// Targets under a softmax must be distributions: the error y − softmax(o) holds for rows that sum to 1.
fn distributions(spec: &ContenderSpec, graph: &Graph, data: &Dataset) -> Result<()> {
    if !spec.loss.kind.judges_distributions() {
        return Ok(());
    }
    for term in graph.losses() {
        let n = graph.data()[term.target].shape.last().copied().unwrap_or(1);
        let targets = match data.train.targets() {
            _ if term.target == X => data.train.x(),
            Targets::Values(values) => values,
            Targets::Classes(_) if n == data.outputs => continue,
            Targets::Classes(_) => &[],
        };
        let whole = |row: &[f32]| (row.iter().map(|&v| f64::from(v)).sum::<f64>() - 1.0).abs() < 1e-4;
        if targets.is_empty() || !targets.chunks(n).all(whole) {
            return Err(Error::Invalid(format!(
                "the targets of {} under loss {} do not sum to 1 over {n} outputs; use half_squared_error, or data of classes",
                data.name, spec.loss.kind
            )));
        }
    }
    Ok(())
}

/// A study is of states; some need an energy that inference descends.
fn studied(spec: &ContenderSpec, graph: &Graph, study: Study) -> Result<()> {
    if graph.topology().latent().next().is_none() {
        return Err(Error::Invalid(format!(
            "the model {} needs a network with a state; use depth 2 or more",
            study.name()
        )));
    }
    if let Some(families) = study.families().filter(|families| !families.contains(&spec.rule.family())) {
        return Err(Error::Invalid(format!(
            "the model {} says nothing of rule {}; use a rule of {}",
            study.name(),
            spec.rule.name(),
            families.join(", ")
        )));
    }
    Ok(())
}

/// A trace shows the energies of the network's own states by the engine that is named, and not too many of them.
fn traced(spec: &ContenderSpec, graph: &Graph) -> Result<()> {
    let chain = graph.as_stack().is_ok();
    if !chain && spec.id.engine.is_fused() {
        return Err(Error::Invalid("fused engines trace stacks of layers only; use engine reference".into()));
    }
    if spec.graph()?.len() != graph.len() {
        return Err(Error::Invalid(format!(
            "rule {} inserts identities into this network, whose states would be traced as layers; use another rule",
            spec.rule.name()
        )));
    }
    if let Some(i) = graph.topology().first_weighted() {
        return Err(Error::Invalid(format!(
            "vertex `{}` has another precision than 1 or another energy than gaussian, for which no law stands beside a trace; use \
             these, or the model alignment",
            graph.name(i)
        )));
    }
    let terms = graph.topology().latent().count() + graph.losses().len();
    let steps = spec.rule.steps().map_or(0, |steps| steps.count);
    let shown = Info::of(spec.rule.name())
        .map_or(steps, |info| info.steps(graph.topology().stages().len() + 1, steps));
    if terms.saturating_mul(shown.saturating_add(1)) > limits::TRACED {
        return Err(Error::Invalid(format!(
            "{shown} steps of {terms} states and losses are more than the {} energies traced at most; lower steps or depth",
            limits::TRACED
        )));
    }
    Ok(())
}
