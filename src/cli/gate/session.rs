//! Measuring: once, and for longer where once does not settle it.

use crate::cli::progress::Bar;
use crate::compare::gate;
use crate::compare::{Comparison, Side};
use crate::measure::quiet;
use crate::measure::run_queue_wait::Scheduler;
use crate::record::{self, Record};
use crate::run::{self, Job, Target};
use crate::suite::Suite;
use crate::Result;

use super::args::Args;

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

/// Measures no ceilings: they would take seconds and are of no use here.
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

/// Measures the points of suspects again, each as a whole and for longer.
pub(super) fn second_look(args: &Args, suite: &Suite, comparison: &Comparison) -> Result<Vec<Side>> {
    let points = gate::suspects(comparison);
    let mut sides = Vec::new();
    for (i, point) in points.iter().enumerate() {
        let name = format!("again-{}", i + 1);
        let session = measure(args, &suite.only_point(point)?.longer(gate::LONGER)?, &name)?;
        let mut side = Side::of(&session.record)?.having_waited(args.too_much(session.waited));
        side.name = format!("{point} ({})", args.out.join(name).display());
        sides.push(side);
    }
    Ok(sides)
}
