//! Instances of interleaved rounds: all subjects built anew, then every subject once per round, in an order shuffled per
//! round.
//!
//! Machines drift: clocks, caches, neighbours. Samples of one round share these, so ratios are taken within rounds, and
//! no subject is always first. What rounds share they cannot tell: where memory happens to lie is decided when a
//! subject is built, so the subjects of a point are built several times; and a neighbour on the machine may work for
//! half a minute, so other points are measured in between ([`crate::run`]).

use std::time::Duration;

use rand::seq::SliceRandom;
use rand::Rng;

use super::clocks::{Clocks, Keep};
use super::pauses::{Pauses, Usual};
pub use super::subject::{Subject, Timed, Turn};
use crate::stats::median_ci;
use crate::suite::Timing as Limits;
use crate::{Error, Result};

/// Why sampling stopped; of several instances, the last in this order counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Every median is known to the target.
    Target,
    /// The round limit came first.
    Rounds,
    /// The time limit came first.
    Time,
}

impl Stop {
    /// The word used in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::Rounds => "round-limit",
            Self::Time => "time-limit",
        }
    }
}

/// A sample, and where in the sampling of its point it was taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Taken {
    /// Which time the subjects were built, from 0.
    pub instance: u32,
    /// Numbered on across instances.
    pub round: u32,
    /// What was measured.
    pub timed: Timed,
}

/// What sampling a set of subjects gave.
#[derive(Debug)]
pub struct Sampled {
    /// Per subject: its samples, or why the subject failed (its samples are void then).
    pub subjects: Vec<Result<Vec<Taken>>>,
    /// Why sampling stopped.
    pub stop: Stop,
}

/// Rounds of an instance measured even when its time has passed: a single one would leave all to chance.
const FEWEST_ROUNDS: usize = 2;
/// Executions of each subject before the first sample, however long one takes: of the first instance, and of later ones,
/// which find threads and clocks awake and only their own memory new.
const FEWEST_WARMUPS: [usize; 2] = [5, 1];
/// Times a sample is taken again because the GPU had slowed down. Throttling can last; waiting for its end would not.
const RETRIES: usize = 3;

/// Samples the subjects of a point in several instances: all subjects are built anew for each, warmed up, and measured in
/// rounds.
///
/// The limits are those of all instances together. Instance k of m (from 0) has `⌊(k + 1) n / m⌋ − ⌊k n / m⌋` of the n
/// rounds that are asked for at least and at most. Between the two it ends when every median over all rounds so far is
/// known to `√(m / (k + 1))` times the target, which the instances after it bring down to the target; or, after two
/// rounds, when `(k + 1) / m` of the time have passed: time that an instance leaves is for those after it. Half of the
/// time for warming up is for the first instance, an equal share of the rest for each of the others.
pub struct Sampler<'a, R> {
    limits: &'a Limits,
    rng: R,
    results: Vec<Result<Vec<Taken>>>,
    /// How much of their turns the subjects sleep.
    usual: Vec<Usual>,
    /// What each subject does in its turns, decided once: by the shortest mean of its first warming up, in which ever
    /// more executions follow each other. Beside other processes single ones may take ten times as long as in a row,
    /// and turns of so few that they are shorter than a scheduler's slice would meet the others or not, by chance.
    turns: Vec<Option<Turn>>,
    /// Instances measured so far.
    instance: usize,
    /// Rounds measured so far.
    rounds: usize,
    /// Time spent in rounds so far.
    spent: Duration,
    stop: Stop,
}

impl<'a, R: Rng> Sampler<'a, R> {
    /// For this many subjects.
    pub fn new(subjects: usize, limits: &'a Limits, rng: R) -> Self {
        Self {
            limits,
            rng,
            results: (0..subjects).map(|_| Ok(vec![])).collect(),
            usual: vec![Usual::default(); subjects],
            turns: vec![None; subjects],
            instance: 0,
            rounds: 0,
            spent: Duration::ZERO,
            stop: Stop::Target,
        }
    }

    /// Instances to measure: no more than there may be rounds.
    pub fn instances(&self) -> usize {
        self.limits.instances.min(self.limits.max_rounds).max(1)
    }

