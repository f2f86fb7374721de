//! What an axis is: a name, the values it takes, and how these are written.
//!
//! `axis/table.rs` lists the axes. Everything that treats all of them alike (reading a suite, expanding it into points,
//! ids, narrowing to one point, checking a record, comparing records, splitting figures) loops over that table.

mod kinds;
mod settings;
mod table;
mod value;
mod wire;

use std::fmt;
use std::ops::RangeInclusive;

pub use settings::Settings;
pub use table::{
    Axes, ACTIVATION, AXES, BATCH, DEPTH, DEVICE, DRAW, DTYPE, LEARNING_RATE, PARAMETERISATION, RESIDUAL,
    STEPS, STEP_SIZE, WIDTH,
};
pub use value::Value;
pub use wire::AxesWire;

use crate::Result;

/// One axis of the table.
#[derive(Debug, Clone)]
pub struct Axis {
    /// Key in suites and point ids, and name of the column in `summary.csv` where it has one.
    pub name: &'static str,
    /// The letter that formulas have for it; empty for none.
    pub symbol: &'static str,
    /// What numbers of it count; empty for words and for numbers without a unit.
    pub unit: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    /// What a suite may list.
    pub values: Values,
    /// What a benchmark has that does not list it.
    pub default: Value,
    /// Whether ids and definitions hold it at its default too. An axis that was added after the first records does not:
    /// a point at its default keeps the id that it had before the axis was added.
    pub always: bool,
    /// What it does to figures.
    pub figures: Figures,
    read: fn(&Axes) -> Value,
    canonical: fn(&Value) -> Result<Value>,
}

/// The type of an axis and its limits.
#[derive(Debug, Clone)]
pub enum Values {
    /// Whole numbers within limits.
    Sizes(RangeInclusive<usize>),
    /// Numbers within limits.
    Numbers(RangeInclusive<f64>),
    /// Numbers of inference steps: whole, or in units of the depth. Limits hold for the number at a depth.
    Steps(RangeInclusive<usize>),
    /// Some of these words.
    Words(fn() -> Vec<&'static str>),
}

/// What an axis does to figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figures {
    /// Each value has figures of its own; the number orders axes in file names and captions.
    Apart(u8),
    /// Each value has figures of its own where one contender was measured at several; likewise.
    ApartWhereVaried(u8),
    /// A figure holds all values.
    Within,
}

impl Axis {
    /// Its value among `axes`.
    pub fn of(&self, axes: &Axes) -> Value {
        (self.read)(axes)
    }

    /// `value` as ids and records have it: `sp` is `sp-uniform`.
    ///
    /// # Errors
    /// If it is no value of this axis.
    pub fn canonical(&self, value: &Value) -> Result<Value> {
        (self.canonical)(value)
    }

    /// Whether ids, definitions and comparisons hold this value: see [`Axis::always`].
    pub fn tells(&self, value: &Value) -> bool {
        self.always || self.canonical(&self.default).is_ok_and(|default| default != *value)
    }

    /// Its value in a point id: the default where the id does not hold it.
    pub fn of_id(&self, id: &str) -> Value {
        let list = id.split_once('@').map_or("", |(_, list)| list);
        let own =
            list.split(',').filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == self.name);
        let default = || self.canonical(&self.default).unwrap_or_else(|_| self.default.clone());
        own.map_or_else(default, |(_, text)| self.of_text(text))
    }

    fn of_text(&self, text: &str) -> Value {
        let word = || Value::word(text.to_owned());
        match self.values {
            Values::Sizes(_) | Values::Steps(_) => text.parse().map_or_else(|_| word(), Value::Size),
            Values::Numbers(_) => text.parse().map_or_else(|_| word(), Value::Number),
            Values::Words(_) => word(),
        }
    }
}

impl PartialEq for Axis {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sizes(limits) => write!(f, "{} to {}", limits.start(), limits.end()),
            Self::Numbers(limits) => write!(f, "{:e} to {:e}", limits.start(), limits.end()),
            Self::Steps(limits) => {
                write!(f, "{} to {}, or L, 2L, L/2 …", limits.start(), limits.end())
            }
            Self::Words(words) => f.write_str(&words().join(", ")),
        }
    }
}

impl Axes {
    /// `name@axis=value,…`, axes sorted by name.
    pub fn id(&self, name: &str) -> String {
        let told = |axis: &&'static Axis| Some((axis.name, axis.of(self))).filter(|(_, v)| axis.tells(v));
        let mut parts: Vec<(&str, Value)> = AXES.iter().filter_map(told).collect();
        parts.sort_by_key(|(name, _)| *name);
        let parts: Vec<String> = parts.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{name}@{}", parts.join(","))
    }
}

#[cfg(test)]
mod tests;
