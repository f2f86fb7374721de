//! Threads of a pool that spin for a moment after a call, so that the next call finds them ready.
//!
//! Waking a sleeping thread can take the system longer than a small call takes; on a virtual machine it depends on what
//! the host has been doing. Calls that follow each other closely, as updates in training do, need not wake a thread: a
//! thread that has done its part spins on its slot for [`IDLE_SPIN`] before it returns to its pool.
//!
//! The caller is worker 0. Every other worker i has a slot, and one call runs like this:
//!
//! ```text
//! caller    for i in 1..count:  previous = swap(slot[i], POSTED)
//!                               if previous == UNATTENDED: send a thread of the pool to serve(i)
//!           work(0)
//!           wait until `left`, count − 1 at the start, is 0
//!
//! serve(i)  loop:  if slot[i] is POSTED:  slot[i] = BUSY;  work(i);  slot[i] = SPINNING;  left −= 1
//!                  else:                  return
//!                  spin until slot[i] is POSTED, at most IDLE_SPIN;  on timeout:  slot[i] = UNATTENDED, return
//! ```

use std::any::Any;
use std::cell::UnsafeCell;
use std::fmt;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::wait::{wait_until, Line};

/// How long a thread spins for the next call: long compared with the pause between two updates of a training loop,
/// short compared with a delay that other work on its core would notice.
const IDLE_SPIN: Duration = Duration::from_micros(100);
/// Reads of the slot between two reads of the clock.
const READINGS: u32 = 32;

/// A slot on which no thread spins: the caller has to send a thread.
const UNATTENDED: usize = 0;
/// A slot on which a thread spins.
const SPINNING: usize = 1;
/// A slot whose work no thread has begun.
const POSTED: usize = 2;
/// A slot whose work a thread is doing.
const BUSY: usize = 3;

/// Calls that a thread serves before it returns to its pool, which may have other work for it.
const CALLS: u32 = 1000;

/// The panic of a worker that ends because another worker has panicked.
pub(super) const SECONDARY_PANIC: &str = "another worker has panicked";

/// The function of a call, which takes the index of the worker; it lies on the stack of the caller.
type Work = *const (dyn Fn(usize) + Sync);

/// Slots for the workers of a call, each with the state of the thread that serves it.
///
/// The thread that sets a slot from POSTED to BUSY does its work. It is the thread that spins on the slot, the thread
/// that was sent to it, or a thread that waits for something else and calls [`help`](Self::help).
pub(super) struct SpinPool {
    /// One per thread of the pool. The first is not used: it is the worker of the caller.
    slots: Vec<Line<AtomicUsize>>,
    /// Workers of the present call, besides the caller, that have not finished.
    left: Line<AtomicUsize>,
    /// Whether a call is in progress; only the caller that set it may post work.
    taken: Line<AtomicBool>,
    work: UnsafeCell<Option<Work>>,
    /// The panic of a worker, if one has panicked.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `work` is written by the one caller that has set `taken`, while every slot is UNATTENDED or SPINNING, and
// read by threads whose slot that caller has then set to POSTED with Release ordering, before they lower `left`, for
// which it waits. What it points to is Sync.
unsafe impl Sync for SpinPool {}
// SAFETY: as above; nothing in it belongs to one thread.
unsafe impl Send for SpinPool {}

impl fmt::Debug for SpinPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpinPool").field("slots", &self.slots).finish_non_exhaustive()
    }
}

impl SpinPool {
    /// Slots for `threads` threads; none is attended.
    pub(super) fn new(threads: usize) -> Arc<Self> {
        Arc::new(Self {
            slots: (0..threads).map(|_| Line(AtomicUsize::new(UNATTENDED))).collect(),
            left: Line(AtomicUsize::new(0)),
            taken: Line(AtomicBool::new(false)),
            work: UnsafeCell::new(None),
            panic: Mutex::new(None),
        })
    }

    /// Threads of the pool.
    pub(super) fn threads(&self) -> usize {
        self.slots.len()
    }

