//! Launch strategies by measurement: a table of the times of each strategy for calls of some sizes on one device, and
//! the choice of a strategy from it. Pure data and pure functions; `pcnbench tune` measures, and its file holds the
//! table.

use super::strategy::Strategy;
use crate::launch::Precision;
use crate::math_mode::MathMode;
use crate::schedule::Schedule;
use crate::stack::Stack;

/// The sizes that the time of a call depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sizes {
    /// Units of the widest hidden layer; of the output if no layer is hidden.
    pub width: usize,
    /// B.
    pub batch: usize,
    /// L.
    pub depth: usize,
    /// T, 0 for rules without inference steps.
    pub steps: usize,
}

impl Sizes {
    /// The sizes of a call.
    pub fn of(stack: &Stack, schedule: &Schedule, batch: usize) -> Self {
        let depth = stack.depth();
        let width = (1..depth).map(|l| stack.units(l)).max().unwrap_or_else(|| stack.units(depth));
        Self { width, batch, depth, steps: schedule.steps.len() }
    }

    fn all(&self) -> [usize; 4] {
        [self.width, self.batch, self.depth, self.steps]
    }

    /// The squared distance in logarithms to base 2; `None` if one of the four sizes differs by more than a factor of
    /// [`FACTOR`], or is zero on one side only.
    pub(super) fn distance(&self, other: &Self) -> Option<f64> {
        let mut sum = 0.0;
        for (a, b) in self.all().into_iter().zip(other.all()) {
            let (low, high) = (a.min(b), a.max(b));
            if high > low.saturating_mul(FACTOR) {
                return None;
            }
            if low > 0 {
                sum += (high as f64 / low as f64).log2().powi(2);
            }
        }
        Some(sum)
    }
}

impl std::fmt::Display for Sizes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { width, batch, depth, steps } = self;
        write!(f, "width {width}, batch {batch}, depth {depth}, steps {steps}")
    }
}

/// The factor by which each size of an entry may differ from that of a call which it decides. The order of strategies
/// changes where tiles or multiprocessors run out, so times of 4 layers predict nothing about 32.
pub const FACTOR: usize = 2;

/// The time of a strategy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timed {
    /// The strategy.
    pub strategy: Strategy,
    /// Median nanoseconds of a call.
    pub median_ns: f64,
    /// First quartile.
    pub q1_ns: f64,
    /// Third quartile.
    pub q3_ns: f64,
    /// Number of samples.
    pub samples: usize,
    /// Consecutive calls of a sample; times are means over them.
    pub calls: usize,
}

/// A strategy that accepts the call but failed when it was timed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// The strategy.
    pub strategy: Strategy,
    /// The reason.
    pub why: String,
}

/// The times of every strategy for one call.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The rule, one of [`Rule::NAMES`](crate::Rule::NAMES).
    pub rule: &'static str,
    /// The type of the computation.
    pub precision: Precision,
    /// How products read their operands.
    pub math: MathMode,
    /// Its sizes.
    pub sizes: Sizes,
    /// Every strategy that was timed.
    pub timed: Vec<Timed>,
    /// Every strategy that failed, which is never chosen.
    pub failed: Vec<Failed>,
}

impl Entry {
    /// The strategies with their times, fastest first; equal times in the order of [`Strategy::ALL`].
    pub fn ranked(&self) -> Vec<Timed> {
        let mut timed = self.timed.clone();
        let place = |strategy| Strategy::ALL.iter().position(|it| *it == strategy);
        timed.sort_by(|a, b| {
            a.median_ns.total_cmp(&b.median_ns).then_with(|| place(a.strategy).cmp(&place(b.strategy)))
        });
        timed
    }

    /// The strategy with the least median.
    pub fn fastest(&self) -> Option<Strategy> {
        self.ranked().first().map(|timed| timed.strategy)
    }
}

/// A strategy, and why it is not [`Strategy::Persistent`] if it is another.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The strategy.
    pub strategy: Strategy,
    /// In words that go on after "not on strategy `persistent`, because".
    pub instead: Option<String>,
    /// The entry of measured times that decided; `None` if the model decided.
    pub entry: Option<Entry>,
}

/// The measurements of one device.
#[derive(Debug, Clone, PartialEq)]
pub struct StrategyTable {
    /// The device, as its driver names it.
    pub device: String,
    /// Its compute capability, major and minor.
    pub capability: (u32, u32),
    /// One per call that was timed.
    pub entries: Vec<Entry>,
}

impl StrategyTable {
    /// The entry that decides a call: of its rule, precision and operands, none of its sizes more than a factor of
    /// [`FACTOR`] off, and of these the one nearest in the logarithms of all four; of equally near ones that with the
    /// smaller sizes, width first.
    pub fn nearest(&self, rule: &str, kind: (Precision, MathMode), sizes: &Sizes) -> Option<&Entry> {
        let near = |entry: &Entry| entry.sizes.distance(sizes);
        self.entries
            .iter()
            .filter(|entry| entry.rule == rule && (entry.precision, entry.math) == kind)
            .filter_map(|entry| near(entry).map(|distance| (distance, entry)))
            .min_by(|(a, left), (b, right)| a.total_cmp(b).then_with(|| left.sizes.cmp(&right.sizes)))
            .map(|(_, entry)| entry)
    }
}
