//! A global allocator that counts the allocations of the program while counting is switched on.
//!
//! A program that wants the counts installs it:
//!
//! ```
//! #[global_allocator]
//! static ALLOCATOR: pcnbench_kernels::alloc::Counting = pcnbench_kernels::alloc::Counting;
//! ```
//!
//! While nothing is counted an allocation costs one relaxed load and a branch more than the system's own.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The system's allocator, with a count of the allocations of all threads during [`count`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Counting;

/// Counted allocations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Blocks asked for; a block that was made larger or smaller counts once more.
    pub allocations: u64,
    /// Their sizes in bytes, added up; of a block that was made larger or smaller its whole new size.
    pub bytes: u64,
}

static COUNTS: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);
/// Held during a count: two at once would count each other's work.
static TURN: Mutex<()> = Mutex::new(());

/// Counts one block.
#[inline]
fn note(bytes: usize) {
    if COUNTS.load(Ordering::Relaxed) {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

// SAFETY: every call is passed on to the system's allocator as it is; `note` neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        note(bytes);
        // SAFETY: as above; every block of this allocator is one of `System`.
        unsafe { System.realloc(block, layout, bytes) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Ends a count, also after a panic.
struct Stop;

impl Drop for Stop {
    fn drop(&mut self) {
        COUNTS.store(false, Ordering::SeqCst);
    }
}

/// Runs `work` and counts the allocations of all threads of the process meanwhile; the count is `None` in a program
/// that has not installed [`Counting`]. Concurrent callers wait for each other; `work` must not call this.
pub fn count<R>(work: impl FnOnce() -> R) -> (Option<Counts>, R) {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (probe, block) = counted(|| Box::new(black_box(0u8)));
    drop(black_box(block));
    let (counts, done) = counted(work);
    drop(turn);
    ((probe.allocations > 0).then_some(counts), done)
}

fn counted<R>(work: impl FnOnce() -> R) -> (Counts, R) {
    ALLOCATIONS.store(0, Ordering::SeqCst);
    BYTES.store(0, Ordering::SeqCst);
    let stop = Stop;
    COUNTS.store(true, Ordering::SeqCst);
    let done = work();
    drop(stop);
    let counts =
        Counts { allocations: ALLOCATIONS.load(Ordering::SeqCst), bytes: BYTES.load(Ordering::SeqCst) };
    (counts, done)
}
