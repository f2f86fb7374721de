//! Numbers of all layers in one cell.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A number of every layer in the order of the network, each rounded to three significant digits; none where nothing is known.
///
/// In a file the numbers stand between semicolons in one cell, `0.98;0.4;1e-9`, and an empty cell has none: at some seven bytes a number,
/// a tenth of what a row for every layer takes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Layered(Vec<f64>);

impl Layered {
    /// Of these numbers, in the order of the network.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        // a number in scientific notation always parses
        let rounded = |v: f64| format!("{v:.2e}").parse().unwrap_or(v);
        Self(values.into_iter().map(rounded).collect())
    }

    /// The numbers.
    pub fn values(&self) -> &[f64] {
        &self.0
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Mean of the lowest quarter of the layers, of at least one; none where nothing is known.
    pub fn lowest_quarter(&self) -> Option<f64> {
        let lowest = &self.0[..self.0.len().div_ceil(4)];
        (!lowest.is_empty()).then(|| lowest.iter().sum::<f64>() / lowest.len() as f64)
    }
}

impl fmt::Display for Layered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (k, value) in self.0.iter().enumerate() {
            let between = if k > 0 { ";" } else { "" };
            // digits as short as they read back: `1`, not `1.0`, and powers of ten instead of leading zeros
            match value.abs() {
                size if size == 0.0 || (1e-3..1e6).contains(&size) => write!(f, "{between}{value}")?,
                _ => write!(f, "{between}{value:e}")?,
            }
        }
        Ok(())
    }
}

impl From<Layered> for String {
    fn from(own: Layered) -> Self {
        own.to_string()
    }
}

impl FromStr for Layered {
    type Err = String;

    fn from_str(cell: &str) -> Result<Self, Self::Err> {
        if cell.is_empty() {
            return Ok(Self::default());
        }
        let number = |part: &str| {
            part.parse().map_err(|_| format!("`{part}` is not a number; expected numbers between semicolons"))
        };
        cell.split(';').map(number).collect::<Result<_, _>>().map(Self)
    }
}

impl TryFrom<String> for Layered {
    type Error = String;

    fn try_from(cell: String) -> Result<Self, Self::Error> {
        cell.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_have_three_digits_between_semicolons() {
        let own = Layered::of([1.0, 0.99951, -0.012345, 3.4567e-9, 0.0, 12345.0, 2.5e300]);
        assert_eq!(own.to_string(), "1;1;-0.0123;3.46e-9;0;12300;2.5e300");
        assert_eq!(Layered::of([]).to_string(), "");
        assert_eq!("".parse(), Ok(Layered::default()));
        for wrong in ["1;", ";", "1,2", "a"] {
            assert!(wrong.parse::<Layered>().unwrap_err().contains("expected numbers"), "{wrong}");
        }
    }

    /// Of five layers two are the lowest quarter, of four one.
    #[test]
    fn the_lowest_quarter_is_rounded_up() {
        let of = |n: usize| Layered::of((1..=n).map(|k| k as f64)).lowest_quarter();
        assert_eq!([0, 1, 4, 5, 8].map(of), [None, Some(1.0), Some(1.0), Some(1.5), Some(1.5)]);
    }

    proptest! {
        /// What is written reads back as the same bits, within half a unit of the third digit of what it was made of.
        #[test]
        fn cells_round_trip(values in prop::collection::vec(any::<f64>().prop_filter("finite", |v| v.is_finite()), 0..9)) {
            let own = Layered::of(values.iter().copied());
            prop_assert_eq!(&own.to_string().parse::<Layered>().unwrap(), &own);
            for (rounded, value) in own.values().iter().zip(&values) {
                let off = (rounded - value).abs();
                prop_assert!(off <= 5.1e-3 * value.abs() || !value.is_normal() || !rounded.is_finite());
            }
        }
    }
}
