//! Training runs: a contender learns, and its curve is recorded.

mod checkpoint;
pub(super) mod evaluation;
mod folder;
pub(super) mod material;
mod progress;
mod search;
mod trainer;

use std::path::{Path, PathBuf};

use crate::contender::ContenderSpec;
use crate::data::{Dataset, Split};
use crate::measure::energy::Meter;
use crate::record::{self, PointResult, QuantityRow, Run, TrainingRow};
use crate::suite::{Overrides, Suite, Training, BYTES, JOULES, WEIGHT_CHANGE};
use crate::verify::preflight;
use crate::{Error, Result};

use super::device_health;
use super::job::{Job, Observer, Target};
use super::memory;
use super::point::{self, Prepared};
use super::resources::Resources;
pub use checkpoint::{Checkpoint, Meta};
pub use evaluation::Evaluation;
use folder::Folder;
use material::Material;
pub use progress::Progress;
pub(super) use search::Searches;
use trainer::Trainer;

#[cfg(test)]
mod tests;

/// Trains every contender of a point, one after another; a run that diverges keeps its curve up to then.
pub(super) fn point(
    (seed, suite): (u64, u64),
    p: &Prepared<'_>,
    resources: &mut Resources<'_>,
    searches: &mut Searches,
    observer: &mut dyn Observer,
) -> Result<PointResult> {
    let (device, health_check) = (resources.device(p.point.device)?, resources.health_check());
    let training = training(p)?;
    let gpu = resources.gpu_state();
    let meter = Meter::of(&device, &gpu);
    let material = Material::new(resources.data(p.benchmark, p.point)?, &training, p.point, suite)?;
    let mut result = PointResult::default();
    for spec in &p.specs {
        let mut row = p.row(spec)?;
        let (mut curve, mut numbers): (Vec<TrainingRow>, Numbers) = Default::default();
        let trained = preflight::check(spec, seed, &device).and_then(|share| {
            row.verify = Some(share);
            let mut own = spec.clone();
            if let Some(asked) = &training.search {
                observer.at(&p.point.id, &format!("searching a learning rate of {}", spec.id));
                let found =
                    search::search(suite, (p, spec), (&training, asked), &material, &device, searches)?;
                if search::tells_trials(p) {
                    numbers.extend(found.numbers());
                }
                own = found.applied(spec)?;
            }
            let mut trainer = Trainer::new(seed, (p, &own), training, &material, device.clone())?;
            trainer.meter = meter.as_ref();
            let updates = trainer.updates;
            let mut told = |update: u64, _: f64| {
                observer.at(&p.point.id, &format!("training {}, update {update} of {updates}", spec.id));
            };
            curve.push(trainer.row()?);
            for to in training.evaluated(updates) {
                let advanced = trainer.advance(to, &mut told);
                if matches!(advanced, Err(Error::Diverged { .. })) {
                    curve.push(trainer.diverged());
                }
                advanced?;
                curve.push(trainer.row()?);
                if meter.is_some() {
                    numbers.extend(trainer.joules.map(|joules| (JOULES.name, to as f64, joules)));
                }
            }
            if p.point.learning_rate > 0.0 {
                // one of many runs of a map of losses, whose layers and bytes would be most of the record
                return Ok(Vec::new());
            }
            let (kept, moved) = trainer.contender().bytes()?;
            numbers.extend([(BYTES[0].name, 0.0, kept as f64), (BYTES[1].name, 0.0, moved as f64)]);
            trainer.changes()
        });
        match trained {
            Ok(changes) => {
                let end = curve.last();
                row.test_accuracy = end.and_then(|end| end.test_accuracy);
                row.train_updates = end.map(|end| end.update);
                numbers.extend(
                    changes.into_iter().map(|(layer, change)| (WEIGHT_CHANGE.name, layer as f64, change)),
                );
                result.quantities.extend(numbers.into_iter().map(|(quantity, at, value)| QuantityRow {
                    point: p.point.id.clone(),
                    contender: spec.id.to_string(),
                    quantity: quantity.to_owned(),
                    at,
                    value,
                }));
            }
            Err(e) => (row.status, row.err) = device_health::row(e, &device, health_check)?,
        }
        result.training.append(&mut curve);
        result.summary.push(row);
    }
    Ok(result)
}

