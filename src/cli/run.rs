//! `pcnbench run`: measure a suite, write a record, draw its figures.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::grid::Format;
use super::progress::Bar;
use super::resume::{self, Choice};
use super::{results, trained, Exit};
use crate::measure::{machine, quiet};
use crate::record::{self, Record, Shard, Status, SummaryRow};
use crate::run::{self, Job, Target};
use crate::suite::{axis, Overrides, Suite};
use crate::Error;

/// Options of `run`.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// A built-in suite (see `list`), or a path to a .toml file [default: quick; with --resume, the record's]
    #[arg(value_name = "SUITE|FILE")]
    suite: Option<String>,
    /// Folder with the four IDX files of MNIST or Fashion-MNIST, or the binary files of CIFAR-10 or CIFAR-100, plain or
    /// gzip, instead of the digits; or `mnist` or `fashion-mnist`, to be downloaded (feature `hub`)
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Folder of all records; a new one goes into DIR/<machine>/<date>-<revision>-<suite>
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: Option<PathBuf>,
    /// Write the record into exactly this folder, which must be new or empty
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    out: Option<PathBuf>,
    /// Go on with an unfinished record: the one in DIR, or the latest of SUITE (or at all) on this machine. Without
    /// SUITE, its suite, shard, data and threads are those that it was begun with
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
    threads: super::threads::Threads,
}

impl Args {
    fn results(&self) -> &Path {
        self.results.as_deref().unwrap_or(Path::new("results"))
    }

    fn choice(&self, shard: Option<Shard>) -> crate::Result<Choice> {
        let resume = self.resume.as_ref().map(Option::as_deref);
        resume::choose(self.suite.as_deref(), resume, self.results(), shard)
    }

    /// Threads that were asked for, or those of the record that goes on as it was begun.
    pub(super) fn threads(&self) -> Option<usize> {
        let begun = || {
            // what is wrong with either is said when it is used
            let shard = self.shard.as_deref().map(str::parse).transpose().ok()?;
            match self.choice(shard).ok()? {
                Choice::Itself(_, begun) => Some(begun.threads),
                _ => None,
            }
        };
        self.threads.threads.or_else(|| begun().filter(|&threads| threads <= machine::processors().1))
    }
}

pub(super) fn main(args: &Args, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let (seed, max_seconds, max_depth) = (args.seed, args.max_seconds, args.max_depth);
    let overrides = Overrides { seed, max_seconds, max_depth, ..Overrides::default() }
        .with(&axis::DEVICE, args.device.clone())
        .with(&axis::DTYPE, args.dtype.clone());
    let mut shard: Option<Shard> = args.shard.as_deref().map(str::parse).transpose()?;
    let mut data = args.data.clone();
    let (suite, target) = match args.choice(shard)? {
        Choice::New(suite) => (Suite::load(&suite, &overrides)?, Target::New(args.out.clone())),
        Choice::Latest(suite) => (Suite::load(&suite, &overrides)?, Target::ResumeLatest),
        Choice::In(dir, suite) => (Suite::load(&suite, &overrides)?, Target::Resume(dir)),
        Choice::Itself(dir, begun) => {
            shard = shard.or(begun.shard);
            data = data.or_else(|| resume::data(&begun.argv));
            let place = dir.join("run.json");
            (Suite::parse(&begun.definition, &place.to_string_lossy(), &overrides)?, Target::Resume(dir))
        }
    };
    let job = Job {
        suite: &suite,
        data: data.as_deref(),
        results: args.results(),
        target,
        argv: std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect(),
        shard,
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

/// Prints the results and decides how the command ends.
pub(super) fn finish(record: &Record, format: Format, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let people = format == Format::Table;
    let grid = results::table(record, !people)?;
    if people {
        writeln!(out, "{} on {}, {} threads", record.run.suite, record.machine.cpu, record.run.threads)?;
    }
    let trained = trained::table(record);
    if !grid.is_empty() || (!people && trained.is_empty()) {
        grid.print(format, out)?;
    }
    if !trained.is_empty() && (grid.is_empty() || people) {
        trained.print(format, out)?;
    }
    if people {
        for note in results::footnotes(record) {
            writeln!(out, "{note}")?;
        }
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
    let mut wrong = record.summary.iter().filter(|row| row.status == Status::Wrong);
    if let Some(first) = wrong.next() {
        return Ok(Exit::Wrong(format!(
            "verification failed in {} rows, the first at {}: {}",
            1 + wrong.count(),
            first.point,
            first.err
        )));
    }
    let without = without_result(&record.summary);
    let Some(first) = without.first() else { return Ok(Exit::Clean) };
    Err(Error::Invalid(format!(
        "no contender has a result at {} of the points, the first {}: {}: {}",
        without.len(),
        first.point,
        first.contender,
        first.err
    ))
    .into())
}

/// The first row of each point at which every contender failed.
fn without_result(summary: &[SummaryRow]) -> Vec<&SummaryRow> {
    // the rows of a point are neighbours
    let points = summary.chunk_by(|a, b| a.point == b.point);
    // that a training run diverged is what became of it, and its curve says when
    let ended =
        |row: &SummaryRow| row.err.is_empty() || (row.model == "training" && row.status == Status::Diverged);
    points.filter(|rows| !rows.iter().any(ended)).filter_map(<[_]>::first).collect()
}
