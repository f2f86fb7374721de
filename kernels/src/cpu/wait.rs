//! How threads wait for one another, and what is done where that takes too long.
//!
//! On a machine that does nothing else a wait is short, and a thread that looks again and again goes on soonest. Where
//! another process has the processor of the thread that is waited for, looking is in vain for milliseconds and takes
//! processor time without any use; to yield does not help against processes of equal priority, and costs the
//! thread its place. So a waiting thread looks for [`SPIN`], then sleeps between looks. Threads of one call are still only as
//! fast as if all of them ran at once, which under contention they rarely do; so a call that waited for longer than one
//! thread would have taken is followed by calls that use one ([`Contention`]).

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a waiting thread looks before it sleeps: longer than waits are on a quiet machine, short beside the
/// milliseconds after which a scheduler changes threads.
const SPIN: Duration = Duration::from_micros(200);
/// How long it then sleeps between two looks; the system adds about as much.
pub(super) const NAP: Duration = Duration::from_micros(50);
/// Looks between two readings of the clock.
const LOOKS: u32 = 32;

thread_local! {
    /// What this thread has waited beyond [`SPIN`], all waits together.
    static WAITED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// How long the calling thread has waited so far, in waits during which it slept.
pub(super) fn waited() -> Duration {
    WAITED.get()
}

/// Waits until something is so that another thread makes so.
pub(super) fn wait_until(so: impl Fn() -> bool) {
    // most waits are over before a clock is worth reading
    if (0..LOOKS).any(|_| so() || pause()) {
        return;
    }
    let start = Instant::now();
    while start.elapsed() < SPIN {
        if (0..LOOKS).any(|_| so() || pause()) {
            return;
        }
    }
    while !so() {
        std::thread::sleep(NAP);
    }
    WAITED.set(WAITED.get() + start.elapsed());
}

/// Between two looks.
fn pause() -> bool {
    std::hint::spin_loop();
    false
}

/// Shortest wait of a call that is not taken for chance: schedulers change threads after milliseconds.
const STALL: Duration = Duration::from_millis(1);
/// For how many times as long as a call has waited later ones do without workers.
const BACKOFF: u32 = 8;
/// But no longer than this, so that the end of contention is noticed.
const LONGEST: Duration = Duration::from_secs(1);

/// Whether a pool's threads are kept from running by other processes.
#[derive(Debug, Default)]
pub(super) struct Contention {
    until: Mutex<Option<Instant>>,
}

impl Contention {
    /// Takes note of a call of `count` workers that took `total` from `start`, for `waited` of which its caller waited for the
    /// others.
    ///
    /// With workers that have equal parts, one thread would have taken `count` times what the caller worked. If the call
    /// took longer, the next ones are left to one thread, for eight times as long as this one waited: trying again costs a
    /// wait like this one at most, an eighth of the time.
    pub(super) fn judge(&self, count: usize, start: Instant, total: Duration, waited: Duration) {
        let alone = total.saturating_sub(waited).saturating_mul(u32::try_from(count).unwrap_or(u32::MAX));
        if waited >= STALL && total >= alone {
            let until = start + total + waited.saturating_mul(BACKOFF).min(LONGEST);
            *self.until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
        }
    }

    /// Whether calls are left to one thread at this time.
    pub(super) fn is_on(&self, now: Instant) -> bool {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        *until = until.filter(|until| now < *until);
        until.is_some()
    }
}

/// See [`without_workers_ns`].
static WITHOUT_WORKERS: AtomicU64 = AtomicU64::new(0);

/// Nanoseconds, over all calls of this process and all workers, for which a worker would have taken part in a call on the
/// CPU but was not asked, since other processes had kept workers from running just before. No scheduler counts these: the
/// worker slept.
pub fn without_workers_ns() -> u64 {
    WITHOUT_WORKERS.load(Ordering::Relaxed)
}

/// Counts the time of a call that does without this many of its workers, until it is dropped.
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

    #[test]
    fn contention_lasts_eight_times_as_long_as_the_wait() {
        let (contention, start) = (Contention::default(), Instant::now());
        let ms = |ms: u64| Duration::from_millis(ms);
        let judge = |count, total, waited| contention.judge(count, start, ms(total), ms(waited));
        assert!(!contention.is_on(start));
        // short, or not longer than one thread takes: 2·(10 − 4), 4·(12 − 8)
        judge(2, 1, 0);
        judge(2, 10, 4);
        judge(4, 12, 8);
        assert!(!contention.is_on(start));
        judge(2, 10, 5);
        assert!(contention.is_on(start) && contention.is_on(start + ms(10 + 39)));
        assert!(!contention.is_on(start + ms(10 + 40)));
        assert!(!contention.is_on(start), "over is over");
        judge(4, 12, 9);
        assert!(contention.is_on(start + ms(83)) && !contention.is_on(start + ms(84)));
        judge(2, 1000, 900);
        assert!(contention.is_on(start + ms(1999)) && !contention.is_on(start + ms(2000)));
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
