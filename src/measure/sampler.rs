//! Interleaved rounds: every subject once per round, in an order shuffled per round.
//!
//! Machines drift: clocks, caches, neighbours. Samples of one round share that weather, so ratios are taken
//! within rounds, and no subject is always first.

use std::time::Duration;

use rand::seq::SliceRandom;
use rand::Rng;

use super::clocks::{Clocks, Keep};
use super::pauses::Pauses;
use crate::stats::{median, median_ci};
use crate::suite::Timing as Limits;
use crate::Result;

/// One timed execution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timed {
    /// Wall clock of one execution, synchronised at both ends of all that were timed together.
    pub wall_ns: u64,
    /// Device clock of one execution, where there is one.
    pub device_ns: Option<u64>,
    /// Checksum of the result.
    pub checksum: f64,
    /// Time for which threads of this process waited for a processor per execution, where the system tells.
    pub delay_ns: Option<u64>,
    /// Clock of the card after the sample, where there is one.
    pub sm_clock_mhz: Option<u32>,
    /// Executions that were timed together.
    pub executions: u32,
}

/// Something that can be executed again and again.
pub trait Subject {
    /// Executes as often as the turn says; times are means over the timed executions.
    fn take(&mut self, turn: Turn) -> Result<Timed>;
}

/// What a subject does when its turn comes: back-to-back executions, the last of which are timed together.
///
/// Calls of a few milliseconds find caches full of their predecessor's data and workers asleep on any core, while in use
/// they follow their own kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Executions before the clock starts.
    pub untimed: u32,
    /// Executions under the clock, at least one.
    pub timed: u32,
}

impl Turn {
    /// One execution, timed.
    pub const SINGLE: Self = Self { untimed: 0, timed: 1 };

    /// The turn of a subject whose executions take `execution_ns`: as many as fill `seconds`, half of them timed; a
    /// single one if two take longer than that.
    pub fn filling(seconds: f64, execution_ns: f64) -> Self {
        // so many would take no time at all
        const MOST: f64 = 1e6;
        let half = (0.5e9 * seconds / execution_ns.max(1.0)).min(MOST) as u32;
        Self { untimed: half, timed: half.max(1) }
    }
}

/// Why sampling stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// What sampling a set of subjects gave.
#[derive(Debug)]
pub struct Sampled {
    /// Per subject: (round, sample), or why the subject failed (its samples are void then).
    pub subjects: Vec<Result<Vec<(u32, Timed)>>>,
    /// Why sampling stopped.
    pub stop: Stop,
}

/// Rounds measured even when the time limit has passed: fewer give no interval at all.
const FEWEST_ROUNDS: usize = 3;
/// Executions of each subject before the first sample, however long one takes.
const FEWEST_WARMUPS: usize = 5;
/// Times a sample is taken again because the card had slowed down. Throttling can last; waiting for its end would not.
const RETRIES: usize = 3;

