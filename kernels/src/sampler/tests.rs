use std::cell::RefCell;
use std::rc::Rc;

use candle_core::Error;

use super::*;

/// A device that works at a speed of its own, and what has been asked of it.
#[derive(Default)]
struct World {
    /// Nanoseconds.
    now: f64,
    /// How much faster it becomes in a second.
    drift: f64,
    /// Whether a first event has been recorded and no second one.
    within: bool,
    /// Contender and calls of every sample, warming up included, and when it began.
    samples: Vec<(usize, usize, f64)>,
    current: usize,
    readings: usize,
}

impl World {
    fn speed(&self) -> f64 {
        1.0 + self.drift * self.now * 1e-9
    }
}

struct Fake(Rc<RefCell<World>>);

/// What queueing and waiting for a sample take on the wall clock besides.
const WAITING: f64 = 5e3;

impl Clock for Fake {
    fn time(&mut self, calls: usize, work: &mut Work<'_>) -> Result<Took> {
        let begin = self.0.borrow().now;
        self.0.borrow_mut().within = true;
        let done = (0..calls).try_for_each(|_| work());
        let mut world = self.0.borrow_mut();
        world.within = false;
        done?;
        let device_ns = world.now - begin;
        world.now += WAITING;
        let sample = (world.current, calls, begin);
        world.samples.push(sample);
        Ok(Took { device_ns, wall_ns: device_ns + WAITING })
    }

    fn mhz(&mut self) -> Option<f64> {
        let mut world = self.0.borrow_mut();
        assert!(!world.within, "the clock is read between two events");
        world.readings += 1;
        Some(1000.0 * world.speed())
    }

    fn now(&self) -> f64 {
        self.0.borrow().now * 1e-9
    }
}

fn world(drift: f64) -> Rc<RefCell<World>> {
    Rc::new(RefCell::new(World { drift, ..World::default() }))
}

/// Contender `id`, whose calls take `ns` nanoseconds at speed 1; after `lives` calls it fails.
fn contender(world: &Rc<RefCell<World>>, id: usize, ns: f64, lives: usize) -> Box<Work<'static>> {
    let (world, mut calls) = (world.clone(), 0);
    Box::new(move || {
        calls += 1;
        if calls > lives {
            return Err(Error::Msg(format!("contender {id} is out of order")));
        }
        let mut world = world.borrow_mut();
        let speed = world.speed();
        world.now += ns / speed;
        world.current = id;
        Ok(())
    })
}

fn contenders(world: &Rc<RefCell<World>>, ns: &[f64]) -> Vec<Box<Work<'static>>> {
    ns.iter().enumerate().map(|(id, ns)| contender(world, id, *ns, usize::MAX)).collect()
}

/// Of a new sampler.
fn measure(world: &Rc<RefCell<World>>, seconds: f64, ns: &[f64]) -> Vec<Samples> {
    let mut sampler = Sampler::new(Fake(world.clone()), Limits::default());
    sampler.measure(seconds, &mut contenders(world, ns)).into_iter().map(Result::unwrap).collect()
}

fn near(got: f64, expected: f64, within: f64) {
    assert!((got / expected - 1.0).abs() < within, "{got}; expected {expected}");
}

#[test]
fn rounds_have_every_contender_once_in_changing_orders() {
    let world = world(0.0);
    let all = measure(&world, 0.25, &[1e5, 2e5, 3e5]);
    let rounds = all[0].device.rounds().len();
    assert!(rounds >= 50 && all.iter().all(|samples| samples.device.rounds().len() == rounds));
    assert!(all.iter().all(|samples| samples.wall.rounds().len() == rounds));
    let world = world.borrow();
    let kept = &world.samples[world.samples.len() - 3 * rounds..];
    let mut orders: Vec<[usize; 3]> =
        kept.chunks(3).map(|round| [round[0].0, round[1].0, round[2].0]).collect();
    for order in &orders {
        let mut sorted = *order;
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 1, 2]);
    }
    orders.sort_unstable();
    orders.dedup();
    assert_eq!(orders.len(), 6, "every order comes up in {rounds} rounds");
}

/// In 0.25 s there are five samples of 50 ms.
#[test]
fn calls_fill_a_millisecond_are_ten_or_as_many_as_there_is_time_for() {
    let all = measure(&world(0.0), 0.25, &[2e3, 4e5, 4e6, 2e7, 3e8]);
    let calls: Vec<usize> = all.iter().map(|samples| samples.calls).collect();
    assert_eq!(calls, [500, 10, 10, 2, 1]);
    for (samples, ns) in all.iter().zip([2e3, 4e5, 4e6, 2e7, 3e8]) {
        near(samples.device.spread().median, ns, 1e-9);
        near(samples.wall.spread().median, ns + WAITING / samples.calls as f64, 1e-9);
    }
}

