//! Threads of a pool that stay awake for a moment after a call, so that the next one finds them ready.
//!
//! To wake a thread that sleeps can take the system longer than a small call takes, and on a virtual machine how long it
//! takes depends on what the host has been doing. Calls that follow each other closely, as updates in training do, need
//! not wake a thread: one that has done its part looks for the next call for [`LINGER`] before it returns to its pool.

use std::any::Any;
use std::cell::UnsafeCell;
use std::fmt;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::pool::Line;
use super::wait::wait_until;

/// How long a thread looks for the next call: long beside what passes between two updates of a training loop, short beside
/// what anything else that wants its core would notice.
const LINGER: Duration = Duration::from_micros(100);
/// Readings of a thread's slot between two of the clock.
const READINGS: u32 = 32;

/// A slot at which no thread looks: a thread has to be sent there.
const AWAY: usize = 0;
/// A slot at which a thread looks.
const READY: usize = 1;
/// A slot with work that no thread has begun.
const POSTED: usize = 2;
/// A slot whose work a thread is doing.
const BUSY: usize = 3;

/// Calls that a thread serves before it goes back to its pool all the same: that may have something for it, too.
const CALLS: u32 = 1000;

/// The panic of a worker that ends because another one has.
pub(super) const ECHO: &str = "another worker has panicked";

/// What all do, each with a number of its own; it lies on the caller's stack.
type Work = *const (dyn Fn(usize) + Sync);

/// Places for the workers of a call, and at which of them a thread of the pool stands ready.
///
/// The thread that sets a slot from POSTED to BUSY does its work. It is the thread that looks at the slot, or the one
/// that was sent there, or one that waits for something else and has come upon it.
pub(super) struct Standby {
    /// As many as the pool has threads. The first is not used: callers do its part.
    slots: Vec<Line<AtomicUsize>>,
    /// Threads of the present call that have not done their part.
    left: Line<AtomicUsize>,
    /// Whether a call is going on; the caller that sets it may post.
    taken: Line<AtomicBool>,
    work: UnsafeCell<Option<Work>>,
    /// Why one of them ended early.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `work` is written by the one caller that has set `taken`, while every slot is AWAY or READY, and read by threads
// whose slot that caller has then set to POSTED with Release ordering, before they lower `left`, for which it waits.
// What it points to is Sync.
unsafe impl Sync for Standby {}
// SAFETY: as above; nothing in it belongs to one thread.
unsafe impl Send for Standby {}

impl fmt::Debug for Standby {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standby").field("slots", &self.slots).finish_non_exhaustive()
    }
}

impl Standby {
    /// Slots for `threads` threads, none of which is ready yet.
    pub(super) fn new(threads: usize) -> Arc<Self> {
        Arc::new(Self {
            slots: (0..threads).map(|_| Line(AtomicUsize::new(AWAY))).collect(),
            left: Line(AtomicUsize::new(0)),
            taken: Line(AtomicBool::new(false)),
            work: UnsafeCell::new(None),
            panic: Mutex::new(None),
        })
    }

    /// How many threads the pool has.
    pub(super) fn threads(&self) -> usize {
        self.slots.len()
    }

    /// Runs `work(0)` here and `work(i)` for 0 < i < `count` on other threads, at the same time; returns when all have.
    /// `send(i)` sees to it that a thread comes to [`serve`](Self::serve) slot i sooner or later; it is called for the
    /// slots at which no thread looks.
    ///
    /// `work` must not call this. Callers take turns. A panic in any of them is passed on when all have ended.
    pub(super) fn run(&self, count: usize, work: &(dyn Fn(usize) + Sync), send: impl Fn(usize)) {
        wait_until(|| !self.taken.0.swap(true, Ordering::Acquire));
        let others = || self.slots.iter().enumerate().take(count).skip(1);
        // SAFETY: only the lifetime changes. No thread uses the pointer after it has lowered `left`, and this function
        // neither returns nor unwinds before `left` is zero.
        let work_of_any_life: Work =
            unsafe { std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), Work>(work) };
        // SAFETY: see `Sync`: `taken` is this caller's, and no slot is POSTED or BUSY.
        unsafe { *self.work.get() = Some(work_of_any_life) };
        self.left.0.store(others().len(), Ordering::Relaxed);
        let mine = catch_unwind(AssertUnwindSafe(|| {
            for (i, slot) in others() {
                if slot.0.swap(POSTED, Ordering::AcqRel) == AWAY {
                    send(i);
                }
            }
            work(0);
        }));
        wait_until(|| self.left.0.load(Ordering::Acquire) == 0);
        if let Err(cause) = mine {
            self.keep(cause);
        }
        let cause = self.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.taken.0.store(false, Ordering::Release);
        if let Some(cause) = cause {
            resume_unwind(cause);
        }
    }

    /// Does what has been posted in slot `i`, then looks at it for more for a while. Returns at once if nothing has.
    pub(super) fn serve(&self, i: usize) {
        for call in 1..=CALLS {
            // Ready before the caller can go on, so that it finds it so the next time.
            let then = if call < CALLS { READY } else { AWAY };
            if !self.attend(i, then) || then == AWAY || !self.slots.get(i).is_some_and(|slot| linger(&slot.0))
            {
                return;
            }
        }
    }

    /// For threads that wait for something else, which may be what a call in progress holds: does the work of one slot, if
    /// any is posted, and no more.
    pub(super) fn help(&self) -> bool {
        (1..self.slots.len()).any(|i| self.attend(i, AWAY))
    }

    /// Does what has been posted in slot `i`, if anything has, and leaves the slot as `then`.
    fn attend(&self, i: usize, then: usize) -> bool {
        let Some(Line(slot)) = self.slots.get(i) else { return false };
        if slot.compare_exchange(POSTED, BUSY, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return false;
        }
        // SAFETY: see `Sync`: this slot was POSTED, so its caller has written `work` and waits for `left`.
        if let Some(work) = unsafe { *self.work.get() } {
            // SAFETY: as above; it lies on the stack of the caller, which has not returned.
            let work = unsafe { &*work };
            if let Err(cause) = catch_unwind(AssertUnwindSafe(|| work(i))) {
                self.keep(cause);
            }
        }
        slot.store(then, Ordering::Release);
        self.left.0.fetch_sub(1, Ordering::AcqRel);
        true
    }

    /// Keeps the first panic that is not the echo of another.
    fn keep(&self, cause: Box<dyn Any + Send>) {
        let mut kept = self.panic.lock().unwrap_or_else(PoisonError::into_inner);
        let is_echo = |cause: &Box<dyn Any + Send>| cause.downcast_ref::<&str>() == Some(&ECHO);
        if kept.as_ref().is_none_or(is_echo) {
            *kept = Some(cause);
        }
    }
}

