//! How threads wait for one another, and when calls fall back to one thread.
//!
//! On a machine that does nothing else a wait is short, and a spinning thread goes on soonest. Where another process
//! has the processor of the thread that is waited for, spinning wastes milliseconds of processor time; yielding does
//! not help against processes of equal priority, and costs the thread its place. So a waiting thread spins for
//! [`SPIN`], then sleeps between polls. The threads of a call are fast only if all of them run at the same time, which
//! is rare under contention. So where calls lose more by waiting than several threads gain, the next calls use one
//! thread ([`Contention`]).

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a waiting thread spins before it sleeps: longer than waits on a quiet machine, short compared with the
/// milliseconds after which a scheduler changes threads.
const SPIN: Duration = Duration::from_micros(200);
/// How long it then sleeps between two polls; the system adds about as much.
pub(super) const NAP: Duration = Duration::from_micros(50);
/// Polls between two readings of the clock.
const POLLS: u32 = 32;

thread_local! {
    /// How long this thread has waited beyond [`SPIN`], all waits together.
    static WAITED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// How long the calling thread has waited so far, in waits during which it slept.
pub(super) fn waited() -> Duration {
    WAITED.get()
}

/// Waits until another thread has made `so` return true.
pub(super) fn wait_until(so: impl Fn() -> bool) {
    // most waits are over before a clock is worth reading
    if (0..POLLS).any(|_| so() || pause()) {
        return;
    }
    let start = Instant::now();
    while start.elapsed() < SPIN {
        if (0..POLLS).any(|_| so() || pause()) {
            return;
        }
    }
    while !so() {
        std::thread::sleep(NAP);
    }
    WAITED.set(WAITED.get() + start.elapsed());
}

/// Between two polls.
fn pause() -> bool {
    std::hint::spin_loop();
    false
}

/// Shortest wait of a call that counts as contention: schedulers change threads after milliseconds.
const STALL: Duration = Duration::from_millis(1);
/// Seconds by which losses of calls on several threads may exceed their gains before calls fall back to one thread, and
/// the most that gains count: several slices of a scheduler. A scheduler soon serves a thread that has slept, so the
/// threads of a call come to run at the same times; two threads are then faster than one, even beside processes of
/// equal priority.
const ENOUGH_S: f64 = 0.02;
/// Later calls use one thread for this many times the time that was lost.
const BACKOFF: f64 = 8.0;
/// The longest such time, so that the end of contention is noticed.
const LONGEST_S: f64 = 1.0;

/// Whether a pool's threads are kept from running by other processes.
#[derive(Debug, Default)]
pub(super) struct Contention(Mutex<Account>);

#[derive(Debug, Default)]
struct Account {
    /// Seconds that calls on several threads have gained on one thread, less those that they have lost; at most
    /// [`ENOUGH_S`].
    gained: f64,
    /// Calls use one thread until then.
    until: Option<Instant>,
}

impl Contention {
    /// Takes note of a call of `count` workers that took `total` from `start`, for `waited` of which its caller waited
    /// for the others.
    ///
    /// With workers that have equal parts, one thread would have taken `count` times what the caller worked; the
    /// difference is gained or lost. Once losses exceed gains by more than [`ENOUGH_S`], the next calls use one thread,
    /// for eight times the time that was lost: the next try may lose as much again, which is then an eighth of the
    /// time.
    pub(super) fn judge(&self, count: usize, start: Instant, total: Duration, waited: Duration) {
        let alone = count as f64 * total.saturating_sub(waited).as_secs_f64();
        let mut account = self.account();
        account.gained = (account.gained + alone - total.as_secs_f64()).min(ENOUGH_S);
        if waited >= STALL && account.gained < -ENOUGH_S {
            let wait = (BACKOFF * -account.gained).min(LONGEST_S);
            *account = Account { gained: 0.0, until: Some(start + total + Duration::from_secs_f64(wait)) };
        }
    }

    /// Whether calls use one thread at this time.
    pub(super) fn is_on(&self, now: Instant) -> bool {
        let mut account = self.account();
        account.until = account.until.filter(|until| now < *until);
        account.until.is_some()
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`without_workers_ns`].
static WITHOUT_WORKERS: AtomicU64 = AtomicU64::new(0);

/// Nanoseconds, over all calls of this process and all workers, for which a worker would have taken part in a call on
/// the CPU but was not asked, since other processes had kept workers from running just before. No scheduler counts
/// these: the worker slept.
pub fn without_workers_ns() -> u64 {
    WITHOUT_WORKERS.load(Ordering::Relaxed)
}

/// Counts the time of a call that runs without this many of its workers, until it is dropped.
#[derive(Debug)]
pub(super) struct Missing {
    workers: usize,
    start: Instant,
}

impl Missing {
    pub(super) fn new(workers: usize) -> Self {
        Self { workers, start: Instant::now() }
    }
}

impl Drop for Missing {
    fn drop(&mut self) {
        let each = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        WITHOUT_WORKERS.fetch_add(each.saturating_mul(self.workers as u64), Ordering::Relaxed);
    }
}

/// A value on cache lines of its own: two, because processors fetch them in pairs. While one thread polls a value, no
/// thread may write anything else to its lines.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Line<T>(pub(super) T);

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn long_waits_are_told_and_short_ones_are_not() {
        let before = waited();
        wait_until(|| true);
        assert_eq!(waited(), before);
        let ready = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(30));
                ready.store(true, Ordering::Release);
            });
            wait_until(|| ready.load(Ordering::Acquire));
        });
        assert!(waited() - before >= Duration::from_millis(25), "{:?}", waited() - before);
    }

    /// Processor time of the calling thread as the scheduler keeps it; none where it does not.
    fn on_processor() -> Option<Duration> {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        Some(Duration::from_nanos(text.split_whitespace().next()?.parse().ok()?))
    }

    #[test]
    fn a_thread_that_waits_for_long_sleeps() {
        let Some(before) = on_processor() else { return };
        let start = Instant::now();
        wait_until(|| start.elapsed() >= Duration::from_millis(400));
        // naps of 100 µs with the system's part, and some microseconds between them
        let busy = on_processor().unwrap() - before;
        assert!(busy < Duration::from_millis(200), "{busy:?}");
    }

    /// An account, its time zero, and what notes a call from then on: workers, milliseconds in all, and those that its
    /// caller waited.
    fn calls() -> (Contention, Instant, impl Fn(&Contention, usize, u64, u64)) {
        let start = Instant::now();
        let ms = Duration::from_millis;
        (Contention::default(), start, move |contention, count, total, waited| {
            contention.judge(count, start, ms(total), ms(waited))
        })
    }

    #[test]
    fn contention_lasts_eight_times_as_long_as_what_was_lost() {
        let (contention, start, call) = calls();
        let at = |ms| start + Duration::from_millis(ms);
        // one thread takes 2·(10 − 8): 6 ms are lost each time, and the fourth time makes 24
        (0..3).for_each(|_| call(&contention, 2, 10, 8));
        assert!(!contention.is_on(start));
        call(&contention, 2, 10, 8);
        assert!(contention.is_on(start) && contention.is_on(at(10 + 191)));
        assert!(!contention.is_on(at(10 + 193)));
        assert!(!contention.is_on(start), "over is over");
        // 4·(30 − 29): 26 ms at once
        call(&contention, 4, 30, 29);
        assert!(contention.is_on(at(30 + 207)) && !contention.is_on(at(30 + 209)));
        call(&contention, 2, 1000, 900);
        assert!(contention.is_on(at(1999)) && !contention.is_on(at(2001)));
    }

    #[test]
    fn what_several_threads_gain_counts_against_what_they_lose() {
        let (contention, start, call) = calls();
        // 6 ms lost and 10 gained in turn, for ever
        for _ in 0..100 {
            call(&contention, 2, 10, 8);
            call(&contention, 2, 10, 0);
        }
        assert!(!contention.is_on(start));
        // whatever was gained before, no more than 20 ms is set against 42 lost
        (0..7).for_each(|_| call(&contention, 2, 10, 8));
        assert!(contention.is_on(start));
    }

    #[test]
    fn waits_of_less_than_a_millisecond_are_chance() {
        let (contention, start) = (Contention::default(), Instant::now());
        let us = Duration::from_micros;
        (0..1000).for_each(|_| contention.judge(2, start, us(1000), us(900)));
        assert!(!contention.is_on(start));
        contention.judge(2, start, us(1100), us(1050));
        assert!(contention.is_on(start));
    }

    #[test]
    fn missing_workers_are_counted() {
        let before = without_workers_ns();
        let missing = Missing::new(3);
        std::thread::sleep(Duration::from_millis(5));
        drop(missing);
        assert!(without_workers_ns() - before >= 15_000_000);
    }
}
