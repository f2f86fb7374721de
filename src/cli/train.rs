//! `pcnbench train`: one contender learns, with checkpoints.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};

use super::exit::Exit;
use super::resume;
use crate::measure::{build, machine, utc_now};
use crate::plot::number::short;
use crate::record::{self, TrainingRow};
use crate::run::{self, Progress, TrainJob};
use crate::suite::{axis, Overrides, Suite};
use crate::Error;

/// Options of `train`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The folder has training.json (what the run is), training.csv (its curve) and the last two checkpoints, \
    safetensors files with the weights [outputs, inputs] under their names, the optimiser and everything else that the run goes on \
    from bit for bit."
)]
pub struct Args {
    /// A built-in suite or a path to a .toml file, of one benchmark of the model `training` with one point [default: train; with
    /// --resume, the run's own]
    #[arg(value_name = "SUITE|FILE")]
    suite: Option<String>,
    /// Train this contender, rule/engine, instead of the suite's
    #[arg(long, value_name = "ID")]
    contender: Option<String>,
    /// Folder with the files of MNIST, Fashion-MNIST, CIFAR-10 or CIFAR-100 instead of the digits
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Write curve and checkpoints into this folder, which must be new or empty [default:
    /// results/training/<date>-<revision>-<suite>-<rule>]
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    out: Option<PathBuf>,
    /// Go on with the run in this folder from its newest checkpoint that is whole
    #[arg(long, value_name = "DIR", conflicts_with_all = ["suite", "contender", "seed", "device", "dtype", "epochs", "updates", "learning_rate",
        "optimiser", "depth", "width", "batch", "steps", "step_size"])]
    resume: Option<PathBuf>,
    /// Write a checkpoint every N updates too, not at the rows of the curve alone
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    checkpoint_every: Option<u64>,
    /// Train for this many epochs
    #[arg(long, value_name = "N", conflicts_with = "updates")]
    epochs: Option<u64>,
    /// Train for this many updates
    #[arg(long, value_name = "N")]
    updates: Option<u64>,
    /// Learning rate
    #[arg(long, value_name = "A")]
    learning_rate: Option<f64>,
    /// Optimiser (sgd, momentum, adam, mq)
    #[arg(long, value_name = "NAME")]
    optimiser: Option<String>,
    /// A network of this depth
    #[arg(long, value_name = "L")]
    depth: Option<usize>,
    /// A network of this width
    #[arg(long, value_name = "N")]
    width: Option<usize>,
    /// Batches of this size
    #[arg(long, value_name = "B")]
    batch: Option<usize>,
    /// This many inference steps
    #[arg(long, value_name = "T")]
    steps: Option<usize>,
    /// Steps of this size
    #[arg(long, value_name = "G")]
    step_size: Option<f64>,
    /// Train on this device (cpu, cuda)
    #[arg(long)]
    device: Option<String>,
    /// Train in this dtype (f32, f64)
    #[arg(long)]
    dtype: Option<String>,
    /// Seed of weights and batches
    #[arg(long)]
    seed: Option<u64>,
    #[command(flatten)]
    threads: super::threads::Threads,
}

impl Args {
    /// Threads that were asked for, or those of the run that goes on.
    pub(super) fn threads(&self) -> Option<usize> {
        // what is wrong with the folder is said when it is used
        let begun = || Some(run::begun(self.resume.as_ref()?).ok()?.1.threads);
        self.threads.threads.or_else(|| begun().filter(|&threads| threads <= machine::processors().1))
    }
}

pub(super) fn main(args: &Args, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let mut every = args.checkpoint_every;
    let (suite, data, dir) = match &args.resume {
        Some(dir) => {
            let (suite, begun) = run::begun(dir)?;
            let asked = || resume::option(&begun.argv, "--checkpoint-every")?.parse().ok();
            every = every.or_else(asked).filter(|&every| every > 0);
            (suite, args.data.clone().or_else(|| resume::data(&begun.argv)), dir.clone())
        }
        None => {
            let suite = Suite::load(args.suite.as_deref().unwrap_or("train"), &overrides(args))?;
            let dir = args.out.clone().unwrap_or_else(|| default_folder(&suite));
            (suite, args.data.clone(), dir)
        }
    };
    let job = TrainJob {
        suite: &suite,
        data: data.as_deref(),
        dir: dir.clone(),
        argv: std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect(),
        every,
        resume: args.resume.is_some(),
    };
    let mut told = Told { out, bar: ProgressBar::hidden(), unwritten: None };
    let trained = run::train(&job, &mut told);
    told.bar.finish_and_clear();
    let (unwritten, out) = (told.unwritten, told.out);
    if let Err(e @ Error::Diverged { .. }) = trained {
        return Err(anyhow::Error::new(e).context(format!("the curve up to here is in {}", dir.display())));
    }
    match trained {
        Err(Error::Wrong(what)) => return Ok(Exit::Wrong(what)),
        other => other.map(drop)?,
    }
    unwritten.map_or(Ok(()), Err)?;
    writeln!(out, "run: {}", dir.display())?;
    Ok(Exit::Clean)
}

