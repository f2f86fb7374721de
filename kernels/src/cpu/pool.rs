//! Worker threads that run one function together and meet at barriers.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::{Error, Result};

/// A fixed number of threads.
///
/// One function runs on all of them at once, so that a whole relaxation needs no task to be made, stolen or
/// allocated on its way. They are the first threads of rayon's global pool, which Candle's products use too: threads of
/// another pool would compete with those for a while after every product, because idle threads look for work before they
/// sleep. Only who asks for more threads than that pool has gets a pool apart, shared with all who ask for as many.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    threads: usize,
    /// None for the global pool.
    apart: Option<Arc<ThreadPool>>,
}

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

/// A barrier that is crossed thousands of times a second: waiting workers read one counter, and only after a while
/// give their processor to others.
#[derive(Debug)]
struct Barrier {
    count: usize,
    arrived: AtomicUsize,
    generation: AtomicUsize,
    broken: AtomicBool,
}

impl Barrier {
    fn new(count: usize) -> Self {
        Self {
            count,
            arrived: AtomicUsize::new(0),
            generation: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
        }
    }
}

/// Readings of the counter before a waiting worker offers its processor to others: a few microseconds.
const SPINS: u32 = 2000;

impl Pool {
    /// A pool of `threads` (at least one; one needs no thread besides the caller's).
    pub(crate) fn new(threads: usize) -> Result<Self> {
        let threads = threads.max(1);
        if threads == 1 || threads <= rayon::current_num_threads() {
            return Ok(Self { threads, apart: None });
        }
        static POOLS: OnceLock<Mutex<Vec<Arc<ThreadPool>>>> = OnceLock::new();
        let mut pools = match POOLS.get_or_init(Mutex::default).lock() {
            Ok(pools) => pools,
            // what it guards is a list that is only ever appended to
            Err(poisoned) => poisoned.into_inner(),
        };
        if let Some(pool) = pools.iter().find(|p| p.current_num_threads() == threads) {
            return Ok(Self { threads, apart: Some(Arc::clone(pool)) });
        }
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("fused-{i}"))
            .build()
            .map_err(|source| Error::Threads { threads, source })?;
        let pool = Arc::new(pool);
        pools.push(Arc::clone(&pool));
        Ok(Self { threads, apart: Some(pool) })
    }

    /// How many threads.
    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// Runs `work` on `count` workers at once (no more than the pool has) and returns when all have returned. Workers are
    /// in teams of `members` neighbours that can meet on their own; `count` must be a multiple of it. A panic in one of
    /// them ends the others at their next meeting and is passed on.
    pub(crate) fn run(&self, count: usize, members: usize, work: impl Fn(&Worker<'_>) + Sync) {
        let count = count.clamp(1, self.threads);
        let barrier = Barrier::new(count);
        let teams: Vec<Barrier> = if members > 1 {
            (0..count / members).map(|_| Barrier::new(members)).collect()
        } else {
            Vec::new()
        };
        let one = |index: usize| {
            let watch = Watch(&barrier);
            work(&Worker { index, count, barrier: &barrier, teams: &teams });
            std::mem::forget(watch);
        };
        let each = |index: usize| {
            if index < count {
                one(index);
            }
        };
        match &self.apart {
            _ if count == 1 => one(0),
            Some(pool) => {
                pool.broadcast(|context| each(context.index()));
            }
            None => {
                rayon::broadcast(|context| each(context.index()));
            }
        }
    }
}

/// Breaks the barrier if it is dropped by a panic on its way.
struct Watch<'a>(&'a Barrier);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.0.broken.store(true, Ordering::Release);
    }
}

impl Worker<'_> {
    /// Waits until all workers are here. What each wrote before is then seen by all.
    pub(crate) fn meet(&self) {
        self.meet_at(self.barrier);
    }

    /// Waits until all members of this worker's team are here.
    pub(crate) fn meet_team(&self) {
        let members = self.team_size();
        if members > 1 {
            self.meet_at(&self.teams[self.index / members]);
        }
    }

    /// Members of each team.
    pub(crate) fn team_size(&self) -> usize {
        self.teams.first().map_or(1, |team| team.count)
    }

    fn meet_at(&self, b: &Barrier) {
        if b.count == 1 {
            return;
        }
        let generation = b.generation.load(Ordering::Acquire);
        if b.arrived.fetch_add(1, Ordering::AcqRel) + 1 == b.count {
            b.arrived.store(0, Ordering::Relaxed);
            b.generation.store(generation.wrapping_add(1), Ordering::Release);
            return;
        }
        self.wait_until(|| b.generation.load(Ordering::Acquire) != generation);
    }

    /// Waits until something is so that another worker makes so.
    pub(crate) fn wait_until(&self, so: impl Fn() -> bool) {
        let mut spins = 0;
        while !so() {
            assert!(!self.barrier.broken.load(Ordering::Acquire), "another worker has panicked");
            spins += 1;
            if spins < SPINS {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
    }

    /// This worker's share of `tasks`: every `count`-th, so that neighbouring tasks, which have neighbouring costs,
    /// go to different workers and the same task to the same worker in every step.
    pub(crate) fn share(&self, tasks: usize) -> impl Iterator<Item = usize> {
        (self.index..tasks).step_by(self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_worker_passes_a_barrier_before_the_last_one_arrives() {
        for threads in [1, 2, 3, 5] {
            let pool = Pool::new(threads).unwrap();
            let arrived = AtomicUsize::new(0);
            pool.run(threads, 1, |w| {
                for round in 1..=300 {
                    arrived.fetch_add(1, Ordering::Relaxed);
                    w.meet();
                    assert!(arrived.load(Ordering::Relaxed) >= round * threads);
                    w.meet();
                }
            });
            assert_eq!(arrived.into_inner(), 300 * threads);
        }
    }

    #[test]
    fn every_task_goes_to_exactly_one_worker() {
        let pool = Pool::new(3).unwrap();
        for count in [1, 2, 3, 7] {
            let done: Vec<AtomicUsize> = (0..10).map(|_| AtomicUsize::new(0)).collect();
            pool.run(count, 1, |w| {
                w.share(10).for_each(|i| {
                    done[i].fetch_add(1, Ordering::Relaxed);
                });
            });
            assert!(done.iter().all(|n| n.load(Ordering::Relaxed) == 1));
        }
    }

    #[test]
    fn a_panic_ends_all_workers_and_leaves_the_pool_usable() {
        let pool = Pool::new(3).unwrap();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            pool.run(3, 1, |w| {
                assert!(w.index != 1, "planned");
                w.meet();
            });
        }));
        assert!(panicked.is_err());
        let ran = AtomicUsize::new(0);
        pool.run(3, 1, |w| {
            w.meet();
            ran.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(ran.into_inner(), 3);
    }
}
