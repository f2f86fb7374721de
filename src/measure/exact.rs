//! What one execution asks of the machine, as far as it can be counted instead of timed: allocations, the bytes they ask
//! for, and retired instructions.
//!
//! Counts of one program are the same from run to run, so they show a change that no clock can. They are taken apart from
//! all timed samples, after them, when buffers that are kept from execution to execution are there.

use pcnbench_kernels::alloc;

use super::instructions::Counter;
use crate::Result;

/// Executions that are counted; of each quantity the smallest count is kept. A pool of threads allocates now and then on
/// its own account, and an interrupt adds to the instructions of whatever it meets.
const EXECUTIONS: usize = 5;

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
    let mut fewest = Exact::default();
    for _ in 0..EXECUTIONS {
        let mut instructions = None;
        let (counts, done) = alloc::count(|| {
            let counter = counter.as_mut();
            match counter {
                None => work(),
                Some(counter) => {
                    let (counted, done) = counter.count(&mut work);
                    instructions = counted;
                    done
                }
            }
        });
        done?;
        let least = |so_far: &mut Option<u64>, now: Option<u64>| {
            *so_far = so_far.map_or(now, |least| now.map(|now| now.min(least)));
        };
        least(&mut fewest.allocations, counts.map(|c| c.allocations));
        least(&mut fewest.allocated_bytes, counts.map(|c| c.bytes));
        least(&mut fewest.instructions, instructions);
    }
    Ok(fewest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

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
