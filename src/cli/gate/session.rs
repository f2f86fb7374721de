//! Measuring: once, and several times where once does not settle it.

use crate::cli::progress::Bar;
use crate::compare::gate;
use crate::compare::{Comparison, Side};
use crate::measure::delay::Scheduler;
use crate::measure::quiet;
use crate::record::{self, Record};
use crate::run::{self, Job, Target};
use crate::suite::Suite;
use crate::Result;

use super::Args;

/// A record, and for which share of the time other programs kept it from running.
pub(super) struct Session {
    pub(super) record: Record,
    pub(super) waited: Option<f64>,
}

/// Attempts at a session, for a machine that is too busy only now and then.
const ATTEMPTS: usize = 3;

/// Measures a suite into a record under the gate's folder; again, into `name-retry-1`, …, while the processors are
/// contended.
pub(super) fn measure(args: &Args, suite: &Suite, name: &str) -> Result<Session> {
    let mut session = attempt(args, suite, name)?;
    for retry in 1..ATTEMPTS {
        if args.too_much(session.waited).is_none() {
            break;
        }
        let other = attempt(args, suite, &format!("{name}-retry-{retry}"))?;
        // The calmest counts, whatever it measured.
        if other.waited < session.waited {
            session = other;
        }
    }
    Ok(session)
}

/// Ceilings would tell nothing here and take seconds.
fn attempt(args: &Args, suite: &Suite, name: &str) -> Result<Session> {
    let job = Job {
        suite,
        data: None,
        results: &args.results,
        target: Target::New(Some(args.out.join(name))),
        argv: std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect(),
        allow_debug: args.allow_debug_build,
        shard: None,
        ceilings: false,
        wait_quiet: args.wait_quiet.map(quiet::limit).transpose()?,
    };
    let mut bar = Bar::new();
    let mut scheduler = Scheduler::of_this_process();
    let before = scheduler.as_mut().and_then(Scheduler::times);
    let dir = run::run(&job, &mut bar);
    let after = scheduler.as_mut().and_then(|scheduler| {
        scheduler.look_for_threads();
        scheduler.times()
    });
    let waited = after.zip(before).map(|(after, before)| after.delay_share_since(before));
    bar.clear();
    Ok(Session { record: record::read(&dir?)?, waited })
}

/// Measures the points of suspects again, each as a whole and in several sessions.
pub(super) fn second_look(args: &Args, suite: &Suite, comparison: &Comparison) -> Result<Vec<Side>> {
    let points = gate::suspects(comparison);
    let mut sides = Vec::new();
    for (i, point) in points.iter().enumerate() {
        let name = format!("again-{}", i + 1);
        let (records, waited) = sessions(args, &suite.only_point(point)?, &name)?;
        let mut side = Side::pooled(&records)?.having_waited(args.too_much(waited));
        side.name = format!("{point} ({}-1 to -{})", args.out.join(name).display(), records.len());
        sides.push(side);
    }
    Ok(sides)
}

/// Measures a suite several times, into records `name-1`, `name-2`, …; and their mean share of waiting.
pub(super) fn sessions(args: &Args, suite: &Suite, name: &str) -> Result<(Vec<Record>, Option<f64>)> {
    let (mut records, mut shares) = (Vec::new(), Vec::new());
    for k in 1..=gate::SESSIONS {
        let session = measure(args, suite, &format!("{name}-{k}"))?;
        records.push(session.record);
        shares.extend(session.waited);
    }
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    Ok((records, Some(mean).filter(|mean| mean.is_finite())))
}
