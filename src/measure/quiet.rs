//! Waiting until other processes leave the processors alone.
//!
//! Linux counts for every processor (`/proc/stat`) and every process (`/proc/<pid>/stat`) how long it was at work. What
//! processors did in a while beyond this process's own part was for others, those of other containers and other virtual
//! machines (steal) included; names are known of the processes that can be seen.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::{Error, Result};

/// Time between two readings: fifty of the steps in which the system counts.
const WINDOW: Duration = Duration::from_millis(500);
/// Readings in a row that find a machine quiet before it is called so.
const IN_A_ROW: u32 = 2;
/// Processors that others may use on a quiet machine: a tenth of one, or one in a hundred of all.
const QUIET: (f64, f64) = (0.1, 0.01);
/// Time between two messages.
const MESSAGES: Duration = Duration::from_secs(10);
/// Processes named in a message.
const NAMED: usize = 3;

/// The value of `--wait-quiet`.
///
/// # Errors
/// [`Error::Invalid`] if it is no length of time.
pub fn limit(seconds: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|_| {
        Error::Invalid(format!(
            "--wait-quiet {seconds} is out of range; expected a number of seconds, 0 or more"
        ))
    })
}

/// Waits until other processes use next to none of the processors, at most for `most`. `tell` is given sentences about what
/// is waited for, now and then. Returns how busy others still were, in a sentence for the record, if the time was over
/// before; at once where the system tells nothing, with a sentence that says so.
pub fn wait(most: Duration, tell: &mut dyn FnMut(&str)) -> Option<String> {
    wait_for(&mut || Reading::take(Path::new("/proc")), most, WINDOW, tell)
}

fn wait_for(
    read: &mut dyn FnMut() -> Option<Reading>,
    most: Duration,
    window: Duration,
    tell: &mut dyn FnMut(&str),
) -> Option<String> {
    let start = Instant::now();
    let Some(mut before) = read() else {
        return Some(
            "--wait-quiet: this system does not tell what other processes do; nothing was waited for".into(),
        );
    };
    let (mut quiet, mut told) = (0, None::<Instant>);
    loop {
        sleep(window);
        let now = read()?;
        let others = now.since(&before);
        before = now;
        quiet = if others.are_quiet() { quiet + 1 } else { 0 };
        if quiet == IN_A_ROW {
            return None;
        }
        if start.elapsed() >= most {
            return Some(format!(
                "the machine did not become quiet within {:.0} s (--wait-quiet): {others}; end other work and run again",
                most.as_secs_f64()
            ));
        }
        if quiet == 0 && told.is_none_or(|then| then.elapsed() >= MESSAGES) {
            told = Some(Instant::now());
            tell(&format!(
                "waiting for a quiet machine, {:.0} of at most {:.0} s: {others}",
                start.elapsed().as_secs_f64(),
                most.as_secs_f64()
            ));
        }
    }
}

/// What the system had counted at one time, in its own steps.
#[derive(Debug, Clone, PartialEq)]
struct Reading {
    processors: usize,
    /// All processors: at work, and altogether.
    busy: u64,
    total: u64,
    /// This process.
    own: u64,
    /// Other processes: number, time of start, name, at work.
    others: HashMap<(u32, u64), (String, u64)>,
}

/// What other processes did between two readings.
#[derive(Debug, Clone, PartialEq)]
struct Others {
    processors: usize,
    /// Processors that they used, on average.
    used: f64,
    /// The same for those that used most.
    most: Vec<(String, u32, f64)>,
}

