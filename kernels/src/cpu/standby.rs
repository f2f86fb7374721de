//! Threads of a pool that stay awake for a moment after a call, so that the next one finds them ready.
//!
//! To wake a thread that sleeps can take the system longer than a small call takes, and on a virtual machine how long it
//! takes depends on what the host has been doing. Calls that follow each other closely, as updates in training do, need not
//! wake anyone: a thread that has done its part looks for the next call for [`LINGER`] before it goes back to its pool.

use std::any::Any;
use std::cell::UnsafeCell;
use std::fmt;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::pool::{wait_until, Line};

/// How long a thread looks for the next call: long beside what passes between two updates of a training loop, short beside
/// what anything else that wants its core would notice.
const LINGER: Duration = Duration::from_micros(100);
/// Readings of a thread's slot between two of the clock.
const READINGS: u32 = 32;

/// A slot whose thread is with its pool, and has to be fetched from there.
const AWAY: usize = 0;
/// A slot whose thread looks at it.
const READY: usize = 1;
/// A slot with work that its thread has not begun.
const POSTED: usize = 2;
/// A slot whose thread is at work.
const BUSY: usize = 3;

/// What all do, each with a number of its own; it lies on the caller's stack.
type Work = *const (dyn Fn(usize) + Sync);

/// One call.
#[derive(Clone, Copy)]
struct Call {
    work: Work,
    /// The slot that its caller stands in for.
    own: usize,
}

/// The threads of one pool, and who of them is ready.
pub(super) struct Standby {
    /// One per thread of the pool.
    slots: Vec<Line<AtomicUsize>>,
    /// Threads of the present call that have not done their part.
    left: Line<AtomicUsize>,
    /// Whether a call is going on; whoever sets it may post.
    taken: Line<AtomicBool>,
    call: UnsafeCell<Option<Call>>,
    /// Why one of them ended early.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `call` is written by the one caller that has set `taken`, while every slot is AWAY or READY, and read by threads
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
    /// Nobody ready yet, of `threads`.
    pub(super) fn new(threads: usize) -> Arc<Self> {
        Arc::new(Self {
            slots: (0..threads).map(|_| Line(AtomicUsize::new(AWAY))).collect(),
            left: Line(AtomicUsize::new(0)),
            taken: Line(AtomicBool::new(false)),
            call: UnsafeCell::new(None),
            panic: Mutex::new(None),
        })
    }

    /// How many threads the pool has.
    pub(super) fn threads(&self) -> usize {
        self.slots.len()
    }

