//! A case of schema 2: a graph of operations.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::wire::{name_of, within, Network, WireLoss};
use crate::net::layers::KINDS;
use crate::net::{DataId, GraphBuilder, Operation, ParamId, Source, VertexId};
use crate::suite::limits;
use crate::verify::host::Host;
use crate::Error;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireGraph {
    vertices: Vec<WireVertex>,
    losses: Vec<WireTerm>,
}

impl WireGraph {
    /// Number of vertices.
    pub(super) fn len(&self) -> usize {
        self.vertices.len()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireVertex {
    name: String,
    op: Value,
    inputs: Vec<String>,
    params: Vec<String>,
    latent: bool,
    #[serde(default, deserialize_with = "present")]
    precision: Option<f64>,
}

/// A number where the key is there: `null` is none.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    f64::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireTerm {
    vertex: String,
    target: String,
    kind: String,
    reduction: String,
    output_precision: f64,
}

/// The operation of a vertex.
fn operation(mut op: Value) -> Result<Arc<dyn Operation>, String> {
    let name = name_of(&op, "kind")?;
    let known = KINDS.iter().find(|kind| kind.name == name);
    let known =
        known.ok_or_else(|| Error::unknown("operation", &name, KINDS.map(|kind| kind.name)).to_string())?;
    drop(op.as_object_mut().and_then(|attributes| attributes.remove("kind")));
    (known.read)(op)
}

/// The network and its tensors.
pub(super) fn network(wire: WireGraph, mut tensors: BTreeMap<String, Host>) -> Result<Network, String> {
    if let Some(vertex) = wire.vertices.iter().find(|vertex| tensors.contains_key(&vertex.name)) {
        return Err(format!("vertex `{}` has the name of a tensor; names must be unique", vertex.name));
    }
    check_order(&wire)?;
    let uses: BTreeSet<&String> = wire.vertices.iter().flat_map(|v| &v.params).collect();
    let mut builder = GraphBuilder::new();
    let (mut data, mut params) = (Vec::new(), Vec::new());
    let (mut data_ids, mut param_ids) =
        (BTreeMap::<String, DataId>::new(), BTreeMap::<String, ParamId>::new());
    let mut batch: Option<(String, usize)> = None;
    // in the order of their names: the order in the file means nothing
    while let Some((name, host)) = tensors.pop_first() {
        if uses.contains(&name) {
            param_ids.insert(name.clone(), builder.param(&name, &host.shape));
            params.push(host);
            continue;
        }
        let [samples, shape @ ..] = host.shape.as_slice() else {
            return Err(format!("tensors: `{name}` is a number; expected the samples as its first axis"));
        };
        match &batch {
            Some((other, count)) if count != samples => {
                return Err(format!(
                    "tensors: `{name}` has {samples} samples but `{other}` has {count}; expected {count}, or a vertex that names it in `params`"
                ));
            }
            _ => batch = Some((name.clone(), *samples)),
        }
        data_ids.insert(name.clone(), builder.data(&name, shape));
        data.push(host);
    }
    let mut vertices = BTreeMap::<String, VertexId>::new();
    for vertex in wire.vertices {
        let name = vertex.name;
        let place = format!("vertex `{name}`");
        let source = |input: &String| match (vertices.get(input), data_ids.get(input)) {
            (Some(&v), _) => Ok(Source::Vertex(v)),
            (None, Some(&d)) => Ok(Source::Data(d)),
            _ if param_ids.contains_key(input) => Err(format!(
                "{place} reads parameter `{input}` as an input; expected a vertex or a data tensor"
            )),
            _ => Err(format!("{place} reads `{input}`, which is neither an earlier vertex nor a tensor")),
        };
        let inputs = vertex.inputs.iter().map(source).collect::<Result<Vec<_>, _>>()?;
        let param = |param: &String| {
            param_ids
                .get(param)
                .copied()
                .ok_or(format!("{place} uses parameter `{param}`, which `tensors` does not hold"))
        };
        let own = vertex.params.iter().map(param).collect::<Result<Vec<_>, _>>()?;
        let precision = match (vertex.latent, vertex.precision) {
            (true, Some(precision)) => {
                within(&format!("{place}: precision"), precision, limits::RATE)?;
                Some(precision)
            }
            (false, None) => None,
            (true, None) => return Err(format!("{place} is latent but has no precision")),
            (false, Some(_)) => return Err(format!("{place} has a precision but is not latent")),
        };
        let operation = operation(vertex.op).map_err(|e| format!("{place}: op: {e}"))?;
        let id = builder.add(&name, operation, &inputs, &own, precision).map_err(|e| e.to_string())?;
        vertices.insert(name, id);
    }
    for (k, term) in wire.losses.into_iter().enumerate() {
        let place = format!("losses[{k}]");
        let vertex =
            vertices.get(&term.vertex).ok_or(format!("{place}: there is no vertex `{}`", term.vertex))?;
        let target = data_ids
            .get(&term.target)
            .ok_or(format!("{place}: there is no data tensor `{}`", term.target))?;
        let (kind, reduction) = (term.kind, term.reduction);
        let loss = WireLoss { kind, reduction, output_precision: term.output_precision }.loss(&place)?;
        builder.loss(*vertex, *target, loss).map_err(|e| e.to_string())?;
    }
    let graph = builder.build().map_err(|e| e.to_string())?;
    Ok(Network { graph, data, params })
}

/// Refuses a name that stands for two vertices, and vertices that read themselves, directly or over others, or a later
/// one.
fn check_order(wire: &WireGraph) -> Result<(), String> {
    let mut at = BTreeMap::new();
    for (i, vertex) in wire.vertices.iter().enumerate() {
        if at.insert(vertex.name.as_str(), i).is_some() {
            return Err(format!("vertex `{}` is listed twice; names must be unique", vertex.name));
        }
    }
    let parents = |i: usize| wire.vertices[i].inputs.iter().filter_map(|name| at.get(name.as_str()).copied());
    for (i, vertex) in wire.vertices.iter().enumerate() {
        let Some(later) = parents(i).find(|&p| p >= i) else { continue };
        // does the later one depend on this one?
        let (mut open, mut seen) = (vec![later], BTreeSet::from([later]));
        while let Some(v) = open.pop() {
            if v == i {
                return Err(format!(
                    "vertex `{}` depends on itself: vertices form a cycle; remove one edge",
                    vertex.name
                ));
            }
            open.extend(parents(v).filter(|p| seen.insert(*p)));
        }
        return Err(format!(
            "vertex `{}` reads `{}`, which stands after it; list vertices in topological order",
            vertex.name, wire.vertices[later].name
        ));
    }
    Ok(())
}
