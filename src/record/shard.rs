//! Which part of a suite's points a record holds, when several processes or machines share them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// Shard i of n, i = 1..n: the points i, i + n, i + 2n, … of the suite, counted from 1 in its own order.
///
/// Points are dealt one after another because neighbours in that order differ in one axis and cost about the same;
/// blocks would leave all the deep networks to one shard. A point is never divided: its contenders are paired
/// within rounds, so they must be measured side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shard {
    index: usize,
    of: usize,
}

impl Shard {
    /// i, from 1.
    pub fn index(self) -> usize {
        self.index
    }

    /// n, at least 1.
    pub fn of(self) -> usize {
        self.of
    }

    /// Whether the point at `position` of the suite, from 0, belongs to this shard.
    pub fn owns(self, position: usize) -> bool {
        position % self.of == self.index - 1
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let number = |text: &str| {
            // `parse` would also take `+1`, and one shard should have one spelling
            text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<usize>().ok()).flatten()
        };
        let parts = text.split_once('/').and_then(|(i, n)| Some((number(i)?, number(n)?)));
        match parts {
            Some((index, of)) if 1 <= index && index <= of => Ok(Self { index, of }),
            _ => Err(Error::Invalid(format!(
                "shard `{text}` is not of the form i/n with 1 <= i <= n; write `--shard 1/4` for the first of four"
            ))),
        }
    }
}

impl TryFrom<String> for Shard {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> Self {
        shard.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling() {
        for text in ["1/1", "1/4", "4/4", "17/1000"] {
            let shard: Shard = text.parse().unwrap();
            assert_eq!(shard.to_string(), text);
            assert_eq!(serde_json::to_string(&shard).unwrap(), format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Shard>(&format!("\"{text}\"")).unwrap(), shard);
        }
        for text in
            ["", "1", "/", "1/", "/2", "0/2", "3/2", "0/0", "-1/2", "+1/2", "1/2/3", "a/b", "1 / 2", "１/2"]
        {
            let refused = text.parse::<Shard>().unwrap_err().to_string();
            assert!(refused.starts_with(&format!("shard `{text}` is not of the form i/n")), "{refused}");
            assert!(serde_json::from_str::<Shard>(&format!("\"{text}\"")).is_err());
        }
        assert!("1/99999999999999999999999".parse::<Shard>().is_err());
    }

    /// Every position belongs to exactly one shard, and no shard has two points more than another.
    #[test]
    fn dealt_to_one_each_and_evenly() {
        for of in 1..7 {
            let shards: Vec<Shard> = (1..=of).map(|index| Shard { index, of }).collect();
            for points in 0..20 {
                let counts: Vec<usize> =
                    shards.iter().map(|s| (0..points).filter(|p| s.owns(*p)).count()).collect();
                assert_eq!(counts.iter().sum::<usize>(), points);
                assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1);
            }
            assert!((0..20).all(|p| shards.iter().filter(|s| s.owns(p)).count() == 1));
        }
        let second: Shard = "2/3".parse().unwrap();
        assert_eq!((0..8).filter(|p| second.owns(*p)).collect::<Vec<_>>(), [1, 4, 7]);
    }
}
