//! Running a case and naming every number it produced.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};

use super::case::Case;
use super::host::Host;
use crate::contender::backend::fused::engine::Fused;
use crate::engine::autograd::Autograd;
use crate::engine::reference::Reference;
use crate::engine::{unwatched, EngineKind, Learned};
use crate::net::{OutputEnergy, VertexId};
use crate::rule::Rule;
use crate::{Error, Result};

/// Computed tensors under the names of the case format.
pub type Produced = BTreeMap<String, Host>;

/// Runs `case` on an engine; everything the format names for its rule is in the result.
///
/// # Errors
/// If the engine does not take the network or the rule, or a tensor does not fit.
pub fn execute(case: &Case, engine: EngineKind, dtype: DType, device: &Device) -> Result<Produced> {
    let tensors = |hosts: &[Host]| hosts.iter().map(|h| h.tensor(dtype, device)).collect::<Result<Vec<_>>>();
    let (params, data) = (tensors(&case.params)?, tensors(&case.data)?);
    if engine == EngineKind::Autograd {
        return autograd(case, &params, &data);
    }
    let rule = case
        .schedule
        .ok_or_else(|| Error::Invalid(format!("{} is a closed form, not a rule to execute", case.rule)))?
        .evaluated();
    let (graph, to) = rule.prepare(&case.graph)?;
    let reference = Reference { graph: &graph, params: &params, data: &data, feedback: None };
    if engine == EngineKind::Reference {
        return name(case, &rule, &reference, &to, &rule.learn(&reference, &mut unwatched)?);
    }
    engine.check(dtype, false)?;
    let fused = Fused::new(graph.as_stack()?, engine, None)?;
    let (loss, theta) = (graph.losses()[0].loss, fused.pack(&params, 0)?);
    let learned = fused.learn(&rule, &loss, &theta, (&data[0], &data[1]), true)?;
    name(case, &rule, &reference, &to, &learned)
}

/// What a rule produced, by the names of the case's vertices and parameters.
fn name(
    case: &Case,
    rule: &Rule,
    engine: &Reference<'_>,
    to: &[VertexId],
    learned: &Learned<Tensor, Tensor, Tensor>,
) -> Result<Produced> {
    let mut out = Produced::new();
    let topology = case.graph.topology();
    let relaxes_adjoints = matches!(rule, Rule::Bp(_) | Rule::Ar(_));
    for (i, &at) in to.iter().enumerate() {
        let vertex = case.graph.name(i);
        if topology.is_latent(i) && !matches!(rule, Rule::Zil(_)) {
            out.insert(format!("state.{vertex}"), Host::from_tensor(&learned.states[at])?);
        }
        let error = match &learned.errors[at] {
            Some(e) => Host::from_tensor(e)?,
            None if topology.is_latent(i) => Host::zeros(learned.states[at].dims()),
            None => continue,
        };
        if let (true, Rule::PcAlm(_)) = (topology.is_latent(i), rule) {
            let multiplier = match learned.multipliers.get(at).and_then(Option::as_ref) {
                Some(multiplier) => Host::from_tensor(multiplier)?,
                None => Host::zeros(learned.states[at].dims()),
            };
            out.insert(format!("multiplier.{vertex}"), multiplier);
        }
        if relaxes_adjoints {
            out.insert(format!("adjoint.{vertex}"), error.negated());
        } else {
            out.insert(format!("error.{vertex}"), error);
        }
    }
    for (p, named) in case.graph.params().iter().enumerate() {
        if rule.moves_parameters() {
            let new = learned.params[p].as_ref().unwrap_or(&engine.params[p]);
            out.insert(format!("new.{}", named.name), Host::from_tensor(new)?);
        } else {
            let direction = match &learned.directions[p] {
                Some(d) => Host::from_tensor(d)?,
                None => Host::zeros(&named.shape),
            };
            out.insert(format!("grad.{}", named.name), direction.negated());
        }
    }
    if rule.has_energy() {
        let energies = match rule {
            Rule::PcAlm(own) => engine.augmented_energy(learned, own.rho)?,
            _ => engine.energy(learned)?,
        };
        out.insert("energy".into(), Host::vector(energies));
    }
    finish(case, out, &learned.outputs, engine.data, relaxes_adjoints)
}

/// Adds outputs and, where the format has it, the loss.
fn finish(
    case: &Case,
    mut out: Produced,
    outputs: &[Tensor],
    data: &[Tensor],
    loss: bool,
) -> Result<Produced> {
    let mut total = 0.0;
    for (term, output) in case.graph.losses().iter().zip(outputs) {
        total += term.loss.value(output, &data[term.target])?;
        let key =
            if case.chain { "output".into() } else { format!("output.{}", case.graph.name(term.vertex)) };
        out.insert(key, Host::from_tensor(output)?);
    }
    if loss {
        out.insert("loss".into(), Host::scalar(total));
    }
    Ok(out)
}

/// Candle's own reverse mode: outputs, the loss and the parameter gradients, nothing in between.
fn autograd(case: &Case, params: &[Tensor], data: &[Tensor]) -> Result<Produced> {
    let (directions, outputs) = Autograd::new(params)?.directions(&case.graph, data)?;
    let mut out = Produced::new();
    for (named, d) in case.graph.params().iter().zip(&directions) {
        out.insert(format!("grad.{}", named.name), Host::from_tensor(d)?.negated());
    }
    finish(case, out, &outputs, data, true)
}
