//! What a training run is, besides network, rule and data.

use std::ops::RangeInclusive;

use super::limits;
use super::place::Place;
use super::study::{quantity, Quantity};
use super::wire::{SearchWire, TrainingWire};
use crate::data::Brightness;
use crate::optim::{Regularisation, Schedule};
use crate::Result;

/// How far a layer has gone: ‖θ − θ_0‖/‖θ_0‖ at the end.
pub(crate) const WEIGHT_CHANGE: Quantity = quantity(
    "weight_change",
    "layer",
    "‖θ − θ_0‖/‖θ_0‖ at the end of training, of the parameters of a layer that do not start at zero",
);

/// The learning rate, the step size and the score of a trial.
pub(crate) const TRIALS: [Quantity; 3] = [
    quantity("trial_learning_rate", "trial", "learning rate of a trial, at the first draw"),
    quantity("trial_step_size", "trial", "step size of a trial"),
    quantity(
        "trial_score",
        "trial",
        "accuracy on the validation rows after a trial, or the negative loss on them where the output is no class; absent for a trial that \
         diverged",
    ),
];

/// What the updates up to a row of the curve took from the socket.
pub(crate) const JOULES: Quantity = quantity(
    "joules",
    "update",
    "energy of the updates so far, by the counters of the processor's packages or of the GPU; absent where none can be read",
);

/// What an optimiser keeps from update to update, and what it moves.
pub(crate) const BYTES: [Quantity; 2] = [
    quantity("optimiser_bytes", "", "bytes of all tensors that the optimiser keeps from update to update"),
    quantity("parameter_bytes", "", "bytes of the parameters that it moves"),
];

/// What `quantities.csv` may have of a training run.
pub(super) const QUANTITIES: &[Quantity] =
    &[WEIGHT_CHANGE, TRIALS[0], TRIALS[1], TRIALS[2], JOULES, BYTES[0], BYTES[1]];

/// How long a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// Weight updates.
    Updates(u64),
    /// Passes over the training rows.
    Epochs(u64),
}

/// A training run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Training {
    /// How long it is.
    pub length: Length,
    /// Rows of its curve after the start.
    pub evaluations: u64,
    /// The learning rate over the run.
    pub schedule: Schedule,
    /// Weight decay and clipping.
    pub regularisation: Regularisation,
    /// Training rows kept apart for validation, or below 1 their share.
    pub validation: f64,
    /// Pixels around images before a crop of the old size.
    pub padding: usize,
    /// Whether half of the images are mirrored.
    pub flip: bool,
    /// What the brightness of images becomes; without it black is −1 and white 1.
    pub brightness: Option<Brightness>,
    /// Test accuracy whose first row in the curve is compared by updates, seconds, FLOPs and joules.
    pub target: Option<f64>,
    /// How learning rates and step sizes are found; without it they are those of the definition.
    pub search: Option<Search>,
}

/// A search for learning rate and step size: the same trials for every contender of a benchmark, judged on the validation rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Search {
    /// Trials of every contender.
    pub trials: u64,
    /// Updates of a trial.
    pub updates: u64,
    /// Least and greatest learning rate.
    pub learning_rate: (f64, f64),
    /// Least and greatest step size, where they are searched too.
    pub step_size: Option<(f64, f64)>,
}

/// Rows of a curve where a definition does not say.
const EVALUATIONS: u64 = 10;

impl Training {
    /// Weight updates of a run with this many batches in an epoch.
    pub fn updates(&self, per_epoch: u64) -> u64 {
        match self.length {
            Length::Updates(updates) => updates,
            Length::Epochs(epochs) => epochs.saturating_mul(per_epoch),
        }
    }

    /// Validation rows among this many.
    pub fn validation_rows(&self, all: usize) -> usize {
        match self.validation {
            share if share < 1.0 => (share * all as f64).ceil() as usize,
            rows => rows as usize,
        }
    }

    /// The updates after which a run of `updates` is evaluated, rising, the last one at its end.
    pub fn evaluated(&self, updates: u64) -> impl Iterator<Item = u64> + use<> {
        let rows = self.evaluations.min(updates);
        // rounded up, so that the first row is never the start again
        (1..=rows)
            .map(move |k| (u128::from(updates) * u128::from(k)).div_ceil(u128::from(rows.max(1))) as u64)
    }
}

