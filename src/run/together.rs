//! Points that are measured together: the first instance of each, then the second of each, and so on.
//!
//! What else a machine does (a neighbour on the same hardware, its temperature) changes over some ten seconds, and does
//! not slow all contenders down alike. Instances that follow each other at once all see the same of it, agree, and
//! leave it out of the interval; the next run sees something else. So other points have theirs in between, and the
//! instances of each are spread over the time of all.

use std::iter::Peekable;
use std::time::{Duration, Instant};

use crate::record::PointResult;
use crate::suite::Model;
use crate::Result;

use super::job::Observer;
use super::point::Prepared;
use super::resources::Resources;
use super::watch::Watch;
use super::weight_update::Measuring;

/// Time over which points are spread, as far as their first instances tell: about as much as is not yet on disk when a
/// run is killed.
const SPREAD: Duration = Duration::from_secs(120);

/// A point of a group.
enum Slot<'a> {
    /// Under way.
    Open(Box<Measuring<'a>>),
    /// All instances measured.
    Done(Box<PointResult>),
    /// Finished.
    Gone,
}

/// Measures the points that come next and are timed, instance by instance, as many together as fill [`SPREAD`]; each is
/// `finished` after the last instance of its own and of those before it, since records hold points in the order of the
/// suite.
///
/// # Errors
/// Those that are about no contender, and those of `finished`.
pub(super) fn measure<'a>(
    seed: u64,
    points: &mut Peekable<impl Iterator<Item = &'a Prepared<'a>>>,
    resources: &mut Resources<'a>,
    watch: &mut Watch,
    observer: &mut dyn Observer,
    finished: &mut dyn FnMut(PointResult, &mut dyn Observer) -> Result<()>,
) -> Result<()> {
    let mut slots: Vec<Slot<'_>> = Vec::new();
    let (mut spread, mut gone) = (Duration::ZERO, 0);
    let mut finish = |slots: &mut [Slot<'_>], gone: &mut usize, observer: &mut dyn Observer| -> Result<()> {
        while let Some(slot @ Slot::Done(_)) = slots.get_mut(*gone) {
            if let Slot::Done(result) = std::mem::replace(slot, Slot::Gone) {
                finished(*result, observer)?;
            }
            *gone += 1;
        }
        Ok(())
    };
    while spread < SPREAD {
        let Some(p) = points.next_if(|p| p.benchmark.model == Model::WeightUpdate) else { break };
        slots.push(match Measuring::begin(p.seed(seed), p, resources, observer)? {
            Err(refused) => Slot::Done(Box::new(refused)),
            Ok(point) => {
                let (start, instances) = (Instant::now(), point.left());
                let slot = next(Box::new(point), resources, watch, observer)?;
                spread += start.elapsed().saturating_mul(instances as u32);
                slot
            }
        });
        finish(&mut slots, &mut gone, observer)?;
    }
    while gone < slots.len() {
        let first = gone;
        for i in first..slots.len() {
            slots[i] = match std::mem::replace(&mut slots[i], Slot::Gone) {
                Slot::Open(point) => next(point, resources, watch, observer)?,
                other => other,
            };
            finish(&mut slots, &mut gone, observer)?;
        }
    }
    Ok(())
}

/// Measures one more instance.
fn next<'a>(
    mut point: Box<Measuring<'a>>,
    resources: &mut Resources<'a>,
    watch: &mut Watch,
    observer: &mut dyn Observer,
) -> Result<Slot<'a>> {
    point.next(watch, observer)?;
    Ok(match point.left() {
        0 => Slot::Done(Box::new(point.finish(resources, observer)?)),
        _ => Slot::Open(point),
    })
}

#[cfg(test)]
#[path = "together_tests.rs"]
mod tests;
