//! `pcnbench gate`: a small suite measured and held against the committed baseline.

mod report;
mod session;
mod update;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::cmp::{factor, threshold};
use super::compared;
use super::grid::Format;
use super::Exit;
use crate::compare::baseline::{self, Baseline, Choice};
use crate::compare::gate::{self, GateOutcome};
use crate::compare::{compare, Options, Side};
use crate::measure::{self, quiet, Gpu};
use crate::record::{self, Machine};
use crate::run::open_device;
use crate::suite::{axis, DeviceKind, Overrides, Suite};
use crate::{Error, Result};

use report::Report;
use session::{measure, second_look, Session};
use update::update;

/// Options of `gate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A built-in suite, or a path to a .toml file
    #[arg(long, value_name = "SUITE|FILE", default_value = "gate")]
    suite: String,
    /// Compare with this baseline instead of the one of this machine class under --results
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Folder of all records, where DIR/<machine class>/baseline.toml is looked for
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
    /// Write report, exports and records into this folder, which must be new or empty
    #[arg(long, value_name = "DIR", default_value = "gate-out")]
    out: PathBuf,
    /// Measure four times as long and make that the baseline of this machine class (or FILE of --baseline)
    #[arg(long)]
    update_baseline: bool,
    /// Judge this record instead of measuring one; then nothing is measured again either
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    /// Measure on this device instead of the suite's (cpu, cuda)
    #[arg(long)]
    device: Option<String>,
    /// Judge absolute times too, for a machine that does nothing else; only against a baseline of equal machine class
    /// and threads
    #[arg(long)]
    absolute: bool,
    /// Tolerate changes up to this many per cent, at least 2, or up to what the controls show, whichever is more
    #[arg(long, value_name = "PERCENT", default_value_t = 2.0, allow_negative_numbers = true)]
    threshold: f64,
    /// Tolerate ratios up to this factor against a baseline of another machine class or thread count
    #[arg(long, value_name = "FACTOR", default_value_t = 1.5)]
    cross_machine_tolerance: f64,
    /// Believe no change seen while other programs had the processors for more than this share of the time; such
    /// sessions are first tried again
    #[arg(long, value_name = "PERCENT", default_value_t = 25.0, allow_negative_numbers = true)]
    most_waiting: f64,
    /// Wait until other processes leave the processors alone before each session, at most for so long; a record whose
    /// machine did not become quiet carries a warning
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    wait_quiet: Option<f64>,
    /// Exit code 4 if anything stays ambiguous, or there is no baseline
    #[arg(long)]
    strict: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Measure in a debug build too; the record carries a warning
    #[arg(long, hide = true)]
    allow_debug_build: bool,
}

impl Args {
    /// The share of waiting, if it is more than is believed in.
    fn too_much(&self, waited: Option<f64>) -> Option<f64> {
        waited.filter(|share| 100.0 * share > self.most_waiting)
    }
}

