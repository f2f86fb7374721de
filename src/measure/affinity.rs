//! Workers that stay where they are.
//!
//! A system wakes threads wherever it likes, and two that are woken at once may share a core for a while with another
//! core idle. Candle's products wake the same workers hundreds of times per weight update, so that this happens all the
//! time, and a call of a few milliseconds right after suffers from it.

use std::sync::OnceLock;

use core_affinity::CoreId;
use rayon::ThreadPoolBuilder;

use super::machine;

static PINNED: OnceLock<bool> = OnceLock::new();

/// Makes the pool that Candle and the fused engine share, of `threads` workers. They are pinned, each to a physical core
/// of its own, if they take all cores this process may use: fewer may have to share the machine with other processes
/// that also begin at the first core.
///
/// Does nothing once the pool exists.
pub(super) fn start(threads: usize) {
    let cores = whole_machine(threads, &machine::one_processor_per_core());
    let pinned = !cores.is_empty();
    let pool = ThreadPoolBuilder::new().num_threads(threads).use_current_thread();
    let pool = pool.start_handler(move |worker| {
        // where this is refused, the worker moves about as it always did
        cores.get(worker).map(|&id| core_affinity::set_for_current(CoreId { id }));
    });
    if pool.build_global().is_ok() {
        PINNED.get_or_init(|| pinned);
    }
}

/// Whether workers are pinned.
pub fn pinned() -> bool {
    PINNED.get().copied().unwrap_or(false)
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

    #[test]
    fn only_workers_that_take_every_core_are_pinned() {
        assert_eq!(whole_machine(3, &[0, 2, 4]), [0, 2, 4]);
        assert!(whole_machine(2, &[0, 2, 4]).is_empty());
        assert!(whole_machine(6, &[0, 2, 4]).is_empty(), "both threads of each core");
        assert!(whole_machine(1, &[0]).is_empty() && whole_machine(2, &[]).is_empty());
    }
}
