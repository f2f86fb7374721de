//! Oracle: blocks whose number and sizes are known, asked for in a program that has installed the counting allocator.

use std::hint::black_box;
use std::panic::{catch_unwind, AssertUnwindSafe};

use pcnbench_kernels::alloc::{count, Counting, Counts};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One test, because there is one heap: what another test asks for meanwhile would be counted too.
#[test]
fn what_is_asked_for_is_counted() {
    assert_eq!(counts(|| ()), (0, 0), "nothing asked for");
    assert_eq!(counts(|| block(100)), (1, 100));
    // 7 blocks, one of them zeroed, of 1 + 2 + … + 7 bytes
    assert_eq!(counts(|| (1..=7).map(block).for_each(drop)), (7, 28));
    assert_eq!(counts(|| drop(black_box(vec![0u8; 64]))), (1, 64), "zeroed");
    // a block that grows is asked for again, as a whole; to free one asks for nothing
    assert_eq!(counts(grow), (2, 8 + 24));
    let kept = black_box(Box::new([0u8; 1000]));
    assert_eq!(counts(|| drop(kept)), (0, 0), "freed");

    // whatever thread asks
    let (sender, receiver) = std::sync::mpsc::sync_channel::<()>(0);
    let (done, ended) = std::sync::mpsc::sync_channel::<()>(0);
    let worker = std::thread::spawn(move || {
        while receiver.recv().is_ok() {
            block(40);
            done.send(()).unwrap();
        }
    });
    let handover = || {
        sender.send(()).unwrap();
        ended.recv().unwrap();
    };
    // what waiting itself asks for in a thread's life
    handover();
    let fewest = (0..5).map(|_| counts(handover)).min().unwrap();
    assert_eq!(fewest, (1, 40));
    drop(sender);
    worker.join().unwrap();

    // a panic ends the count, and the next one is right
    std::panic::set_hook(Box::new(|_| ()));
    assert!(catch_unwind(AssertUnwindSafe(|| count(|| panic!("planned")))).is_err());
    assert_eq!(counts(|| block(3)), (1, 3));
}

fn block(bytes: usize) {
    drop(black_box(Vec::<u8>::with_capacity(bytes)));
}

fn grow() {
    let mut block = black_box(Vec::<u8>::with_capacity(8));
    block.reserve_exact(24);
    drop(black_box(block));
}

fn counts(work: impl FnOnce()) -> (u64, u64) {
    let (counts, ()) = count(work);
    let Counts { allocations, bytes } = counts.unwrap();
    (allocations, bytes)
}
