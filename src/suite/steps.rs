//! Numbers of inference steps, fixed or in units of the depth.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// T, fixed or in units of the depth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StepCount {
    /// T.
    Fixed(usize),
    /// T = L·multiple/divisor, rounded down.
    Depths {
        /// Factor.
        multiple: usize,
        /// Divisor, at least 1.
        divisor: usize,
    },
}

impl StepCount {
    /// T on a network of `depth` layers.
    pub fn at(self, depth: usize) -> usize {
        match self {
            Self::Fixed(t) => t,
            Self::Depths { multiple, divisor } => depth.saturating_mul(multiple) / divisor,
        }
    }
}

impl fmt::Display for StepCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(t) => write!(f, "{t}"),
            Self::Depths { multiple: 1, divisor: 1 } => write!(f, "L"),
            Self::Depths { multiple, divisor: 1 } => write!(f, "{multiple}L"),
            Self::Depths { multiple: 1, divisor } => write!(f, "L/{divisor}"),
            Self::Depths { multiple, divisor } => write!(f, "{multiple}L/{divisor}"),
        }
    }
}

impl FromStr for StepCount {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let (before, after) = text.split_once('L').unwrap_or(("x", ""));
        let number = |s: &str| if s.is_empty() { Some(1) } else { s.parse::<usize>().ok() };
        let divisor = match after.strip_prefix('/') {
            Some(d) if !d.is_empty() => number(d),
            None if after.is_empty() => Some(1),
            _ => None,
        };
        match (number(before), divisor) {
            (Some(multiple), Some(divisor)) if divisor > 0 => Ok(Self::Depths { multiple, divisor }),
            _ => Err(Error::Invalid(format!("`{text}` is neither a number nor of the form L, 2L or L/2"))),
        }
    }
}
