//! Whether a ratio has changed between two measurements of it, and by how much.

use std::fmt;

use super::PairedRatio;

/// New over base of one quantity, with a 95 % confidence interval; above 1 means that it grew.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// New divided by base, dimensionless.
    pub ratio: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// What a [`Change`] amounts to, given how much is tolerated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Slower: the interval lies wholly above the tolerance.
    Regressed,
    /// Faster: the interval lies wholly below the tolerance.
    Improved,
    /// Neither, and the interval is narrow enough to say so.
    Same,
    /// The interval is too wide, or lies across the tolerance: more rounds would tell.
    Ambiguous,
    /// The two are not measurements of the same thing; more rounds would not help.
    Invalid,
}

impl Verdict {
    /// The word used in tables and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Regressed => "regressed",
            Self::Improved => "improved",
            Self::Same => "same",
            Self::Ambiguous => "ambiguous",
            Self::Invalid => "invalid",
        }
    }

    /// Whether more rounds should be taken before this is believed.
    pub fn is_suspect(self) -> bool {
        matches!(self, Self::Regressed | Self::Ambiguous)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Half-width that no interval is taken to be narrower than, as a factor minus one: smaller changes are of no
/// interest.
pub const LEAST_TOLERANCE: f64 = 0.01;

/// New over base of a quantity that two independent runs estimated.
///
/// Both estimates `θ` have intervals `[l, u]`, here in logarithms. The interval of `θ_new − θ_base` is built from
/// theirs (Zou and Donner 2008, "Construction of confidence limits about effect measures"):
///
/// `low = θ_n − θ_b − √((θ_n − l_n)² + (u_b − θ_b)²)`, `high = θ_n − θ_b + √((u_n − θ_n)² + (θ_b − l_b)²)`.
///
/// For two normal estimates this is the usual interval of a difference, since half-widths add as standard errors
/// do; for skewed ones each end uses the half that belongs to it. Only estimate and interval of either run enter,
/// so that a stored summary compares as well as the samples it came from. How often the interval holds the true
/// change is simulated in the tests: 95 to 97 % for independent rounds of either noise and any two numbers of
/// rounds, 92 to 95 % for neighbouring rounds that resemble each other (AR(1), ρ = 0.3) or drift.
///
/// `None` if a value is not positive and finite, or an interval does not hold its estimate.
pub fn change(base: &PairedRatio, new: &PairedRatio) -> Option<Change> {
    let sound = |r: &PairedRatio| {
        [r.low, r.ratio, r.high].iter().all(|x| x.is_finite() && *x > 0.0) && r.low <= r.ratio && r.ratio <= r.high
    };
    if !sound(base) || !sound(new) {
        return None;
    }
    let [b_low, b, b_high] = [base.low, base.ratio, base.high].map(f64::ln);
    let [n_low, n, n_high] = [new.low, new.ratio, new.high].map(f64::ln);
    let down = (n - n_low).hypot(b_high - b);
    let up = (n_high - n).hypot(b - b_low);
    Some(Change { ratio: (n - b).exp(), low: (n - b - down).exp(), high: (n - b + up).exp() })
}

/// How far from 1 an identical copy of the baseline may lie, as a factor minus one: `e^w − 1` with `w` the farther
/// end of the control's interval in logarithms, whichever side of 1 it lies on.
///
/// Not half the interval's length: a control known to be 3 % off, however exactly, is a method that sees 3 % where
/// there is nothing.
pub fn noise_floor(control: &PairedRatio) -> f64 {
    control.low.ln().abs().max(control.high.ln().abs()).exp_m1()
}

/// What to tolerate between two runs with these noise floors: the larger one, and never less than
/// [`LEAST_TOLERANCE`]. A run without a control has none to offer.
pub fn tolerance(floors: impl IntoIterator<Item = Option<f64>>) -> f64 {
    floors.into_iter().flatten().fold(LEAST_TOLERANCE, f64::max)
}

/// The verdict on a change within a tolerance `t` (a factor minus one, the same both ways).
///
/// Regressed above `1 + t`, improved below `1 / (1 + t)`, with the whole interval. Same within these two; and also
/// where the interval holds 1 and stays within twice the tolerance: two runs as noisy as their controls differ by
/// intervals √2 times as wide as either, which could never fit into the tolerance, so without this a tolerance set by
/// noise would call nothing the same. Everything else is ambiguous.
pub fn verdict(change: &Change, tolerance: f64) -> Verdict {
    let t = tolerance.max(0.0).ln_1p();
    let (low, high) = (change.low.ln(), change.high.ln());
    if !(low <= high && low.is_finite() && high.is_finite()) {
        Verdict::Invalid
    } else if low > t {
        Verdict::Regressed
    } else if high < -t {
        Verdict::Improved
    } else if (low >= -t && high <= t) || (low <= 0.0 && high >= 0.0 && low >= -2.0 * t && high <= 2.0 * t) {
        Verdict::Same
    } else {
        Verdict::Ambiguous
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
