//! What one execution asks of the machine, as far as it can be counted instead of timed: allocations, the bytes they ask
//! for, and retired instructions.
//!
//! Counts of one program are the same from run to run, so they show a change that no clock can. They are taken apart from
//! all timed samples, after them, when buffers that are kept from execution to execution are there.

use std::time::Duration;

use pcnbench_kernels::alloc;
use pcnbench_kernels::fused::without_workers_ns;

use super::instructions::Counter;
use crate::Result;

/// Executions that are counted.
const EXECUTIONS: usize = 5;
/// Before each of them, so that threads which look for the next execution have gone to sleep. Waking one asks for memory, and
/// whether that is needed must not hang on how long the last execution is ago.
const PAUSE: Duration = Duration::from_millis(2);

/// What one execution asks of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exact {
    /// Heap allocations of all threads; absent in a program without the counting allocator.
    pub allocations: Option<u64>,
    /// Bytes that they ask for.
    pub allocated_bytes: Option<u64>,
    /// Instructions that the calling thread retires in user mode; absent where they were not asked for, or the system's
    /// counter cannot be read.
    pub instructions: Option<u64>,
}

/// Executes `work` a few times and counts; instructions only if all of them are the calling thread's (`one_thread`).
///
/// # Errors
/// Those of `work`.
pub fn count(one_thread: bool, mut work: impl FnMut() -> Result<()>) -> Result<Exact> {
    let mut counter = one_thread.then(Counter::of_this_thread).and_then(|counter| counter.ok());
    let mut counted = [Exact::default(); EXECUTIONS];
    for exact in &mut counted {
        std::thread::sleep(PAUSE);
        let before = without_workers_ns();
        let (counts, (instructions, done)) = alloc::count(|| match &mut counter {
            None => (None, work()),
            Some(counter) => counter.count(&mut work),
        });
        done?;
        // A call that did without workers, which other processes kept from running, asks for less.
        let counts = counts.filter(|_| without_workers_ns() == before);
        *exact = Exact {
            allocations: counts.map(|c| c.allocations),
            allocated_bytes: counts.map(|c| c.bytes),
            instructions,
        };
    }
    Ok(Exact::typical(&counted))
}

impl Exact {
    /// One count for several of the same thing: the middle one of allocations and of bytes, which a thread that was asleep
    /// or awake out of turn changes by a few in either direction, and the smallest of instructions, to which interrupts can
    /// only add. A quantity that one of them lacks is absent.
    pub fn typical(counts: &[Self]) -> Self {
        let sorted = |of: fn(&Self) -> Option<u64>| {
            let mut all = counts.iter().map(of).collect::<Option<Vec<u64>>>()?;
            all.sort_unstable();
            Some(all)
        };
        let middle = |of| sorted(of).and_then(|all| all.get((all.len().max(1) - 1) / 2).copied());
        Self {
            allocations: middle(|e| e.allocations),
            allocated_bytes: middle(|e| e.allocated_bytes),
            instructions: sorted(|e| e.instructions).and_then(|all| all.first().copied()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn typical_counts() {
        let all = |counts: &[u64]| -> Vec<Exact> {
            let one = |&n| Exact {
                allocations: Some(n),
                allocated_bytes: Some(10 * n),
                instructions: Some(100 * n),
            };
            counts.iter().map(one).collect()
        };
        let expected = Exact { allocations: Some(6), allocated_bytes: Some(60), instructions: Some(500) };
        assert_eq!(Exact::typical(&all(&[6, 9, 6, 5, 6])), expected);
        assert_eq!(Exact::typical(&all(&[7, 5])).allocations, Some(5), "the lower of two middle ones");
        let mut lacking = all(&[6, 6, 6]);
        lacking[1].instructions = None;
        assert_eq!(Exact::typical(&lacking), Exact { instructions: None, ..all(&[6])[0] });
        assert_eq!(Exact::typical(&[]), Exact::default());
    }

    /// The library does not install the allocator, so here there is nothing to count allocations with.
    #[test]
    fn what_cannot_be_counted_is_absent() {
        let mut executed = 0;
        let counted = count(false, || {
            executed += 1;
            Ok(())
        });
        assert_eq!((counted.unwrap(), executed), (Exact::default(), EXECUTIONS));
        assert!(count(true, || Err(Error::Invalid("no".into()))).is_err());
    }
}
