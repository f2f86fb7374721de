//! The search for a contender's learning rate and step size: as many trials for every contender, at the same places.

use std::collections::HashMap;

use candle_core::Device;

use super::material::Material;
use super::trainer::Trainer;
use crate::contender::ContenderSpec;
use crate::rule::{Method, Steps};
use crate::run::point::Prepared;
use crate::suite::{Axes, Search, Training, TRIALS};
use crate::{Error, Result};

/// What a search has found, and on the way.
#[derive(Debug, Clone)]
pub(in crate::run) struct Found {
    /// Learning rate, step size (of a rule that has one and searches it) and score of every trial; a trial that diverged has no score.
    pub(super) trials: Vec<(f64, Option<f64>, Option<f64>)>,
    /// The place of the best one; none where all diverged.
    pub(super) best: Option<usize>,
}

/// Searches done so far, by benchmark, contender and point without its draw: networks of one kind share theirs.
pub(in crate::run) type Searches = HashMap<(String, String), Found>;

/// Of seeds: parameters of trials are drawn under the suite's seed and this, which no draw of a point reaches.
const APART: u64 = 10_000;

impl Found {
    /// The trials as quantities, numbered from 1; scores of those that did not diverge.
    pub(super) fn numbers(&self) -> Vec<(&'static str, f64, f64)> {
        let mut numbers = Vec::new();
        for (k, (rate, step, score)) in (1u32..).zip(&self.trials) {
            let at = f64::from(k);
            numbers.push((TRIALS[0].name, at, *rate));
            numbers.extend(step.map(|step| (TRIALS[1].name, at, step)));
            numbers.extend(score.map(|score| (TRIALS[2].name, at, score)));
        }
        numbers
    }

    /// The contender as its best trial was.
    ///
    /// # Errors
    /// [`Error::Diverged`] if all trials did.
    pub(super) fn applied(&self, spec: &ContenderSpec) -> Result<ContenderSpec> {
        let steps = spec.rule.steps();
        let best = self.best.map(|best| self.trials[best]).ok_or_else(|| Error::Diverged {
            rule: spec.id.to_string(),
            quantity: "the loss of every trial of its search".into(),
            steps: steps.map_or(0, |steps| steps.count),
            step_size: steps.map_or(0.0, |steps| steps.size),
        })?;
        Ok(with(spec, best.0, best.1))
    }
}

fn with(spec: &ContenderSpec, learning_rate: f64, step: Option<f64>) -> ContenderSpec {
    let rule = match (spec.rule.steps(), step) {
        (Some(steps), Some(size)) => spec.rule.with_steps(Steps { size, ..steps }),
        _ => spec.rule,
    };
    ContenderSpec { learning_rate, rule, ..spec.clone() }
}

/// Trial k = 0, 1, …: a learning rate and a step size, at the radical inverses of k + 1 in base 2 and 3 (Halton 1960) over the logarithms of
/// their ranges. Any number of trials covers both ranges, each alone and together, and every contender is tried at the same places.
fn place(search: &Search, k: u64) -> (f64, Option<f64>) {
    let at = |(low, high): (f64, f64), base| low * (high / low).powf(radical_inverse(k + 1, base));
    (at(search.learning_rate, 2), search.step_size.map(|range| at(range, 3)))
}

/// The digits of `n`, mirrored at the point: 0.d₀d₁d₂… in `base`.
fn radical_inverse(mut n: u64, base: u64) -> f64 {
    let (mut value, mut unit) = (0.0, 1.0);
    while n > 0 {
        unit /= base as f64;
        value += unit * (n % base) as f64;
        n /= base;
    }
    value
}

/// The best of a contender's trials by accuracy on the validation rows, or where the network has no classes by loss on them; of equals
/// the first.
///
/// # Errors
/// Those of trials that are no divergence.
pub(super) fn search(
    seed: u64,
    (p, spec): (&Prepared<'_>, &ContenderSpec),
    (training, search): (&Training, &Search),
    material: &Material<'_>,
    device: &Device,
    known: &mut Searches,
) -> Result<Found> {
    let key = (Axes { draw: 0, ..p.point.axes }.id(&p.benchmark.name), spec.id.to_string());
    if let Some(found) = known.get(&key) {
        return Ok(found.clone());
    }
    let infers = spec.rule.steps().is_some_and(|steps| steps.method != Method::ConjugateGradient);
    let mut trials = Vec::new();
    for k in 0..search.trials {
        let (rate, step) = place(search, k);
        let own = with(spec, rate, step);
        let mut trainer =
            Trainer::new(seed.wrapping_add(APART), (p, &own), *training, material, device.clone())?;
        trainer.updates = search.updates;
        let score = match trainer.advance(search.updates, &mut |_, _| {}) {
            Ok(()) => trainer.validation_score()?,
            Err(Error::Diverged { .. }) => None,
            Err(e) => return Err(e),
        };
        trials.push((rate, step.filter(|_| infers), score));
    }
    let best = |(at, (.., score)): (usize, &(f64, Option<f64>, Option<f64>))| score.map(|score| (at, score));
    let scores = trials.iter().enumerate().filter_map(best);
    let first_best = scores.fold(None, |best: Option<(usize, f64)>, (at, score)| match best {
        Some((_, most)) if most >= score => best,
        _ => Some((at, score)),
    });
    let found = Found { trials, best: first_best.map(|(best, _)| best) };
    known.insert(key, found.clone());
    Ok(found)
}

/// Whether this point tells the trials of its kind of networks: the first draw of the benchmark.
pub(super) fn tells_trials(p: &Prepared<'_>) -> bool {
    let first = p.benchmark.points.iter().map(|point| point.axes.draw).min();
    Some(p.point.axes.draw) == first
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Places stay in their ranges, and no eighth of either is left out.
    #[test]
    fn trials_cover_their_ranges() {
        let search =
            Search { trials: 16, updates: 1, learning_rate: (1e-4, 1.0), step_size: Some((0.01, 1.0)) };
        let (rate, step) = place(&search, 0);
        assert!((rate - 1e-2).abs() < 1e-12 && (step.unwrap() - 0.01 * 100f64.powf(1.0 / 3.0)).abs() < 1e-12);
        let mut seen = [[false; 8]; 2];
        for k in 0..16 {
            let (rate, step) = place(&search, k);
            let shares = [(rate / 1e-4).ln() / 1e4f64.ln(), (step.unwrap() / 0.01).ln() / 1e2f64.ln()];
            for (seen, share) in seen.iter_mut().zip(shares) {
                assert!((0.0..1.0).contains(&share), "{share}");
                seen[(8.0 * share) as usize] = true;
            }
        }
        assert_eq!(seen, [[true; 8]; 2]);
    }
}
