//! Where a key stands, so that every refusal can say it.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::text::one_line;
use crate::{Error, Result};

/// A suite, or a benchmark of it, as errors name it.
pub(super) struct Place(pub(super) String);

impl Place {
    pub(super) fn key(&self, key: &str, problem: impl Into<String>) -> Error {
        // What the user wrote is quoted in it, and may have several lines.
        Error::Key { place: self.0.clone(), key: key.to_owned(), problem: one_line(&problem.into()) }
    }

    pub(super) fn parse<T: FromStr<Err = E>, E: Display>(&self, key: &str, text: &str) -> Result<T> {
        text.parse().map_err(|e: E| self.key(key, e.to_string()))
    }

    /// One of a few words that have no type of their own to parse into.
    pub(super) fn word<T: Copy>(&self, key: &'static str, text: &str, known: &[(&str, T)]) -> Result<T> {
        let found = known.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            self.key(key, Error::unknown(key, text, known.iter().map(|(word, _)| *word)).to_string())
        })
    }

    pub(super) fn filled<'a, T>(&self, key: &str, values: &'a [T]) -> Result<&'a [T]> {
        if values.is_empty() {
            return Err(self.key(key, "the axis is empty; expected at least one value"));
        }
        Ok(values)
    }

    /// A number within its limits (see [`limits`](super::limits)).
    pub(super) fn within<T: PartialOrd + Display>(
        &self,
        key: &str,
        value: T,
        limits: RangeInclusive<T>,
    ) -> Result<T> {
        if limits.contains(&value) {
            return Ok(value);
        }
        Err(self.key(
            key,
            format!(
                "{} is out of range; expected {} to {}",
                short(&value),
                short(limits.start()),
                short(limits.end())
            ),
        ))
    }

    pub(super) fn name(&self, key: &str, value: &str) -> Result<()> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !value.is_empty() && value.len() <= 40 && value.chars().all(fits) {
            return Ok(());
        }
        Err(self.key(
            key,
            format!("`{}` is not a name; expected up to 40 of a-z, 0-9 and -", value.escape_debug()),
        ))
    }
}

/// `value` as written, or with an exponent where that would take hundreds of digits.
fn short<T: Display>(value: &T) -> String {
    let text = value.to_string();
    match text.parse::<f64>() {
        Ok(number) if text.len() > 20 => format!("{number:e}"),
        _ => text,
    }
}