/// The keys of a training run.
pub(super) fn read(wire: &TrainingWire, here: &Place) -> Result<Training> {
    let length = match (wire.updates, wire.epochs) {
        (Some(updates), None) => Length::Updates(here.within("updates", updates, limits::TRAINED)?),
        (None, Some(epochs)) => Length::Epochs(here.within("epochs", epochs, limits::TRAINED)?),
        (Some(_), Some(_)) => return Err(here.key("epochs", "stands beside updates; give one of them")),
        (None, None) => {
            return Err(here
                .key("epochs", "is missing; a training run needs epochs or updates in [benchmark.training]"))
        }
    };
    if wire.accuracy_updates > 0 {
        return Err(here
            .key("accuracy_updates", "is of the model weight-update; a training run has epochs or updates"));
    }
    here.within("validation", wire.validation, limits::VALIDATION)?;
    if wire.validation > 1.0 && wire.validation.fract() != 0.0 {
        return Err(here.key("validation", "is no whole number of rows; give one, or a share below 1"));
    }
    here.within("weight_decay", wire.weight_decay, limits::DECAY)?;
    wire.clip_norm.map_or(Ok(0.0), |norm| here.within("clip_norm", norm, limits::RATE))?;
    let evaluations =
        here.within("evaluations", wire.evaluations.unwrap_or(EVALUATIONS), limits::EVALUATIONS)?;
    let brightness = wire.brightness.as_ref().map(|own| {
        Brightness::new(&own.mean, &own.deviation).map_err(|e| here.key("brightness", e.to_string()))
    });
    let search =
        wire.search.as_ref().map(|search| self::search(search, wire.validation, here)).transpose()?;
    Ok(Training {
        length,
        evaluations,
        schedule: here.parse("schedule", &wire.schedule.0)?,
        regularisation: Regularisation { weight_decay: wire.weight_decay, clip_norm: wire.clip_norm },
        validation: wire.validation,
        padding: wire.padding,
        flip: wire.flip,
        brightness: brightness.transpose()?,
        target: wire.target.map(|target| here.within("target", target, limits::TARGET)).transpose()?,
        search,
    })
}

fn search(wire: &SearchWire, validation: f64, here: &Place) -> Result<Search> {
    here.within("search.trials", wire.trials, limits::TRIALS)?;
    here.within("search.updates", wire.updates, limits::TRAINED)?;
    let range = |key: &str, (low, high): (f64, f64), limits: RangeInclusive<f64>| -> Result<(f64, f64)> {
        here.within(key, low, limits.clone())?;
        here.within(key, high, low.max(*limits.start())..=*limits.end())?;
        Ok((low, high))
    };
    if validation == 0.0 {
        let problem = "is 0, and a search chooses by validation rows, so that no choice sees the test half; give a number";
        return Err(here.key("validation", problem));
    }
    Ok(Search {
        trials: wire.trials,
        updates: wire.updates,
        learning_rate: range("search.learning_rate", wire.learning_rate, limits::RATE)?,
        step_size: wire.step_size.map(|own| range("search.step_size", own, limits::STEP_SIZE)).transpose()?,
    })
}

/// Refuses keys of a training run in a benchmark of another model, which would not read them.
pub(super) fn refuse(wire: &TrainingWire, model: &str, here: &Place) -> Result<()> {
    let without = TrainingWire {
        optimiser: wire.optimiser.clone(),
        learning_rate: wire.learning_rate,
        accuracy_updates: wire.accuracy_updates,
        accuracy_max_depth: wire.accuracy_max_depth,
        ..TrainingWire::default()
    };
    let given = [
        ("weight_decay", wire.weight_decay != without.weight_decay),
        ("clip_norm", wire.clip_norm.is_some()),
        ("schedule", wire.schedule != without.schedule),
        ("updates", wire.updates.is_some()),
        ("epochs", wire.epochs.is_some()),
        ("evaluations", wire.evaluations.is_some()),
        ("validation", wire.validation != 0.0),
        ("padding", wire.padding != 0),
        ("flip", wire.flip),
        ("brightness", wire.brightness.is_some()),
        ("target", wire.target.is_some()),
        ("search", wire.search.is_some()),
    ];
    match given.iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((key, _)) => {
            Err(here.key(key, format!("is of the model training, and this benchmark's is {model}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_end_at_the_end() {
        let training = |evaluations| Training {
            length: Length::Epochs(3),
            evaluations,
            schedule: Schedule::Constant,
            regularisation: Regularisation::default(),
            validation: 0.0,
            padding: 0,
            flip: false,
            brightness: None,
            target: None,
            search: None,
        };
        let rows = |evaluations, updates| training(evaluations).evaluated(updates).collect::<Vec<_>>();
        assert_eq!(rows(4, 10), [3, 5, 8, 10]);
        assert_eq!(rows(10, 3), [1, 2, 3]);
        assert_eq!(rows(1, 7), [7]);
        assert_eq!(rows(3, u64::MAX).last(), Some(&u64::MAX));
        assert_eq!(training(1).updates(7), 21);
    }
}