    /// Runs `work(0)` here and `work(i)` for 0 < i < `count` on other threads, at the same time; returns when all have
    /// returned. `send(i)` must make a thread call [`serve`](Self::serve)`(i)` eventually; it is called for the slots
    /// on which no thread spins.
    ///
    /// `work` must not call this. Concurrent callers wait for each other. A panic in any worker is passed on when all
    /// have ended.
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
                if slot.0.swap(POSTED, Ordering::AcqRel) == UNATTENDED {
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

    /// Does the work posted in slot `i`, then spins on the slot for more. Returns at once if there is none.
    pub(super) fn serve(&self, i: usize) {
        for call in 1..=CALLS {
            // SPINNING is stored before the caller can go on, so that the next call finds it.
            let then = if call < CALLS { SPINNING } else { UNATTENDED };
            if !self.run_posted(i, then)
                || then == UNATTENDED
                || !self.slots.get(i).is_some_and(|slot| spin_for_work(&slot.0))
            {
                return;
            }
        }
    }

    /// Does the work of one slot, if any is posted. For threads that wait for something that a call in progress may
    /// hold.
    pub(super) fn help(&self) -> bool {
        (1..self.slots.len()).any(|i| self.run_posted(i, UNATTENDED))
    }

    /// Does the work posted in slot `i`, if there is any, and then sets the slot to `then`. Returns whether there was
    /// any.
    fn run_posted(&self, i: usize, then: usize) -> bool {
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

    /// Keeps the first panic that is not a consequence of another.
    fn keep(&self, cause: Box<dyn Any + Send>) {
        let mut kept = self.panic.lock().unwrap_or_else(PoisonError::into_inner);
        let is_secondary =
            |cause: &Box<dyn Any + Send>| cause.downcast_ref::<&str>() == Some(&SECONDARY_PANIC);
        if kept.as_ref().is_none_or(is_secondary) {
            *kept = Some(cause);
        }
    }
}

/// Spins on a slot that is SPINNING until it is POSTED (true), or for [`IDLE_SPIN`], after which it is UNATTENDED
/// (false).
fn spin_for_work(slot: &AtomicUsize) -> bool {
    let start = Instant::now();
    loop {
        for _ in 0..READINGS {
            if slot.load(Ordering::Acquire) == POSTED {
                return true;
            }
            std::hint::spin_loop();
        }
        if start.elapsed() > IDLE_SPIN {
            // if this fails, work has been posted just now, or another thread has helped
            return slot.compare_exchange(SPINNING, UNATTENDED, Ordering::AcqRel, Ordering::Acquire).is_err();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// Sends a new thread each time; `sent` counts the threads.
    fn call(spin_pool: &Arc<SpinPool>, sent: &AtomicUsize, count: usize, work: impl Fn(usize) + Sync) {
        spin_pool.run(count, &work, |i| {
            sent.fetch_add(1, Ordering::Relaxed);
            let spin_pool = Arc::clone(spin_pool);
            thread::spawn(move || spin_pool.serve(i));
        });
    }

    #[test]
    fn every_number_once_and_at_the_same_time() {
        let (spin_pool, sent) = (SpinPool::new(3), AtomicUsize::new(0));
        for count in [1, 2, 3, 3, 2, 3] {
            let seen: Vec<AtomicUsize> = (0..3).map(|_| AtomicUsize::new(0)).collect();
            let here = AtomicUsize::new(0);
            call(&spin_pool, &sent, count, |i| {
                seen[i].fetch_add(1, Ordering::Relaxed);
                here.fetch_add(1, Ordering::Relaxed);
                // ends only if all workers run at the same time
                wait_until(|| here.load(Ordering::Relaxed) == count);
            });
            for (i, n) in seen.into_iter().enumerate() {
                assert_eq!(n.into_inner(), usize::from(i < count));
            }
        }
    }

    /// A thread that waits for what the caller holds does the caller's work in between; no other thread has to come.
    #[test]
    fn waiting_threads_can_help() {
        let spin_pool = SpinPool::new(2);
        let (held, done) = (Mutex::new(()), AtomicUsize::new(0));
        thread::scope(|scope| {
            let guard = held.lock().unwrap();
            scope.spawn(|| {
                while held.try_lock().is_err() {
                    spin_pool.help();
                }
                assert_eq!(done.load(Ordering::Relaxed), 2);
            });
            spin_pool.run(2, &|_| _ = done.fetch_add(1, Ordering::Relaxed), |_| ());
            drop(guard);
        });
        assert_eq!(spin_pool.slots[1].0.load(Ordering::Relaxed), UNATTENDED);
    }

    #[test]
    fn calls_that_follow_each_other_send_no_thread() {
        let (spin_pool, sent, done) = (SpinPool::new(3), AtomicUsize::new(0), AtomicUsize::new(0));
        for _ in 0..3000 {
            call(&spin_pool, &sent, 3, |_| _ = done.fetch_add(1, Ordering::Relaxed));
        }
        assert_eq!(done.load(Ordering::Relaxed), 9000);
        // on a busy machine some threads stop spinning before the next call, but not always
        let sent_for = sent.load(Ordering::Relaxed);
        assert!(sent_for < 2 * 3000, "every time");
        // threads do not spin for ever
        wait_until(|| spin_pool.slots.iter().all(|slot| slot.0.load(Ordering::Relaxed) == UNATTENDED));
        let before = sent.load(Ordering::Relaxed);
        call(&spin_pool, &sent, 3, |_| {});
        assert_eq!(sent.into_inner(), before + 2);
    }

    #[test]
    fn callers_take_turns() {
        let (spin_pool, sent) = (SpinPool::new(3), AtomicUsize::new(0));
        let inside = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        call(&spin_pool, &sent, 3, |_| {
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
        let (spin_pool, sent, ended) = (SpinPool::new(3), AtomicUsize::new(0), AtomicUsize::new(0));
        for bad in 0..3 {
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                call(&spin_pool, &sent, 3, |i| {
                    ended.fetch_add(1, Ordering::Relaxed);
                    assert!(i != bad, "planned");
                    // the panics of the others are not the cause
                    std::panic::panic_any(SECONDARY_PANIC);
                });
            }));
            let cause = outcome.unwrap_err();
            assert_eq!(cause.downcast_ref::<&str>(), Some(&"planned"));
        }
        assert_eq!(ended.into_inner(), 9);
        call(&spin_pool, &sent, 3, |_| {});
    }
}
