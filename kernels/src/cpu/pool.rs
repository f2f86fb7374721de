//! Worker threads that run one function together and meet at barriers.

use std::io;
use std::sync::atomic::{fence, AtomicBool, AtomicUsize, Ordering};
use std::sync::{mpsc, Arc, Mutex, MutexGuard, OnceLock, TryLockError};
use std::thread;
use std::time::Instant;

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::spin_pool::{SpinPool, SECONDARY_PANIC};
use super::wait::{wait_until, waited, Contention, Line, NAP};
use crate::denormals::{self, Switch};
use crate::{Error, Result};

/// A fixed number of threads.
///
/// One function runs on all of them at once, so that no task is created, stolen or allocated during a relaxation. They
/// are the first threads of rayon's global pool, which Candle's products use too: threads of another pool would compete
/// with those for a while after every product, because idle threads look for work before they sleep. A caller that asks
/// for more threads than the global pool has gets a separate pool, shared with all callers that ask for the same
/// number.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    threads: usize,
    set: Arc<ThreadSet>,
}

/// The threads that pools of one size share.
#[derive(Debug)]
struct ThreadSet {
    /// None for the global pool.
    apart: Option<ThreadPool>,
    spin_pool: Arc<SpinPool>,
    contention: Contention,
}

/// One of the threads of a pool, at work.
#[derive(Debug)]
pub(crate) struct Worker<'a> {
    /// 0..count.
    pub(crate) index: usize,
    /// Workers that run the same function.
    pub(crate) count: usize,
    barrier: &'a Barrier,
    partitions: &'a [Barrier],
}

/// A barrier that is crossed thousands of times a second: waiting workers read one counter, and only after a while
/// sleep ([`wait_until`]).
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

/// Has a thread of rayon's global pool run `job`, also where the caller is a thread of that pool and waits for it without taking jobs.
///
/// Rayon does not promise to wake a thread for a job that a thread of the pool pushes: one that is falling asleep may look before the
/// push is visible, and be counted as awake. It expects the pushing thread to take the job itself in the end, which a caller that waits
/// at a meeting never does. After the fence the job is visible to every thread that looks later, so that a second push finds the other thread
/// awake, sees that it is falling asleep, or wakes it.
fn spawn_and_wake(job: impl FnOnce() + Send + 'static) {
    rayon::spawn(job);
    fence(Ordering::SeqCst);
    rayon::spawn(|| ());
}

impl Pool {
    /// A pool of `threads` threads, at least one; a pool of one uses only the thread of its caller.
    pub(crate) fn new(threads: usize) -> Result<Self> {
        static SETS: OnceLock<Mutex<Vec<Arc<ThreadSet>>>> = OnceLock::new();
        let threads = threads.max(1);
        let global = rayon::current_num_threads();
        let apart = threads > global;
        let size = if apart { threads } else { global };
        let mut sets = match SETS.get_or_init(Mutex::default).lock() {
            Ok(sets) => sets,
            // the list is only ever appended to, so it is valid after a panic
            Err(poisoned) => poisoned.into_inner(),
        };
        let found = sets.iter().find(|h| h.apart.is_some() == apart && h.spin_pool.threads() == size);
        if let Some(set) = found {
            return Ok(Self { threads, set: Arc::clone(set) });
        }
        let pool = || {
            let named = ThreadPoolBuilder::new().num_threads(threads).thread_name(|i| format!("fused-{i}"));
            named.build().map_err(|e| Error::Threads { threads, source: io::Error::other(e) })
        };
        let apart = apart.then(pool).transpose()?;
        let set =
            Arc::new(ThreadSet { apart, spin_pool: SpinPool::new(size), contention: Contention::default() });
        sets.push(Arc::clone(&set));
        Ok(Self { threads, set })
    }

    /// How many threads.
    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// Whether other processes have just kept workers from running for so long that a call is faster on its caller's
    /// thread.
    pub(crate) fn is_contended(&self) -> bool {
        self.set.contention.is_on(Instant::now())
    }