pub(super) fn main(args: &Args, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let options = Options {
        absolute: args.absolute,
        threshold: threshold(args.threshold)?,
        cross_machine: Some(factor("--cross-machine-tolerance", args.cross_machine_tolerance)?),
    };
    if !(0.0..=100.0).contains(&args.most_waiting) {
        let problem =
            format!("--most-waiting {} is out of range; expected 0 to 100 (per cent)", args.most_waiting);
        return Err(Error::Invalid(problem).into());
    }
    args.wait_quiet.map(quiet::limit).transpose()?;
    let overrides = Overrides::default().with(&axis::DEVICE, args.device.clone());
    let suite = Suite::load(&args.suite, &overrides)?;
    let place = Place::of(args, &suite)?;
    // What cannot be compared with or written to is said before minutes of measuring.
    let choice = if args.update_baseline { None } else { place.choice(args)? };
    if let Some(Choice { path, baseline, .. }) = choice.as_ref().filter(|c| c.baseline.suite != place.suite) {
        let problem = format!(
            "is a baseline of suite `{}`, and this gate is of `{}`; give that suite's own with `--baseline`, made with \
             `--update-baseline`",
            baseline.suite, place.suite
        );
        return Err(Error::content(path, problem).into());
    }
    check_empty(&args.out)?;
    fs::create_dir_all(&args.out).map_err(|e| Error::io("create the folder", &args.out, e))?;

    if args.update_baseline {
        return update(args, &suite, &place, out);
    }
    let Session { record, waited } = match &args.record {
        Some(dir) => Session { record: record::read(dir)?, waited: None },
        None => measure(args, &suite, "record")?,
    };
    let first = Side::of(&record)?.having_waited(args.too_much(waited));
    let mut report = Report {
        record: &record,
        choice,
        comparison: None,
        waited,
        again: vec![],
        outcome: GateOutcome::Passed,
    };
    report.outcome = match &report.choice {
        None => alone(&first, args.strict),
        Some(choice) => {
            let base = choice.baseline.side(choice.path.display().to_string());
            let mut comparison = compare(&base, &first, &options);
            if args.record.is_none() {
                let again = second_look(args, &suite, &comparison)?;
                comparison = compare(&base, &gate::with_second_look(&first, &again, &comparison), &options);
                report.again = again.into_iter().map(|side| side.name).collect();
            }
            let outcome = gate::outcome(&comparison, true, args.strict);
            report.comparison = Some(comparison);
            outcome
        }
    };
    report.write(&args.out, &first)?;
    report.print(args, out)?;
    Ok(compared::exit(report.outcome))
}

/// Where the gate stands, as far as the choice of a baseline goes.
struct Place {
    class: String,
    threads: usize,
    suite: String,
}

impl Place {
    fn of(args: &Args, suite: &Suite) -> Result<Self> {
        if let Some(dir) = &args.record {
            let record = record::read(dir)?;
            return Ok(Self {
                class: record.machine.class,
                threads: record.run.threads,
                suite: record.run.suite,
            });
        }
        let card = suite.benchmarks.iter().flat_map(|b| &b.points).any(|p| p.device == DeviceKind::Cuda);
        let gpu = if card { Gpu::of(&open_device(DeviceKind::Cuda)?)? } else { None };
        Ok(Self { class: Machine::detect(gpu).class, threads: measure::threads(), suite: suite.name.clone() })
    }

    fn choice(&self, args: &Args) -> Result<Option<Choice>> {
        match &args.baseline {
            Some(path) => Ok(Some(Choice { baseline: Baseline::read(path)?, path: path.clone(), why: None })),
            None => baseline::choose(&args.results, &self.class, self.threads),
        }
    }

    /// Where the baseline of this place belongs.
    fn path(&self, args: &Args) -> PathBuf {
        let own = || args.results.join(record::slug(&self.class)).join(baseline::FILE);
        args.baseline.clone().unwrap_or_else(own)
    }
}

fn check_empty(dir: &Path) -> Result<()> {
    let Ok(mut entries) = fs::read_dir(dir) else {
        return match fs::symlink_metadata(dir) {
            Ok(_) => {
                Err(Error::content(dir, "is not a folder that can be read; choose another one with `--out`"))
            }
            Err(_) => Ok(()),
        };
    };
    match entries.next() {
        None => Ok(()),
        Some(_) => Err(Error::content(dir, "is not empty; choose an empty or a new folder with `--out`")),
    }
}

/// Without a baseline only what a record says of itself can be judged.
fn alone(side: &Side, strict: bool) -> GateOutcome {
    match side.entries.iter().find(|e| !e.err.is_empty()) {
        Some(e) => GateOutcome::Changed(format!("failed: {} at {}: {}", e.contender, e.point, e.err)),
        None if strict => GateOutcome::Inconclusive("nothing compares: there is no baseline".into()),
        None => GateOutcome::Passed,
    }
}
