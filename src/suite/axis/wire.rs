//! The axes of a benchmark as a suite file lists them.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::table::NAMES;
use super::{Axis, Value, Values, AXES};
use crate::suite::wire::StepsWire;

/// The values that a benchmark lists for each axis, as they are written there. An axis that is not listed has its
/// default.
#[derive(Debug, Clone, PartialEq)]
pub struct AxesWire(BTreeMap<&'static str, Vec<Value>>);

impl Default for AxesWire {
    fn default() -> Self {
        Self(AXES.iter().map(|axis| (axis.name, vec![axis.default.clone()])).collect())
    }
}

impl AxesWire {
    /// The values of an axis.
    pub fn of(&self, axis: &Axis) -> &[Value] {
        self.0.get(axis.name).map_or(&[], Vec::as_slice)
    }

    /// Replaces the values of an axis.
    pub fn set(&mut self, axis: &'static Axis, values: Vec<Value>) {
        self.0.insert(axis.name, values);
    }

    /// Points that the axes span.
    pub fn points(&self) -> usize {
        self.0.values().map(Vec::len).fold(1, usize::saturating_mul)
    }
}

/// Sorted by name; an axis at its default only where [`Axis::always`] says so.
impl Serialize for AxesWire {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let told = |(name, values): &(&&'static str, &Vec<Value>)| {
            let axis = AXES.iter().find(|axis| axis.name == **name);
            axis.is_some_and(|axis| axis.always || **values != [axis.default.clone()])
        };
        serializer.collect_map(self.0.iter().filter(told))
    }
}

impl<'de> Deserialize<'de> for AxesWire {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Table)
    }
}

struct Table;

impl<'de> Visitor<'de> for Table {
    type Value = AxesWire;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of axes, each with a list of values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AxesWire, A::Error> {
        let mut axes = AxesWire::default();
        while let Some(Name(axis)) = map.next_key()? {
            axes.set(axis, map.next_value_seed(List(axis))?);
        }
        Ok(axes)
    }
}

/// The key of an axis.
struct Name(&'static Axis);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Key;
        impl Visitor<'_> for Key {
            type Value = Name;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of an axis")
            }
            fn visit_str<E: de::Error>(self, key: &str) -> Result<Name, E> {
                let axis = AXES.iter().find(|axis| axis.name == key);
                axis.map(|axis| Name(axis)).ok_or_else(|| E::unknown_field(key, NAMES))
            }
        }
        deserializer.deserialize_identifier(Key)
    }
}

/// The values of an axis, each of its type.
struct List(&'static Axis);

impl<'de> DeserializeSeed<'de> for List {
    type Value = Vec<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Value>, D::Error> {
        fn all<'de, T: Deserialize<'de> + Into<Value>, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Vec<Value>, D::Error> {
            Ok(Vec::<T>::deserialize(deserializer)?.into_iter().map(Into::into).collect())
        }
        match self.0.values {
            Values::Sizes(_) => all::<usize, D>(deserializer),
            Values::Numbers(_) => all::<f64, D>(deserializer),
            Values::Steps(_) => all::<StepsWire, D>(deserializer),
            Values::Words(_) => all::<String, D>(deserializer),
        }
    }
}

impl From<StepsWire> for Value {
    fn from(steps: StepsWire) -> Self {
        match steps {
            StepsWire::Fixed(steps) => Self::Size(steps),
            StepsWire::Depths(text) => Self::word(text),
        }
    }
}
