//! Times of several contenders on a card, taken in turns: what the benches there measure with.
//!
//! A card at rest clocks down, and under load its clock follows temperature and power. So a [`Sampler`] first lets the
//! contenders work until the clock is up, and then takes one sample of each per round, in an order drawn anew for every
//! round: what drifts hits all of them alike, and two contenders are compared round by round ([`Series`]). A sample is one
//! pair of events around ten calls and more where these fit into the time, so that neither the resolution of events (half a
//! microsecond) nor the way to an idle card counts for much. Everything here is arithmetic over a [`Clock`], so that it is
//! tested without a card.

mod series;

pub use series::{Series, Spread};

use candle_core::Result;

/// One call of a contender, queued on the device; nothing need have happened when it returns.
pub type Work<'a> = dyn FnMut() -> Result<()> + 'a;

/// What calls took together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Took {
    /// Nanoseconds between two events of the device.
    pub device_ns: f64,
    /// Nanoseconds from a device at rest to a device at rest, on the wall clock.
    pub wall_ns: f64,
}

/// Where time comes from.
pub trait Clock {
    /// Queues `work` so often between one pair of events, and waits for it.
    ///
    /// # Errors
    /// Those of `work`, and of the device.
    fn time(&mut self, calls: usize, work: &mut Work<'_>) -> Result<Took>;

    /// What the device clocks at now, in MHz, if that can be read. Never asked for between two events.
    fn mhz(&mut self) -> Option<f64>;

    /// Seconds since a moment that stays the same.
    fn now(&self) -> f64;
}

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Seconds of work on the device before the first sample of a process.
    pub spin: f64,
    /// Seconds without a sample after which the clock may have fallen.
    pub idle: f64,
    /// Seconds of work on the device after such a pause.
    pub spin_again: f64,
    /// Nanoseconds on the device that a sample takes at least.
    pub sample_ns: f64,
    /// Calls that a sample has at least, unless these would leave no time for the fewest `samples`.
    pub calls: usize,
    /// Samples of a contender, at least and at most.
    pub samples: (usize, usize),
    /// Seconds between two readings of the device's clock for one contender.
    pub readings: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            spin: 0.5,
            idle: 0.02,
            spin_again: 0.1,
            sample_ns: 1e6,
            calls: 10,
            samples: (5, 200),
            readings: 0.05,
        }
    }
}

impl Limits {
    /// Nanoseconds of one sample where the fewest samples allowed take `seconds` together.
    fn share(&self, seconds: f64) -> f64 {
        seconds * 1e9 / self.samples.0.max(1) as f64
    }
}

/// Calls of one sample at most, whatever they take.
const MOST_CALLS: usize = 1 << 16;

/// What was measured of one contender; as many samples as every other contender of the same measurement has.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    /// Calls per sample.
    pub calls: usize,
    /// Nanoseconds of the device per call, round by round.
    pub device: Series,
    /// Nanoseconds of the wall clock per call, round by round.
    pub wall: Series,
    /// What the device clocked at right after samples of this contender, in MHz; empty where that cannot be read.
    pub mhz: Vec<f64>,
}

/// Measures contenders in turns.
#[derive(Debug)]
pub struct Sampler<C> {
    clock: C,
    limits: Limits,
    random: u64,
    /// When the device last had work.
    worked: Option<f64>,
}

/// A contender that still runs.
struct Runner {
    calls: usize,
    last: Option<Took>,
    read: Option<f64>,
    device: Vec<f64>,
    wall: Vec<f64>,
    mhz: Vec<f64>,
}

impl Runner {
    fn new() -> Self {
        Self { calls: 1, last: None, read: None, device: vec![], wall: vec![], mhz: vec![] }
    }

    /// Per call, from its last sample.
    fn per_call(&self) -> Took {
        let took = self.last.unwrap_or(Took { device_ns: 0.0, wall_ns: 0.0 });
        let calls = self.calls as f64;
        Took { device_ns: took.device_ns / calls, wall_ns: took.wall_ns / calls }
    }

    /// Calls of a sample for about `seconds` of all its samples.
    fn calls_within(&self, seconds: f64, limits: &Limits) -> usize {
        let Took { device_ns, wall_ns } = self.per_call();
        let wanted = (limits.sample_ns / device_ns.max(1.0)).ceil().min(MOST_CALLS as f64) as usize;
        let fitting = (limits.share(seconds) / wall_ns.max(1.0)).min(MOST_CALLS as f64) as usize;
        wanted.max(limits.calls).min(fitting).max(1)
    }
}

