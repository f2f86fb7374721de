//! The measuring loop: every strategy that takes a call has one turn per round, in shuffled order, until the call's time is
//! used. What times is a [`Timer`], so that the loop runs without a GPU too.

use std::ops::RangeInclusive;

use pcnbench_kernels::tune::{Entry, Failed, Strategy, Timed};
use rand::seq::SliceRandom;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::grid::Call;
use crate::stats::{median, quantile};
use crate::{Error, Result};

/// Rounds of a call: as many as fit into its time, within these.
const ROUNDS: RangeInclusive<usize> = 5..=200;
/// Nanoseconds of a sample, which has as many calls as fill them: the clock of a device resolves half a microsecond, and the first
/// call of a sample waits for the host.
const SAMPLE_NS: f64 = 2e6;
/// Calls of a sample, at most: as many are queued at once.
const MOST_CALLS: usize = 1000;
/// Nanoseconds of work before the first sample of all: a device at rest lowers its clock.
const WARM_NS: f64 = 5e8;
/// Samples before the clock is taken for warm, at most.
const MOST_WARM: usize = 10_000;
/// Of the order of turns.
const SEED: u64 = 20250520;

/// What runs and times calls.
pub trait Timer {
    /// Gets ready for a call; which strategies take it.
    ///
    /// # Errors
    /// What the device says.
    fn open(&mut self, call: &Call) -> Result<Vec<Strategy>>;

    /// Mean nanoseconds of `calls` calls one after another on a strategy.
    ///
    /// # Errors
    /// What the device says.
    fn time(&mut self, strategy: Strategy, calls: usize) -> Result<f64>;

    /// Refuses what the calls on a strategy have left if it is not finite.
    ///
    /// # Errors
    /// Says so, or what the device says.
    fn check(&mut self, strategy: Strategy) -> Result<()>;

    /// Whether the device still works.
    ///
    /// # Errors
    /// If it does not.
    fn answers(&mut self) -> Result<()>;
}

/// What was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// One per call that any strategy gave a time for.
    pub entries: Vec<Entry>,
    /// A sentence per call that none did for.
    pub without: Vec<String>,
}

/// Times every strategy that takes a call, `seconds` for each call or five rounds, and says before each how many are done.
///
/// # Errors
/// If the device stops working: what failed then says nothing about a strategy.
pub fn measure(
    calls: &[Call],
    timer: &mut dyn Timer,
    seconds: f64,
    progress: &mut dyn FnMut(usize, &Call),
) -> Result<Measured> {
    let mut bench = Bench { timer, rng: ChaCha8Rng::seed_from_u64(SEED), warm_ns: 0.0 };
    let mut measured = Measured { entries: Vec::new(), without: Vec::new() };
    for (done, call) in calls.iter().enumerate() {
        progress(done, call);
        let (timed, failed) = match bench.call(call, seconds) {
            Ok(both) => both,
            Err(error) => {
                bench.still_answers(&error)?;
                measured
                    .without
                    .push(format!("{call} could not be set up, so the model chooses there: {error}"));
                continue;
            }
        };
        if timed.is_empty() {
            let why = failed.first().map_or("none takes it".to_owned(), |failed| {
                format!("{}: {}", failed.strategy.name(), failed.why)
            });
            measured
                .without
                .push(format!("no strategy has a time for {call}, so the model chooses there ({why})"));
            continue;
        }
        let Call { rule, precision, operands, sizes } = *call;
        measured.entries.push(Entry { rule: rule.name(), precision, math: operands, sizes, timed, failed });
    }
    Ok(measured)
}

struct Bench<'a> {
    timer: &'a mut dyn Timer,
    rng: ChaCha8Rng,
    /// Work so far, until there was enough of it.
    warm_ns: f64,
}

/// A strategy with its samples.
struct Lane {
    strategy: Strategy,
    calls: usize,
    samples: Vec<f64>,
    failed: Option<String>,
}