    /// Runs `work` on `count` workers at once (no more than the pool has) and returns when all have returned. Workers
    /// are in partitions of `members` neighbours that can meet on their own; `count` must be a multiple of `members`. A
    /// panic in a worker ends the others at their next meeting and is passed on.
    ///
    /// # Errors
    /// [`Error::Threads`] if it needs threads besides the pool's and the system does not give them; `work` has not
    /// begun.
    pub(crate) fn run(&self, count: usize, members: usize, work: impl Fn(&Worker<'_>) + Sync) -> Result<()> {
        let count = count.clamp(1, self.threads);
        let barrier = Barrier::new(count);
        let partitions: Vec<Barrier> = if members > 1 {
            (0..count / members).map(|_| Barrier::new(members)).collect()
        } else {
            Vec::new()
        };
        let flush = denormals::flushed();
        let one = |index: usize| {
            let watch = Watch(&barrier);
            let _as_the_caller = Switch::set(flush);
            work(&Worker { index, count, barrier: &barrier, partitions: &partitions });
            std::mem::forget(watch);
        };
        if count == 1 {
            one(0);
            return Ok(());
        }
        let ThreadSet { apart, spin_pool, contention } = &*self.set;
        // On a thread of the pool other than the first, the call would need more threads than there are, because the
        // first one may never serve a slot. On a thread of another rayon pool than the one that existed when this pool
        // was made, the slots do not match its threads.
        let foreign = match apart {
            Some(pool) => pool.current_thread_index().is_some(),
            None => {
                rayon::current_thread_index().is_some_and(|i| i > 0)
                    || rayon::current_num_threads() != spin_pool.threads()
            }
        };
        if foreign {
            return on_new_threads(count, &one);
        }
        let (start, before) = (Instant::now(), waited());
        spin_pool.run(count, &one, |slot| {
            let spin_pool = Arc::clone(spin_pool);
            let serve = move || spin_pool.serve(slot);
            match apart {
                Some(pool) => pool.spawn(serve),
                None => spawn_and_wake(serve),
            }
        });
        contention.judge(count, start, start.elapsed(), waited().saturating_sub(before));
        Ok(())
    }

    /// Locks a mutex that another caller may hold for the length of a call. While this thread waits, it helps with the
    /// call, which might otherwise wait for this thread.
    pub(crate) fn lock<'a, T>(&self, mutex: &'a Mutex<T>) -> MutexGuard<'a, T> {
        loop {
            match mutex.try_lock() {
                Ok(guard) => return guard,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) if self.set.spin_pool.help() => {}
                Err(TryLockError::WouldBlock) => thread::sleep(NAP),
            }
        }
    }
}

/// Runs `one(0)` here and `one(i)` for 0 < i < `count` on new threads, which begin only after all of them have been
/// started: if the system refuses one, the others would wait for it for ever.
fn on_new_threads(count: usize, one: &(dyn Fn(usize) + Sync)) -> Result<()> {
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

/// Breaks the barrier if it is dropped during a panic.
struct Watch<'a>(&'a Barrier);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.0.broken.0.store(true, Ordering::Release);
    }
}

impl Worker<'_> {
    /// Waits until all workers have called this. Each then sees what the others wrote before.
    pub(crate) fn meet(&self) {
        self.meet_at(self.barrier);
    }

    /// Waits until all members of this worker's partition have called this.
    pub(crate) fn meet_partition(&self) {
        let members = self.partition_size();
        if members > 1 {
            self.meet_at(&self.partitions[self.index / members]);
        }
    }

    /// Members of each partition.
    pub(crate) fn partition_size(&self) -> usize {
        self.partitions.first().map_or(1, |partition| partition.count)
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

    /// Waits until another worker has made `so` return true.
    pub(crate) fn wait_until(&self, so: impl Fn() -> bool) {
        wait_until(|| {
            let done = so();
            if !done && self.barrier.broken.0.load(Ordering::Acquire) {
                std::panic::panic_any(SECONDARY_PANIC);
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
