//! The types that values of axes have in the program.

use candle_core::DType;

use super::Value;
use crate::net::{Activation, Parameterisation};
use crate::suite::{DeviceKind, StepCount};
use crate::{Error, Result};

/// A type that an axis has in the program.
pub(super) trait Typed: Copy {
    /// Reads a value of the axis.
    ///
    /// # Errors
    /// If it is none.
    fn read(value: &Value) -> Result<Self>;
    /// As ids and records have it.
    fn value(self) -> Value;
}

impl Typed for usize {
    fn read(value: &Value) -> Result<Self> {
        value.size()
    }
    fn value(self) -> Value {
        Value::Size(self)
    }
}

impl Typed for f64 {
    fn read(value: &Value) -> Result<Self> {
        value.number()
    }
    fn value(self) -> Value {
        Value::Number(self)
    }
}

impl Typed for StepCount {
    fn read(value: &Value) -> Result<Self> {
        match value {
            Value::Size(steps) => Ok(Self::Fixed(*steps)),
            other => other.text()?.parse(),
        }
    }
    fn value(self) -> Value {
        match self {
            Self::Fixed(steps) => Value::Size(steps),
            Self::Depths { .. } => Value::word(self.to_string()),
        }
    }
}

impl Typed for Activation {
    fn read(value: &Value) -> Result<Self> {
        Ok(value.text()?.parse()?)
    }
    fn value(self) -> Value {
        Value::word(self.name())
    }
}

impl Typed for Parameterisation {
    fn read(value: &Value) -> Result<Self> {
        value.text()?.parse()
    }
    fn value(self) -> Value {
        Value::word(self.to_string())
    }
}

impl Typed for DeviceKind {
    fn read(value: &Value) -> Result<Self> {
        value.text()?.parse()
    }
    fn value(self) -> Value {
        Value::word(self.name())
    }
}

impl Typed for DType {
    fn read(value: &Value) -> Result<Self> {
        match value.text()? {
            "f32" => Ok(Self::F32),
            "f64" => Ok(Self::F64),
            other => Err(Error::unknown("dtype", other, ["f32", "f64"])),
        }
    }
    fn value(self) -> Value {
        Value::word(self.as_str())
    }
}