impl Bench<'_> {
    /// The end of everything if the device does not answer any more.
    fn still_answers(&mut self, cause: &Error) -> Result<()> {
        self.timer.answers().map_err(|_| Error::Device {
            device: "cuda".into(),
            reason: format!(
                "it has stopped working ({cause}), so nothing was written; run `pcnbench tune` again"
            ),
        })
    }

    /// A time, or why there is none.
    fn sample(&mut self, strategy: Strategy, calls: usize) -> Result<std::result::Result<f64, String>> {
        match self.timer.time(strategy, calls) {
            Ok(ns) if ns.is_finite() && ns > 0.0 => Ok(Ok(ns)),
            Ok(ns) => Ok(Err(format!("its time is {ns} ns"))),
            Err(error) => {
                self.still_answers(&error)?;
                Ok(Err(error.to_string()))
            }
        }
    }

    fn call(&mut self, call: &Call, seconds: f64) -> Result<(Vec<Timed>, Vec<Failed>)> {
        let mut lanes = Vec::new();
        for strategy in self.timer.open(call)? {
            lanes.push(self.lane(strategy)?);
        }
        let mut order: Vec<usize> = (0..lanes.len()).collect();
        let (mut rounds, mut spent) = (0, 0.0);
        let works = |lanes: &[Lane]| lanes.iter().any(|lane| lane.failed.is_none());
        while works(&lanes) && (rounds < *ROUNDS.start() || spent < seconds * 1e9 && rounds < *ROUNDS.end()) {
            order.shuffle(&mut self.rng);
            for &at in &order {
                let lane = &mut lanes[at];
                if lane.failed.is_some() {
                    continue;
                }
                match self.sample(lane.strategy, lane.calls)? {
                    Ok(ns) => {
                        spent += ns * lane.calls as f64;
                        lane.samples.push(ns);
                    }
                    Err(why) => lane.failed = Some(why),
                }
            }
            rounds += 1;
        }
        let (mut timed, mut failed) = (Vec::new(), Vec::new());
        for lane in lanes {
            match self.end(&lane)? {
                Some(why) => failed.push(Failed { strategy: lane.strategy, why }),
                None => timed.push(Timed {
                    strategy: lane.strategy,
                    median_ns: median(&lane.samples),
                    q1_ns: quantile(&lane.samples, 0.25),
                    q3_ns: quantile(&lane.samples, 0.75),
                    samples: lane.samples.len(),
                    calls: lane.calls,
                }),
            }
        }
        Ok((timed, failed))
    }

    /// The first call loads and allocates, the second says how many fill a sample.
    fn lane(&mut self, strategy: Strategy) -> Result<Lane> {
        let mut lane = Lane { strategy, calls: 1, samples: Vec::new(), failed: None };
        let first = self.sample(strategy, 1)?;
        let second = first.is_ok().then(|| self.sample(strategy, 1)).transpose()?;
        match second.unwrap_or(first) {
            Ok(ns) => lane.calls = ((SAMPLE_NS / ns).ceil() as usize).clamp(1, MOST_CALLS),
            Err(why) => lane.failed = Some(why),
        }
        for _ in 0..MOST_WARM {
            if self.warm_ns >= WARM_NS || lane.failed.is_some() {
                break;
            }
            match self.sample(strategy, lane.calls)? {
                Ok(ns) => self.warm_ns += ns * lane.calls as f64,
                Err(why) => lane.failed = Some(why),
            }
        }
        Ok(lane)
    }

    /// Why a strategy has no time, if it has none.
    fn end(&mut self, lane: &Lane) -> Result<Option<String>> {
        if lane.failed.is_some() {
            return Ok(lane.failed.clone());
        }
        match self.timer.check(lane.strategy) {
            Ok(()) => Ok(None),
            Err(error) => {
                self.still_answers(&error)?;
                Ok(Some(error.to_string()))
            }
        }
    }
}

#[cfg(test)]
#[path = "time_tests.rs"]
mod tests;
