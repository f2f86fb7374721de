//! Whether other work held a sample up: how long threads of this process could have run but had to wait.
//!
//! Linux keeps that time per thread, in nanoseconds, in `/proc/<pid>/task/<tid>/schedstat`. It belongs to this process
//! alone, unlike the load of the machine, and does not count sleeping, unlike wall clock minus processor time. It does
//! not see what a hypervisor takes from a whole virtual machine.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

/// The waiting times of all threads of this process.
#[derive(Debug)]
pub struct Delay {
    threads: PathBuf,
    open: HashMap<OsString, Thread>,
}

/// One thread; its file stays open, because opening costs more than reading.
#[derive(Debug)]
struct Thread {
    file: File,
    waited_ns: Option<u64>,
}

impl Delay {
    /// Of this process; `None` where the system keeps no such times.
    pub fn of_this_process() -> Option<Self> {
        Self::of(Path::new("/proc/self/task"))
    }

    fn of(threads: &Path) -> Option<Self> {
        let mut delay = Self { threads: threads.to_owned(), open: HashMap::new() };
        delay.look_for_threads();
        delay.total_ns()?;
        Some(delay)
    }

    /// Takes in threads that have started since.
    pub fn look_for_threads(&mut self) {
        for entry in fs::read_dir(&self.threads).into_iter().flatten().flatten() {
            if self.open.contains_key(&entry.file_name()) {
                continue;
            }
            if let Ok(file) = File::open(entry.path().join("schedstat")) {
                self.open.insert(entry.file_name(), Thread { file, waited_ns: None });
            }
        }
    }

    /// Nanoseconds for which threads have waited for a processor, summed over threads, since they started. Threads that
    /// have ended keep what they had. `None` if no thread tells.
    pub fn total_ns(&mut self) -> Option<u64> {
        for thread in self.open.values_mut() {
            // 3 numbers of at most 20 digits; a longer file is something else, and a shorter read would cut a number
            let mut text = [0; 80];
            let read = thread.file.rewind().and_then(|()| thread.file.read(&mut text));
            if let Some(waited) = read.ok().and_then(|n| waited(&text[..n])) {
                thread.waited_ns = Some(waited);
            }
        }
        let told = self.open.values().filter_map(|thread| thread.waited_ns);
        told.fold(None, |sum, waited| Some(sum.unwrap_or(0u64).saturating_add(waited)))
    }
}

/// The second of the three numbers of a `schedstat` line: time on the processor, time waiting for it, time slices.
fn waited(line: &[u8]) -> Option<u64> {
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    let (_on, waited, _slices) = (words.next()?, words.next()?, words.next()?);
    waited.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line() {
        assert_eq!(waited(b"2436923 10170 29\n"), Some(10170));
        assert_eq!(waited(b"0 18446744073709551615 1\n"), Some(u64::MAX));
        for damaged in [&b""[..], b"1 2\n", b"1 x 3\n", b"1 -2 3\n", b"\xff 2 3\n"] {
            assert_eq!(waited(damaged), None);
        }
    }

    fn says(threads: &Path, id: &str, line: &str) {
        fs::create_dir_all(threads.join(id)).unwrap();
        fs::write(threads.join(id).join("schedstat"), line).unwrap();
    }

    #[test]
    fn threads_are_summed_and_outlive_their_files() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Delay::of(dir.path()).is_none(), "no thread");
        says(dir.path(), "1", "9 100 1\n");
        says(dir.path(), "2", "9 20 1\n");
        let mut delay = Delay::of(dir.path()).unwrap();
        assert_eq!(delay.total_ns(), Some(120));
        says(dir.path(), "1", "9 150 2\n");
        says(dir.path(), "3", "9 7 1\n");
        assert_eq!(delay.total_ns(), Some(170), "of the threads known so far");
        delay.look_for_threads();
        assert_eq!(delay.total_ns(), Some(177));
        // an ended thread reads as nothing
        says(dir.path(), "2", "");
        assert_eq!(delay.total_ns(), Some(177));
    }

    #[test]
    fn other_systems_do_not_tell() {
        let dir = tempfile::tempdir().unwrap();
        says(dir.path(), "1", "not three numbers");
        assert!(Delay::of(dir.path()).is_none());
        assert!(Delay::of(&dir.path().join("none")).is_none());
    }

    /// More busy threads than processors: some of them wait, by the pigeonhole principle, for about as long as one
    /// of them runs.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_crowd_waits() {
        use std::time::{Duration, Instant};
        let Some(mut delay) = Delay::of_this_process() else { return };
        let threads = 2 * std::thread::available_parallelism().unwrap().get();
        let busy = Duration::from_millis(200);
        let before = delay.total_ns().unwrap();
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
            delay.look_for_threads();
            delay.total_ns().unwrap();
        });
        let waited = Duration::from_nanos(delay.total_ns().unwrap() - before);
        assert!(waited > busy / 4, "{waited:?}");
    }
}