impl<C: Clock> Sampler<C> {
    /// A sampler that has not measured anything yet.
    pub fn new(clock: C, limits: Limits) -> Self {
        Self { clock, limits, random: 0x5eed, worked: None }
    }

    /// Measures contenders for about `seconds` each, all of them in every round; the order of the results is theirs.
    ///
    /// # Errors
    /// Each contender's own: one that fails is measured no further, and the others are.
    pub fn measure(&mut self, seconds: f64, contenders: &mut [Box<Work<'_>>]) -> Vec<Result<Samples>> {
        let mut runners: Vec<Result<Runner>> = contenders.iter().map(|_| Ok(Runner::new())).collect();
        self.warm_up(seconds, &mut runners, contenders);
        for runner in runners.iter_mut().flatten() {
            runner.calls = runner.calls_within(seconds, &self.limits);
        }
        let start = self.clock.now();
        let (fewest, most) = self.limits.samples;
        for round in 0..most {
            let living = runners.iter().flatten().count();
            let enough = self.clock.now() - start >= seconds * living as f64;
            if living == 0 || (round >= fewest && enough) {
                break;
            }
            self.round(&mut runners, contenders, true);
        }
        runners.into_iter().map(|runner| runner.map(samples)).collect()
    }

    /// Lets the contenders work until the clock is up and each one's time is known: twice as many calls from round to round,
    /// as a queue that runs dry leaves the device waiting.
    fn warm_up(&mut self, seconds: f64, runners: &mut [Result<Runner>], contenders: &mut [Box<Work<'_>>]) {
        let start = self.clock.now();
        let idle = self.worked.map(|worked| start - worked);
        let spin = match idle {
            None => self.limits.spin,
            Some(idle) if idle > self.limits.idle => self.limits.spin_again,
            Some(_) => 0.0,
        };
        // the first call loads, allocates and records
        self.round(runners, contenders, false);
        let (mut spun, begin) = (0.0, self.clock.now());
        loop {
            spun += 1e-9 * self.round(runners, contenders, false);
            let mut growing = false;
            let spinning = spun < spin && self.clock.now() - begin < 4.0 * spin;
            for runner in runners.iter_mut().flatten() {
                let Some(took) = runner.last else { continue };
                // a sample of half the length measures the time of a call well enough
                let short = took.device_ns < 0.5 * self.limits.sample_ns
                    && 2.0 * took.wall_ns < self.limits.share(seconds)
                    && runner.calls < MOST_CALLS;
                if short {
                    runner.calls *= 2;
                    // not of these calls
                    runner.last = None;
                    growing = true;
                }
            }
            if (!growing && !spinning) || runners.iter().all(Result::is_err) {
                return;
            }
        }
    }

    /// One sample of each contender that still runs, in an order of its own; nanoseconds that the device worked.
    fn round(&mut self, runners: &mut [Result<Runner>], contenders: &mut [Box<Work<'_>>], keep: bool) -> f64 {
        let mut worked = 0.0;
        for i in self.order(contenders.len()) {
            let Ok(runner) = &mut runners[i] else { continue };
            let took = match self.clock.time(runner.calls, &mut *contenders[i]) {
                Ok(took) => took,
                Err(error) => {
                    runners[i] = Err(error);
                    continue;
                }
            };
            worked += took.device_ns;
            runner.last = Some(took);
            if !keep {
                continue;
            }
            let Took { device_ns, wall_ns } = runner.per_call();
            runner.device.push(device_ns);
            runner.wall.push(wall_ns);
            let now = self.clock.now();
            if runner.read.is_none_or(|read| now - read >= self.limits.readings) {
                runner.read = Some(now);
                runner.mhz.extend(self.clock.mhz());
            }
        }
        self.worked = Some(self.clock.now());
        worked
    }

    /// 0..n, shuffled.
    fn order(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            // splitmix64
            self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.random;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            order.swap(i, (z % (i as u64 + 1)) as usize);
        }
        order
    }
}

fn samples(runner: Runner) -> Samples {
    let Runner { calls, device, wall, mhz, .. } = runner;
    Samples { calls, device: Series::new(device), wall: Series::new(wall), mhz }
}

#[cfg(test)]
mod tests;