impl Reading {
    /// `None` where the system does not tell.
    fn take(proc: &Path) -> Option<Self> {
        let text = |path: PathBuf| fs::read_to_string(path).ok();
        let stat = text(proc.join("stat"))?;
        let (busy, total) = processors(stat.lines().next()?)?;
        let processors = stat.lines().skip(1).take_while(|line| line.starts_with("cpu")).count();
        let own = process(&text(proc.join("self/stat"))?)?;
        let mut others = HashMap::new();
        for entry in fs::read_dir(proc).ok()?.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            // those that end meanwhile cannot be read
            let read = text(entry.path().join("stat")).as_deref().and_then(process);
            if let Some(other) = read.filter(|other| other.pid != own.pid) {
                others.insert((pid, other.start), (other.name, other.work));
            }
        }
        Some(Self { processors: processors.max(1), busy, total, own: own.work, others })
    }

    fn since(&self, before: &Self) -> Others {
        let total = self.total.saturating_sub(before.total).max(1) as f64;
        let share = |work: u64| work as f64 / total * self.processors as f64;
        let busy = self.busy.saturating_sub(before.busy);
        let own = self.own.saturating_sub(before.own);
        let mut most: Vec<_> = self
            .others
            .iter()
            .map(|(key, (name, work))| {
                let then = before.others.get(key).map_or(0, |(_, then)| *then);
                (name.clone(), key.0, share(work.saturating_sub(then)))
            })
            .filter(|(.., used)| *used >= 0.01)
            .collect();
        most.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.1.cmp(&b.1)));
        most.truncate(NAMED);
        Others { processors: self.processors, used: share(busy.saturating_sub(own)), most }
    }
}

impl Others {
    fn are_quiet(&self) -> bool {
        self.used < QUIET.0.max(QUIET.1 * self.processors as f64)
    }
}

impl std::fmt::Display for Others {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "other processes use {:.2} of {} processors", self.used, self.processors)?;
        for (i, (name, pid, used)) in self.most.iter().enumerate() {
            write!(
                f,
                "{} {} (process {pid}) {used:.2}",
                if i == 0 { ", most of them" } else { "," },
                name.escape_debug()
            )?;
        }
        Ok(())
    }
}

/// The first line of `/proc/stat`, `cpu user nice system idle iowait irq softirq steal guest guest_nice`: at work, and
/// altogether. Guests are in `user` and `nice` already.
fn processors(line: &str) -> Option<(u64, u64)> {
    let mut words = line.split_ascii_whitespace();
    if words.next() != Some("cpu") {
        return None;
    }
    let times: Vec<u64> = words.take(8).map(|word| word.parse().ok()).collect::<Option<_>>()?;
    let [user, nice, system, idle, iowait, rest @ ..] = &times[..] else { return None };
    let busy =
        [user, nice, system].into_iter().chain(rest).fold(0_u64, |sum, time| sum.saturating_add(*time));
    Some((busy, busy.saturating_add(*idle).saturating_add(*iowait)))
}

/// What is used of a process's line.
struct Process {
    pid: u32,
    name: String,
    work: u64,
    start: u64,
}

