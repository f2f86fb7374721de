//! Oracle: counts. Every worker runs once and none leaves before the last one is there, whichever thread calls.

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
        })
        .unwrap();
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
        })
        .unwrap();
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
        })
    }));
    assert!(panicked.is_err());
    let ran = AtomicUsize::new(0);
    pool.run(3, 1, |w| {
        w.meet();
        ran.fetch_add(1, Ordering::Relaxed);
    })
    .unwrap();
    assert_eq!(ran.into_inner(), 3);
}

/// Threads of the pool itself, threads of a smaller and of a larger pool, several callers at once, and several that
/// wait for the same lock.
#[test]
fn any_thread_may_call() {
    let count = rayon::current_num_threads().max(2);
    let pool = Pool::new(count).unwrap();
    let all = || {
        let ran = AtomicUsize::new(0);
        pool.run(count, 1, |w| {
            ran.fetch_add(1, Ordering::Relaxed);
            w.meet();
            assert_eq!(ran.load(Ordering::Relaxed), w.count);
        })
        .unwrap();
    };
    for threads in [1, count, count + 3] {
        let other = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        other.install(all);
    }
    // a caller with more calls waiting in its own queue
    rayon::scope(|scope| {
        (0..100).for_each(|_| scope.spawn(|_| all()));
        all();
    });
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..50).for_each(|_| all()));
        }
    });
    let engine = Mutex::new(());
    let locked = || {
        let _guard = pool.lock(&engine);
        all();
    };
    rayon::scope(|scope| (0..100).for_each(|_| scope.spawn(|_| locked())));
    std::thread::scope(|scope| {
        scope.spawn(|| rayon::scope(|scope| (0..100).for_each(|_| scope.spawn(|_| locked()))));
        (0..100).for_each(|_| locked());
    });
}

/// Worker 1 is kept from running for 30 ms: the caller, which had nothing to do, remembers for about 240 ms.
#[test]
fn a_call_that_waits_for_its_worker_leaves_the_next_ones_to_the_caller() {
    // a pool that no other test has
    let pool = Pool::new(rayon::current_num_threads() + 41).unwrap();
    let stall = |ms| {
        pool.run(2, 1, |w| {
            if w.index == 1 {
                std::thread::sleep(std::time::Duration::from_millis(ms));
            }
        })
        .unwrap();
    };
    assert!(!pool.is_contended());
    let start = Instant::now();
    stall(30);
    let took = start.elapsed();
    assert!(pool.is_contended() || start.elapsed() > 8 * took);
    while pool.is_contended() {
        assert!(start.elapsed() < took + std::time::Duration::from_millis(1100));
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert!(start.elapsed() >= std::time::Duration::from_millis(30 + 200));
}
