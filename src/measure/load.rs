//! Whether a machine is quiet enough to measure on.

use std::thread;
use std::time::Duration;

use super::machine::{logical_cpus, text};
use super::run_queue_wait::Scheduler;

/// A sentence for the record if other work keeps this machine busy.
///
/// Takes 40 ms: the run queue is read three times, because any moment may catch a stray wake-up. What this process may
/// itself have added to the average of the last minute does not count, so that after minutes of its own work only what
/// runs now does.
pub fn load_warning() -> Option<String> {
    let mut readings = [(); 3].map(|()| {
        let reading = Load::parse(&text("/proc/loadavg"));
        thread::sleep(Duration::from_millis(13));
        reading
    });
    // The calmest moment counts.
    readings.sort_by_key(|load| load.map_or(usize::MAX, |load| load.running));
    let own = Scheduler::of_this_process().and_then(|mut scheduler| scheduler.times());
    readings[0]?.without(own.map_or(0.0, |times| 1e-9 * times.running_ns as f64)).warning(logical_cpus())
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Load {
    /// Average number of runnable tasks over the last minute.
    minute: f64,
    /// Runnable tasks now, this one included.
    running: usize,
}

impl Load {
    /// The line of `/proc/loadavg`: `1.54 3.86 2.95 5/125 27637`.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let minute = words.next()?.parse().ok()?;
        let running = words.nth(2)?.split('/').next()?.parse().ok()?;
        Some(Self { minute, running })
    }

    /// Without what `seconds` on processors can have added: 1/60 each at most, and less the longer they are ago, since
    /// the average forgets with a time constant of a minute.
    fn without(self, seconds: f64) -> Self {
        Self { minute: (self.minute - seconds / 60.0).max(0.0), ..self }
    }

    /// A quarter of the processors taken by others now, or half of them over the last minute: the average
    /// also remembers what has just ended, such as the build of this program, so it needs more.
    fn warning(self, cpus: usize) -> Option<String> {
        let others = self.running.saturating_sub(1);
        let busy = others >= cpus.div_ceil(4) || self.minute >= 0.5 * cpus as f64;
        busy.then(|| {
            format!(
                "the machine is busy: runnable tasks besides this one {others}, load average of others {:.2} over the last \
                 minute, processors {cpus}; end other work and run again",
                self.minute
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load() {
        let load = |line: &str| Load::parse(line).and_then(|load| load.warning(4));
        assert_eq!(load("0.15 3.86 2.95 1/125 27637\n"), None);
        assert_eq!(load("1.99 3.86 2.95 1/125 27637"), None);
        let average = load("2.00 3.86 2.95 1/125 27637").unwrap();
        assert!(average.contains("besides this one 0, load average of others 2.00"), "{average}");
        assert!(load("0.00 0.00 0.00 2/125 27637").unwrap().contains("besides this one 1,"));
        // On many processors one stray task is no crowd.
        assert_eq!(Load::parse("0.50 0 0 2/1 1").unwrap().warning(64), None);
        // what it has itself run is no other work, but what runs now is
        let own = |line: &str, seconds| Load::parse(line).unwrap().without(seconds).warning(4);
        assert_eq!(own("2.50 3.86 2.95 1/125 27637", 31.0), None);
        assert!(own("2.50 3.86 2.95 1/125 27637", 29.0).unwrap().contains("load average of others 2.02"));
        assert!(own("2.50 3.86 2.95 2/125 27637", 1e6)
            .unwrap()
            .contains("besides this one 1, load average of others 0.00"));
        for damaged in ["", "a b c d", "1.0 1.0 1.0", "1.0 1.0 1.0 x/2"] {
            assert_eq!(Load::parse(damaged), None);
        }
    }
}
