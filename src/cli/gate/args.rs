//! Options of `gate`, and the baseline that they choose.

use std::path::PathBuf;

use crate::cli::grid::Format;
use crate::compare::baseline::{self, Baseline, Choice};
use crate::measure::{self, Gpu};
use crate::record::{self, Machine};
use crate::run::open_device;
use crate::suite::{DeviceKind, Suite};
use crate::Result;

/// Options of `gate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A built-in suite, or a path to a .toml file
    #[arg(long, value_name = "SUITE|FILE", default_value = "gate")]
    pub(super) suite: String,
    /// Compare with this baseline instead of the one of this machine class under --results
    #[arg(long, value_name = "FILE")]
    pub(super) baseline: Option<PathBuf>,
    /// Folder of all records, where DIR/<machine class>/baseline.toml is looked for
    #[arg(long, value_name = "DIR", default_value = "results")]
    pub(super) results: PathBuf,
    /// Write report, exports and records into this folder, which must be new or empty
    #[arg(long, value_name = "DIR", default_value = "gate-out")]
    pub(super) out: PathBuf,
    /// Measure four times as long and make that the baseline of this machine class (or FILE of --baseline)
    #[arg(long)]
    pub(super) update_baseline: bool,
    /// Judge this record instead of measuring one; then nothing is measured again either
    #[arg(long, value_name = "DIR")]
    pub(super) record: Option<PathBuf>,
    /// Measure on this device instead of the suite's (cpu, cuda)
    #[arg(long)]
    pub(super) device: Option<String>,
    /// Judge absolute times too, for a machine that does nothing else; only against a baseline of equal machine class
    /// and threads
    #[arg(long)]
    pub(super) absolute: bool,
    /// Tolerate changes up to this many per cent, at least 2, or up to what the controls show, whichever is more
    #[arg(long, value_name = "PERCENT", default_value_t = 2.0, allow_negative_numbers = true)]
    pub(super) threshold: f64,
    /// Tolerate ratios up to this factor against a baseline of another machine class or thread count
    #[arg(long, value_name = "FACTOR", default_value_t = 1.5)]
    pub(super) cross_machine_tolerance: f64,
    /// Believe no change seen while other programs had the processors for more than this share of the time; such
    /// sessions are first tried again
    #[arg(long, value_name = "PERCENT", default_value_t = 25.0, allow_negative_numbers = true)]
    pub(super) most_waiting: f64,
    /// Wait until other processes leave the processors alone before each session, at most for so long; a record whose
    /// machine did not become quiet carries a warning
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub(super) wait_quiet: Option<f64>,
    /// Exit code 4 if anything stays ambiguous, or there is no baseline
    #[arg(long)]
    pub(super) strict: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
    /// Measure in a debug build too; the record carries a warning
    #[arg(long, hide = true)]
    pub(super) allow_debug_build: bool,
}

impl Args {
    /// The share of waiting, if it is more than is believed in.
    pub(super) fn too_much(&self, waited: Option<f64>) -> Option<f64> {
        waited.filter(|share| 100.0 * share > self.most_waiting)
    }
}

/// Where the gate stands, as far as the choice of a baseline goes.
pub(super) struct Place {
    pub(super) class: String,
    pub(super) threads: usize,
    pub(super) suite: String,
}

impl Place {
    pub(super) fn of(args: &Args, suite: &Suite) -> Result<Self> {
        if let Some(dir) = &args.record {
            let record = record::read(dir)?;
            return Ok(Self {
                class: record.machine.class,
                threads: record.run.threads,
                suite: record.run.suite,
            });
        }
        let gpu = suite.benchmarks.iter().flat_map(|b| &b.points).any(|p| p.device == DeviceKind::Cuda);
        let gpu = if gpu { Gpu::of(&open_device(DeviceKind::Cuda)?)? } else { None };
        Ok(Self { class: Machine::detect(gpu).class, threads: measure::threads(), suite: suite.name.clone() })
    }

    pub(super) fn choice(&self, args: &Args) -> Result<Option<Choice>> {
        match &args.baseline {
            Some(path) => Ok(Some(Choice { baseline: Baseline::read(path)?, path: path.clone(), why: None })),
            None => baseline::choose(&args.results, &self.class, self.threads),
        }
    }

    /// Where the baseline of this place belongs.
    pub(super) fn path(&self, args: &Args) -> PathBuf {
        let own = || args.results.join(record::slug(&self.class)).join(baseline::FILE);
        args.baseline.clone().unwrap_or_else(own)
    }
}