/// A line of `/proc/<pid>/stat`: `pid (name) state …` with user and system time as fields 14 and 15 and the start as 22. A
/// name may hold blanks and brackets.
fn process(line: &str) -> Option<Process> {
    let (pid, rest) = line.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let words: Vec<&str> = rest.split_ascii_whitespace().collect();
    // the state is field 3
    let field = |n: usize| words.get(n - 3)?.parse::<u64>().ok();
    let work = field(14)?.saturating_add(field(15)?);
    Some(Process { pid: pid.parse().ok()?, name: name.to_owned(), work, start: field(22)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_system() {
        assert_eq!(processors("cpu  100 20 30 800 5 1 2 7 9 0"), Some((160, 965)));
        assert_eq!(processors("cpu 100 20 30 800 5"), Some((150, 955)), "old kernels");
        for damaged in ["", "cpu", "cpu0 1 2 3 4 5 6 7 8", "cpu 1 2 3 4", "cpu 1 2 x 4 5 6 7 8"] {
            assert_eq!(processors(damaged), None, "{damaged}");
        }
        let line = "4242 (a) b (c) R 1 2 3 0 -1 4194304 90 0 0 0 70 8 0 0 20 0 1 0 12345 1000 200";
        let read = process(line).unwrap();
        assert_eq!((read.pid, &read.name[..], read.work, read.start), (4242, "a) b (c", 78, 12345));
        for damaged in ["", "1", "1 (sh", "1 (sh) R 1 2", "x (sh) R 1 2 3 0 -1 4 9 0 0 0 7 8 0 0 2 0 1 0 5 1"]
        {
            assert!(process(damaged).is_none(), "{damaged}");
        }
    }

    /// Two processors, 100 steps of each: others had 110 of the 200, a shell that was there before 99 and one that has
    /// started since 8.
    #[test]
    fn what_others_used() {
        let others = |all: &[(u32, u64, &str, u64)]| {
            all.iter().map(|(pid, start, name, work)| ((*pid, *start), ((*name).to_owned(), *work))).collect()
        };
        let before = Reading {
            processors: 2,
            busy: 1000,
            total: 5000,
            own: 30,
            others: others(&[(7, 1, "sh", 400), (9, 1, "idle", 3), (8, 1, "gone", 77)]),
        };
        let now = Reading {
            processors: 2,
            busy: 1150,
            total: 5200,
            own: 70,
            // number 8 is another process now
            others: others(&[(7, 1, "sh", 499), (9, 1, "idle", 3), (8, 5, "new", 8)]),
        };
        let found = now.since(&before);
        assert_eq!((found.used, found.processors), (1.1, 2));
        assert_eq!(found.most, [("sh".to_owned(), 7, 0.99), ("new".to_owned(), 8, 0.08)]);
        assert_eq!(
            found.to_string(),
            "other processes use 1.10 of 2 processors, most of them sh (process 7) 0.99, new (process 8) 0.08"
        );
        let quiet = |used, processors| Others { used, processors, most: vec![] }.are_quiet();
        assert!(quiet(0.09, 2) && !quiet(0.11, 2) && quiet(0.6, 64) && !quiet(0.7, 64));
        // what this process has done itself is not waited for
        assert_eq!(Reading { own: 180, ..now }.since(&before).used, 0.0);
    }

    /// A machine on which others use this many of 100 steps between readings.
    fn machine(mut busy: impl FnMut(usize) -> u64) -> impl FnMut() -> Option<Reading> {
        let (mut n, mut at) =
            (0, Reading { processors: 1, busy: 0, total: 0, own: 0, others: HashMap::new() });
        move || {
            at.total += 100;
            at.busy += busy(n);
            n += 1;
            Some(at.clone())
        }
    }

    #[test]
    fn waits_for_two_quiet_readings_in_a_row() {
        let long = Duration::from_secs(3600);
        let mut readings = 0;
        let mut read = machine(|n| {
            readings = n;
            [0, 99, 50, 9, 50, 9, 9][n]
        });
        let mut told = Vec::new();
        let still = wait_for(&mut read, long, Duration::ZERO, &mut |text| told.push(text.to_owned()));
        drop(read);
        assert_eq!((still, readings), (None, 6));
        assert_eq!(
            told,
            ["waiting for a quiet machine, 0 of at most 3600 s: other processes use 0.99 of 1 processors"]
        );
    }

    #[test]
    fn gives_up_when_the_time_is_over() {
        let (most, window) = (Duration::from_millis(20), Duration::from_millis(5));
        let still = wait_for(&mut machine(|_| 100), most, window, &mut |_| {}).unwrap();
        assert!(still.contains("within 0 s (--wait-quiet): other processes use 1.00 of 1"), "{still}");
        let nothing = wait_for(&mut || None, most, window, &mut |_| {}).unwrap();
        assert!(nothing.contains("does not tell"), "{nothing}");
    }

    /// A busy loop of this process's own is no other's; one of a child is.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_child_is_seen_by_name() {
        let Some(before) = Reading::take(Path::new("/proc")) else { return };
        let mut child = std::process::Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        sleep(Duration::from_millis(600));
        let now = Reading::take(Path::new("/proc")).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let key = |(pid, _): &(u32, u64)| *pid == child.id();
        let (name, work) = now.others.iter().find(|(k, _)| key(k)).map(|(_, found)| found.clone()).unwrap();
        assert_eq!(name, "sh");
        // two steps of sixty, even where dozens of others want the same processor
        assert!(work >= 2, "{work}");
        assert!(now.since(&before).used > 0.0);
        assert!(now.others.keys().all(|(pid, _)| *pid != std::process::id()));
    }
}
