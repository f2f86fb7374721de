//! Whether a ratio has changed between two measurements of it, and by how much.

use std::fmt;

use super::bootstrap::Z_95;
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

/// Standard deviation, in logarithms, of a ratio between sessions of the same program beyond what their rounds tell.
///
/// A session builds its contenders once, and where their memory happens to lie shifts all its rounds alike. Twenty
/// sessions on a two-core machine with other work on it gave 0.2 to 0.4 % for updates of more than half a millisecond
/// and up to 0.7 % for shorter ones (sPC, ePC and their like at two layers of width 64).
pub const BETWEEN_SESSIONS: f64 = 0.005;

/// The same of a ratio with a side whose threads share every update, as the fused engine's do: how long they wait for one
/// another is the system's matter, and differs between sessions by more. Chosen by pairs of runs of `quick` an hour apart,
/// such as the one in `results/*/agreement.txt`; taken for cards as well until runs on one say otherwise.
pub const BETWEEN_SESSIONS_SHARED: f64 = 0.01;

/// New over base of a quantity that two independent runs estimated, each in a number of sessions.
///
/// Both estimates `θ` have intervals `[l, u]`, here in logarithms. The interval of `θ_new − θ_base` is built from
/// theirs (Zou and Donner 2008, "Construction of confidence limits about effect measures"):
///
/// `low = θ_n − θ_b − k √((θ_n − l_n)² + (u_b − θ_b)²)`, `high = θ_n − θ_b + k √((u_n − θ_n)² + (θ_b − l_b)²)`.
///
/// For two normal estimates this is, with k = 1, the usual interval of a difference, since half-widths add as standard
/// errors do; for skewed ones each end uses the half that belongs to it. Only estimates, intervals and numbers of
/// rounds enter, so that a stored summary compares as well as the samples it came from.
///
/// *Why k.* An interval from few rounds is itself a noisy estimate: its ends lie some `z √n / 2` spacings from the median,
/// so that a half-width has a relative variance of about `1/√n`. By itself it covers 95 % all the same, since an estimate
/// that is too high tends to have its lower end too far below it; in the difference of two that noise averages out, and
/// what was made up for it is too much. Expanding coverage to first order in the variances gives a term for each run that
/// is proportional to `1/√n_i` and vanishes where either run dominates, because the difference then is one interval again:
/// `k = 1 − 1.6 Σ s_i (1 − s_i) / √n_i`, with `s_i` the share of run i in the squared length. The 1.6 is fitted, once, to
/// normal noise at 10 and 10 up to 600 and 600 rounds; the tests hold the result against other noise. With fewer than ten
/// rounds on either side k is 1, which is wider than need be (98 to 99 % for independent rounds).
///
/// *Coverage*, simulated, from 10 and 10 to 150 and 600 rounds, in per cent: 95.5 to 97.1 of independent rounds whatever
/// the noise, 95.0 to 95.9 for AR(1) with ρ = 0.15, 93.7 to 95.5 for ρ = 0.3, and for ρ = 0.5 93.2 to 95 if either run has
/// 20 rounds or more (90 at 10 and 10).
///
/// *Beyond rounds.* No interval from one session can know what another session would have shifted. So the squares of
/// `z σ / √m` with z = 1.96 and σ = `between` are added under the roots for either run, m being its sessions: see
/// [`BETWEEN_SESSIONS`]; 0 leaves them out. With it two runs of one program agree within their interval at 95 % as the
/// tests simulate it, without it they agree less often the more rounds they have.
///
/// `None` if a value is not positive and finite, or an interval does not hold its estimate.
pub fn change(base: &PairedRatio, new: &PairedRatio, sessions: [usize; 2], between: f64) -> Option<Change> {
    let sound = |r: &PairedRatio| {
        [r.low, r.ratio, r.high].iter().all(|x| x.is_finite() && *x > 0.0)
            && r.low <= r.ratio
            && r.ratio <= r.high
    };
    if !sound(base) || !sound(new) {
        return None;
    }
    let [b_low, b, b_high] = [base.low, base.ratio, base.high].map(f64::ln);
    let [n_low, n, n_high] = [new.low, new.ratio, new.high].map(f64::ln);
    let squares = [(b_high - b_low).powi(2), (n_high - n_low).powi(2)];
    let k = shrinkage(squares, [base.pairs, new.pairs]);
    let shift = sessions.iter().map(|&m| (Z_95 * between).powi(2) / m.max(1) as f64).sum::<f64>().sqrt();
    let down = (k * (n - n_low).hypot(b_high - b)).hypot(shift);
    let up = (k * (n_high - n).hypot(b - b_low)).hypot(shift);
    Some(Change { ratio: (n - b).exp(), low: (n - b - down).exp(), high: (n - b + up).exp() })
}

/// k of [`change`].
fn shrinkage(squares: [f64; 2], rounds: [usize; 2]) -> f64 {
    let total = squares[0] + squares[1];
    if total <= 0.0 || rounds.iter().any(|n| *n < FEW) {
        return 1.0;
    }
    let both = squares[0] / total * (squares[1] / total);
    1.0 - 1.6 * both * rounds.iter().map(|n| 1.0 / (*n as f64).sqrt()).sum::<f64>()
}

/// Rounds from which on intervals are near enough to what many rounds give for [`shrinkage`] to hold.
const FEW: usize = 10;

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

/// Share of a run's samples that count as its quiet ones: the fastest tenth.
pub const QUIET: f64 = 0.1;

/// Whether a change is also in the quiet samples: `quiet` is new over base of the same quantity, taken from the
/// [`QUIET`] quantile of its times, and must have moved by at least half as much the same way.
///
/// What made the code slower is there in every round. What other programs do to some rounds is not in the quietest; but
/// it may last longer than a session, and takes long updates more often than short ones, so that even a median of paired
/// ratios can move several-fold where processors are contended. A point whose quiet samples did not follow has not been
/// shown to have changed, whatever the interval of its median says.
pub fn is_quiet_too(change: &Change, quiet: f64) -> bool {
    let (all, quiet) = (change.ratio.ln(), quiet.ln());
    all == 0.0 || quiet / all >= 0.5
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
