//! The stages of a run: suite → points → contenders → verified → measured → recorded.

mod accuracy;
mod alignment;
mod ceilings;
mod description;
mod device_health;
mod explain;
mod job;
mod layout;
mod memory;
mod merge;
mod pairs;
mod plan;
mod point;
mod recorded_regimes;
mod regime;
mod resources;
mod signal;
mod size;
mod spectra;
mod strategies;
mod study;
mod suitable;
mod sums;
mod together;
mod train;
mod training;
mod watch;
mod weight_update;

use std::path::{Path, PathBuf};

use crate::measure;
use crate::record::{self, Machine, PointResult, Run, Store};
use crate::suite::Model;
use crate::{Error, Result};

pub use explain::{explain, Explained, Told};
pub use job::{Job, Observer, Target};
pub use memory::most_memory;
pub use merge::merge;
pub use plan::{plan, Makespan, Planned};
pub use regime::{regime, LayerRegime, Learns, Regime, Spectrum};
pub use resources::open_device;
use resources::Resources;
pub use train::{
    begun, evaluate_checkpoint, train, Checkpoint, Evaluated, Evaluation, Meta, Progress, TrainJob,
};
use watch::Watch;

/// Does the job; every finished point is on disk at once. Short points are measured together, so that several of them
/// may be under way when a run is killed.
///
/// # Errors
/// Anything wrong with the definition, the data, the device or the record folder is reported before
/// anything is measured or written. A contender that fails is a row with `err`, not an error. [`Error::Lost`] for a
/// GPU that stops working: points that are being measured are not recorded, and the record can be resumed.
pub fn run(job: &Job<'_>, observer: &mut dyn Observer) -> Result<PathBuf> {
    run_with(job, observer, &device_health::synchronise)
}

/// [`run`], with answers of devices that tests can supply.
fn run_with(
    job: &Job<'_>,
    observer: &mut dyn Observer,
    health_check: device_health::HealthCheck<'_>,
) -> Result<PathBuf> {
    let mut warnings = Vec::new();
    if measure::debug_build() {
        if !job.allow_debug {
            return Err(Error::Invalid(
                "this is a debug build and its timings would mean nothing; build with --release".into(),
            ));
        }
        warnings.push("debug build: the timings mean nothing".into());
    }
    let mut resources = Resources::new(job.suite, job.data, health_check)?.with_results(job.results);
    let prepared = point::prepare(job.suite, &mut resources)?;
    warnings.extend(description::gpu_warnings(&resources));

    let machine = Machine::detect(resources.gpu()?);
    memory::check_memory(&prepared, resources.memory())?;
    check_shard(job, prepared.len())?;
    warnings.extend(match job.wait_quiet {
        None => measure::load_warning(),
        Some(most) => measure::quiet::wait(most, &mut |sentence| observer.waiting(sentence)),
    });
    let run = description::header(job, &resources, &prepared, warnings)?;
    let (mut store, done) = match &job.target {
        Target::New(dir) => (Store::create(job.results, &machine, &run, dir.as_deref())?, vec![]),
        Target::Resume(dir) => resume(dir, &machine, &run)?,
        Target::ResumeLatest => {
            let latest = record::latest_unfinished(job.results, &machine.class, &run.suite, run.shard);
            let dir = latest.ok_or_else(|| {
                Error::Invalid(format!(
                    "there is no unfinished record of suite `{}`{} for this machine under {}; run without --resume",
                    run.suite,
                    run.shard.map(|shard| format!(" (shard {shard})")).unwrap_or_default(),
                    job.results.join(&machine.class).display()
                ))
            })?;
            resume(&dir, &machine, &run)?
        }
    };
    // All points of the suite are made ready, and all its ceilings measured, in every shard: what is wrong with a suite
    // then shows at once and everywhere, and headers of shards differ in measurements only.
    let own = |position: usize| job.shard.is_none_or(|shard| shard.owns(position));
    let mine: Vec<_> =
        prepared.iter().enumerate().filter(|(position, _)| own(*position)).map(|(_, p)| p).collect();
    observer.planned(mine.len(), done.len());
    if job.ceilings {
        let measured = ceilings::measure_all(&mut store, &prepared, &mut resources, observer);
        measured.map_err(|e| resources.end(e, store.dir()))?;
    }

    let mut searches = train::Searches::default();
    let mut watch = Watch::new(&resources);
    let mut open = mine.into_iter().filter(|p| !done.contains(&p.point.id)).peekable();
    let (seed, dir) = (job.suite.seed, store.dir().to_path_buf());
    let mut finished = |result: PointResult, observer: &mut dyn Observer| {
        store.finish_point(&result)?;
        if job.ceilings {
            ceilings::raise(&mut store)?;
        }
        result.summary.first().into_iter().for_each(|row| observer.finished(&row.point));
        Ok(())
    };
    while let Some(p) = open.peek().copied() {
        let untimed = match p.benchmark.model {
            Model::WeightUpdate => None,
            Model::SignalDecay => Some(signal::trace(p.seed(seed), p, &mut resources, observer)),
            Model::Alignment => Some(alignment::compare(p.seed(seed), p, &mut resources, observer)),
            Model::Training => {
                Some(train::point((p.seed(seed), seed), p, &mut resources, &mut searches, observer))
            }
            Model::Study(of) => Some(study::study(of, p.seed(seed), p, &mut resources, observer)),
        };
        let measured = match untimed {
            None => together::measure(seed, &mut open, &mut resources, &mut watch, observer, &mut finished),
            Some(result) => {
                open.next();
                result.and_then(|result| finished(result, observer))
            }
        };
        measured.map_err(|e| resources.end(e, &dir))?;
    }
    let warnings = watch.warnings(&record::read(store.dir())?);
    store.finish(measure::utc_now(), warnings)
}

/// Goes on with a record, provided that it was begun on the same numbers.
fn resume(dir: &Path, machine: &Machine, run: &Run) -> Result<(Store, Vec<String>)> {
    let begun = record::read(dir)?.run;
    if begun.definition_sha256 == run.definition_sha256 && begun.data != run.data {
        return Err(Error::content(
            dir,
            format!(
                "cannot be resumed: it was begun on data [{}] and this is [{}]; give the --data it was begun with, or \
                 start a new record",
                begun.data.join("; "),
                run.data.join("; ")
            ),
        ));
    }
    Store::resume(dir, machine, run)
}

/// A shard that would be empty is more likely a slip than a wish.
fn check_shard(job: &Job<'_>, points: usize) -> Result<()> {
    match job.shard {
        Some(shard) if shard.of() > points => Err(Error::Invalid(format!(
            "shard {shard} cannot be dealt: suite `{}` has {points} points with these options; use at most {points} shards",
            job.suite.name
        ))),
        _ => Ok(()),
    }
}
