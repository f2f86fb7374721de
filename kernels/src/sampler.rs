//! Interleaved timing of several contenders on a GPU, for the benches.
//!
//! An idle GPU lowers its clock, and under load its clock follows temperature and power. So a [`Sampler`] first runs
//! the contenders until the clock is up, and then takes one sample of each per round, in an order drawn anew for every
//! round: a drift affects all of them alike, and two contenders are compared round by round ([`Series`]). A sample is
//! one pair of events around ten or more calls, where these fit into the time, so that the resolution of events (half a
//! microsecond) and the latency of an idle GPU matter little. Everything here is arithmetic over a [`Clock`], so that
//! it is tested without a GPU.

mod series;

pub use series::{Series, Spread};

use candle_core::Result;

/// One call of a contender, queued on the device; nothing need have happened when it returns.
pub type Work<'a> = dyn FnMut() -> Result<()> + 'a;

/// The time of several calls together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Took {
    /// Nanoseconds between two events of the device.
    pub device_ns: f64,
    /// Nanoseconds of the wall clock, from an idle device to an idle device.
    pub wall_ns: f64,
}

/// A source of time.
pub trait Clock {
    /// Queues `work` `calls` times between one pair of events, and waits for it.
    ///
    /// # Errors
    /// Those of `work`, and of the device.
    fn time(&mut self, calls: usize, work: &mut Work<'_>) -> Result<Took>;

    /// The clock of the device now, in MHz, if it can be read. Never called between two events.
    fn mhz(&mut self) -> Option<f64>;

    /// Seconds since a moment that stays the same.
    fn now(&self) -> f64;
}

/// The amount of measurement.
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

/// The most calls of one sample.
const MOST_CALLS: usize = 1 << 16;

/// The samples of one contender; all contenders of a measurement have equally many.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    /// Calls per sample.
    pub calls: usize,
    /// Nanoseconds of the device per call, round by round.
    pub device: Series,
    /// Nanoseconds of the wall clock per call, round by round.
    pub wall: Series,
    /// The clock of the device right after samples of this contender, in MHz; empty where it cannot be read.
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

/// A contender that has not failed.
struct Contender {
    calls: usize,
    last: Option<Took>,
    read: Option<f64>,
    device: Vec<f64>,
    wall: Vec<f64>,
    mhz: Vec<f64>,
}

impl Contender {
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
        let mut states: Vec<Result<Contender>> = contenders.iter().map(|_| Ok(Contender::new())).collect();
        self.warm_up(seconds, &mut states, contenders);
        for state in states.iter_mut().flatten() {
            state.calls = state.calls_within(seconds, &self.limits);
        }
        let start = self.clock.now();
        let (fewest, most) = self.limits.samples;
        for round in 0..most {
            let living = states.iter().flatten().count();
            let enough = self.clock.now() - start >= seconds * living as f64;
            if living == 0 || (round >= fewest && enough) {
                break;
            }
            self.round(&mut states, contenders, true);
        }
        states.into_iter().map(|state| state.map(samples)).collect()
    }

    /// Runs the contenders until the clock is up and the time of each is known: with twice as many calls from round to
    /// round, because an empty queue leaves the device idle.
    fn warm_up(&mut self, seconds: f64, states: &mut [Result<Contender>], contenders: &mut [Box<Work<'_>>]) {
        let start = self.clock.now();
        let idle = self.worked.map(|worked| start - worked);
        let spin = match idle {
            None => self.limits.spin,
            Some(idle) if idle > self.limits.idle => self.limits.spin_again,
            Some(_) => 0.0,
        };
        // the first call loads, allocates and records
        self.round(states, contenders, false);
        let (mut spun, begin) = (0.0, self.clock.now());
        loop {
            spun += 1e-9 * self.round(states, contenders, false);
            let mut growing = false;
            let spinning = spun < spin && self.clock.now() - begin < 4.0 * spin;
            for state in states.iter_mut().flatten() {
                let Some(took) = state.last else { continue };
                // a sample of half the length measures the time of a call well enough
                let short = took.device_ns < 0.5 * self.limits.sample_ns
                    && 2.0 * took.wall_ns < self.limits.share(seconds)
                    && state.calls < MOST_CALLS;
                if short {
                    state.calls *= 2;
                    // the last sample had another number of calls
                    state.last = None;
                    growing = true;
                }
            }
            if (!growing && !spinning) || states.iter().all(Result::is_err) {
                return;
            }
        }
    }

    /// One sample of each contender that has not failed, in random order; returns the nanoseconds that the device
    /// worked.
    fn round(
        &mut self,
        states: &mut [Result<Contender>],
        contenders: &mut [Box<Work<'_>>],
        keep: bool,
    ) -> f64 {
        let mut worked = 0.0;
        for i in self.order(contenders.len()) {
            let Ok(state) = &mut states[i] else { continue };
            let took = match self.clock.time(state.calls, &mut *contenders[i]) {
                Ok(took) => took,
                Err(error) => {
                    states[i] = Err(error);
                    continue;
                }
            };
            worked += took.device_ns;
            state.last = Some(took);
            if !keep {
                continue;
            }
            let Took { device_ns, wall_ns } = state.per_call();
            state.device.push(device_ns);
            state.wall.push(wall_ns);
            let now = self.clock.now();
            if state.read.is_none_or(|read| now - read >= self.limits.readings) {
                state.read = Some(now);
                state.mhz.extend(self.clock.mhz());
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

fn samples(state: Contender) -> Samples {
    let Contender { calls, device, wall, mhz, .. } = state;
    Samples { calls, device: Series::new(device), wall: Series::new(wall), mhz }
}

#[cfg(test)]
mod tests;
