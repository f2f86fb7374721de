//! What the two schemas of cases share.

use std::ops::RangeInclusive;

use serde::Deserialize;
use serde_json::Value;

use crate::net::{Graph, Loss};
use crate::suite::limits;
use crate::verify::host::Host;
use crate::Result;

/// The closed form that cases list beside the rules.
pub const EQUILIBRIUM: &str = "linear_equilibrium";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::verify) struct WireLoss {
    pub(in crate::verify) kind: String,
    pub(in crate::verify) reduction: String,
    pub(in crate::verify) output_precision: f64,
}

impl WireLoss {
    pub(in crate::verify) fn loss(&self, place: &str) -> Result<Loss, String> {
        within(&format!("{place}.output_precision"), self.output_precision, limits::RATE)?;
        Ok(Loss {
            kind: self.kind.parse().map_err(|e: pcnbench_kernels::Error| format!("{place}.kind: {e}"))?,
            reduction: self
                .reduction
                .parse()
                .map_err(|e: pcnbench_kernels::Error| format!("{place}.reduction: {e}"))?,
            precision: self.output_precision,
        })
    }
}

/// What the two schemas make of a case: the network with its tensors.
pub(in crate::verify) struct Network {
    pub(in crate::verify) graph: Graph,
    pub(in crate::verify) data: Vec<Host>,
    pub(in crate::verify) params: Vec<Host>,
}

pub(in crate::verify) fn within(place: &str, value: f64, limits: RangeInclusive<f64>) -> Result<(), String> {
    if limits.contains(&value) {
        return Ok(());
    }
    Err(format!("{place} is {value:e}; expected {:e} to {:e}", limits.start(), limits.end()))
}

pub(in crate::verify) fn name_of(v: &Value, key: &str) -> Result<String, String> {
    v.get(key).and_then(Value::as_str).map(str::to_owned).ok_or(format!("missing text key `{key}`"))
}

pub(in crate::verify) fn parse<T: serde::de::DeserializeOwned>(
    value: Value,
    place: &str,
) -> Result<T, String> {
    serde_json::from_value(value).map_err(|e| format!("{place}: {e}"))
}
