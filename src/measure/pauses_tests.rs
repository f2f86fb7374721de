//! Oracle: sums by hand. What a turn took beyond running, waiting and its usual sleep is a pause.

use std::cell::Cell;
use std::rc::Rc;

use super::*;

fn ms(ms: f64) -> Duration {
    Duration::from_secs_f64(1e-3 * ms)
}

fn spent(wall: f64, running: f64, delay: f64) -> Reading {
    Reading { wall: ms(wall), running: Some(ms(running)), delay: ms(delay), suspended: Duration::ZERO }
}

/// After five turns of 10 ms of which 9.5 were run: of what is beyond 9.5, four times 0.5 may be sleep.
#[test]
fn what_nothing_explains_is_a_pause() {
    let usual = [10.0 / 9.5; 5];
    let length = |s: Reading| pause(&s, &usual).map(|p| (1e3 * p.as_secs_f64()).round());
    assert_eq!(length(spent(10.0, 9.5, 0.0)), None);
    assert_eq!(length(spent(2011.2, 9.5, 0.0)), Some(2000.0), "2011.2 − 9.5 − 4·0.5, rounded");
    // a slower machine, a machine that others keep busy, a longer sleep
    assert_eq!(length(spent(100.0, 95.0, 0.0)), None);
    assert_eq!(length(spent(100.0, 9.5, 90.5)), None);
    assert_eq!(length(spent(12.0, 9.5, 0.0)), None);
    // 10 % of the turn, and 50 ms
    assert_eq!(length(spent(1000.0, 800.0, 0.0)), None, "168 ms of sleep are explained, and 32 are too few");
    assert_eq!(length(spent(1000.0, 700.0, 0.0)), Some(153.0), "1000 − 700·(1 + 4/19)");
    assert_eq!(length(spent(51.4, 1.0, 0.3)), None);
    assert_eq!(length(spent(51.6, 1.0, 0.3)), Some(50.0));
    // nothing to compare with, nothing told
    assert_eq!(pause(&spent(2010.0, 9.5, 0.0), &usual[..2]), None);
    assert_eq!(pause(&Reading { running: None, ..spent(2010.0, 9.5, 0.0) }, &usual), None);
}

/// A thread that waits for a device nine tenths of the time may do so for four times as long.
#[test]
fn those_who_sleep_may_sleep_longer() {
    let usual = [10.0; 5];
    assert_eq!(pause(&spent(37.0, 1.0, 0.0), &usual), None);
    assert_eq!(pause(&spent(2000.0, 1.0, 0.0), &usual), Some(ms(1963.0)));
}

#[test]
fn paused_samples_are_retried_and_then_kept() {
    let clocks = Rc::new(Cell::new(spent(0.0, 0.0, 0.0)));
    let clock = Rc::clone(&clocks);
    let mut pauses = Pauses::by(move || clock.get());
    let turn = |pauses: &mut Pauses, usual: &mut Usual, by: Reading| {
        let (start, old) = (pauses.now(), clocks.get());
        clocks.set(Reading {
            wall: old.wall + by.wall,
            running: old.running.zip(by.running).map(|(a, b)| a + b),
            delay: old.delay + by.delay,
            suspended: old.suspended + by.suspended,
        });
        pauses.note(usual, start)
    };
    let mut usual = [Usual::default(), Usual::default()];
    for subject in [0, 1, 0, 1, 0, 1] {
        assert_eq!(turn(&mut pauses, &mut usual[subject], spent(10.0, 10.0, 0.0)), None);
    }
    assert_eq!((pauses.warning(), pauses.active()), (None, ms(60.0)));
    let pause = turn(&mut pauses, &mut usual[0], spent(1510.0, 10.0, 0.0));
    assert_eq!((pause, pauses.active()), (Some(ms(1500.0)), ms(70.0)));
    let again = [0, 1, 2, 3].map(|retries| pauses.judge(pause, retries, 3) == Keep::Retry);
    assert_eq!(again, [true, true, true, false]);
    assert_eq!(pauses.judge(None, 0, 3), Keep::Yes);
    let warning = pauses.warning().unwrap();
    assert!(
        warning.contains("during 4 samples, for up to 1.50 s; 3 were discarded")
            && warning.contains("1 were kept"),
        "{warning}"
    );
    // a suspended machine stops the wall clock by itself
    let asleep = Reading { suspended: ms(9000.0), ..spent(10.0, 10.0, 0.0) };
    assert_eq!((turn(&mut pauses, &mut usual[1], asleep), pauses.active()), (Some(ms(9000.0)), ms(80.0)));
    // another contender, of which nothing is known yet
    assert_eq!(turn(&mut pauses, &mut Usual::default(), spent(1510.0, 10.0, 0.0)), None);
}

/// Running and sleeping of this thread, as the system tells them.
#[cfg(target_os = "linux")]
#[test]
fn clocks_of_this_thread() {
    let mut pauses = Pauses::of_this_thread();
    let start = pauses.now();
    let begin = Instant::now();
    while begin.elapsed() < ms(20.0) {
        std::hint::spin_loop();
    }
    std::thread::sleep(ms(50.0));
    let spent = pauses.now().since(start);
    assert!(spent.wall >= ms(70.0) && spent.suspended == Duration::ZERO, "{spent:?}");
    // absent where the system keeps no such times; while it spun, other programs may have had the processor
    if let Some(running) = spent.running {
        assert!(running <= spent.wall - ms(50.0) && running + spent.delay >= ms(15.0), "{spent:?}");
    }
}
