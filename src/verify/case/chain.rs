//! A case of schema 1: a chain of layers.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::wire::{name_of, parse, Network, WireLoss};
use crate::net::architecture::mlp::chain;
use crate::net::{Activation, Dense};
use crate::verify::host::Host;
use crate::Error;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireDense {
    #[serde(rename = "kind")]
    _kind: String,
    act_in: String,
    act_out: String,
    scale: f64,
    skip: bool,
    bias: bool,
}

/// Layer kinds that the format knows.
const KINDS: [&str; 4] = ["dense", "conv2d", "maxpool", "flatten"];

/// The network and its tensors, or the layer kind that is not built.
pub(super) fn network(
    wire: Vec<Value>,
    loss: &WireLoss,
    mut tensors: BTreeMap<String, Host>,
) -> Result<Result<Network, String>, String> {
    let mut missing = None;
    for (i, layer) in wire.iter().enumerate() {
        let kind = name_of(layer, "kind").map_err(|e| format!("layer {}: {e}", i + 1))?;
        if !KINDS.contains(&kind.as_str()) {
            return Err(format!("layer {}: {}", i + 1, Error::unknown("layer kind", &kind, KINDS)));
        }
        if kind != "dense" {
            missing = missing.or(Some(kind));
        }
    }
    if let Some(kind) = missing {
        return Ok(Err(format!("layer kind {kind}")));
    }
    let loss = loss.loss("loss")?;
    let mut take = |name: &str| tensors.remove(name).ok_or(format!("tensors: `{name}` is missing"));
    let (x, y) = (take("x")?, take("y")?);
    let [batch, sample @ ..] = x.shape.as_slice() else {
        return Err("tensors: `x` is a number; expected [B, n]".into());
    };
    if sample.is_empty() {
        return Err(format!("tensors: `x` has shape {:?}; expected [B, n]", x.shape));
    }
    let mut width = sample.iter().product::<usize>();
    let (mut layers, mut params) = (Vec::new(), Vec::new());
    for (i, layer) in wire.into_iter().enumerate() {
        let l = i + 1;
        let w: WireDense = parse(layer, &format!("layer {l}"))?;
        let act = |s: &str| s.parse::<Activation>().map_err(|e| format!("layer {l}: {e}"));
        let (act_in, act_out) = (act(&w.act_in)?, act(&w.act_out)?);
        let weight = take(&format!("w.{l}"))?;
        let outputs = match weight.shape.as_slice() {
            [outputs, inputs] if *inputs == width => *outputs,
            got => return Err(format!("tensors: `w.{l}` has shape {got:?}; expected [outputs, {width}]")),
        };
        if w.skip && outputs != width {
            return Err(format!(
                "layer {l}: a skip needs equal sizes, got {width} inputs and {outputs} outputs"
            ));
        }
        params.push(weight);
        if w.bias {
            let bias = take(&format!("b.{l}"))?;
            if bias.shape != [outputs] {
                return Err(format!("tensors: `b.{l}` has shape {:?}; expected [{outputs}]", bias.shape));
            }
            params.push(bias);
        }
        let (scale, skip, bias) = (w.scale, w.skip, w.bias);
        layers.push(Dense { inputs: width, outputs, act_in, act_out, scale, skip, bias });
        width = outputs;
    }
    if layers.is_empty() {
        return Err("layers: the list is empty; expected at least one layer".into());
    }
    if y.shape != [*batch, width] {
        return Err(format!("tensors: `y` has shape {:?}; expected [{batch}, {width}]", y.shape));
    }
    let graph = chain(layers, sample, loss).map_err(|e| e.to_string())?;
    if let Some(name) = tensors.keys().next() {
        return Err(format!("tensors: `{name}` belongs to no layer"));
    }
    Ok(Ok(Network { graph, data: vec![x, y], params }))
}
