//! Whether a GPU had to slow down: its clock after each sample against the run's own median.

use super::subject::Timed;

/// A clock below this share of the median is throttled. Ordinary boosting moves it by some percent.
const THROTTLED: f64 = 0.75;
/// Samples before which a median says too little.
const FEWEST: usize = 5;

/// The clocks of a run's samples so far.
#[derive(Debug, Default)]
pub struct Clocks {
    /// Of samples that were kept, sorted.
    kept: Vec<u32>,
    discarded: usize,
    slow: usize,
}

/// What to do with a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Keep it.
    Yes,
    /// Discard it, and measure again.
    Retry,
}

impl Clocks {
    /// Decides on a sample that was taken after `retries` discarded ones, of at most `most`. A sample whose clock
    /// is unknown is kept; one that is still slow after all retries is kept too, and counted.
    pub fn judge(&mut self, sample: &Timed, retries: usize, most: usize) -> Keep {
        let Some(clock) = sample.sm_clock_mhz else { return Keep::Yes };
        let slow = throttled(clock, &self.kept);
        if slow && retries < most {
            self.discarded += 1;
            return Keep::Retry;
        }
        self.slow += usize::from(slow);
        let at = self.kept.partition_point(|&known| known < clock);
        self.kept.insert(at, clock);
        Keep::Yes
    }

    /// A sentence for the record, if anything was discarded or kept although it was slow.
    pub fn warning(&self) -> Option<String> {
        (self.discarded + self.slow > 0).then(|| {
            format!(
                "the GPU throttled: {} samples were discarded and measured again because its clock was below {:.0} % \
                 of the run's median, {} of {} kept samples are slow all the same; cool it or lower its power, and \
                 run again",
                self.discarded,
                100.0 * THROTTLED,
                self.slow,
                self.kept.len()
            )
        })
    }
}

/// Whether `clock` is below 75 % of the median of `sorted`; never before there are 5 to compare with.
fn throttled(clock: u32, sorted: &[u32]) -> bool {
    let n = sorted.len();
    // the mean of the two middle ones, which are the same if n is odd
    n >= FEWEST
        && f64::from(clock) < THROTTLED * 0.5 * (f64::from(sorted[(n - 1) / 2]) + f64::from(sorted[n / 2]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(clock: Option<u32>) -> Timed {
        Timed {
            wall_ns: 1,
            device_ns: None,
            checksum: 0.0,
            delay_ns: None,
            sm_clock_mhz: clock,
            executions: 1,
        }
    }

    #[test]
    fn three_quarters_of_the_median() {
        assert!(!throttled(0, &[1000; 4]), "too few to say");
        assert!(throttled(749, &[1000; 5]) && !throttled(750, &[1000; 5]));
        // median of an even number: 1200
        let clocks = [100, 900, 1000, 1400, 1500, 2000];
        assert!(throttled(899, &clocks) && !throttled(900, &clocks));
    }

    #[test]
    fn slow_samples_are_retried_and_then_kept() {
        let mut clocks = Clocks::default();
        // falling, so that each has to find its place
        for clock in [1700, 1650, 1600, 1550, 1500] {
            assert_eq!(clocks.judge(&at(Some(clock)), 0, 3), Keep::Yes);
        }
        assert_eq!(clocks.kept, [1500, 1550, 1600, 1650, 1700]);
        assert_eq!(clocks.warning(), None);
        assert_eq!(clocks.judge(&at(Some(1199)), 0, 3), Keep::Retry);
        assert_eq!(clocks.judge(&at(Some(1199)), 2, 3), Keep::Retry);
        assert_eq!(clocks.kept.len(), 5, "what is discarded does not move the median");
        assert_eq!(clocks.judge(&at(Some(1199)), 3, 3), Keep::Yes);
        assert_eq!(clocks.judge(&at(Some(1200)), 0, 3), Keep::Yes);
        assert_eq!(clocks.judge(&at(None), 0, 3), Keep::Yes);
        let warning = clocks.warning().unwrap();
        assert!(warning.contains("2 samples were discarded") && warning.contains("1 of 7 kept"), "{warning}");
    }
}
