//! Times at which this process stood still: stopped (SIGSTOP, Ctrl-Z), held by a debugger, frozen or suspended with the
//! machine. A clock on the wall counts them; nothing that a sample is about does.
//!
//! A thread runs, waits for a processor, or sleeps. The system tells the first two (processor time, and the scheduler's
//! delay), and under a contender the calling thread sleeps about as much of every execution: on a CPU next to nothing,
//! as it does its own part of the work; on a device more. Time beyond all three was a pause.

use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
use rustix::time::{clock_gettime, ClockId};

use super::clocks::Keep;
use super::run_queue_wait::Scheduler;
use crate::stats::median;

/// Share of its wall clock from which a turn counts as paused: that from which delay counts as contention.
const PAUSED: f64 = 0.1;
/// No pause is shorter: beside busy programs the calling thread may sleep for some ten milliseconds until a worker that
/// it waits for gets a processor, which the worker's own delay does not always explain.
const SHORTEST: Duration = Duration::from_millis(50);
/// How much more than usual the calling thread may sleep before that is called a pause: what it waits for, a device
/// say, may itself have become slower.
const PATIENCE: f64 = 4.0;
/// Turns of a contender before which nothing is known of how much of them it sleeps.
const FEWEST: usize = 3;

/// Time after which threads are looked for that have started meanwhile: at every turn it would take longer than a short
/// one.
const NEW_THREADS: Duration = Duration::from_secs(1);

/// What the clocks say: since they began, or of one turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reading {
    /// On the wall.
    pub wall: Duration,
    /// The calling thread on a processor; absent where the system does not tell.
    pub running: Option<Duration>,
    /// All threads of the process waiting for one, summed.
    pub delay: Duration,
    /// The machine suspended, which the wall clock does not count.
    pub suspended: Duration,
}

impl Reading {
    fn since(self, then: Self) -> Self {
        Self {
            wall: self.wall.saturating_sub(then.wall),
            running: self.running.zip(then.running).map(|(now, then)| now.saturating_sub(then)),
            delay: self.delay.saturating_sub(then.delay),
            suspended: self.suspended.saturating_sub(then.suspended),
        }
    }
}

/// How much of its turns a contender sleeps: wall clock over running, without delay, of each so far.
#[derive(Debug, Clone, Default)]
pub struct Usual(Vec<f64>);

/// The pauses of a run so far.
pub struct Pauses {
    read: Box<dyn FnMut() -> Reading>,
    discarded: usize,
    kept: usize,
    longest: Duration,
    total: Duration,
}

impl std::fmt::Debug for Pauses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { discarded, kept, longest, .. } = self;
        f.debug_tuple("Pauses").field(discarded).field(kept).field(longest).finish()
    }
}

impl Pauses {
    /// None yet, in this process and on the calling thread.
    pub fn of_this_thread() -> Self {
        let (start, mut scheduler) = (Instant::now(), Scheduler::of_this_process());
        let mut looked = start;
        Self::by(move || {
            let delay = scheduler.as_mut().and_then(|scheduler| {
                if looked.elapsed() > NEW_THREADS {
                    scheduler.look_for_threads();
                    looked = Instant::now();
                }
                scheduler.times()
            });
            Reading {
                // where the delay is not known, waiting would look like a pause
                running: delay.and_then(|_| running()),
                delay: Duration::from_nanos(delay.map_or(0, |times| times.delay_ns)),
                suspended: suspended(),
                wall: start.elapsed(),
            }
        })
    }

    /// None yet, by these clocks.
    pub fn by(read: impl FnMut() -> Reading + 'static) -> Self {
        let zero = Duration::ZERO;
        Self { read: Box::new(read), discarded: 0, kept: 0, longest: zero, total: zero }
    }

    /// What the clocks say now.
    pub fn now(&mut self) -> Reading {
        (self.read)()
    }

    /// A time on a clock that stands still in the pauses that are found.
    pub fn active(&mut self) -> Duration {
        self.now().wall.saturating_sub(self.total)
    }

    /// Takes note of a turn of the contender that is `usual`, begun at `start`; returns for how long the process stood
    /// still in it, if it did.
    pub fn note(&mut self, Usual(usual): &mut Usual, start: Reading) -> Option<Duration> {
        let spent = self.now().since(start);
        let pause = pause(&spent, usual);
        if let (None, Some(running)) = (pause, spent.running) {
            let rest = spent.wall.saturating_sub(spent.delay).as_secs_f64();
            usual.push(rest / running.as_secs_f64().max(1e-9));
        }
        self.total += pause.unwrap_or_default();
        pause.max((spent.suspended >= SHORTEST).then_some(spent.suspended))
    }

    /// Decides on a sample with such a pause, taken after `retries` discarded ones, of at most `most`. One that is paused
    /// after all retries is kept, and counted.
    pub fn judge(&mut self, pause: Option<Duration>, retries: usize, most: usize) -> Keep {
        let Some(pause) = pause else { return Keep::Yes };
        self.longest = self.longest.max(pause);
        if retries < most {
            self.discarded += 1;
            return Keep::Retry;
        }
        self.kept += 1;
        Keep::Yes
    }

    /// A sentence for the record, if there was any pause.
    pub fn warning(&self) -> Option<String> {
        (self.discarded + self.kept > 0).then(|| {
            format!(
                "paused: this process stood still (stopped, held by a debugger, or suspended) during {} samples, for up to \
                 {:.2} s; {} were discarded and taken again, {} were kept after several attempts",
                self.discarded + self.kept,
                self.longest.as_secs_f64(),
                self.discarded,
                self.kept
            )
        })
    }
}

/// The part of a turn's wall clock in which its process stood still, given wall clock over running in others of the same
/// contender; none if it is too short to tell.
fn pause(spent: &Reading, usual: &[f64]) -> Option<Duration> {
    let running = spent.running?;
    if usual.len() < FEWEST {
        return None;
    }
    let asleep = (median(usual) - 1.0).max(0.0);
    let explained = spent.delay.as_secs_f64() + running.as_secs_f64() * (1.0 + PATIENCE * asleep);
    let pause = spent.wall.saturating_sub(Duration::try_from_secs_f64(explained).unwrap_or(Duration::MAX));
    (pause >= SHORTEST && pause.as_secs_f64() > PAUSED * spent.wall.as_secs_f64()).then_some(pause)
}

/// Processor time of the calling thread.
#[cfg(target_os = "linux")]
fn running() -> Option<Duration> {
    Some(of(ClockId::ThreadCPUTime))
}

/// For how long the machine has been suspended since it was started: only one of the two clocks counts that.
#[cfg(target_os = "linux")]
fn suspended() -> Duration {
    of(ClockId::Boottime).saturating_sub(of(ClockId::Monotonic))
}

#[cfg(target_os = "linux")]
fn of(clock: ClockId) -> Duration {
    clock_gettime(clock).try_into().unwrap_or_default()
}

#[cfg(not(target_os = "linux"))]
fn running() -> Option<Duration> {
    None
}

#[cfg(not(target_os = "linux"))]
fn suspended() -> Duration {
    Duration::ZERO
}

#[cfg(test)]
#[path = "pauses_tests.rs"]
mod tests;
