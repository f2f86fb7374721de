//! A value for each axis without types, as rows of records and comparisons have them.

use std::collections::BTreeMap;

use super::{Axis, Value, AXES};

/// A value for each axis: what a contender ran with.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings(BTreeMap<&'static str, Value>);

impl Settings {
    /// The values that `value` has.
    pub fn new(value: impl Fn(&'static Axis) -> Value) -> Self {
        Self(AXES.iter().map(|axis| (axis.name, value(axis))).collect())
    }

    /// Those of a point id, with defaults for axes that it does not hold.
    pub fn of_id(id: &str) -> Self {
        Self::new(|axis| axis.of_id(id))
    }

    /// The value of an axis.
    pub fn get(&self, axis: &Axis) -> Value {
        self.0.get(axis.name).cloned().unwrap_or_else(|| axis.default.clone())
    }

    /// With another value of an axis.
    pub fn with(mut self, axis: &'static Axis, value: impl Into<Value>) -> Self {
        self.0.insert(axis.name, value.into());
        self
    }
}
