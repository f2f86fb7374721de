//! Running a case and naming every number it produced.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};

use super::case::Case;
use super::host::Host;
use crate::engine::autograd::Autograd;
use crate::engine::fused::Fused;
use crate::engine::reference::Reference;
use crate::engine::{unwatched, EngineKind, Learned};
use crate::net::{Layer, Network, Params};
use crate::rule::Rule;
use crate::{Error, Result};

/// Computed tensors under the names of the case format.
pub type Produced = BTreeMap<String, Host>;

/// Runs `case` on an engine; everything the format names for its rule is in the result.
pub fn execute(case: &Case, engine: EngineKind, dtype: DType, device: &Device) -> Result<Produced> {
    let layers = case.layers.iter().map(|l| Box::new(l.clone()) as Box<dyn Layer>).collect();
    let network = Network::new(layers)?;
    let params = case
        .params
        .iter()
        .map(|own| own.iter().map(|h| h.tensor(dtype, device)).collect::<Result<Vec<_>>>())
        .collect::<Result<Params>>()?;
    let (x, y) = (case.x.tensor(dtype, device)?, case.y.tensor(dtype, device)?);
    match engine {
        EngineKind::Reference => reference(case, &network, &params, &x, &y, None),
        EngineKind::Autograd => autograd(case, &network, &params, &x, &y),
        kind => {
            kind.check(dtype, false)?;
            let fused = Fused::new(case.layers.clone(), kind, None)?;
            reference(case, &network, &params, &x, &y, Some(&fused))
        }
    }
}

fn reference(
    case: &Case,
    network: &Network,
    params: &Params,
    x: &Tensor,
    y: &Tensor,
    fused: Option<&Fused>,
) -> Result<Produced> {
    let engine = Reference { network, params, x, y, loss: case.loss, feedback: None };
    let rule = case
        .schedule
        .ok_or_else(|| Error::Invalid(format!("{} is a closed form, not a rule to execute", case.rule)))?;
    let learned = match fused {
        None => rule.learn(&engine, &mut unwatched)?,
        Some(fused) => {
            let left = fused.learn(&rule, &case.loss, &fused.pack(params, 0)?, (x, y), true)?;
            let Learned { states, output, errors, directions, params } = left;
            Learned { states, output, errors, directions, params }
        }
    };
    let batch = x.dim(0)?;
    let mut out = Produced::new();
    let relaxes_adjoints = matches!(rule, Rule::Bp(_) | Rule::Ar(_));
    let reads_on_the_way = matches!(rule, Rule::Zil(_));
    if !reads_on_the_way {
        for (l, state) in learned.states.iter().enumerate() {
            out.insert(format!("state.{}", l + 1), Host::from_tensor(state)?);
        }
    }
    for (i, error) in learned.errors.iter().enumerate() {
        let error = match error {
            Some(e) => Host::from_tensor(e)?,
            None => Host::zeros(&[batch, network.layer(i + 1).outputs()]),
        };
        if relaxes_adjoints {
            out.insert(format!("adjoint.{}", i + 1), error.negated());
        } else {
            out.insert(format!("error.{}", i + 1), error);
        }
    }
    for (i, old) in params.iter().enumerate() {
        let shapes = network.layer(i + 1).param_shapes();
        for (k, name) in ["w", "b"].into_iter().enumerate().take(shapes.len()) {
            if rule.moves_parameters() {
                let new = learned.params[i].as_ref().unwrap_or(old);
                out.insert(format!("new.{name}.{}", i + 1), Host::from_tensor(&new[k])?);
            } else {
                let direction = match &learned.directions[i] {
                    Some(d) => Host::from_tensor(&d[k])?,
                    None => Host::zeros(&shapes[k]),
                };
                out.insert(format!("grad.{name}.{}", i + 1), direction.negated());
            }
        }
    }
    if relaxes_adjoints {
        out.insert("loss".into(), Host::scalar(case.loss.value(&learned.output, y)?));
    }
    if rule.has_energy() {
        out.insert("energy".into(), Host::vector(engine.energy(&learned)?));
    }
    out.insert("output".into(), Host::from_tensor(&learned.output)?);
    Ok(out)
}

/// Candle's own reverse mode: the output, the loss and the parameter gradients, nothing in between.
fn autograd(case: &Case, network: &Network, params: &Params, x: &Tensor, y: &Tensor) -> Result<Produced> {
    let (directions, output) = Autograd::new(params)?.directions(network, &case.loss, x, y)?;
    let mut out = Produced::new();
    for (i, own) in directions.iter().enumerate() {
        for (name, d) in ["w", "b"].into_iter().zip(own) {
            out.insert(format!("grad.{name}.{}", i + 1), Host::from_tensor(d)?.negated());
        }
    }
    out.insert("loss".into(), Host::scalar(case.loss.value(&output, y)?));
    out.insert("output".into(), Host::from_tensor(&output)?);
    Ok(out)
}
