//! A case of schema 1: a chain of layers.
//!
//! A layer that is not dense is several vertices, the last of which, named as the layer, is its prediction.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::wire::{name_of, parse, Network, WireLoss};
use crate::net::layers::{Act, Add, Conv2d, MaxPool, Reshape, Scale};
use crate::net::{Activation, Dense, GraphBuilder, Operation, ParamId, Source, VertexId};
use crate::verify::host::Host;
use crate::Error;

/// A layer with weights: act_out(scale·(W applied to act_in(v)) + b) + (v if `skip`).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireWeights {
    #[serde(rename = "kind")]
    _kind: String,
    act_in: String,
    act_out: String,
    scale: f64,
    skip: bool,
    bias: bool,
}

/// What a convolution says besides.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireWindows {
    stride: usize,
    padding: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WirePool {
    #[serde(rename = "kind")]
    _kind: String,
    size: usize,
    stride: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireFlatten {
    #[serde(rename = "kind")]
    _kind: String,
}

/// Layer kinds that the format knows.
const KINDS: [&str; 4] = ["dense", "conv2d", "maxpool", "flatten"];

/// The chain so far.
struct Chain {
    graph: GraphBuilder,
    tensors: BTreeMap<String, Host>,
    params: Vec<Host>,
    /// The value below the next layer, and its shape per sample.
    below: Source,
    shape: Vec<usize>,
    /// The next layer, from 1, and how many there are.
    layer: usize,
    depth: usize,
}

impl Chain {
    fn take(&mut self, name: &str) -> Result<Host, String> {
        self.tensors.remove(name).ok_or(format!("tensors: `{name}` is missing"))
    }

    fn activation(&self, name: &str) -> Result<Activation, String> {
        name.parse().map_err(|e: pcnbench_kernels::Error| format!("layer {}: {e}", self.layer))
    }

    /// A parameter of the next layer.
    fn param(&mut self, name: &str, host: Host) -> ParamId {
        self.params.push(host);
        let shape = &self.params[self.params.len() - 1].shape;
        self.graph.param(name, shape)
    }

    /// The weights of the next layer, of which `fits` judges the shape, and its bias.
    fn weights(
        &mut self,
        expected: &str,
        bias: bool,
        fits: impl Fn(&[usize]) -> Option<usize>,
    ) -> Result<(Vec<ParamId>, usize), String> {
        let name = format!("w.{}", self.layer);
        let weight = self.take(&name)?;
        let outputs = fits(&weight.shape)
            .ok_or_else(|| format!("tensors: `{name}` has shape {:?}; expected {expected}", weight.shape))?;
        let mut own = vec![self.param(&name, weight)];
        if bias {
            let name = format!("b.{}", self.layer);
            let bias = self.take(&name)?;
            if bias.shape != [outputs] {
                return Err(format!("tensors: `{name}` has shape {:?}; expected [{outputs}]", bias.shape));
            }
            own.push(self.param(&name, bias));
        }
        Ok((own, outputs))
    }

    /// A deterministic vertex of the next layer that reads `inputs`.
    fn part(
        &mut self,
        part: &str,
        operation: impl Operation,
        inputs: &[Source],
        params: &[ParamId],
    ) -> Result<Source, String> {
        let name = format!("{part} of layer {}", self.layer);
        let vertex = self.graph.vertex(&name, operation, inputs, params).map_err(|e| e.to_string())?;
        Ok(Source::Vertex(vertex))
    }

    /// The prediction of the next layer: latent, unless it is the last.
    fn prediction(
        &mut self,
        operation: Arc<dyn Operation>,
        inputs: &[Source],
        params: &[ParamId],
    ) -> Result<VertexId, String> {
        let precision = (self.layer < self.depth).then_some(1.0);
        let name = self.layer.to_string();
        let vertex =
            self.graph.add(&name, operation, inputs, params, precision).map_err(|e| e.to_string())?;
        self.below = Source::Vertex(vertex);
        self.shape = self.graph.shape(vertex).to_vec();
        Ok(vertex)
    }

    fn dense(&mut self, w: WireWeights) -> Result<VertexId, String> {
        let (act_in, act_out) = (self.activation(&w.act_in)?, self.activation(&w.act_out)?);
        let inputs: usize = self.shape.iter().product();
        let fits = |shape: &[usize]| match *shape {
            [outputs, read] if read == inputs => Some(outputs),
            _ => None,
        };
        let (params, outputs) = self.weights(&format!("[outputs, {inputs}]"), w.bias, fits)?;
        if w.skip && outputs != inputs {
            return Err(format!(
                "layer {}: a skip needs equal sizes, got {inputs} inputs and {outputs} outputs",
                self.layer
            ));
        }
        let (scale, skip, bias) = (w.scale, w.skip, w.bias);
        let dense = Dense { inputs, outputs, act_in, act_out, scale, skip, bias };
        self.prediction(Arc::new(dense), &[self.below], &params)
    }

    fn conv2d(
        &mut self,
        w: WireWeights,
        WireWindows { stride, padding }: WireWindows,
    ) -> Result<VertexId, String> {
        let (act_in, act_out) = (self.activation(&w.act_in)?, self.activation(&w.act_out)?);
        let (raw, shape) = (self.below, self.shape.clone());
        let channels = shape.first().copied().unwrap_or_default();
        let fits = |shape: &[usize]| match *shape {
            [outputs, read, _, _] if read == channels => Some(outputs),
            _ => None,
        };
        let (params, _) = self.weights(&format!("[outputs, {channels}, rows, columns]"), w.bias, fits)?;
        let mut value = raw;
        if act_in != Activation::Identity {
            value = self.part("act_in", Act(act_in), &[value], &[])?;
        }
        if w.scale != 1.0 {
            // a convolution is linear, and what is scaled before it is scaled after it, but not its bias
            value = self.part("scale", Scale { constant: w.scale }, &[value], &[])?;
        }
        let conv = Conv2d { stride, padding, bias: w.bias };
        if !w.skip && act_out == Activation::Identity {
            return self.prediction(Arc::new(conv), &[value], &params);
        }
        value = self.part("conv2d", conv, &[value], &params)?;
        if !w.skip {
            return self.prediction(Arc::new(Act(act_out)), &[value], &[]);
        }
        if act_out != Activation::Identity {
            value = self.part("act_out", Act(act_out), &[value], &[])?;
        }
        self.prediction(Arc::new(Add), &[value, raw], &[])
    }
}

/// The keys of an object that are named, and the others.
fn parted<const N: usize>(mut object: Value, keys: [&str; N]) -> (Value, Value) {
    let take = |key: &str| Some((key.to_owned(), object.as_object_mut()?.remove(key)?));
    let named: serde_json::Map<String, Value> = keys.into_iter().filter_map(take).collect();
    (Value::Object(named), object)
}

/// The network and its tensors.
pub(super) fn network(
    wire: Vec<Value>,
    loss: &WireLoss,
    mut tensors: BTreeMap<String, Host>,
) -> Result<Network, String> {
    let kind = |(l, layer): (usize, &Value)| {
        let kind = name_of(layer, "kind").map_err(|e| format!("layer {l}: {e}"))?;
        match KINDS.into_iter().find(|known| **known == *kind) {
            Some(known) => Ok(known),
            None => Err(format!("layer {l}: {}", Error::unknown("layer kind", &kind, KINDS))),
        }
    };
    let kinds = (1..).zip(&wire).map(kind).collect::<Result<Vec<_>, _>>()?;
    let loss = loss.loss("loss")?;
    let mut take = |name: &str| tensors.remove(name).ok_or(format!("tensors: `{name}` is missing"));
    let (x, y) = (take("x")?, take("y")?);
    let [batch, shape @ ..] = x.shape.as_slice() else {
        return Err("tensors: `x` is a number; expected [B, n]".into());
    };
    if shape.is_empty() {
        return Err(format!("tensors: `x` has shape {:?}; expected [B, n]", x.shape));
    }
    let mut graph = GraphBuilder::new();
    let below = Source::Data(graph.data("x", shape));
    let (shape, depth) = (shape.to_vec(), wire.len());
    let mut chain = Chain { graph, tensors, params: Vec::new(), below, shape, layer: 1, depth };
    let mut output = None;
    for (layer, kind) in wire.into_iter().zip(kinds) {
        let place = format!("layer {}", chain.layer);
        let below = chain.below;
        output = Some(match kind {
            "dense" => chain.dense(parse(layer, &place)?)?,
            "conv2d" => {
                let (windows, weights) = parted(layer, ["stride", "padding"]);
                chain.conv2d(parse(weights, &place)?, parse(windows, &place)?)?
            }
            "maxpool" => {
                let WirePool { size, stride, .. } = parse(layer, &place)?;
                chain.prediction(Arc::new(MaxPool { size, stride }), &[below], &[])?
            }
            _ => {
                let WireFlatten { .. } = parse(layer, &place)?;
                chain.prediction(Arc::new(Reshape::FLAT), &[below], &[])?
            }
        });
        chain.layer += 1;
    }
    let Some(output) = output else {
        return Err("layers: the list is empty; expected at least one layer".into());
    };
    let Chain { mut graph, tensors, params, shape, .. } = chain;
    let wanted = [&[*batch], &shape[..]].concat();
    if y.shape != wanted {
        return Err(format!("tensors: `y` has shape {:?}; expected {wanted:?}", y.shape));
    }
    let target = graph.data("y", &shape);
    graph.loss(output, target, loss).map_err(|e| e.to_string())?;
    if let Some(name) = tensors.keys().next() {
        return Err(format!("tensors: `{name}` belongs to no layer"));
    }
    let graph = graph.build().map_err(|e| e.to_string())?;
    Ok(Network { graph, data: vec![x, y], params })
}