    /// In which order to build the subjects for the next instance; those that have failed are not among them.
    pub fn order(&mut self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.results.len()).filter(|&i| self.results[i].is_ok()).collect();
        order.shuffle(&mut self.rng);
        order
    }

    /// Whether a subject has not failed so far.
    pub fn succeeds(&self, subject: usize) -> bool {
        self.results[subject].is_ok()
    }

    /// Takes a subject out that could not be built.
    pub fn fail(&mut self, subject: usize, error: Error) {
        self.results[subject] = Err(error);
    }

    /// Measures the next instance, of these subjects with their numbers. One that fails leaves the rounds, and the
    /// others go on.
    ///
    /// A sample taken at a clock far below those of the run so far is discarded and taken again ([`Clocks::judge`]);
    /// one during which the process stood still too ([`Pauses::judge`]), and such time does not count against the
    /// limits.
    pub fn measure(
        &mut self,
        subjects: &mut [(usize, Box<dyn Subject + '_>)],
        clocks: &mut Clocks,
        pauses: &mut Pauses,
        mut tick: impl FnMut(usize),
    ) {
        let numbers: Vec<usize> = subjects.iter().map(|(i, _)| *i).collect();
        let (instance, instances) = (self.instance, self.instances());
        let (usual, results) = (&mut self.usual, &mut self.results);
        let mut execute = |at: usize,
                           turn: Turn,
                           results: &mut [Result<Vec<Taken>>],
                           round: Option<usize>,
                           pauses: &mut Pauses| {
            let (i, subject) = &mut subjects[at];
            let mut retries = 0;
            let outcome = loop {
                let start = pauses.now();
                let outcome = subject.take(turn);
                let pause = pauses.note(&mut usual[*i], start);
                let again = match (&outcome, round) {
                    (Ok(sample), Some(_)) => {
                        pauses.judge(pause, retries, RETRIES) == Keep::Retry
                            || clocks.judge(sample, retries, RETRIES) == Keep::Retry
                    }
                    _ => false,
                };
                if !again {
                    break outcome;
                }
                retries += 1;
            };
            let wall_ns = outcome.as_ref().ok().map(|sample| sample.wall_ns);
            match (outcome, &mut results[*i], round) {
                (Ok(timed), Ok(samples), Some(round)) => {
                    samples.push(Taken { instance: instance as u32, round: round as u32, timed })
                }
                (Ok(_), ..) => {}
                (Err(e), slot, _) => *slot = Err(e),
            }
            wall_ns
        };

        let mut order: Vec<usize> = (0..numbers.len()).collect();
        order.shuffle(&mut self.rng);
        let warmup = warmup_seconds(self.limits.warmup_seconds, instance, instances);
        for &at in &order {
            let start = pauses.active();
            let (mut taken, mut shortest, mut turn) = (0, f64::INFINITY, Turn::SINGLE);
            loop {
                let left = warmup - pauses.active().saturating_sub(start).as_secs_f64();
                if results[numbers[at]].is_err() || (taken >= FEWEST_WARMUPS[instance.min(1)] && left <= 0.0)
                {
                    break;
                }
                if let Some(wall_ns) = execute(at, turn, results, None, pauses) {
                    shortest = shortest.min(wall_ns as f64);
                }
                taken += 1;
                if taken >= FEWEST_WARMUPS[0] {
                    turn = turn.doubled(left.min(self.limits.turn_seconds), shortest);
                }
            }
            self.turns[numbers[at]].get_or_insert_with(|| Turn::filling(self.limits.turn_seconds, shortest));
        }

        let so_far = (instance + 1) as f64 / instances as f64;
        let fewest = share(self.limits.min_rounds, instance, instances);
        let target = self.limits.target_half_width / so_far.sqrt();
        let limit = Duration::try_from_secs_f64(self.limits.max_seconds * so_far).unwrap_or(Duration::MAX);
        let start = pauses.active();
        let mut stop = Stop::Rounds;
        for round in 1..=share(self.limits.max_rounds, instance, instances) {
            order.shuffle(&mut self.rng);
            for &at in &order {
                if let (true, Some(turn)) = (results[numbers[at]].is_ok(), self.turns[numbers[at]]) {
                    execute(at, turn, results, Some(self.rounds), pauses);
                }
            }
            self.rounds += 1;
            tick(self.rounds);
            if round >= fewest && settled(results, target) {
                stop = Stop::Target;
                break;
            }
            if round >= FEWEST_ROUNDS && self.spent + pauses.active().saturating_sub(start) >= limit {
                stop = Stop::Time;
                break;
            }
        }
        self.spent += pauses.active().saturating_sub(start);
        self.instance += 1;
        self.stop = self.stop.max(stop);
    }

    /// What all instances gave.
    pub fn finish(self) -> Sampled {
        Sampled { subjects: self.results, stop: self.stop }
    }
}

/// Instance `k` of `m` has this share of `n` rounds.
fn share(n: usize, k: usize, m: usize) -> usize {
    let until = |k: usize| (n as u128 * k as u128 / m as u128) as usize;
    until(k + 1) - until(k)
}

/// Instance `k` of `m` warms up for this share of `all` seconds.
fn warmup_seconds(all: f64, k: usize, m: usize) -> f64 {
    match (k, m) {
        (_, 1) => all,
        (0, _) => all / 2.0,
        _ => all / 2.0 / (m - 1) as f64,
    }
}

/// Whether every surviving subject's median is known to the target, as a relative half-width at 95 %.
fn settled(results: &[Result<Vec<Taken>>], target: f64) -> bool {
    results.iter().flatten().all(|samples| {
        let walls: Vec<f64> = samples.iter().map(|s| s.timed.wall_ns as f64).collect();
        median_ci(&walls, 0.95).is_some_and(|(low, high)| (high - low) <= target * (high + low))
    })
}

#[cfg(test)]
#[path = "sampler_tests.rs"]
mod tests;
