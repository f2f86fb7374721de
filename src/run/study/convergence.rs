//! How inference approaches the exact minimum of the energy, each rule at the best step of one grid.

use std::time::Duration;

use candle_core::Tensor;

use super::crossing::{Crossing, Sparse};
use super::subject::{Found, Subject};
use crate::engine::curvature::minimum;
use crate::rule::StepUnit;
use crate::{Error, Result};

/// Relative distance to the minimum that is asked for.
const NEAR: f64 = 1e-3;

/// Relative gradient that counts as the minimum.
const MINIMUM: f64 = 1e-11;

/// Relative distance from which a step size is given up.
const FAR: f64 = 1e3;

/// Step sizes that are tried, as shares of 2/λ_max: beyond 1 plain descent diverges, momentum need not. Those that are best more often
/// come first, because none takes more steps than the best before it.
const SHARES: [f64; 10] = [0.65, 0.5, 0.95, 0.99, 0.8, 0.9, 1.4, 1.8, 0.3, 0.15];

/// A run at one step size.
struct Course {
    /// Steps, and the distance after each.
    curve: Vec<(usize, f64)>,
    /// Steps to [`NEAR`], and their time.
    reached: Option<(usize, Duration)>,
}

pub(super) fn converge(subject: &Subject<'_>) -> Result<Found> {
    let exact = minimum(subject.engine(), MINIMUM)?.errors;
    let whole = length(&exact)?;
    if whole == 0.0 {
        return Err(Error::Invalid(
            "the minimum of the energy is the forward pass: no error has anything to explain; use another network or batch".into(),
        ));
    }
    let ends = subject.ends()?;
    let (largest, smallest) = ends;
    let mut best: Option<(f64, Course)> = None;
    let mut most = usize::MAX;
    // and the contender's own step, where it is no share itself: methods whose best step is a number of its own, such as 1
    let steps = subject.spec.rule.steps();
    let own = steps.filter(|steps| steps.unit == StepUnit::One).map(|steps| 0.5 * steps.size * largest);
    let reads = steps.is_none_or(|steps| steps.method.reads_step_size());
    // all runs of a method without a step size are one
    let tried = if reads { SHARES.len() + 1 } else { 1 };
    for share in SHARES.into_iter().chain(own).take(tried) {
        let course = follow(subject, (&exact, whole), share, ends, most)?;
        let better = match (&best, &course.reached) {
            (_, Some(_)) => true, // it ended before the best so far
            (None, None) => true,
            (Some((_, old)), None) => {
                let last = |c: &Course| c.curve.last().map_or(f64::INFINITY, |(_, distance)| *distance);
                let end = |c: &Course| Some(last(c)).filter(|end| !end.is_nan()).unwrap_or(f64::INFINITY);
                old.reached.is_none() && end(&course) < end(old)
            }
        };
        if better {
            most = course.reached.map_or(most, |(steps, _)| steps);
            best = Some((share, course));
        }
    }
    let Some((share, course)) = best else {
        return Err(Error::Invalid("no step size was tried".into()));
    };
    let mut found: Found = vec![("largest", 0.0, largest), ("condition", 0.0, largest / smallest)];
    if reads {
        found.push(("share", 0.0, share));
    }
    if subject.curves {
        found.extend(course.curve.iter().map(|&(step, distance)| ("distance", step as f64, distance)));
    }
    if let Some((steps, time)) = course.reached {
        let (rule, schedule) = subject.in_shares(share, largest, smallest)?;
        found.push(("steps", NEAR, steps as f64));
        found.push(("flops", NEAR, subject.flops(rule, schedule, steps)?));
        found.push(("seconds", NEAR, time.as_secs_f64()));
    }
    Ok(found)
}

/// Runs the rule until it is near the minimum and stays there, is far away, or has taken `most` steps.
fn follow(
    subject: &Subject<'_>,
    (exact, whole): (&[Option<Tensor>], f64),
    share: f64,
    (largest, smallest): (f64, f64),
    most: usize,
) -> Result<Course> {
    let (rule, _) = subject.in_shares(share, largest, smallest)?;
    let mut course = Course { curve: Vec::new(), reached: None };
    let (mut crossing, mut sparse, mut times) = (Crossing::new(), Sparse::CURVE, Vec::new());
    subject.watched(rule, |shown, time| {
        times.push(time);
        let distance = apart(shown.errors, exact)? / whole;
        if sparse.takes(shown.step) {
            course.curve.push((shown.step, distance));
        }
        let held = crossing.see(shown.step, distance <= NEAR);
        // one that has not come near in the steps of the best cannot become the best
        let slower = shown.step >= most && distance > NEAR;
        Ok(held || slower || distance.is_nan() || distance >= FAR)
    })?;
    let reached = crossing.step().filter(|&steps| steps < most);
    course.reached = reached.and_then(|at| Some((at, *times.get(at)?)));
    Ok(course)
}

/// ‖a‖ over latent vertices: those that the exact minimum has errors for.
fn length(a: &[Option<Tensor>]) -> Result<f64> {
    let mut sum = 0.0;
    for t in a.iter().flatten() {
        sum += t.sqr()?.sum_all()?.to_scalar::<f64>()?;
    }
    Ok(sum.sqrt())
}

/// ‖a − b‖ over the vertices of b; a missing a is zero.
fn apart(a: &[Option<Tensor>], b: &[Option<Tensor>]) -> Result<f64> {
    let mut sum = 0.0;
    for (a, b) in a.iter().zip(b) {
        let Some(b) = b else { continue };
        let off = match a {
            Some(a) => (a - b)?,
            None => b.clone(),
        };
        sum += off.sqr()?.sum_all()?.to_scalar::<f64>()?;
    }
    Ok(sum.sqrt())
}