/// Quantity, `at` and value.
type Numbers = Vec<(&'static str, f64, f64)>;

fn training(p: &Prepared<'_>) -> Result<Training> {
    let none = || Error::Invalid(format!("benchmark \"{}\" trains nothing", p.benchmark.name));
    p.benchmark.training.ok_or_else(none)
}

/// A training run on its own, of one contender at one point, with checkpoints.
#[derive(Debug)]
pub struct TrainJob<'a> {
    /// A suite of one point and one contender, of the model training.
    pub suite: &'a Suite,
    /// Folder of the data.
    pub data: Option<&'a Path>,
    /// The folder of curve and checkpoints.
    pub dir: PathBuf,
    /// Command line as typed.
    pub argv: Vec<String>,
    /// Updates between two checkpoints, besides those at the rows of the curve.
    pub every: Option<u64>,
    /// Goes on from the newest checkpoint that is whole, or begins where there is none yet.
    pub resume: bool,
}

/// Trains; the folder then has `training.json`, `training.csv` and the last two checkpoints.
///
/// # Errors
/// Anything wrong with the definition, the data, the device, the folder or its checkpoints, before anything is trained; [`Error::Wrong`]
/// for a contender that computes something else than the oracle;
/// [`Error::Diverged`] for a run that came to numbers that are not finite: the curve and the checkpoint before it are kept.
pub fn train(job: &TrainJob<'_>, told: &mut dyn Progress) -> Result<Vec<TrainingRow>> {
    let mut resources = Resources::new(job.suite, job.data, &device_health::synchronise)?;
    let prepared = point::prepare(job.suite, &mut resources)?;
    let (p, spec) = only(&prepared, &job.suite.name)?;
    memory::check_memory(&prepared, resources.memory())?;
    let (training, device) = (training(p)?, resources.device(p.point.device)?);
    if training.search.is_some() {
        return Err(Error::Invalid(format!(
            "benchmark \"{}\" searches its learning rate, which `run` does; to train at one rate, leave out \
             [benchmark.training.search]",
            p.benchmark.name
        )));
    }
    preflight::check(spec, p.seed(job.suite.seed), &device)?;
    let header = header(job, &resources, &prepared)?;
    let data = resources.data(p.benchmark, p.point)?;
    let meta =
        Meta::new(job.suite.definition.clone(), spec.id.to_string(), p.point.id.clone(), data.fingerprint());
    let material = Material::new(data, &training, p.point, job.suite.seed)?;
    let mut trainer = Trainer::new(p.seed(job.suite.seed), (p, spec), training, &material, device)?;
    let mut folder = match job.resume {
        false => Folder::create(&job.dir, &header)?,
        true => {
            let (folder, checkpoint) = Folder::resume(&job.dir, &meta, told)?;
            checkpoint.map_or(Ok(()), |checkpoint| trainer.restore(&checkpoint))?;
            folder
        }
    };
    told.begins(&meta.contender, trainer.update, trainer.updates);
    if trainer.update == 0 && !folder.has_row(0) {
        tell(&mut trainer, &mut folder, &meta, told)?;
    }
    let every = job.every.unwrap_or(u64::MAX);
    for row in training.evaluated(trainer.updates) {
        while trainer.update < row {
            let next = (trainer.update / every + 1).saturating_mul(every).min(row);
            let advanced = trainer.advance(next, &mut |update, seconds| told.at(update, seconds));
            if matches!(advanced, Err(Error::Diverged { .. })) {
                folder.add(trainer.diverged())?;
            }
            advanced?;
            if next < row {
                save(&trainer, &folder, &meta)?;
            }
        }
        if trainer.update == row && !folder.has_row(row) {
            tell(&mut trainer, &mut folder, &meta, told)?;
        }
    }
    Ok(folder.into_curve())
}

/// Writes the next row of the curve, and a checkpoint.
fn tell(trainer: &mut Trainer<'_>, folder: &mut Folder, meta: &Meta, told: &mut dyn Progress) -> Result<()> {
    let row = trainer.row()?;
    folder.add(row.clone())?;
    save(trainer, folder, meta)?;
    told.row(&row);
    Ok(())
}

