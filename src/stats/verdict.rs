//! Whether a ratio has changed between two measurements of it, and by how much.

use std::fmt;

use super::instances::t_95;
use super::order::median;
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
    /// Neither: the interval excludes every change of interest.
    Same,
    /// The interval is too wide or absent, lies across the tolerance, or the controls are too noisy: a longer or a quieter
    /// measurement would tell.
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

/// Smallest tolerance, as a factor minus one: smaller changes are not told from what a machine does.
///
/// Instances hold what shifts a ratio within a run. Twenty minutes later, or beside another program, the machine itself may shift it
/// by more than a long run's interval is wide: over forty gates of one program beside a busy loop, held against a baseline from before
/// it, ratios known to ±0.5 % moved by up to 2.6 %, most of them by less than 2 % (`results/*/gate-trials.txt`).
pub const LEAST_TOLERANCE: f64 = 0.02;

/// A change that no verdict `same` leaves possible, as a factor minus one.
pub const OF_INTEREST: f64 = 0.05;

/// How far from 1 controls may lie, as a factor minus one, for a verdict to be possible. A machine on which two identical
/// programs seem to differ by more shows neither that something changed nor that nothing did.
pub const MOST_NOISE: f64 = 0.1;

/// Standard deviation, in logarithms, of what one instance shifts a ratio by, for estimates from a single one, which cannot
/// know it: of suites that ask for one instance.
///
/// Twenty such records on a two-core machine with other work on it differed by 0.2 to 0.4 % beyond what their rounds told
/// for updates of more than half a millisecond, and by up to 0.7 % for shorter ones (sPC, ePC and their like at two layers
/// of width 64).
pub const BETWEEN_INSTANCES: f64 = 0.005;

/// The same of a ratio with a side whose threads share every update, as the fused engine's do: how long they wait for one
/// another is the system's matter, and differs by more.
pub const BETWEEN_INSTANCES_SHARED: f64 = 0.01;

/// New over base of a quantity that two independent runs estimated.
///
/// Both estimates `θ` have intervals `[l, u]`, here in logarithms, with ν degrees of freedom (infinitely many where the
/// rounds decide the length, m − 1 where the m instances do). A half-length is `t_ν` standard errors, so that the lower end
/// of the difference `θ_n − θ_b` lies `t_ν √V` below it, with Welch's degrees of freedom (1947):
///
/// `V = V_n + V_b`, `V_n = ((θ_n − l_n) / t_{ν_n})²`, `V_b = ((u_b − θ_b) / t_{ν_b})²`,
/// `ν = V² / (V_n² / ν_n + V_b² / ν_b)`,
///
/// and the upper end likewise, with `u_n` and `l_b`: for skewed intervals each end uses the half that belongs to it (Zou
/// and Donner 2008, "Construction of confidence limits about effect measures"). Only estimates, intervals and numbers
/// enter, so that a stored summary compares as well as the samples it came from.
///
/// *Intervals from few rounds.* Where the rounds decide both lengths, `V_n + V_b` is multiplied by k². Such an interval is
/// itself a noisy estimate: its ends lie some `z √n / 2` spacings from the median, so that a half-width has a relative
/// variance of about `1/√n`. By itself it covers 95 % all the same, since an estimate that is too high tends to have its
/// lower end too far below it; in the difference of two that noise averages out, and what was made up for it is too much.
/// Expanding coverage to first order in the variances gives a term for each run that is proportional to `1/√n_i` and
/// vanishes where either run dominates, because the difference then is one interval again: `k = 1 − 1.6 Σ s_i (1 − s_i) /
/// √n_i`, with `s_i` the share of run i in the squared length. The 1.6 is fitted, once, to normal noise at 10 and 10 up to
/// 600 and 600 rounds; the tests hold the result against other noise. With fewer than ten rounds on either side k is 1,
/// which is wider than need be (98 to 99 % for independent rounds).
///
/// *Coverage*, simulated. One instance each, from 10 and 10 to 150 and 600 rounds, in per cent: 95.5 to 97.1 of independent
/// rounds whatever the noise, 95.0 to 95.9 for AR(1) with ρ = 0.15, 93.7 to 95.5 for ρ = 0.3, and for ρ = 0.5 93.2 to 95 if
/// either run has 20 rounds or more (90 at 10 and 10). Four to eight instances on either side, normal, heavy-tailed and
/// one-sided noise, and a standard deviation between instances from nothing to four times that of an instance's median: 94
/// to 98.
///
/// *One instance.* No interval from a single instance can know what another one would have shifted. So `unseen²`, the
/// square of [`BETWEEN_INSTANCES`] or [`BETWEEN_INSTANCES_SHARED`], is added to V for a side that has only one.
///
/// `None` if a value is not positive and finite, or an interval does not hold its estimate.
pub fn change(base: &PairedRatio, new: &PairedRatio, unseen: f64) -> Option<Change> {
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
    let freedom = [base, new].map(|r| r.freedom.map(|f| f as f64));
    let t = freedom.map(t_95);
    let k = match freedom {
        [None, None] => {
            shrinkage([(b_high - b_low).powi(2), (n_high - n_low).powi(2)], [base.pairs, new.pairs])
        }
        _ => 1.0,
    };
    let shift = unseen * unseen * [base, new].iter().filter(|r| r.instances < 2).count() as f64;
    let half = |halves: [f64; 2]| {
        let each = [0, 1].map(|i| (k * halves[i] / t[i]).powi(2));
        let variance = each[0] + each[1] + shift;
        let doubt = [0, 1].map(|i| freedom[i].map_or(0.0, |f| each[i] * each[i] / f));
        t_95(Some(variance * variance / (doubt[0] + doubt[1])).filter(|f| f.is_finite())) * variance.sqrt()
    };
    let (down, up) = (half([b_high - b, n - n_low]), half([b - b_low, n_high - n]));
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
/// `None` if the control has no interval.
pub fn noise_floor(control: &PairedRatio) -> Option<f64> {
    control.interval().map(|(low, high)| low.ln().abs().max(high.ln().abs()).exp_m1())
}

/// How much change two runs are allowed, and why.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// How far from 1 the controls of either run may lie, as a factor minus one; 0 without a control.
    pub noise: f64,
    /// What the user allows, as a factor minus one, whatever the controls show.
    pub asked: f64,
}

