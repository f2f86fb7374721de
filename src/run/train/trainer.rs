//! A contender on its way through the updates of a training run.

use std::time::Instant;

use candle_core::{Device, Tensor};
use pcnbench_kernels::denormals::Flush;

use super::checkpoint::Checkpoint;
use super::evaluation::{evaluate, Evaluation, Shapes};
use super::material::Material;
use crate::contender::{Contender, ContenderSpec};
use crate::data::{Batch, Split};
use crate::measure::energy::Meter;
use crate::net::{Graph, Params};
use crate::record::{Layered, TrainingRow};
use crate::run::point::Prepared;
use crate::run::{recorded_regimes, Regime};
use crate::suite::Training;
use crate::{Error, Result};

/// A run of one contender of a point.
pub(super) struct Trainer<'a> {
    p: &'a Prepared<'a>,
    spec: &'a ContenderSpec,
    training: Training,
    material: &'a Material<'a>,
    device: Device,
    contender: Contender,
    shapes: Shapes,
    /// The updates that it will have had at its end.
    pub(super) updates: u64,
    per_epoch: u64,
    /// Updates so far.
    pub(super) update: u64,
    /// Time of these updates: from a drawn batch on the host to moved parameters; no evaluation, no checkpoint.
    pub(super) seconds: f64,
    /// Reads the energy of updates.
    pub(super) meter: Option<&'a Meter<'a>>,
    /// Energy of the updates so far, as long as the meter could be read.
    pub(super) joules: Option<f64>,
    batches: Box<dyn Iterator<Item = Batch> + 'a>,
    /// The batch after the last update, once it was looked at.
    next: Option<Vec<Tensor>>,
    /// The parameters at the start, of which relative changes are told.
    start: Params,
}