/// Looks at a slot that is READY until it is POSTED (true), or for [`LINGER`], after which it is AWAY (false).
fn linger(slot: &AtomicUsize) -> bool {
    let start = Instant::now();
    loop {
        for _ in 0..READINGS {
            if slot.load(Ordering::Acquire) == POSTED {
                return true;
            }
            std::hint::spin_loop();
        }
        if start.elapsed() > LINGER {
            // if this fails, work has been posted just now, or another thread has helped
            return slot.compare_exchange(READY, AWAY, Ordering::AcqRel, Ordering::Acquire).is_err();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// Sends a new thread each time; `sent` counts them.
    fn call(standby: &Arc<Standby>, sent: &AtomicUsize, count: usize, work: impl Fn(usize) + Sync) {
        standby.run(count, &work, |i| {
            sent.fetch_add(1, Ordering::Relaxed);
            let standby = Arc::clone(standby);
            thread::spawn(move || standby.serve(i));
        });
    }

    #[test]
    fn every_number_once_and_at_the_same_time() {
        let (standby, sent) = (Standby::new(3), AtomicUsize::new(0));
        for count in [1, 2, 3, 3, 2, 3] {
            let seen: Vec<AtomicUsize> = (0..3).map(|_| AtomicUsize::new(0)).collect();
            let here = AtomicUsize::new(0);
            call(&standby, &sent, count, |i| {
                seen[i].fetch_add(1, Ordering::Relaxed);
                here.fetch_add(1, Ordering::Relaxed);
                // ends only if all are here before one of them leaves
                wait_until(|| here.load(Ordering::Relaxed) == count);
            });
            for (i, n) in seen.into_iter().enumerate() {
                assert_eq!(n.into_inner(), usize::from(i < count));
            }
        }
    }

    /// A thread that waits for what the caller holds does the caller's work in between; no other thread has to come.
    #[test]
    fn those_who_wait_can_help() {
        let standby = Standby::new(2);
        let (held, done) = (Mutex::new(()), AtomicUsize::new(0));
        thread::scope(|scope| {
            let guard = held.lock().unwrap();
            scope.spawn(|| {
                while held.try_lock().is_err() {
                    standby.help();
                }
                assert_eq!(done.load(Ordering::Relaxed), 2);
            });
            standby.run(2, &|_| _ = done.fetch_add(1, Ordering::Relaxed), |_| ());
            drop(guard);
        });
        assert_eq!(standby.slots[1].0.load(Ordering::Relaxed), AWAY);
    }

    #[test]
    fn calls_that_follow_each_other_send_nobody() {
        let (standby, sent, done) = (Standby::new(3), AtomicUsize::new(0), AtomicUsize::new(0));
        for _ in 0..3000 {
            call(&standby, &sent, 3, |_| _ = done.fetch_add(1, Ordering::Relaxed));
        }
        assert_eq!(done.load(Ordering::Relaxed), 9000);
        // a busy machine keeps threads away for longer than they linger, but not always
        let sent_for = sent.load(Ordering::Relaxed);
        assert!(sent_for < 2 * 3000, "every time");
        // they do not look for ever
        wait_until(|| standby.slots.iter().all(|slot| slot.0.load(Ordering::Relaxed) == AWAY));
        let before = sent.load(Ordering::Relaxed);
        call(&standby, &sent, 3, |_| {});
        assert_eq!(sent.into_inner(), before + 2);
    }

    #[test]
    fn callers_take_turns() {
        let (standby, sent) = (Standby::new(3), AtomicUsize::new(0));
        let inside = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        call(&standby, &sent, 3, |_| {
                            assert!(inside.fetch_add(1, Ordering::Relaxed) < 3);
                            inside.fetch_sub(1, Ordering::Relaxed);
                        });
                    }
                });
            }
        });
    }

    #[test]
    fn a_panic_is_passed_on_when_all_have_ended() {
        let (standby, sent, ended) = (Standby::new(3), AtomicUsize::new(0), AtomicUsize::new(0));
        for bad in 0..3 {
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                call(&standby, &sent, 3, |i| {
                    ended.fetch_add(1, Ordering::Relaxed);
                    assert!(i != bad, "planned");
                    // what the others say is not why
                    std::panic::panic_any(ECHO);
                });
            }));
            let cause = outcome.unwrap_err();
            assert_eq!(cause.downcast_ref::<&str>(), Some(&"planned"));
        }
        assert_eq!(ended.into_inner(), 9);
        call(&standby, &sent, 3, |_| {});
    }
}
