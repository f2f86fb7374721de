//! `pcnbench run`: measure a suite, write a record, draw its figures.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::grid::Format;
use super::progress::Bar;
use super::{results, Verdict};
use crate::measure::quiet;
use crate::record::{self, Record};
use crate::run::{self, Job, Target};
use crate::suite::{Overrides, Suite};

/// Options of `run`.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// A built-in suite (see `list`), or a path to a .toml file
    #[arg(value_name = "SUITE|FILE", default_value = "quick")]
    suite: Option<String>,
    /// Folder with the four IDX files of MNIST or Fashion-MNIST, plain or gzip, instead of the digits; or
    /// `mnist` or `fashion-mnist`, to be downloaded (feature `hub`)
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Folder of all records; a new one goes into DIR/<machine>/<date>-<revision>-<suite>
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: Option<PathBuf>,
    /// Write the record into exactly this folder, which must be new or empty
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    out: Option<PathBuf>,
    /// Go on with an unfinished record, under the options it was begun with: the one in DIR, or the latest
    /// of this suite on this machine
    #[arg(long, value_name = "DIR", num_args = 0..=1)]
    resume: Option<Option<PathBuf>>,
    /// Measure only shard I of N, every N-th point of the suite from the I-th; `merge` joins the records of all N
    #[arg(long, value_name = "I/N")]
    shard: Option<String>,
    /// Measure on this device instead of the suite's (cpu, cuda)
    #[arg(long)]
    device: Option<String>,
    /// Measure in this dtype instead of the suite's (f32, f64)
    #[arg(long)]
    dtype: Option<String>,
    /// Seed of weights, batches and round order instead of the suite's
    #[arg(long)]
    seed: Option<u64>,
    /// Leave out networks deeper than L
    #[arg(long, value_name = "L")]
    max_depth: Option<usize>,
    /// Sample each point for at most so long, and read energy for as long again, instead of the suite's limit
    #[arg(long, value_name = "SECONDS")]
    max_seconds: Option<f64>,
    /// Wait until other processes leave the processors alone, at most for so long, and only then measure; a record whose
    /// machine did not become quiet carries a warning
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    wait_quiet: Option<f64>,
    /// How to print the results
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Do not draw figures
    #[arg(long)]
    no_plots: bool,
    /// Measure in a debug build too; the record carries a warning
    #[arg(long, hide = true)]
    allow_debug_build: bool,
    #[command(flatten)]
    pub(super) threads: super::threads::Threads,
}

pub(super) fn main(args: &Args, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    let overrides = Overrides {
        device: args.device.clone(),
        dtype: args.dtype.clone(),
        seed: args.seed,
        max_seconds: args.max_seconds,
        max_depth: args.max_depth,
        ..Overrides::default()
    };
    let suite = Suite::load(args.suite.as_deref().unwrap_or("quick"), &overrides)?;
    let target = match (&args.resume, &args.out) {
        (Some(Some(dir)), _) => Target::Resume(dir.clone()),
        (Some(None), _) => Target::ResumeLatest,
        (None, dir) => Target::New(dir.clone()),
    };
    let job = Job {
        suite: &suite,
        data: args.data.as_deref(),
        results: args.results.as_deref().unwrap_or(Path::new("results")),
        target,
        argv: std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect(),
        shard: args.shard.as_deref().map(str::parse).transpose()?,
        allow_debug: args.allow_debug_build,
        ceilings: true,
        wait_quiet: args.wait_quiet.map(quiet::limit).transpose()?,
    };
    let mut bar = Bar::new();
    let dir = run::run(&job, &mut bar);
    bar.clear();
    let record = record::read(&dir?)?;
    if !args.no_plots {
        super::plot::draw(&record, &record.dir).context("the record is complete, but its figures are not")?;
    }
    finish(&record, args.format, out)
}

/// Prints the results and decides the verdict.
pub(super) fn finish(record: &Record, format: Format, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    let people = format == Format::Table;
    let grid = results::table(record, !people)?;
    if people {
        writeln!(out, "{} on {}, {} threads", record.run.suite, record.machine.cpu, record.run.threads)?;
    }
    if !grid.is_empty() || !people {
        grid.print(format, out)?;
    }
    if people {
        for warning in &record.run.warnings {
            writeln!(out, "warning: {warning}")?;
        }
        for failure in results::failures(record) {
            writeln!(out, "{failure}")?;
        }
        writeln!(out, "record: {}", record.dir.display())?;
        let page = record.dir.join("index.html");
        if page.is_file() {
            writeln!(out, "page:   {}", page.display())?;
        }
    }
    let mut wrong = record.summary.iter().filter(|row| row.err.contains(crate::verify::twin::WRONG));
    Ok(wrong.next().map_or(Verdict::Clean, |first| {
        Verdict::Wrong(format!(
            "verification failed in {} rows, the first at {}: {}",
            1 + wrong.count(),
            first.point,
            first.err
        ))
    }))
}
