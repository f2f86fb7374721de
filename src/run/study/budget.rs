//! Steps until a rule's directions are those of backpropagation, held over a window.

use std::time::Duration;

use super::cosines::Backpropagation;
use super::crossing::{Crossing, Sparse};
use super::subject::{Found, Subject};
use crate::rule::{directions_at, StepUnit};
use crate::{Error, Result};

/// Cosines that are asked for.
const ASKED: [f64; 2] = [0.9, 0.99];

pub(super) fn spend(subject: &Subject<'_>) -> Result<Found> {
    let bp = Backpropagation::of(subject)?;
    let Some(given) = subject.spec.rule.steps() else {
        return Err(Error::Invalid(format!("rule {} has no inference steps", subject.spec.rule.name())));
    };
    let mut found: Found = Vec::new();
    let (rule, steps) = match given.unit {
        StepUnit::One => (subject.spec.rule, given),
        StepUnit::Stable => {
            let (largest, smallest) = subject.ends()?;
            found.push(("largest", 0.0, largest));
            subject.in_shares(given.size, largest, smallest)?
        }
    };
    let engine = subject.engine();
    let mut whole = ASKED.map(|_| Crossing::new());
    let mut lowest = whole;
    let mut times: Vec<(usize, Duration)> = Vec::new();
    let (mut fine, mut curve) = (Sparse::FINE, Sparse::CURVE);
    subject.watched(rule, |shown, time| {
        let step = shown.step;
        if !fine.takes(step) {
            return Ok(false);
        }
        times.push((step, time));
        let cosines = bp.beside(&directions_at(&engine, shown.errors, shown.multipliers)?)?;
        if cosines.whole.is_nan() || cosines.lowest.is_nan() {
            return Err(Error::Diverged {
                rule: rule.name().into(),
                quantity: "a parameter direction".into(),
                steps: step,
                step_size: steps.size,
            });
        }
        if subject.curves && curve.takes(step) {
            found.push(("cosine", step as f64, cosines.whole));
            found.push(("cosine_lowest", step as f64, cosines.lowest));
        }
        let mut all = true;
        for (i, asked) in ASKED.into_iter().enumerate() {
            all &= whole[i].see(step, cosines.whole >= asked);
            all &= lowest[i].see(step, cosines.lowest >= asked);
        }
        Ok(all)
    })?;
    for (i, asked) in ASKED.into_iter().enumerate() {
        if let Some(at) = whole[i].step() {
            found.push(("steps", asked, at as f64));
            found.push(("flops", asked, subject.flops(rule, steps, at)?));
            let time = times.iter().find(|(step, _)| *step == at).map_or(Duration::ZERO, |(_, time)| *time);
            found.push(("seconds", asked, time.as_secs_f64()));
        }
        if let Some(at) = lowest[i].step() {
            found.push(("steps_lowest", asked, at as f64));
        }
    }
    Ok(found)
}
