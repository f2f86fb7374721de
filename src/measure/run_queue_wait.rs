//! What the scheduler says of this process: how long its threads ran, and how long they could have run but had to wait
//! because other work had the processors.
//!
//! Linux keeps both per thread, in nanoseconds, in `/proc/<pid>/task/<tid>/schedstat`. They belong to this process
//! alone, unlike the load of the machine, and do not count sleeping, unlike wall clock minus processor time. They do
//! not tell what a hypervisor takes from a whole virtual machine.
//!
//! A sample keeps the delay during it; a gate asks for the share of a session that was delay.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

/// Times of threads since they started, summed over threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Times {
    /// On a processor.
    pub running_ns: u64,
    /// Ready to run, without a processor.
    pub delay_ns: u64,
}

impl Times {
    /// Share of delay in what was run or waited since `earlier`; 0 if there was neither.
    pub fn delay_share_since(self, earlier: Self) -> f64 {
        let delay = self.delay_ns.saturating_sub(earlier.delay_ns) as f64;
        let running = self.running_ns.saturating_sub(earlier.running_ns) as f64;
        if delay > 0.0 {
            delay / (delay + running)
        } else {
            0.0
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            running_ns: self.running_ns.saturating_add(other.running_ns),
            delay_ns: self.delay_ns.saturating_add(other.delay_ns),
        }
    }

    /// A line of `schedstat`: time on a processor, time waiting for one, time slices.
    fn parse(line: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
        let (running, delay, _slices) = (words.next()?, words.next()?, words.next()?);
        Some(Self { running_ns: running.parse().ok()?, delay_ns: delay.parse().ok()? })
    }
}

/// Reads the times of all threads of this process.
#[derive(Debug)]
pub struct Scheduler {
    threads: PathBuf,
    open: HashMap<OsString, Thread>,
}

/// One thread; its file stays open, because opening costs more than reading.
#[derive(Debug)]
struct Thread {
    file: File,
    /// As last read.
    times: Option<Times>,
}

impl Scheduler {
    /// Of this process; `None` where the system keeps no such times.
    pub fn of_this_process() -> Option<Self> {
        Self::of(Path::new("/proc/self/task"))
    }

    fn of(threads: &Path) -> Option<Self> {
        let mut scheduler = Self { threads: threads.to_owned(), open: HashMap::new() };
        scheduler.look_for_threads();
        scheduler.times()?;
        Some(scheduler)
    }

    /// Takes in threads that have started since.
    pub fn look_for_threads(&mut self) {
        for entry in fs::read_dir(&self.threads).into_iter().flatten().flatten() {
            if self.open.contains_key(&entry.file_name()) {
                continue;
            }
            if let Ok(file) = File::open(entry.path().join("schedstat")) {
                self.open.insert(entry.file_name(), Thread { file, times: None });
            }
        }
    }

    /// Times of the threads that have been looked for, each since it started. Threads that have ended keep what they had
    /// when last read. `None` if no thread tells.
    pub fn times(&mut self) -> Option<Times> {
        for thread in self.open.values_mut() {
            // 3 numbers of at most 20 digits; a longer file is something else, and a shorter read would cut a number
            let mut text = [0; 80];
            let read = thread.file.rewind().and_then(|()| thread.file.read(&mut text));
            if let Some(times) = read.ok().and_then(|n| Times::parse(&text[..n])) {
                thread.times = Some(times);
            }
        }
        self.open.values().filter_map(|thread| thread.times).reduce(Times::and)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line() {
        assert_eq!(Times::parse(b"2436923 10170 29\n"), Some(times(2436923, 10170)));
        assert_eq!(Times::parse(b"0 18446744073709551615 1\n"), Some(times(0, u64::MAX)));
        for damaged in [&b""[..], b"1 2\n", b"1 x 3\n", b"x 2 3\n", b"1 -2 3\n", b"\xff 2 3\n"] {
            assert_eq!(Times::parse(damaged), None);
        }
    }

    fn times(running_ns: u64, delay_ns: u64) -> Times {
        Times { running_ns, delay_ns }
    }

    #[test]
    fn shares() {
        assert_eq!(times(40, 25).delay_share_since(times(10, 15)), 0.25);
        assert_eq!(times(40, 15).delay_share_since(times(10, 15)), 0.0);
        assert_eq!(times(0, 0).delay_share_since(times(0, 0)), 0.0);
        assert_eq!(times(10, 20).delay_share_since(times(10, 15)), 1.0);
        assert_eq!(times(5, 5).delay_share_since(times(10, 15)), 0.0, "of another process");
    }

    fn says(threads: &Path, id: &str, line: &str) {
        fs::create_dir_all(threads.join(id)).unwrap();
        fs::write(threads.join(id).join("schedstat"), line).unwrap();
    }

    #[test]
    fn threads_are_summed_and_outlive_their_files() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Scheduler::of(dir.path()).is_none(), "no thread");
        says(dir.path(), "1", "9 100 1\n");
        says(dir.path(), "2", "9 20 1\n");
        let mut scheduler = Scheduler::of(dir.path()).unwrap();
        assert_eq!(scheduler.times(), Some(times(18, 120)));
        says(dir.path(), "1", "11 150 2\n");
        says(dir.path(), "3", "9 7 1\n");
        assert_eq!(scheduler.times(), Some(times(20, 170)), "of the threads known so far");
        scheduler.look_for_threads();
        assert_eq!(scheduler.times(), Some(times(29, 177)));
        // an ended thread reads as nothing
        says(dir.path(), "2", "");
        assert_eq!(scheduler.times(), Some(times(29, 177)));
    }

    #[test]
    fn other_systems_do_not_tell() {
        let dir = tempfile::tempdir().unwrap();
        says(dir.path(), "1", "not three numbers");
        assert!(Scheduler::of(dir.path()).is_none());
        assert!(Scheduler::of(&dir.path().join("none")).is_none());
    }

    /// Four busy threads for every processor: at any time three of four wait, by the pigeonhole principle.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_crowd_waits() {
        use std::time::{Duration, Instant};
        let Some(mut scheduler) = Scheduler::of_this_process() else { return };
        let threads = 4 * std::thread::available_parallelism().unwrap().get();
        let busy = Duration::from_millis(200);
        let before = scheduler.times().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let begin = Instant::now();
                    while begin.elapsed() < busy {
                        std::hint::spin_loop();
                    }
                });
            }
            std::thread::sleep(busy / 2);
            scheduler.look_for_threads();
            scheduler.times().unwrap();
        });
        let after = scheduler.times().unwrap();
        let waited = Duration::from_nanos(after.delay_ns - before.delay_ns);
        assert!(waited > busy / 4, "{waited:?}");
        let share = after.delay_share_since(before);
        assert!(share > 0.4, "{share}");
    }
}