#[test]
fn the_clock_is_up_before_the_first_sample_and_after_a_pause() {
    let world = world(0.0);
    let mut sampler = Sampler::new(Fake(world.clone()), Limits::default());
    // nanoseconds of warming up of a measurement that begins with sample `from`
    let mut warmed = |from: usize| {
        let begin = world.borrow().now;
        let done = sampler.measure(0.05, &mut contenders(&world, &[1e6, 2e6]));
        let rounds = done[0].as_ref().unwrap().device.rounds().len();
        let world = world.borrow();
        assert!(world.samples.len() > from + 2 * rounds);
        world.samples[world.samples.len() - 2 * rounds].2 - begin
    };
    let first = warmed(0);
    assert!((0.5e9..0.52e9).contains(&first), "{first}");
    // at once: two calls of each and no more
    let count = world.borrow().samples.len();
    let at_once = warmed(count);
    assert!((6e6..6.1e6).contains(&at_once), "{at_once}");
    world.borrow_mut().now += 1e9;
    let count = world.borrow().samples.len();
    let after = warmed(count);
    assert!((0.1e9..0.12e9).contains(&after), "{after}");
}

/// A device that becomes twice as fast within the first second: one contender after the other would be off by far.
#[test]
fn what_drifts_falls_out_of_ratios_and_differences_of_a_round() {
    let world = world(1.0);
    let all = measure(&world, 0.5, &[2e5, 1e5, 5e5]);
    let (own, ratio) = (all[0].device.spread(), all[0].device.over(&all[1].device).spread());
    assert!(own.high / own.low > 1.1, "{own:?}");
    near(ratio.median, 2.0, 0.01);
    assert!(ratio.high / ratio.low < 1.03, "{ratio:?}");
    // 5e5 for seven and 1e5 for three: 1e5 for each of four more
    let each = all[2].device.marginal(&all[1].device, 4);
    near(each.over(&all[1].device).spread().median, 1.0, 0.02);
    // and the clock of the device goes with every line
    let [first, last] = [all[0].mhz[0], all[0].mhz[all[0].mhz.len() - 1]];
    assert!(first > 1400.0 && last > 1.1 * first, "{first} to {last}");
}

#[test]
fn the_clock_is_read_every_now_and_then() {
    let world = world(0.0);
    let all = measure(&world, 0.5, &[1e5, 1e5]);
    let rounds = all[0].device.rounds().len();
    // 1 s for both, a reading every 50 ms
    assert!(rounds == 200 && (8..=11).contains(&all[0].mhz.len()), "{} in {rounds}", all[0].mhz.len());
    assert_eq!(world.borrow().readings, all[0].mhz.len() + all[1].mhz.len());
}

#[test]
fn one_that_fails_leaves_the_others_their_time() {
    let world = world(0.0);
    let mut sampler = Sampler::new(Fake(world.clone()), Limits::default());
    let mut of = |lives: [usize; 3]| {
        let ids = lives.into_iter().enumerate();
        let mut all: Vec<_> = ids.map(|(id, lives)| contender(&world, id, 1e6, lives)).collect();
        sampler.measure(0.2, &mut all)
    };
    // at the first call, and in rounds of different orders
    for lives in [0, 40, 50, 60, 70, 80, 90, 100] {
        let done = of([usize::MAX, lives, usize::MAX]);
        let [first, failed, last] = &done[..] else { panic!() };
        assert_eq!(failed.as_ref().unwrap_err().to_string(), "contender 1 is out of order");
        let rounds = [first, last].map(|samples| samples.as_ref().unwrap().device.rounds().len());
        assert!(rounds[0] == rounds[1] && rounds[0] >= 15, "{rounds:?}");
    }
    assert!(of([0, 0, 0]).iter().all(Result::is_err));
    assert!(sampler.measure(0.2, &mut []).is_empty());
}

#[test]
fn time_is_kept_and_never_fewer_samples_than_the_limits_say() {
    for (seconds, ns) in [(0.1, 3e4), (0.25, 3e6), (0.25, 2.4e7)] {
        let world = world(0.0);
        let all = measure(&world, seconds, &[ns; 4]);
        let rounds = all[0].device.rounds().len();
        let (begin, end) = {
            let world = world.borrow();
            (world.samples[world.samples.len() - 4 * rounds].2, world.now)
        };
        let took = (end - begin) * 1e-9;
        assert!(rounds >= 5 && took < 4.0 * seconds * 1.25, "{took} s of {seconds} each, {rounds} rounds");
        assert!(rounds == 200 || took >= 4.0 * seconds, "{took} s of {seconds} each, {rounds} rounds");
    }
    // a call that takes longer than all the time there is
    assert_eq!(measure(&world(0.0), 0.1, &[5e8])[0].device.rounds().len(), 5);
}

#[test]
fn quartiles() {
    let spread = |numbers: &[f64]| Series::new(numbers.to_vec()).spread();
    let expected = |low, median, high| Spread { low, median, high };
    assert_eq!(spread(&[5.0, 1.0, 4.0, 2.0, 3.0]), expected(2.0, 3.0, 4.0));
    assert_eq!(spread(&[4.0, 1.0, 2.0, 3.0]), expected(1.75, 2.5, 3.25));
    assert_eq!(spread(&[7.0]), expected(7.0, 7.0, 7.0));
    let none = spread(&[]);
    assert!(none.low.is_nan() && none.median.is_nan() && none.high.is_nan());
    let (a, b) = (Series::new(vec![6.0, 8.0]), Series::new(vec![2.0, 1.0]));
    assert_eq!((a.minus(&b), a.over(&b)), (Series::new(vec![4.0, 7.0]), Series::new(vec![3.0, 8.0])));
    assert_eq!(a.marginal(&b, 2).each(|n| 3.0 * n).rounds(), [6.0, 10.5]);
}