impl<'a> Trainer<'a> {
    /// At its start, under `seed`.
    pub(super) fn new(
        seed: u64,
        (p, spec): (&'a Prepared<'a>, &'a ContenderSpec),
        training: Training,
        material: &'a Material<'a>,
        device: Device,
    ) -> Result<Self> {
        let contender = Contender::new(spec, seed, &device)?;
        let (per_epoch, start) =
            (material.batches()?.per_epoch() as u64, copies(&contender.state()?.params)?);
        let (shapes, updates) = (Shapes::of(contender.graph()), training.updates(per_epoch));
        let mut trainer = Self {
            p,
            spec,
            training,
            material,
            device,
            contender,
            shapes,
            updates,
            per_epoch,
            update: 0,
            seconds: 0.0,
            meter: None,
            joules: Some(0.0),
            batches: Box::new(std::iter::empty()),
            next: None,
            start,
        };
        trainer.go_to(0, 0.0)?;
        Ok(trainer)
    }

    /// Goes on from a checkpoint of the same run.
    pub(super) fn restore(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let snapshot = checkpoint.snapshot(self.contender.graph(), &self.device)?;
        self.contender.restore(snapshot)?;
        self.go_to(checkpoint.meta.update, checkpoint.meta.seconds)
    }

    fn go_to(&mut self, update: u64, seconds: f64) -> Result<()> {
        (self.update, self.seconds, self.next) = (update, seconds, None);
        self.batches = Box::new(self.material.batches()?.endless_from(update));
        Ok(())
    }

    /// The contender as it is.
    pub(super) fn contender(&self) -> &Contender {
        &self.contender
    }

    /// Updates up to number `to`; `told` hears of them now and then.
    ///
    /// # Errors
    /// [`Error::Diverged`] if a parameter is no longer finite at the end.
    pub(super) fn advance(&mut self, to: u64, told: &mut dyn FnMut(u64, f64)) -> Result<()> {
        match self.meter {
            None => self.updates_to(to, told),
            Some(meter) => {
                let (done, joules) = meter.during(|| self.updates_to(to, told));
                self.joules = self.joules.zip(joules).map(|(before, joules)| before + joules);
                done
            }
        }
    }

    fn updates_to(&mut self, to: u64, told: &mut dyn FnMut(u64, f64)) -> Result<()> {
        let _limit = self.contender.limit_threads();
        let _flush = self.p.flushes_denormals().then(Flush::new);
        let mut said = Instant::now();
        while self.update < to {
            let batch = self.take()?;
            let began = Instant::now();
            let rate = self.training.schedule.rate(self.spec.learning_rate, self.update, self.updates);
            if rate != self.contender.learning_rate() {
                self.contender.set_learning_rate(rate)?;
            }
            if let Err(e) = self.contender.update(&batch) {
                // parameters that are not finite fail in many ways: in a search for a stable step, say
                self.contender.checksum()?;
                return Err(e);
            }
            self.update += 1;
            self.seconds += began.elapsed().as_secs_f64();
            if said.elapsed().as_millis() > 200 {
                told(self.update, self.seconds);
                said = Instant::now();
            }
        }
        // on a GPU updates have been queued, and not yet done
        let began = Instant::now();
        self.device.synchronize()?;
        self.seconds += began.elapsed().as_secs_f64();
        self.contender.checksum().map(drop)
    }

    /// The next batch, on the device; drawing it counts as training.
    fn take(&mut self) -> Result<Vec<Tensor>> {
        if let Some(batch) = self.next.take() {
            return Ok(batch);
        }
        let began = Instant::now();
        let batch = self.draw();
        self.seconds += began.elapsed().as_secs_f64();
        batch
    }

    fn draw(&mut self) -> Result<Vec<Tensor>> {
        let gone = || Error::Invalid("the data hold no batch".into());
        let mut batch = self.batches.next().ok_or_else(gone)?;
        if let Some(augment) = &self.material.augment {
            augment.apply(&mut batch, self.material.seed(), self.update)?;
        }
        if let Some(brightness) = &self.material.brightness {
            brightness.apply(&mut batch);
        }
        self.shapes.give(batch.to_tensors(self.spec.dtype, &self.device)?)
    }

    /// Where the run is: losses and accuracies by forward passes, and of the next batch energy and regime.
    pub(super) fn row(&mut self) -> Result<TrainingRow> {
        let batch = self.take()?;
        let row = self.row_on(&batch);
        self.next = Some(batch);
        row
    }

    fn row_on(&self, batch: &[Tensor]) -> Result<TrainingRow> {
        let (state, finite) = (self.contender.state()?, |value: f64| Some(value).filter(|v| v.is_finite()));
        let on = |split: &Split| -> Result<Evaluation> {
            let graph = self.contender.graph();
            self.evaluate((graph, &state.params), split)
        };
        let validation = self.material.validation().map(on).transpose()?;
        let test = on(self.material.test())?;
        let rows = batch[0].dim(0)? as f64;
        let energy = match self.spec.rule.has_energy() {
            true => {
                let learned = self.contender.evaluate(batch)?;
                let energies = state.bind(self.contender.graph(), batch).energy(&learned)?;
                finite(energies.iter().sum::<f64>() / rows)
            }
            false => None,
        };
        // of a rule that moves the parameters itself directions depend on the rate
        let now = ContenderSpec { learning_rate: self.contender.learning_rate(), ..self.spec.clone() };
        let regime = recorded_regimes::at(&now, &state, batch).ok().flatten();
        let steps = self.contender.last_rule().steps();
        let regime = regime.as_ref();
        let at_an_end = regime.filter(|_| self.update == 0 || self.update >= self.updates);
        Ok(TrainingRow {
            step_size: steps.filter(|_| self.update > 0).map(|steps| steps.size),
            energy,
            validation_loss: validation.and_then(|own| finite(own.loss)),
            validation_accuracy: validation.and_then(|own| own.accuracy),
            test_loss: finite(test.loss),
            test_accuracy: test.accuracy,
            step_times_curvature: regime.and_then(|regime| finite(regime.step_times_largest()?)),
            cosine: regime.and_then(|regime| finite(regime.cosine)),
            lowest_quarter_cosine: regime.and_then(|regime| finite(regime.lowest_quarter())),
            layers: regime.map(|regime| regime.layers.len()),
            silent_layers: regime.map(|regime| regime.silent()),
            norm_ratio: regime.and_then(|regime| finite(regime.norm_ratio)),
            layer_cosines: at_an_end.map(Regime::layer_cosines).unwrap_or_default(),
            layer_norm_ratios: at_an_end.map(Regime::layer_norm_ratios).unwrap_or_default(),
            ..self.diverged()
        })
    }

    /// The row of a run that has come to numbers that are not finite: it says when, and nothing else.
    pub(super) fn diverged(&self) -> TrainingRow {
        TrainingRow {
            point: self.p.point.id.clone(),
            contender: self.spec.id.to_string(),
            update: self.update,
            epoch: self.update as f64 / self.per_epoch as f64,
            seconds: self.seconds,
            learning_rate: self.rate(),
            step_size: None,
            energy: None,
            validation_loss: None,
            validation_accuracy: None,
            test_loss: None,
            test_accuracy: None,
            step_times_curvature: None,
            cosine: None,
            lowest_quarter_cosine: None,
            layers: None,
            silent_layers: None,
            norm_ratio: None,
            layer_cosines: Layered::default(),
            layer_norm_ratios: Layered::default(),
        }
    }

    /// The learning rate of the last update.
    fn rate(&self) -> f64 {
        let last = self.update.saturating_sub(1);
        self.training.schedule.rate(self.spec.learning_rate, last, self.updates)
    }

    fn evaluate(&self, network: (&Graph, &Params), split: &Split) -> Result<Evaluation> {
        let rows = (split, self.training.brightness.as_ref());
        evaluate(network, rows, self.p.point.batch, (self.spec.dtype, &self.device))
    }

    /// How good the parameters are on the validation rows: accuracy, or the negative loss where the output is no class; none without such
    /// rows, and where the loss is not finite.
    pub(super) fn validation_score(&self) -> Result<Option<f64>> {
        let Some(split) = self.material.validation() else { return Ok(None) };
        let (graph, state) = (self.contender.graph(), self.contender.state()?);
        let found = self.evaluate((graph, &state.params), split)?;
        Ok(Some(found.accuracy.unwrap_or(-found.loss)).filter(|_| found.loss.is_finite()))
    }

    /// ‖θ − θ_0‖/‖θ_0‖ by layer, from 1, of its parameters that do not start at zero; layers whose parameters all do are left out.
    pub(super) fn changes(&self) -> Result<Vec<(usize, f64)>> {
        let square = |t: &Tensor| -> Result<f64> {
            Ok(t.to_dtype(candle_core::DType::F64)?.sqr()?.sum_all()?.to_scalar::<f64>()?)
        };
        let (now, mut changes) = (self.contender.state()?.params, Vec::new());
        for (layer, group) in (1..).zip(self.contender.graph().topology().groups()) {
            let (mut moved, mut length) = (0.0, 0.0);
            for p in group {
                let own = square(&self.start[p])?;
                if own > 0.0 {
                    length += own;
                    moved += square(&(&now[p] - &self.start[p])?)?;
                }
            }
            if length > 0.0 {
                changes.push((layer, (moved / length).sqrt()));
            }
        }
        Ok(changes)
    }
}

/// In memory of their own: `copy` of a view would copy all of what it is a view of.
fn copies(params: &Params) -> Result<Params> {
    Ok(params.iter().map(Tensor::force_contiguous).collect::<Result<_, _>>()?)
}