/// Warms every subject up, then measures rounds until the target, the round limit or the time limit. The median
/// execution of warming up decides on a subject's turns.
///
/// A subject that fails leaves the rounds; the others go on. `clocks` holds the samples of the run so far: one taken
/// at a clock far below theirs is discarded and taken again (see [`Clocks::judge`]), and so is one during which the process
/// stood still ([`Pauses::judge`]). Time that it stood still does not count against the time limit.
pub fn sample(
    subjects: &mut [Box<dyn Subject + '_>],
    limits: &Limits,
    rng: &mut impl Rng,
    clocks: &mut Clocks,
    pauses: &mut Pauses,
    mut tick: impl FnMut(usize),
) -> Sampled {
    pauses.begin(subjects.len());
    let mut results: Vec<Result<Vec<(u32, Timed)>>> = subjects.iter().map(|_| Ok(vec![])).collect();
    let mut turns = vec![Turn::SINGLE; subjects.len()];
    let mut execute = |i: usize,
                       turn: Turn,
                       results: &mut [Result<Vec<(u32, Timed)>>],
                       round: Option<u32>,
                       pauses: &mut Pauses| {
        let mut retries = 0;
        let outcome = loop {
            let start = pauses.now();
            let outcome = subjects[i].take(turn);
            let pause = pauses.note(i, start);
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
        match (outcome, &mut results[i], round) {
            (Ok(sample), Ok(samples), Some(round)) => samples.push((round, sample)),
            (Ok(_), ..) => {}
            (Err(e), slot, _) => *slot = Err(e),
        }
        wall_ns
    };

    let mut order: Vec<usize> = (0..results.len()).collect();
    for &i in &order {
        let start = pauses.active();
        let mut walls = Vec::new();
        while results[i].is_ok()
            && (walls.len() < FEWEST_WARMUPS
                || pauses.active().saturating_sub(start).as_secs_f64() < limits.warmup_seconds)
        {
            walls.extend(execute(i, Turn::SINGLE, &mut results, None, pauses).map(|wall_ns| wall_ns as f64));
        }
        turns[i] = Turn::filling(limits.turn_seconds, median(&walls));
    }

    let start = pauses.active();
    let limit = Duration::try_from_secs_f64(limits.max_seconds).unwrap_or(Duration::MAX);
    let mut stop = Stop::Rounds;
    for round in 0..limits.max_rounds {
        order.shuffle(rng);
        for &i in &order {
            if results[i].is_ok() {
                execute(i, turns[i], &mut results, Some(round as u32), pauses);
            }
        }
        tick(round + 1);
        if round + 1 >= limits.min_rounds && settled(&results, limits.target_half_width) {
            stop = Stop::Target;
            break;
        }
        if round + 1 >= FEWEST_ROUNDS && pauses.active().saturating_sub(start) >= limit {
            stop = Stop::Time;
            break;
        }
    }
    Sampled { subjects: results, stop }
}

/// Whether every surviving subject's median is known to the target, as a relative half-width at 95 %.
fn settled(results: &[Result<Vec<(u32, Timed)>>], target: f64) -> bool {
    results.iter().flatten().all(|samples| {
        let walls: Vec<f64> = samples.iter().map(|(_, s)| s.wall_ns as f64).collect();
        let (low, high) = median_ci(&walls, 0.95);
        (high - low) <= target * (high + low)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::pauses;
    use crate::Error;
    use rand::SeedableRng;
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    struct Invented {
        name: usize,
        executed: usize,
        times: Box<dyn FnMut(usize) -> Result<u64>>,
        clock: Option<fn(usize) -> u32>,
        log: Rc<RefCell<Vec<usize>>>,
    }

    impl Subject for Invented {
        /// A sample is its last execution.
        fn take(&mut self, turn: Turn) -> Result<Timed> {
            let mut wall_ns = 0;
            let mut sm_clock_mhz = None;
            for _ in 0..turn.untimed + turn.timed {
                self.log.borrow_mut().push(self.name);
                sm_clock_mhz = self.clock.map(|clock| clock(self.executed));
                wall_ns = (self.times)(self.executed)?;
                self.executed += 1;
            }
            let executions = turn.timed;
            Ok(Timed { wall_ns, device_ns: None, checksum: 0.0, delay_ns: None, sm_clock_mhz, executions })
        }
    }

    type Times = Box<dyn FnMut(usize) -> Result<u64>>;

    fn run(times: Vec<Times>, limits: &Limits) -> (Sampled, Vec<usize>) {
        run_at(None, times, limits, &mut Clocks::default())
    }

    fn run_at(
        clock: Option<fn(usize) -> u32>,
        times: Vec<Times>,
        limits: &Limits,
        clocks: &mut Clocks,
    ) -> (Sampled, Vec<usize>) {
        let log = Rc::new(RefCell::new(vec![]));
        let mut subjects: Vec<Box<dyn Subject>> = times
            .into_iter()
            .enumerate()
            .map(|(name, times)| {
                Box::new(Invented { name, executed: 0, times, clock, log: log.clone() }) as Box<dyn Subject>
            })
            .collect();
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let sampled = sample(&mut subjects, limits, &mut rng, clocks, &mut Pauses::of_this_thread(), |_| {});
        drop(subjects);
        (sampled, Rc::try_unwrap(log).unwrap().into_inner())
    }

    fn limits() -> Limits {
        Limits {
            warmup_seconds: 0.0,
            turn_seconds: 0.0,
            min_rounds: 8,
            max_rounds: 40,
            max_seconds: 100.0,
            ..Limits::default()
        }
    }

    #[test]
    fn steady_subjects_stop_at_the_target() {
        let (sampled, _) = run(vec![Box::new(|_| Ok(100)), Box::new(|_| Ok(300))], &limits());
        assert_eq!(sampled.stop, Stop::Target);
        assert!(sampled.subjects.iter().all(|s| s.as_ref().unwrap().len() == 8));
    }

    #[test]
    fn noisy_subjects_run_to_the_round_limit() {
        let noisy = |turn: usize| Ok(if turn.is_multiple_of(2) { 100 } else { 200 });
        let (sampled, _) = run(vec![Box::new(noisy)], &limits());
        assert_eq!(sampled.stop, Stop::Rounds);
        assert_eq!(sampled.subjects[0].as_ref().unwrap().len(), 40);
    }

    #[test]
    fn the_time_limit_still_leaves_three_rounds() {
        let slow = |turn: usize| {
            std::thread::sleep(Duration::from_millis(2));
            Ok(if turn.is_multiple_of(2) { 100 } else { 200 })
        };
        let limits = Limits { max_seconds: 1e-9, ..limits() };
        let (sampled, _) = run(vec![Box::new(slow)], &limits);
        assert_eq!(sampled.stop, Stop::Time);
        assert_eq!(sampled.subjects[0].as_ref().unwrap().len(), FEWEST_ROUNDS);
    }

    #[test]
    fn every_round_holds_everyone_once_in_changing_order() {
        let (_, log) = run(vec![Box::new(|_| Ok(1)), Box::new(|_| Ok(1)), Box::new(|_| Ok(1))], &limits());
        let rounds: Vec<&[usize]> = log[3 * FEWEST_WARMUPS..].chunks(3).collect();
        assert!(rounds.iter().all(|r| {
            let mut sorted = r.to_vec();
            sorted.sort_unstable();
            sorted == [0, 1, 2]
        }));
        assert!(rounds.iter().any(|r| *r != rounds[0]), "the order never changed");
    }

    #[test]
    fn a_turn_is_filled_half_untimed_and_half_timed() {
        let turn = |seconds, ns| Turn::filling(seconds, ns);
        assert_eq!(turn(0.02, 1e6), Turn { untimed: 10, timed: 10 });
        assert_eq!(turn(0.02, 9e6), Turn { untimed: 1, timed: 1 });
        assert_eq!(turn(0.02, 11e6), Turn::SINGLE);
        assert_eq!(turn(0.0, 1.0), Turn::SINGLE);
        assert_eq!(turn(60.0, 0.0).timed, 1_000_000);
        // what warming up took decides
        let limits = Limits { turn_seconds: 0.01, min_rounds: 4, max_rounds: 4, ..limits() };
        let (sampled, log) = run(vec![Box::new(|_| Ok(1_000_000)), Box::new(|_| Ok(30_000_000))], &limits);
        let count = |name| log.iter().filter(|n| **n == name).count() - FEWEST_WARMUPS;
        assert_eq!((count(0), count(1)), (4 * 10, 4));
        let of = |i: usize| sampled.subjects[i].as_ref().unwrap().iter().map(|(_, s)| s.executions);
        assert!(of(0).all(|n| n == 5) && of(1).all(|n| n == 1));
    }

    /// Ten samples at 1000 MHz, then the card slows down for two executions, then for good: the two are taken again
    /// with no gap in the rounds, later ones are kept after three more tries each.
    #[test]
    fn throttled_samples_are_taken_again_a_few_times() {
        let warm = FEWEST_WARMUPS;
        let clock = |turn: usize| match turn - FEWEST_WARMUPS.min(turn) {
            10 | 11 => 500,
            0..20 => 1000,
            _ => 600,
        };
        let limits = Limits { min_rounds: 20, max_rounds: 20, ..limits() };
        let mut clocks = Clocks::default();
        let (sampled, log) =
            run_at(Some(clock), vec![Box::new(|turn| Ok(turn as u64))], &limits, &mut clocks);
        let samples = sampled.subjects[0].as_ref().unwrap();
        assert_eq!(samples.iter().map(|(round, _)| *round).collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
        let turns: Vec<usize> = samples.iter().map(|(_, s)| s.wall_ns as usize - warm).collect();
        assert_eq!(turns, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15, 16, 17, 18, 19, 23, 27]);
        assert_eq!(log.len(), warm + 28);
        let warning = clocks.warning().unwrap();
        assert!(
            warning.contains("8 samples were discarded") && warning.contains("2 of 20 kept"),
            "{warning}"
        );
    }

    /// Turns of 10 ms, and 2 s more while the process is stopped in two of them: both are taken again, and a time limit of
    /// 200 ms does not notice.
    #[test]
    fn paused_samples_are_taken_again_outside_the_time_limit() {
        let clocks =
            Rc::new(Cell::new(pauses::Reading { running: Some(Duration::ZERO), ..Default::default() }));
        let (clock, at) = (Rc::clone(&clocks), |turn| FEWEST_WARMUPS + turn);
        let times: Times = Box::new(move |turn| {
            let mut now = clock.get();
            now.running = now.running.map(|running| running + Duration::from_millis(10));
            now.wall += Duration::from_millis(if [at(2), at(5)].contains(&turn) { 2010 } else { 10 });
            clock.set(now);
            Ok(turn as u64)
        });
        let subject = Invented { name: 0, executed: 0, times, clock: None, log: Rc::default() };
        let limits = Limits { min_rounds: 8, max_rounds: 8, max_seconds: 0.2, ..limits() };
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let mut pauses = Pauses::by(move || clocks.get());
        let mut subjects = [Box::new(subject) as Box<dyn Subject>];
        let sampled = sample(&mut subjects, &limits, &mut rng, &mut Clocks::default(), &mut pauses, |_| {});
        let samples = sampled.subjects[0].as_ref().unwrap();
        let turns: Vec<usize> = samples.iter().map(|(_, s)| s.wall_ns as usize - FEWEST_WARMUPS).collect();
        assert_eq!(turns, [0, 1, 3, 4, 6, 7, 8, 9]);
        assert_eq!(samples.iter().map(|(round, _)| *round).collect::<Vec<_>>(), (0..8).collect::<Vec<_>>());
        assert_eq!(sampled.stop, Stop::Rounds);
        assert!(pauses.warning().unwrap().contains("during 2 samples, for up to 2.00 s"));
    }

    #[test]
    fn a_failing_subject_leaves_and_the_others_go_on() {
        let fails = |turn: usize| if turn > 7 { Err(Error::Invalid("overflow".into())) } else { Ok(100) };
        let (sampled, _) = run(vec![Box::new(fails), Box::new(|_| Ok(100))], &limits());
        assert!(sampled.subjects[0].is_err());
        assert_eq!(sampled.subjects[1].as_ref().unwrap().len(), 8);
    }
}
