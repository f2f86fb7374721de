//! Retired instructions of the calling thread, from the system's counter (`perf_event_open` on Linux).
//!
//! Many virtual machines have no such counter, and an administrator may have forbidden reading it.

pub use system::Counter;

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod system {
    use std::io;

    use perf_event::events::{Event, Hardware};
    use perf_event::Builder;

    /// A counter of what the calling thread does in user mode.
    #[derive(Debug)]
    pub struct Counter(perf_event::Counter);

    impl Counter {
        /// Of retired instructions.
        ///
        /// # Errors
        /// What the system says if it has no such counter, or this process may not read it.
        pub fn of_this_thread() -> io::Result<Self> {
            Self::of(Hardware::INSTRUCTIONS)
        }

        /// Of any event. What the kernel and a hypervisor do is left out unless the builder is asked for it.
        pub(super) fn of(event: impl Into<Event>) -> io::Result<Self> {
            Builder::new().kind(event).build().map(Self)
        }

        /// Does `work`, and says how often the event came meanwhile; `None` if the counter did not run all the time, because
        /// other programs use it too, or did not count at all.
        pub fn count<R>(&mut self, work: impl FnOnce() -> R) -> (Option<u64>, R) {
            let counter = &mut self.0;
            let before = counter.read_count_and_time().ok();
            let started = counter.enable().is_ok();
            let done = work();
            let stopped = counter.disable().is_ok();
            let after = counter.read_count_and_time().ok();
            let counted = before.zip(after).filter(|_| started && stopped).and_then(|(before, after)| {
                let enabled = after.time_enabled - before.time_enabled;
                let running = after.time_running - before.time_running;
                let count = after.count.saturating_sub(before.count);
                (enabled == running && count > 0).then_some(count)
            });
            (counted, done)
        }
    }
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod system {
    use std::io;

    /// There is none on this system.
    #[derive(Debug)]
    pub struct Counter;

    impl Counter {
        /// Always an error.
        ///
        /// # Errors
        /// Says that this system is not asked.
        pub fn of_this_thread() -> io::Result<Self> {
            Err(io::Error::from(io::ErrorKind::Unsupported))
        }

        /// Does `work`, which is not counted.
        pub fn count<R>(&mut self, work: impl FnOnce() -> R) -> (Option<u64>, R) {
            (None, work())
        }
    }
}

#[cfg(all(test, target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests {
    use std::time::{Duration, Instant};

    use perf_event::events::Software;

    use super::*;

    fn busy(time: Duration) -> Duration {
        let start = Instant::now();
        while start.elapsed() < time {
            std::hint::spin_loop();
        }
        start.elapsed()
    }

    /// The kernel's own clock of a thread is an event that every machine has: what is counted is what `work` took and no
    /// more, and each count begins at zero.
    #[test]
    fn a_count_is_of_the_work_alone() {
        // forbidden here
        let Ok(mut counter) = Counter::of(Software::TASK_CLOCK) else { return };
        for milliseconds in [40, 2] {
            busy(Duration::from_millis(20));
            let (counted, took) = counter.count(|| busy(Duration::from_millis(milliseconds)));
            let counted = Duration::from_nanos(counted.unwrap());
            // other programs may have the processor in between
            assert!(
                counted > Duration::ZERO && counted <= took + Duration::from_millis(1),
                "{counted:?} of {took:?}"
            );
        }
    }

    /// Twice the loop is twice the instructions, to the few that come with it.
    #[test]
    fn instructions_are_proportional_to_the_work() {
        // many virtual machines have no counter
        let Ok(mut counter) = Counter::of_this_thread() else { return };
        let mut count = |times: u64| {
            let work = || (0..times).for_each(|i| _ = std::hint::black_box(i));
            (0..5).filter_map(|_| counter.count(work).0).min()
        };
        let (Some(once), Some(twice)) = (count(1_000_000), count(2_000_000)) else { return };
        assert!(once >= 1_000_000);
        assert!((twice as f64 / once as f64 - 2.0).abs() < 0.02, "{once} and {twice}");
    }
}
