//! Conformance cases: reading a file of the formats in `tests/cases/CASES.md` (a chain of layers, schema 1) and
//! `GRAPHS.md` (a graph, schema 2), strictly.

mod chain;
mod graph;
pub(super) mod wire;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::host::Host;
use super::schedule;
use crate::files::read_text;
use crate::net::Graph;
use crate::rule::{Rule, Steps};
use crate::suite::limits;
use crate::{Error, Result};
use graph::WireGraph;
pub use wire::EQUILIBRIUM;
use wire::{name_of, within, Network, WireLoss};

/// A case: a network, data, a rule and the numbers the rule must produce.
#[derive(Debug, Clone)]
pub struct Case {
    /// Unique name.
    pub id: String,
    /// Rule name as written.
    pub rule: String,
    /// The rule itself; none for the closed form [`EQUILIBRIUM`].
    pub schedule: Option<Rule>,
    /// T, g and decay; zero steps where the rule has none.
    pub steps: Steps,
    /// The network.
    pub graph: Graph,
    /// Whether it was written as a chain of layers (schema 1), whose vertices are named `1`, `2`, …
    pub chain: bool,
    /// Inputs and targets, as the network numbers them.
    pub data: Vec<Host>,
    /// Parameters, as the network numbers them.
    pub params: Vec<Host>,
    /// Expected outputs by name.
    pub expect: BTreeMap<String, Host>,
    /// r of the pass condition max|C − E| ≤ r·max|E| + a.
    pub relative: f64,
    /// a of the pass condition.
    pub absolute: f64,
}

/// A case file of either schema; one of `layers` with `loss` (schema 1) and `graph` (schema 2) is there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wire {
    schema: u32,
    id: String,
    #[serde(rename = "about")]
    _about: String,
    #[serde(rename = "source")]
    _source: String,
    layers: Option<Vec<Value>>,
    loss: Option<WireLoss>,
    graph: Option<WireGraph>,
    rule: Value,
    tensors: BTreeMap<String, Value>,
    expect: BTreeMap<String, Value>,
    tolerance: WireTolerance,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireTolerance {
    relative: f64,
    absolute: f64,
}

/// Bytes of a case file.
const LARGEST_FILE: u64 = 256 << 20;

/// Whether the case format knows a rule of this name, built or not.
pub fn is_rule(name: &str) -> bool {
    schedule::NAMES.contains(&name)
}

/// Every rule name of the case format.
pub fn rules() -> impl Iterator<Item = &'static str> {
    schedule::NAMES.into_iter()
}

/// Reads one case file.
///
/// # Errors
/// [`Error::Content`] in one sentence that names the file and what is wrong with it.
pub fn read(path: &Path) -> Result<Case> {
    let text = read_text("read", path, LARGEST_FILE)?;
    let wire: Wire = serde_json::from_str(&text)
        .map_err(|e| Error::content(path, format!("not a conformance case of schema 1 or 2: {e}")))?;
    check_numbers(&wire).map_err(|problem| Error::content(path, problem))?;
    case(wire).map_err(|problem| Error::content(path, problem))
}

/// Refuses switches under which anything would pass, or nothing would ever end.
fn check_numbers(wire: &Wire) -> Result<(), String> {
    within("tolerance.relative", wire.tolerance.relative, 0.0..=1.0)?;
    within("tolerance.absolute", wire.tolerance.absolute, 0.0..=1.0)?;
    let number = |key: &str| wire.rule.get(key).and_then(Value::as_f64);
    if let Some(steps) = number("steps") {
        within("rule.steps", steps, 0.0..=*limits::STEPS.end() as f64)?;
    }
    if let Some(size) = number("step_size") {
        within("rule.step_size", size, 0.0..=*limits::STEP_SIZE.end())?;
    }
    if let Some(size) = number("weight_step_size") {
        within("rule.weight_step_size", size, 0.0..=*limits::RATE.end())?;
    }
    if let Some(inner) = number("inner_steps") {
        let most = *limits::STEPS.end() as f64;
        within("rule.inner_steps", inner, 1.0..=most)?;
        within("rule.steps times rule.inner_steps", inner * number("steps").unwrap_or(0.0), 0.0..=most)?;
    }
    if let Some(rho) = number("rho") {
        within("rule.rho", rho, limits::RATE)?;
    }
    if let Some(alpha) = number("alpha") {
        within("rule.alpha", alpha, 0.0..=*limits::RATE.end())?;
    }
    Ok(())
}

fn case(wire: Wire) -> Result<Case, String> {
    let rule = name_of(&wire.rule, "name").map_err(|e| format!("rule: {e}"))?;
    if !is_rule(&rule) {
        return Err(Error::unknown("rule", &rule, schedule::NAMES).to_string());
    }
    let hosts = |named: BTreeMap<String, Value>, place: &str| {
        named
            .into_iter()
            .map(|(k, v)| match Host::from_json(&v) {
                Ok(host) => Ok((k, host)),
                Err(e) => Err(format!("{place}: `{k}` {e}")),
            })
            .collect::<Result<BTreeMap<_, _>, _>>()
    };
    let tensors = hosts(wire.tensors, "tensors")?;
    let expect = hosts(wire.expect, "expect")?;
    let chain = wire.schema == 1;
    let length = wire.layers.as_ref().map_or_else(|| wire.graph.as_ref().map_or(0, WireGraph::len), Vec::len);
    let (schedule, steps) = schedule::read(wire.rule, length)?;
    let Network { graph, data, params } = match (wire.schema, wire.layers, wire.loss, wire.graph) {
        (1, Some(layers), Some(loss), None) => chain::network(layers, &loss, tensors)?,
        (2, None, None, Some(graph)) => graph::network(graph, tensors)?,
        (1, ..) => return Err("schema 1 needs `layers` and `loss`, and no `graph`".into()),
        (2, ..) => return Err("schema 2 needs `graph`, and neither `layers` nor `loss`".into()),
        (other, ..) => return Err(format!("case schema {other} is not supported; expected 1 or 2")),
    };
    check_distributions(&graph, &data)?;
    if schedule.is_none() && !chain {
        return Err(format!("rule: {rule} is a closed form for chains; expected a rule"));
    }
    Ok(Case {
        id: wire.id,
        rule,
        schedule,
        steps,
        graph,
        chain,
        data,
        params,
        expect,
        relative: wire.tolerance.relative,
        absolute: wire.tolerance.absolute,
    })
}

/// Refuses targets of a cross-entropy or of a KL divergence that are no distributions: its error y − softmax(o) uses that each row sums to 1.
fn check_distributions(graph: &Graph, data: &[Host]) -> Result<(), String> {
    for term in graph.losses().iter().filter(|term| term.loss.kind.judges_distributions()) {
        let target = &data[term.target];
        let outputs = target.shape.last().copied().unwrap_or(1);
        for row in target.data.chunks(outputs) {
            let sum: f64 = row.iter().sum();
            if (sum - 1.0).abs() > 1e-6 {
                return Err(format!(
                    "tensors: `{}` has a row that sums to {sum}; expected 1, as {} needs",
                    graph.data()[term.target].name,
                    term.loss.kind
                ));
            }
        }
    }
    Ok(())
}
