//! Workers that stay where they are.
//!
//! A system wakes threads wherever it likes, and two that are woken at once may share a core for a while with another
//! core idle. Candle's products wake the same workers hundreds of times per weight update, so that this happens all the
//! time, and a call of a few milliseconds right after suffers from it.

use std::io;
use std::sync::mpsc::{self, Sender};
use std::sync::OnceLock;
use std::thread;

use core_affinity::CoreId;
use rayon::{ThreadBuilder, ThreadPoolBuilder};
#[cfg(target_os = "linux")]
use rustix::thread::{sched_getaffinity, sched_setaffinity, CpuSet};

use super::machine;

/// The cores of pinned workers; empty if they are not.
static CORES: OnceLock<Vec<usize>> = OnceLock::new();

/// Makes the pool that Candle and the fused engine share, of `threads` workers or as many as the system grants; how many
/// these are. They are pinned, each to a physical core of its own, if they take all cores this process may use: fewer may
/// have to share the machine with other processes that also begin at the first core.
///
/// Does nothing once the pool exists.
pub(super) fn start(threads: usize) -> usize {
    let spare = spare_threads(threads.saturating_sub(1));
    let granted = spare.len() + 1;
    let cores = whole_machine(granted, &machine::one_processor_per_core());
    let all = cores.clone();
    let pool = ThreadPoolBuilder::new().num_threads(granted).use_current_thread();
    let pool = pool.start_handler(move |worker| {
        // where this is refused, the worker moves about as it always did
        cores.get(worker).map(|&id| core_affinity::set_for_current(CoreId { id }));
    });
    let mut spare = spare.into_iter();
    let pool = pool.spawn_handler(move |worker| {
        let given = spare.next().and_then(|thread| thread.send(worker).ok());
        given.ok_or_else(|| io::Error::other("a thread of the pool has ended"))
    });
    if pool.build_global().is_err() {
        return threads;
    }
    CORES.get_or_init(|| all);
    granted
}

/// Up to `wanted` threads, each waiting for a worker to be, and ending without one.
///
/// They are made before the pool is, because a global pool of which one thread cannot be made can never be made again,
/// and everything that needs it panics or waits for ever.
fn spare_threads(wanted: usize) -> Vec<Sender<ThreadBuilder>> {
    let thread = |_| {
        let (give, given) = mpsc::channel::<ThreadBuilder>();
        let work = move || given.recv().map_or((), ThreadBuilder::run);
        thread::Builder::new().spawn(work).ok().map(|_| give)
    };
    (0..wanted).map_while(thread).collect()
}

/// Whether workers are pinned.
pub fn pinned() -> bool {
    CORES.get().is_some_and(|cores| !cores.is_empty())
}

/// Keeps the calling thread on the first worker's core for as long as the result lives, if the other workers are pinned.
///
/// Nothing else keeps it off their cores. Where it has come to share one with a worker, both ready to run all the time,
/// the system may leave them there for minutes, with a core idle and everything that both take part in twice as long.
///
/// The result should live no longer than it takes to measure: threads that are made meanwhile stay on that core too,
/// and a query for the number of processors returns one. Elsewhere than on Linux it does nothing.
pub fn pin_current_thread() -> PinGuard {
    PinGuard::on(CORES.get().and_then(|cores| cores.first()).copied())
}

/// See [`pin_current_thread`].
#[derive(Debug)]
pub struct PinGuard {
    #[cfg(target_os = "linux")]
    core: Option<usize>,
    #[cfg(target_os = "linux")]
    before: Option<CpuSet>,
}

#[cfg(target_os = "linux")]
impl PinGuard {
    fn on(core: Option<usize>) -> Self {
        let mut guard = Self { core: core.filter(|&core| core < CpuSet::MAX_CPU), before: None };
        guard.give_way(false);
        guard
    }

    /// Lets the thread go wherever the system puts it while other processes want its core (`contended`), and keeps it
    /// there again when they do not: another core may be idle.
    pub fn give_way(&mut self, contended: bool) {
        // where a call is refused, the thread moves about as it always did
        if contended {
            if let Some(before) = self.before.take() {
                sched_setaffinity(None, &before).ok();
            }
        } else if let (Some(core), None) = (self.core, &self.before) {
            let mut only = CpuSet::new();
            only.set(core);
            let before = sched_getaffinity(None).ok();
            self.before = before.filter(|_| sched_setaffinity(None, &only).is_ok());
        }
    }
}

#[cfg(target_os = "linux")]
impl Drop for PinGuard {
    fn drop(&mut self) {
        self.give_way(true);
    }
}

#[cfg(not(target_os = "linux"))]
impl PinGuard {
    fn on(_core: Option<usize>) -> Self {
        Self {}
    }

    /// Does nothing.
    pub fn give_way(&mut self, _contended: bool) {}
}

/// The cores to pin `threads` workers to: all, or none.
fn whole_machine(threads: usize, cores: &[usize]) -> Vec<usize> {
    if threads > 1 && threads == cores.len() {
        cores.to_vec()
    } else {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_pinned_thread_stays_until_it_is_let_go() {
        let allowed = || {
            let set = sched_getaffinity(None).unwrap();
            (0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).collect::<Vec<_>>()
        };
        let before = allowed();
        let last = *before.last().unwrap();
        let mut guard = PinGuard::on(Some(last));
        assert_eq!(allowed(), [last]);
        for contended in [true, true, false, false] {
            guard.give_way(contended);
            assert_eq!(allowed() == before, contended || before == [last]);
        }
        assert_eq!(allowed(), [last]);
        drop(guard);
        assert_eq!(allowed(), before);
        drop(PinGuard::on(None));
        drop(PinGuard::on(Some(CpuSet::MAX_CPU)));
        assert_eq!(allowed(), before);
    }

    #[test]
    fn only_workers_that_take_every_core_are_pinned() {
        assert_eq!(whole_machine(3, &[0, 2, 4]), [0, 2, 4]);
        assert!(whole_machine(2, &[0, 2, 4]).is_empty());
        assert!(whole_machine(6, &[0, 2, 4]).is_empty(), "both threads of each core");
        assert!(whole_machine(1, &[0]).is_empty() && whole_machine(2, &[]).is_empty());
    }
}
