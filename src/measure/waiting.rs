//! How long this process was ready to run and was not let: other programs had the processors.

use std::fs;

/// Time of all threads of this process since it began, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    running: u64,
    waiting: u64,
}

impl Waiting {
    /// Now; `None` where the system does not tell (no Linux, or no scheduler statistics in it).
    pub fn now() -> Option<Self> {
        let threads = fs::read_dir("/proc/self/task").ok()?;
        let each = threads
            .filter_map(|entry| parse(&fs::read_to_string(entry.ok()?.path().join("schedstat")).ok()?));
        each.reduce(|a, b| Self { running: a.running + b.running, waiting: a.waiting + b.waiting })
    }

    /// Time waited since `earlier` over time running or waiting; 0 if there was neither.
    ///
    /// Threads that have ended since are no longer counted; what they leave is taken as no time rather than negative.
    pub fn share_since(self, earlier: Self) -> f64 {
        let waiting = self.waiting.saturating_sub(earlier.waiting) as f64;
        let running = self.running.saturating_sub(earlier.running) as f64;
        if waiting > 0.0 {
            waiting / (waiting + running)
        } else {
            0.0
        }
    }
}

/// `<ns on a processor> <ns ready, without one> <times>`.
fn parse(line: &str) -> Option<Waiting> {
    let mut words = line.split_whitespace().map(str::parse);
    Some(Waiting { running: words.next()?.ok()?, waiting: words.next()?.ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares() {
        let at = |running, waiting| Waiting { running, waiting };
        assert_eq!(at(40, 25).share_since(at(10, 15)), 0.25);
        assert_eq!(at(40, 15).share_since(at(10, 15)), 0.0);
        assert_eq!(at(0, 0).share_since(at(0, 0)), 0.0);
        assert_eq!(at(5, 20).share_since(at(10, 15)), 1.0, "a thread has ended");
    }

    #[test]
    fn lines() {
        assert_eq!(
            parse("13387441379 3496986947 1915\n"),
            Some(Waiting { running: 13387441379, waiting: 3496986947 })
        );
        for bad in ["", "1", "x 2 3", "-1 2 3"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    /// More threads than processors wait for each other.
    #[cfg(target_os = "linux")]
    #[test]
    fn crowded_threads_wait() {
        let Some(before) = Waiting::now() else { return };
        let spinners = 4 * std::thread::available_parallelism().map_or(1, usize::from);
        let begin = std::time::Instant::now();
        let share = std::thread::scope(|scope| {
            for _ in 0..spinners {
                scope.spawn(|| while begin.elapsed().as_millis() < 200 {});
            }
            std::thread::sleep(std::time::Duration::from_millis(150));
            Waiting::now().map_or(0.0, |now| now.share_since(before))
        });
        // Four for every processor: three of four wait at any time.
        assert!(share > 0.4, "{share}");
    }
}