fn save(trainer: &Trainer<'_>, folder: &Folder, meta: &Meta) -> Result<()> {
    let contender = trainer.contender();
    let meta = Meta { update: trainer.update, seconds: trainer.seconds, ..meta.clone() };
    folder.save(Checkpoint::of(meta, contender.graph(), contender.snapshot()?)?)
}

/// The one contender of the one point.
fn only<'a>(prepared: &'a [Prepared<'a>], suite: &str) -> Result<(&'a Prepared<'a>, &'a ContenderSpec)> {
    match prepared {
        [p] if p.specs.len() == 1 && p.benchmark.training.is_some() => Ok((p, &p.specs[0])),
        _ => {
            let runs: usize = prepared.iter().map(|p| p.specs.len()).sum();
            Err(Error::Invalid(format!(
                "suite `{suite}` is not one training run but {runs} contenders at {} points; `train` does one benchmark of the \
                 model training with one point and one contender, which --contender names; `run` measures suites of them",
                prepared.len()
            )))
        }
    }
}

/// What the run is, as `run.json` of a record has it.
fn header(job: &TrainJob<'_>, resources: &Resources<'_>, prepared: &[Prepared<'_>]) -> Result<Run> {
    let job = Job {
        suite: job.suite,
        data: job.data,
        results: &job.dir,
        target: Target::New(None),
        argv: job.argv.clone(),
        shard: None,
        allow_debug: true,
        ceilings: false,
        wait_quiet: None,
    };
    super::description::header(&job, resources, prepared, Vec::new())
}

/// What a checkpoint's parameters say of the data.
#[derive(Debug)]
pub struct Evaluated {
    /// The checkpoint's own words.
    pub meta: Meta,
    /// Name of the data.
    pub data: String,
    /// Whether they are the data that it was trained on.
    pub same_data: bool,
    /// On the rows that were kept apart.
    pub validation: Option<Evaluation>,
    /// On the test half.
    pub test: Evaluation,
}

/// Evaluates a checkpoint by forward passes, on its own data or others of the same shapes, on its own device or that of `overrides`.
///
/// # Errors
/// If the checkpoint is damaged, or the data do not fit its network.
pub fn evaluate_checkpoint(path: &Path, data: Option<&Path>, overrides: &Overrides) -> Result<Evaluated> {
    let checkpoint = Checkpoint::read(path)?;
    let suite = Suite::parse(&checkpoint.meta.definition, &path.to_string_lossy(), overrides)?;
    let mut resources = Resources::new(&suite, data, &device_health::synchronise)?;
    let prepared = point::prepare(&suite, &mut resources)?;
    let (p, spec) = only(&prepared, &suite.name)?;
    let (training, device) = (training(p)?, resources.device(p.point.device)?);
    let data: &Dataset = resources.data(p.benchmark, p.point)?;
    let graph = spec.graph()?;
    let params = checkpoint.snapshot(&graph, &device)?.state.params;
    let same_data = data.fingerprint() == checkpoint.meta.data;
    let rows = training.validation_rows(data.train.rows());
    let validation = (same_data && rows > 0).then(|| data.split_validation(rows, suite.seed));
    let on = |split: &Split| {
        let rows = (split, training.brightness.as_ref());
        evaluation::evaluate((&graph, &params), rows, p.point.batch, (spec.dtype, &device))
    };
    Ok(Evaluated {
        data: data.name.clone(),
        same_data,
        validation: validation.transpose()?.as_ref().map(|(_, split)| on(split)).transpose()?,
        test: on(&data.test)?,
        meta: checkpoint.meta,
    })
}

/// The suite of the run in a folder, and the command line that it was begun with.
///
/// # Errors
/// If it is no folder of a training run.
pub fn begun(dir: &Path) -> Result<(Suite, Run)> {
    let run = record::read_header(&dir.join(folder::HEADER))?;
    let suite =
        Suite::parse(&run.definition, &dir.join(folder::HEADER).to_string_lossy(), &Overrides::default())?;
    Ok((suite, run))
}
