//! The corridor of a run: suite → points → contenders → verified → measured → recorded.

mod alignment;
mod lost;
mod material;
mod merge;
mod plan;
mod point;
mod signal;
mod size;
mod training;
mod watch;
mod weight_update;

use std::path::{Path, PathBuf};
use std::time::Duration;

use candle_core::DType;

use crate::measure::{self, build};
use crate::record::{self, Ceiling, Machine, PointResult, Run, Shard, Store, SCHEMA};
use crate::suite::{DeviceKind, Model, Suite};
use crate::{Error, Result};

pub use material::open_device;
use material::Material;
pub use merge::merge;
pub use plan::{plan, Makespan, Planned};
use point::Prepared;
use watch::Watch;

/// Whether to begin a record or go on with one.
#[derive(Debug, Clone)]
pub enum Target {
    /// A new record under the results folder, or in exactly this folder.
    New(Option<PathBuf>),
    /// The record in this folder.
    Resume(PathBuf),
    /// The latest unfinished record of this suite on this machine.
    ResumeLatest,
}

/// A run to be done.
#[derive(Debug)]
pub struct Job<'a> {
    /// What.
    pub suite: &'a Suite,
    /// Folder of IDX files that replaces the digits.
    pub data: Option<&'a Path>,
    /// The folder of all records.
    pub results: &'a Path,
    /// Where.
    pub target: Target,
    /// Command line as typed.
    pub argv: Vec<String>,
    /// Measure only these of the suite's points.
    pub shard: Option<Shard>,
    /// Measure even in a debug build; the record says so.
    pub allow_debug: bool,
    /// Measure the ceilings too; without them nothing is stated in units of them.
    pub ceilings: bool,
    /// Wait until other processes leave the processors alone, at most for so long, before anything is measured.
    pub wait_quiet: Option<Duration>,
}

/// Told what is going on, for progress bars.
pub trait Observer {
    /// Nothing is measured yet, because other processes use the processors: a sentence about them, now and then.
    fn waiting(&mut self, sentence: &str);
    /// The run has this many points, of which some were finished earlier.
    fn planned(&mut self, points: usize, finished: usize);
    /// A point starts, or has reached another stage.
    fn at(&mut self, point: &str, stage: &str);
    /// A point is on disk.
    fn finished(&mut self, point: &str);
}

/// Does the job; every finished point is on disk before the next one starts.
///
/// # Errors
/// Anything wrong with the definition, the data, the device or the record folder is reported before
/// anything is measured or written. A contender that fails is a row with `err`, not an error. [`Error::Lost`] for a
/// card that stops working: the point being measured is not recorded, and the record can be resumed.
pub fn run(job: &Job<'_>, observer: &mut dyn Observer) -> Result<PathBuf> {
    run_with(job, observer, &lost::synchronise)
}

/// [`run`], with the answers of devices planted by tests.
fn run_with(job: &Job<'_>, observer: &mut dyn Observer, probe: lost::Probe<'_>) -> Result<PathBuf> {
    let mut warnings = Vec::new();
    if measure::debug_build() {
        if !job.allow_debug {
            return Err(Error::Invalid(
                "this is a debug build and its timings would mean nothing; build with --release".into(),
            ));
        }
        warnings.push("debug build: the timings mean nothing".into());
    }
    let mut material = Material::new(job.suite, job.data, probe)?;
    let prepared = point::prepare(job.suite, &mut material)?;
    warnings.extend(material.card_warnings());

    let machine = Machine::detect(material.gpu()?);
    size::check_memory(&prepared, machine.memory_bytes)?;
    check_shard(job, prepared.len())?;
    warnings.extend(match job.wait_quiet {
        None => measure::load_warning(),
        Some(most) => measure::quiet::wait(most, &mut |sentence| observer.waiting(sentence)),
    });
    let run = header(job, &material, material.switches(&prepared)?, warnings);
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
        let measured = ceilings(&mut store, &prepared, &mut material, observer);
        measured.map_err(|e| material.end(e, store.dir()))?;
    }

    let mut watch = Watch::new(&material);
    for p in mine.into_iter().filter(|p| !done.contains(&p.point.id)) {
        let measured = measure_point(job.suite.seed, p, &mut material, &mut watch, observer);
        let result = measured.map_err(|e| material.end(e, store.dir()))?;
        store.finish_point(&result)?;
        observer.finished(&p.point.id);
    }
    let warnings = watch.warnings(&record::read(store.dir())?);
    store.finish(measure::utc_now(), warnings)
}

