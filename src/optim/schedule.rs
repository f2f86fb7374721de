//! The learning rate over a training run.

use std::f64::consts::PI;
use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// How the learning rate goes from the first update to the last.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Schedule {
    /// α throughout.
    #[default]
    Constant,
    /// Linear to α over the first tenth of the updates, then half a cosine to zero (Loshchilov & Hutter, arXiv 1608.03983, without
    /// restarts).
    WarmupCosine,
}

/// The share of a run that warming up takes.
const WARMUP: f64 = 0.1;

impl Schedule {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Constant, Self::WarmupCosine];

    /// The name used in suites.
    pub fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::WarmupCosine => "warmup-cosine",
        }
    }

    /// The learning rate of update `t` = 0, 1, … of `updates`, where the largest one is `rate`: of warming up over w updates
    /// α (t + 1)/w, later α ½(1 + cos π (t − w)/(U − w)), w = ⌈U/10⌉.
    pub fn rate(self, rate: f64, t: u64, updates: u64) -> f64 {
        match self {
            Self::Constant => rate,
            Self::WarmupCosine => {
                let warmup = (WARMUP * updates as f64).ceil();
                let t = t as f64;
                if t < warmup {
                    return rate * (t + 1.0) / warmup;
                }
                let left = (updates as f64 - warmup).max(1.0);
                // not std's, whose last bit may differ from platform to platform
                rate * 0.5 * (1.0 + libm::cos(PI * (t - warmup) / left))
            }
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Schedule {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|schedule| schedule.name() == s);
        found.ok_or_else(|| Error::unknown("schedule", s, Self::ALL.map(Self::name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warms_up_and_falls_to_zero() {
        let at = |t| Schedule::WarmupCosine.rate(2.0, t, 100);
        assert_eq!((at(0), at(4), at(9)), (0.2, 1.0, 2.0));
        // the cosine begins at its top, is at its middle half way, and ends one update short of zero
        assert_eq!(at(10), 2.0);
        assert!((at(55) - 1.0).abs() < 1e-15);
        assert!(at(99) > 0.0 && at(99) < 1e-3);
        assert!((0..100).all(|t| at(t) > 0.0));
        // runs of one update
        assert_eq!(Schedule::WarmupCosine.rate(2.0, 0, 1), 2.0);
        assert_eq!(Schedule::Constant.rate(2.0, 7, 100), 2.0);
    }
}
