//! Conformance cases: reading a file of the format in `tests/cases/FORMAT.md` (schema 1), strictly.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::host::Host;
use super::schedule;
use crate::net::{Activation, Dense, Loss};
use crate::rule::{Rule, Steps};
use crate::suite::limits;
use crate::text::read_text;
use crate::{Error, Result};

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
    /// The layers, first to last.
    pub layers: Vec<Dense>,
    /// The output energy.
    pub loss: Loss,
    /// x, `[B, …]`.
    pub x: Host,
    /// y, `[B, n_L]`.
    pub y: Host,
    /// `w.l`, then `b.l`, per layer.
    pub params: Vec<Vec<Host>>,
    /// Expected outputs by name.
    pub expect: BTreeMap<String, Host>,
    /// r of the pass condition max|C − E| ≤ r·max|E| + a.
    pub relative: f64,
    /// a of the pass condition.
    pub absolute: f64,
}

/// A case that was read, or the reason why this build cannot run it.
#[derive(Debug, Clone)]
pub enum Reading {
    /// Ready to run.
    Case(Box<Case>),
    /// Needs a layer kind or rule that is not built yet.
    Unsupported {
        /// Unique name.
        id: String,
        /// Rule name as written.
        rule: String,
        /// What is missing, e.g. `layer kind conv2d`.
        missing: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    schema: u32,
    id: String,
    #[serde(rename = "about")]
    _about: String,
    #[serde(rename = "source")]
    _source: String,
    layers: Vec<Value>,
    loss: WireLoss,
    rule: Value,
    tensors: BTreeMap<String, Value>,
    expect: BTreeMap<String, Value>,
    tolerance: WireTolerance,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireLoss {
    kind: String,
    reduction: String,
    output_precision: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireTolerance {
    relative: f64,
    absolute: f64,
}

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

/// The closed form that cases list beside the rules.
pub const EQUILIBRIUM: &str = "linear_equilibrium";

/// Reads one case file.
pub fn read(path: &Path) -> Result<Reading> {
    let text = read_text("read", path, LARGEST_FILE)?;
    let wire: Wire = serde_json::from_str(&text)
        .map_err(|e| Error::content(path, format!("not a conformance case of schema 1: {e}")))?;
    check_numbers(&wire).map_err(|problem| Error::content(path, problem))?;
    reading(wire).map_err(|problem| Error::content(path, problem))
}

/// Refuses switches under which anything would pass, or nothing would ever end.
fn check_numbers(wire: &Wire) -> Result<(), String> {
    let within = |place: &str, value: f64, limits: RangeInclusive<f64>| {
        if limits.contains(&value) {
            return Ok(());
        }
        Err(format!("{place} is {value:e}; expected {:e} to {:e}", limits.start(), limits.end()))
    };
    within("tolerance.relative", wire.tolerance.relative, 0.0..=1.0)?;
    within("tolerance.absolute", wire.tolerance.absolute, 0.0..=1.0)?;
    within("loss.output_precision", wire.loss.output_precision, limits::RATE)?;
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
    Ok(())
}

fn reading(wire: Wire) -> Result<Reading, String> {
    if wire.schema != 1 {
        return Err(format!("case schema {} is not supported; expected 1", wire.schema));
    }
    let name_of = |v: &Value, key: &str| {
        v.get(key).and_then(Value::as_str).map(str::to_owned).ok_or(format!("missing text key `{key}`"))
    };
    let rule = name_of(&wire.rule, "name").map_err(|e| format!("rule: {e}"))?;
    let kinds = wire
        .layers
        .iter()
        .enumerate()
        .map(|(i, l)| name_of(l, "kind").map_err(|e| format!("layer {}: {e}", i + 1)))
        .collect::<Result<Vec<_>, _>>()?;
    let missing = (!is_rule(&rule))
        .then(|| format!("rule {rule}"))
        .or_else(|| kinds.iter().find(|k| *k != "dense").map(|k| format!("layer kind {k}")));
    if let Some(missing) = missing {
        return Ok(Reading::Unsupported { id: wire.id, rule, missing });
    }
    case(wire, rule).map(|case| Reading::Case(Box::new(case)))
}

fn case(wire: Wire, rule: String) -> Result<Case, String> {
    let (schedule, steps) = schedule::read(wire.rule, wire.layers.len())?;
    let loss = Loss {
        kind: wire.loss.kind.parse().map_err(|e: Error| format!("loss.kind: {e}"))?,
        reduction: wire.loss.reduction.parse().map_err(|e: Error| format!("loss.reduction: {e}"))?,
        precision: wire.loss.output_precision,
    };
    let hosts = |named: BTreeMap<String, Value>, place: &str| {
        named
            .into_iter()
            .map(|(k, v)| match Host::from_json(&v) {
                Ok(host) => Ok((k, host)),
                Err(e) => Err(format!("{place}: `{k}` {e}")),
            })
            .collect::<Result<BTreeMap<_, _>, _>>()
    };
    let mut tensors = hosts(wire.tensors, "tensors")?;
    let expect = hosts(wire.expect, "expect")?;
    let mut take = |name: &str| tensors.remove(name).ok_or(format!("tensors: `{name}` is missing"));
    let (x, y) = (take("x")?, take("y")?);
    let batch = match x.shape.as_slice() {
        [batch, _, ..] => *batch,
        other => return Err(format!("tensors: `x` has shape {other:?}; expected [B, n]")),
    };
    let mut width = x.shape[1..].iter().product::<usize>();
    let (mut layers, mut params) = (Vec::new(), Vec::new());
    for (i, layer) in wire.layers.into_iter().enumerate() {
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
        let mut own = vec![weight];
        if w.bias {
            let bias = take(&format!("b.{l}"))?;
            if bias.shape != [outputs] {
                return Err(format!("tensors: `b.{l}` has shape {:?}; expected [{outputs}]", bias.shape));
            }
            own.push(bias);
        }
        layers.push(Dense {
            inputs: width,
            outputs,
            act_in,
            act_out,
            scale: w.scale,
            skip: w.skip,
            bias: w.bias,
        });
        params.push(own);
        width = outputs;
    }
    if layers.is_empty() {
        return Err("layers: the list is empty; expected at least one layer".into());
    }
    if y.shape != [batch, width] {
        return Err(format!("tensors: `y` has shape {:?}; expected [{batch}, {width}]", y.shape));
    }
    if let Some(name) = tensors.keys().next() {
        return Err(format!("tensors: `{name}` belongs to no layer"));
    }
    Ok(Case {
        id: wire.id,
        rule,
        schedule,
        steps,
        layers,
        loss,
        x,
        y,
        params,
        expect,
        relative: wire.tolerance.relative,
        absolute: wire.tolerance.absolute,
    })
}

fn parse<T: serde::de::DeserializeOwned>(value: Value, place: &str) -> Result<T, String> {
    serde_json::from_value(value).map_err(|e| format!("{place}: {e}"))
}
