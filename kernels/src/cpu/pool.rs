//! Worker threads that run one function together and meet at barriers.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{mpsc, Arc, Mutex, MutexGuard, OnceLock, TryLockError};
use std::thread;
use std::time::Instant;

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::standby::{Standby, ECHO};
use super::wait::{wait_until, waited, Contention, NAP};
use crate::denormals::{self, Switch};
use crate::{Error, Result};

/// A fixed number of threads.
///
/// One function runs on all of them at once, so that a whole relaxation needs no task to be made, stolen or
/// allocated on its way. They are the first threads of rayon's global pool, which Candle's products use too: threads of
/// another pool would compete with those for a while after every product, because idle threads look for work before they
/// sleep. Only a caller that asks for more threads than that pool has gets a pool apart, shared with all callers that
/// ask for as many.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    threads: usize,
    home: Arc<Home>,
}

/// Threads, and which of them wait for work.
#[derive(Debug)]
struct Home {
    /// None for the global pool.
    apart: Option<ThreadPool>,
    standby: Arc<Standby>,
    contention: Contention,
}

/// A value on cache lines of its own: two, because processors fetch them in pairs. Where one thread reads again and again
/// what another is to write, nothing else may be written beside it.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Line<T>(pub(super) T);

/// One of the threads of a pool, at work.
#[derive(Debug)]
pub(crate) struct Worker<'a> {
    /// 0..count.
    pub(crate) index: usize,
    /// Workers that run the same function.
    pub(crate) count: usize,
    barrier: &'a Barrier,
    teams: &'a [Barrier],
}

/// A barrier that is crossed thousands of times a second: waiting workers read one counter, and only after a while sleep
/// ([`wait_until`]).
#[derive(Debug)]
struct Barrier {
    count: usize,
    arrived: Line<AtomicUsize>,
    generation: Line<AtomicUsize>,
    broken: Line<AtomicBool>,
}

impl Barrier {
    fn new(count: usize) -> Self {
        Self {
            count,
            arrived: Line(AtomicUsize::new(0)),
            generation: Line(AtomicUsize::new(0)),
            broken: Line(AtomicBool::new(false)),
        }
    }
}

impl Pool {
    /// A pool of `threads` (at least one; one needs no thread besides the caller's).
    pub(crate) fn new(threads: usize) -> Result<Self> {
        static HOMES: OnceLock<Mutex<Vec<Arc<Home>>>> = OnceLock::new();
        let threads = threads.max(1);
        let global = rayon::current_num_threads();
        let apart = threads > global;
        let size = if apart { threads } else { global };
        let mut homes = match HOMES.get_or_init(Mutex::default).lock() {
            Ok(homes) => homes,
            // what it guards is a list that is only ever appended to
            Err(poisoned) => poisoned.into_inner(),
        };
        let found = homes.iter().find(|h| h.apart.is_some() == apart && h.standby.threads() == size);
        if let Some(home) = found {
            return Ok(Self { threads, home: Arc::clone(home) });
        }
        let pool = || {
            let named = ThreadPoolBuilder::new().num_threads(threads).thread_name(|i| format!("fused-{i}"));
            named.build().map_err(|e| Error::Threads { threads, source: io::Error::other(e) })
        };
        let apart = apart.then(pool).transpose()?;
        let home = Arc::new(Home { apart, standby: Standby::new(size), contention: Contention::default() });
        homes.push(Arc::clone(&home));
        Ok(Self { threads, home })
    }

    /// How many threads.
    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// Whether other processes have just kept workers from running for so long that a call is faster on its caller's thread.
    pub(crate) fn is_contended(&self) -> bool {
        self.home.contention.is_on(Instant::now())
    }

