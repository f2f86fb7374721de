//! A value of an axis without its type: as suites list it, ids print it and records hold it.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use serde::Serialize;

use crate::{Error, Result};

/// A whole number, a number or a word.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// A whole number.
    Size(usize),
    /// A number.
    Number(f64),
    /// A word.
    Word(Cow<'static, str>),
}

impl Value {
    /// A word.
    pub fn word(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Word(text.into())
    }

    /// The whole number that this is.
    ///
    /// # Errors
    /// If it is none.
    pub fn size(&self) -> Result<usize> {
        match self {
            Self::Size(size) => Ok(*size),
            _ => Err(Error::Invalid(format!("`{self}` is not a whole number; expected one"))),
        }
    }

    /// The number that this is.
    ///
    /// # Errors
    /// If it is none.
    pub fn number(&self) -> Result<f64> {
        match self {
            Self::Number(number) => Ok(*number),
            Self::Size(size) => Ok(*size as f64),
            Self::Word(_) => Err(Error::Invalid(format!("`{self}` is not a number; expected one"))),
        }
    }

    /// The text that this is.
    ///
    /// # Errors
    /// If it is a number.
    pub fn text(&self) -> Result<&str> {
        match self {
            Self::Word(text) => Ok(text),
            _ => Err(Error::Invalid(format!("`{self}` is a number; expected a word"))),
        }
    }

    /// With the name of the axis before a number, which alone would not say what it is: `width-128`, but `f32`.
    pub fn named(&self, axis: &str, joint: &str) -> String {
        match self {
            Self::Word(text) => text.to_string(),
            _ => format!("{axis}{joint}{self}"),
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Size(_) => 0,
            Self::Number(_) => 1,
            Self::Word(_) => 2,
        }
    }
}

/// As ids and records write it; a number with the shortest digits that read back as the same bits.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size(size) => size.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Word(text) => text.fmt(f),
        }
    }
}

/// Whole numbers, then numbers, then words; each in its own order.
impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Size(a), Self::Size(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Word(a), Self::Word(b)) => a.cmp(b),
            _ => self.kind().cmp(&other.kind()),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Value {}

impl From<usize> for Value {
    fn from(size: usize) -> Self {
        Self::Size(size)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::word(text)
    }
}