    /// Runs `work(0)` here and `work(1)` to `work(count − 1)` on other threads of the pool at the same time; returns when
    /// all have. `count` is at most the number of threads.
    ///
    /// `own` is this thread's place in the pool, if it is one of its threads. `fetch` sees to it that every thread of the
    /// pool comes to [`serve`](Self::serve) sooner or later; it is called if one of them is away. `wait` is what to do
    /// while another caller has the threads: work of the pool, since that may be what the other waits for.
    ///
    /// A panic in any of them is passed on when all have ended.
    pub(super) fn run(
        &self,
        count: usize,
        own: Option<usize>,
        work: &(dyn Fn(usize) + Sync),
        fetch: impl FnOnce(),
        wait: impl Fn(),
    ) {
        // A caller from outside stands in for the first thread, which may be one that is never there for the asking.
        let own = own.unwrap_or(0);
        let others = || (0..self.slots.len()).filter(|&i| i != own).take(count.saturating_sub(1));
        while self.taken.0.swap(true, Ordering::Acquire) {
            wait();
        }
        // SAFETY: only the lifetime changes. No thread uses the pointer after it has lowered `left`, and this function
        // neither returns nor unwinds before `left` is zero.
        let work_of_any_life: Work =
            unsafe { std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), Work>(work) };
        // SAFETY: see `Sync`: `taken` is this caller's, and no slot is POSTED or BUSY.
        unsafe { *self.call.get() = Some(Call { work: work_of_any_life, own }) };
        self.left.0.store(others().count(), Ordering::Relaxed);
        let away = others().filter(|&i| self.slots[i].0.swap(POSTED, Ordering::AcqRel) == AWAY).count();
        if away > 0 {
            fetch();
        }
        let mine = catch_unwind(AssertUnwindSafe(|| work(0)));
        wait_until(|| self.left.0.load(Ordering::Acquire) == 0);
        let theirs = self.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.taken.0.store(false, Ordering::Release);
        // theirs first: it may be why this one ended
        if let Some(cause) = theirs.or(mine.err()) {
            resume_unwind(cause);
        }
    }

    /// Thread `i` of the pool: does what has been posted for it, then looks for more for a while. Returns at once if
    /// nothing has.
    pub(super) fn serve(&self, i: usize) {
        let Some(Line(slot)) = self.slots.get(i) else { return };
        while slot.compare_exchange(POSTED, BUSY, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            // SAFETY: see `Sync`: this slot was POSTED, so its caller has written `call` and waits for `left`.
            if let Some(Call { work, own }) = unsafe { *self.call.get() } {
                // SAFETY: as above; it lies on the stack of the caller, which has not returned.
                let work = unsafe { &*work };
                let index = if i < own { i + 1 } else { i };
                if let Err(cause) = catch_unwind(AssertUnwindSafe(|| work(index))) {
                    self.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(cause);
                }
            }
            // Ready before the caller can go on, so that it finds it so the next time.
            slot.store(READY, Ordering::Release);
            self.left.0.fetch_sub(1, Ordering::AcqRel);
            if !linger(slot) {
                return;
            }
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
            // if this fails, it has been posted just now
            return slot.compare_exchange(READY, AWAY, Ordering::AcqRel, Ordering::Acquire).is_err();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// Three threads, fetched as threads of their own; says how often they had to be.
    fn call(standby: &Arc<Standby>, fetched: &AtomicUsize, count: usize, work: impl Fn(usize) + Sync) {
        let fetch = || {
            fetched.fetch_add(1, Ordering::Relaxed);
            for i in 0..standby.threads() {
                let standby = Arc::clone(standby);
                thread::spawn(move || standby.serve(i));
            }
        };
        standby.run(count, None, &work, fetch, thread::yield_now);
    }

    #[test]
    fn every_number_once_and_at_the_same_time() {
        let (standby, fetched) = (Standby::new(3), AtomicUsize::new(0));
        for count in [1, 2, 3, 3, 2, 3] {
            let seen: Vec<AtomicUsize> = (0..3).map(|_| AtomicUsize::new(0)).collect();
            let here = AtomicUsize::new(0);
            call(&standby, &fetched, count, |i| {
                seen[i].fetch_add(1, Ordering::Relaxed);
                here.fetch_add(1, Ordering::Relaxed);
                // ends only if all are here before anyone leaves
                wait_until(|| here.load(Ordering::Relaxed) == count);
            });
            for (i, n) in seen.into_iter().enumerate() {
                assert_eq!(n.into_inner(), usize::from(i < count));
            }
        }
    }

    /// A caller that is the second of four threads leaves its own slot alone; the others keep their order.
    #[test]
    fn a_thread_of_the_pool_does_not_wait_for_itself() {
        let standby = Standby::new(4);
        let slots = Mutex::new(vec![]);
        let fetch = || {
            for i in 0..4 {
                let standby = Arc::clone(&standby);
                thread::spawn(move || standby.serve(i));
            }
        };
        standby.run(4, Some(1), &|i| slots.lock().unwrap().push(i), fetch, thread::yield_now);
        let mut slots = slots.into_inner().unwrap();
        slots.sort_unstable();
        assert_eq!(slots, [0, 1, 2, 3]);
        assert_eq!(standby.slots[1].0.load(Ordering::Relaxed), AWAY);
    }

    #[test]
    fn calls_that_follow_each_other_need_not_fetch() {
        let (standby, fetched, done) = (Standby::new(3), AtomicUsize::new(0), AtomicUsize::new(0));
        for _ in 0..1000 {
            call(&standby, &fetched, 3, |_| {
                done.fetch_add(1, Ordering::Relaxed);
            });
        }
        assert_eq!(done.load(Ordering::Relaxed), 3000);
        // a busy machine may keep some of them away for longer than they linger, but not from a thousand calls
        assert!(fetched.load(Ordering::Relaxed) < 500, "fetched {} times", fetched.load(Ordering::Relaxed));
        // they do not look for ever
        let away = || standby.slots.iter().all(|slot| slot.0.load(Ordering::Relaxed) == AWAY);
        wait_until(away);
        let before = fetched.load(Ordering::Relaxed);
        call(&standby, &fetched, 3, |_| {});
        assert_eq!(fetched.into_inner(), before + 1);
    }

    #[test]
    fn callers_take_turns() {
        let (standby, fetched) = (Standby::new(3), AtomicUsize::new(0));
        let inside = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        call(&standby, &fetched, 3, |_| {
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
        let (standby, fetched, ended) = (Standby::new(3), AtomicUsize::new(0), AtomicUsize::new(0));
        for bad in 0..3 {
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                call(&standby, &fetched, 3, |i| {
                    assert!(i != bad, "planned");
                    ended.fetch_add(1, Ordering::Relaxed);
                });
            }));
            let cause = outcome.unwrap_err();
            assert_eq!(cause.downcast_ref::<&str>(), Some(&"planned"));
        }
        assert_eq!(ended.into_inner(), 6);
        call(&standby, &fetched, 3, |_| {});
    }
}