/// Goes on with a record, provided that it was begun on the same numbers.
fn resume(dir: &Path, machine: &Machine, run: &Run) -> Result<(Store, Vec<String>)> {
    let begun = crate::record::read_run(dir)?;
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

fn measure_point(
    seed: u64,
    p: &Prepared<'_>,
    material: &mut Material<'_>,
    watch: &mut Watch,
    observer: &mut dyn Observer,
) -> Result<PointResult> {
    match p.benchmark.model {
        Model::WeightUpdate => weight_update::measure(seed, p, material, watch, observer),
        Model::SignalDecay => signal::trace(seed, p, material, observer),
        Model::Alignment => alignment::compare(seed, p, material, observer),
    }
}

/// Measures the ceilings this run's points are held against, unless an earlier part of the run has.
fn ceilings(
    store: &mut Store,
    prepared: &[Prepared<'_>],
    material: &mut Material<'_>,
    observer: &mut dyn Observer,
) -> Result<()> {
    let timed = prepared.iter().filter(|p| p.benchmark.model == Model::WeightUpdate);
    let all = measure::threads();
    // with all threads, with one, and with as many as some contender asks for
    let mut wanted: Vec<(DType, DeviceKind, usize)> = Vec::new();
    for p in timed {
        wanted.push((p.point.dtype, p.point.device, all));
        // threads of the host make no difference to a card
        if p.point.device == DeviceKind::Cpu {
            let asked = p.specs.iter().filter_map(|spec| spec.threads).filter(|&n| n <= all);
            wanted.extend(asked.chain([1]).map(|n| (p.point.dtype, p.point.device, n)));
        }
    }
    let mut found = store.run().ceilings.clone();
    for (dtype, device, threads) in wanted {
        let known = |quantity: &str, dtype: &str, threads: usize| {
            let same = |c: &&Ceiling| c.device == device.name() && c.dtype == dtype && c.threads == threads;
            found.iter().filter(same).any(|c| c.quantity == quantity)
        };
        let (gemm, copy) = (!known("gemm", dtype.as_str(), threads), !known("copy", "f32", all));
        let device = material.device(device)?;
        if gemm {
            observer.at("ceilings", &format!("{} matrix products, threads: {threads}", dtype.as_str()));
            found.push(measure::gemm_ceiling(dtype, &device, threads)?);
        }
        if copy {
            observer.at("ceilings", "copy");
            found.push(measure::copy_ceiling(&device)?);
        }
    }
    store.update_run(|run| run.ceilings = found)
}

fn header(job: &Job<'_>, material: &Material<'_>, switches: Vec<String>, warnings: Vec<String>) -> Run {
    Run {
        schema: SCHEMA,
        suite: job.suite.name.clone(),
        about: job.suite.about.clone(),
        definition: job.suite.definition.clone(),
        definition_sha256: job.suite.definition_sha256(),
        seed: job.suite.seed,
        argv: job.argv.clone(),
        started: measure::utc_now(),
        finished: None,
        version: build::VERSION.to_owned(),
        rev: build::REV.to_owned(),
        dirty: build::dirty(),
        lockfile_sha256: build::LOCKFILE_SHA256.to_owned(),
        features: build::features(),
        switches,
        candle: build::CANDLE.to_owned(),
        threads: measure::threads(),
        data: material.describe(),
        ceilings: Vec::new(),
        warnings,
        shard: job.shard,
        shards: Vec::new(),
    }
}