fn overrides(args: &Args) -> Overrides {
    let mut overrides = Overrides {
        seed: args.seed,
        contender: args.contender.clone(),
        learning_rate: args.learning_rate,
        optimiser: args.optimiser.clone(),
        epochs: args.epochs,
        updates: args.updates,
        ..Overrides::default()
    }
    .with(&axis::DEVICE, args.device.clone())
    .with(&axis::DTYPE, args.dtype.clone())
    .with(&axis::DEPTH, args.depth)
    .with(&axis::WIDTH, args.width)
    .with(&axis::BATCH, args.batch)
    .with(&axis::STEPS, args.steps);
    overrides.axes.extend(args.step_size.map(|g| (&axis::STEP_SIZE, axis::Value::Number(g))));
    overrides
}

/// A folder that is not there yet.
fn default_folder(suite: &Suite) -> PathBuf {
    let now = utc_now();
    let date = now.split('T').next().unwrap_or_default();
    let rule = suite.benchmarks.first().and_then(|b| b.contenders.first()).map(|c| c.id.name.clone());
    let name = format!("{date}-{}-{}-{}", build::REV, suite.name, rule.unwrap_or_default());
    let base = Path::new("results/training").join(record::slug(&name));
    let numbered = (2..).map(|n: u32| base.with_file_name(format!("{}-{n}", record::slug(&name))));
    std::iter::once(base.clone()).chain(numbered).find(|dir| !dir.exists()).unwrap_or(base)
}

/// Prints the curve, and a bar where standard error is a terminal.
struct Told<'a> {
    out: &'a mut dyn Write,
    bar: ProgressBar,
    unwritten: Option<io::Error>,
}

impl Progress for Told<'_> {
    fn begins(&mut self, contender: &str, update: u64, updates: u64) {
        self.bar = ProgressBar::new(updates);
        let template = "{elapsed_precise} {bar:24} {pos}/{len} updates, {eta} left  {wide_msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        self.bar.set_position(update);
        self.bar.reset_eta();
        let title = match update {
            0 => format!("{contender}, {updates} updates"),
            _ => format!("{contender}, from update {update} of {updates}"),
        };
        self.say(&title);
        self.say("   update   epoch   seconds        rate    F/sample  validation  test loss    test   regime on the next batch");
    }

    fn at(&mut self, update: u64, _: f64) {
        self.bar.set_position(update);
    }

    fn row(&mut self, row: &TrainingRow) {
        self.bar.set_position(row.update);
        self.bar.set_message(
            row.test_loss.map_or_else(String::new, |loss| format!("test loss {}", short(loss, 4))),
        );
        self.say(&line(row));
    }

    fn warning(&mut self, sentence: &str) {
        let _ = writeln!(io::stderr(), "warning: {sentence}");
    }
}

impl Told<'_> {
    fn say(&mut self, line: &str) {
        let out = &mut self.out;
        let written = self.bar.suspend(|| writeln!(out, "{line}").and_then(|()| out.flush()));
        // the run is worth more than its lines; they are in training.csv too
        self.unwritten = self.unwritten.take().or(written.err());
    }
}

fn line(row: &TrainingRow) -> String {
    let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |v| short(v, 4));
    let percent =
        |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |v| format!("{:.2} %", 100.0 * v));
    format!(
        "{:>9} {:>7} {:>9} {:>11} {:>11} {:>11} {:>10} {:>8}  {}",
        row.update,
        short(row.epoch, 3),
        format!("{:.2}", row.seconds),
        short(row.learning_rate, 3),
        number(row.energy),
        percent(row.validation_accuracy),
        number(row.test_loss),
        percent(row.test_accuracy),
        row.regime().unwrap_or_else(|| "–".into())
    )
}