impl Tolerance {
    /// From the controls' [`noise_floor`]s, as far as there are any, and from what the user allows.
    pub fn new(floors: impl IntoIterator<Item = Option<f64>>, asked: f64) -> Self {
        Self { noise: floors.into_iter().flatten().fold(0.0, f64::max), asked }
    }

    /// What a change must exceed: the largest of both and [`LEAST_TOLERANCE`], as a factor minus one.
    pub fn limit(self) -> f64 {
        LEAST_TOLERANCE.max(self.asked).max(self.noise)
    }

    /// Whether the controls are too noisy for any verdict: beyond [`MOST_NOISE`], and beyond what the user allows.
    pub fn is_blind(self) -> bool {
        self.noise > MOST_NOISE.max(self.asked)
    }

    /// Whether an interval lies within a factor of one plus the larger of `limit` and what the user allows.
    fn holds(self, change: &Change, limit: f64) -> bool {
        let limit = limit.max(self.asked).ln_1p();
        change.low.ln() >= -limit && change.high.ln() <= limit
    }

    /// Whether `same` is said of this change only because the user allows more than [`OF_INTEREST`].
    pub fn is_wide_for(self, change: &Change) -> bool {
        let asked_for_nothing = Self { asked: 0.0, ..self };
        verdict(change, self) == Verdict::Same && !asked_for_nothing.holds(change, OF_INTEREST)
    }
}

/// The verdict on a change within a tolerance.
///
/// With `t` its [limit](Tolerance::limit): regressed above `1 + t`, improved below `1 / (1 + t)`, with the whole interval.
///
/// Noise is never proof of equality, so the controls have no say in what is the same. That is an interval within a factor
/// of 1 + [`OF_INTEREST`] that holds 1, or one within 1 + [`LEAST_TOLERANCE`] whether or not it holds 1; in both, what the
/// user allows counts where it is more.
///
/// Everything else is ambiguous, and everything is where the controls are [too noisy](Tolerance::is_blind).
pub fn verdict(change: &Change, tolerance: Tolerance) -> Verdict {
    let t = tolerance.limit().ln_1p();
    let (low, high) = (change.low.ln(), change.high.ln());
    if !(low <= high && low.is_finite() && high.is_finite()) {
        Verdict::Invalid
    } else if tolerance.is_blind() {
        Verdict::Ambiguous
    } else if low > t {
        Verdict::Regressed
    } else if high < -t {
        Verdict::Improved
    } else if tolerance.holds(change, LEAST_TOLERANCE)
        || (low <= 0.0 && high >= 0.0 && tolerance.holds(change, OF_INTEREST))
    {
        Verdict::Same
    } else {
        Verdict::Ambiguous
    }
}

/// Share of a run's samples that count as its quiet ones: the fastest tenth.
pub const QUIET: f64 = 0.1;

/// Share of rounds that count as quiet for a ratio: the quarter in which the two took least time.
pub const QUIET_ROUNDS: f64 = 0.25;

/// A ratio in the quiet rounds only: the median of a/b over the [`QUIET_ROUNDS`] of all pairs `(a, b)` whose product is least, six
/// at least. `None` without pairs.
///
/// Rounds are chosen by both sides alike, so that noise in either does not choose in its favour; and they stay pairs, since a
/// machine may be fast for one contender's fastest samples and not for the other's.
pub fn quiet_ratio(pairs: &[(f64, f64)]) -> Option<f64> {
    let mut rounds: Vec<(f64, f64)> = pairs.iter().map(|(a, b)| (a.ln() + b.ln(), a.ln() - b.ln())).collect();
    rounds.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let quiet = ((QUIET_ROUNDS * pairs.len() as f64).ceil() as usize)
        .max(super::FEWEST_FOR_INTERVAL)
        .min(pairs.len());
    let ratios: Vec<f64> = rounds[..quiet].iter().map(|(_, ratio)| *ratio).collect();
    (!ratios.is_empty()).then(|| median(&ratios).exp())
}

/// Whether a change is also in the quiet samples: `quiet` is new over base of the same quantity, taken from the
/// [`QUIET`] quantile of its times or, of a ratio, from its [`QUIET_ROUNDS`], and must have moved by at least half as much the
/// same way.
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