    /// Runs `work` on `count` workers at once (no more than the pool has) and returns when all have returned. Workers are
    /// in partitions of `members` neighbours that can meet on their own; `count` must be a multiple of `members`. A
    /// panic in a worker ends the others at their next meeting and is passed on.
    ///
    /// # Errors
    /// [`Error::Threads`] if it needs threads besides the pool's and the system does not give them; `work` has not begun.
    pub(crate) fn run(&self, count: usize, members: usize, work: impl Fn(&Worker<'_>) + Sync) -> Result<()> {
        let count = count.clamp(1, self.threads);
        let barrier = Barrier::new(count);
        let teams: Vec<Barrier> = if members > 1 {
            (0..count / members).map(|_| Barrier::new(members)).collect()
        } else {
            Vec::new()
        };
        let flush = denormals::flushed();
        let one = |index: usize| {
            let watch = Watch(&barrier);
            let _as_the_caller = Switch::set(flush);
            work(&Worker { index, count, barrier: &barrier, teams: &teams });
            std::mem::forget(watch);
        };
        if count == 1 {
            one(0);
            return Ok(());
        }
        let Home { apart, standby, contention } = &*self.home;
        // A pool's first thread may be one that is never there for the asking, so that one of its other threads would call
        // for more than there are. And the pool that this is called in need not be the one that was there when this was
        // made.
        let stranger = match apart {
            Some(pool) => pool.current_thread_index().is_some(),
            None => {
                rayon::current_thread_index().is_some_and(|i| i > 0)
                    || rayon::current_num_threads() != standby.threads()
            }
        };
        if stranger {
            return on_threads_of_their_own(count, &one);
        }
        let (start, before) = (Instant::now(), waited());
        standby.run(count, &one, |slot| {
            let standby = Arc::clone(standby);
            let serve = move || standby.serve(slot);
            match apart {
                Some(pool) => pool.spawn(serve),
                None => rayon::spawn(serve),
            }
        });
        contention.judge(count, start, start.elapsed(), waited().saturating_sub(before));
        Ok(())
    }

    /// A lock that another caller may hold for the length of a call. A thread that waits for it helps with the call,
    /// which might otherwise be waiting for this very thread.
    pub(crate) fn lock<'a, T>(&self, mutex: &'a Mutex<T>) -> MutexGuard<'a, T> {
        loop {
            match mutex.try_lock() {
                Ok(guard) => return guard,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) if self.home.standby.help() => {}
                Err(TryLockError::WouldBlock) => thread::sleep(NAP),
            }
        }
    }
}

/// Runs `one(0)` here and `one(i)` for 0 < i < `count` on new threads, which begin when all of them are there: the others
/// would wait for ever for one that the system refuses.
fn on_threads_of_their_own(count: usize, one: &(dyn Fn(usize) + Sync)) -> Result<()> {
    thread::scope(|scope| {
        let begin = |index| {
            let (begin, begun) = mpsc::channel();
            let run = move || begun.recv().map_or((), |()| one(index));
            let thread = thread::Builder::new().spawn_scoped(scope, run);
            thread.map(|_| begin).map_err(|source| Error::Threads { threads: count, source })
        };
        let threads = (1..count).map(begin).collect::<Result<Vec<_>>>()?;
        threads.into_iter().for_each(|begin| begin.send(()).unwrap_or_default());
        one(0);
        Ok(())
    })
}

/// Breaks the barrier if it is dropped by a panic on its way.
struct Watch<'a>(&'a Barrier);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.0.broken.0.store(true, Ordering::Release);
    }
}

impl Worker<'_> {
    /// Waits until all workers are here. What each wrote before is then seen by all.
    pub(crate) fn meet(&self) {
        self.meet_at(self.barrier);
    }

    /// Waits until all members of this worker's partition are here.
    pub(crate) fn meet_team(&self) {
        let members = self.team_size();
        if members > 1 {
            self.meet_at(&self.teams[self.index / members]);
        }
    }

    /// Members of each partition.
    pub(crate) fn team_size(&self) -> usize {
        self.teams.first().map_or(1, |team| team.count)
    }

    fn meet_at(&self, b: &Barrier) {
        if b.count == 1 {
            return;
        }
        let generation = b.generation.0.load(Ordering::Acquire);
        if b.arrived.0.fetch_add(1, Ordering::AcqRel) + 1 == b.count {
            b.arrived.0.store(0, Ordering::Relaxed);
            b.generation.0.store(generation.wrapping_add(1), Ordering::Release);
            return;
        }
        self.wait_until(|| b.generation.0.load(Ordering::Acquire) != generation);
    }

    /// Waits until something is so that another worker makes so.
    pub(crate) fn wait_until(&self, so: impl Fn() -> bool) {
        wait_until(|| {
            let done = so();
            if !done && self.barrier.broken.0.load(Ordering::Acquire) {
                std::panic::panic_any(ECHO);
            }
            done
        });
    }

    /// This worker's share of `tasks`: every `count`-th, so that neighbouring tasks, which have neighbouring costs,
    /// go to different workers and the same task to the same worker in every step.
    pub(crate) fn share(&self, tasks: usize) -> impl Iterator<Item = usize> {
        (self.index..tasks).step_by(self.count)
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
