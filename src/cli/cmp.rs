//! `pcnbench cmp`: two records beside each other, with a verdict per point.

use std::io::Write;
use std::path::PathBuf;

use super::grid::Format;
use super::{compared, Exit};
use crate::compare::gate::outcome;
use crate::compare::{compare, Options, Side};
use crate::{record, Error, Result};

/// Options of `cmp`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of the record that was there before
    base: PathBuf,
    /// Folder of the record to judge
    new: PathBuf,
    /// Judge absolute times too; they compare only on equal machine class and threads
    #[arg(long)]
    absolute: bool,
    /// Tolerate changes up to this many per cent, at least 2, or up to what the controls show, whichever is more
    #[arg(long, value_name = "PERCENT", default_value_t = 2.0, allow_negative_numbers = true)]
    threshold: f64,
    /// Compare ratios of different machine classes or thread counts too, tolerating changes up to this factor
    #[arg(long, value_name = "FACTOR")]
    cross_machine: Option<f64>,
    /// Exit code 4 if a point of BASE is ambiguous, invalid or missing
    #[arg(long)]
    strict: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn main(args: &Args, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let options = Options {
        absolute: args.absolute,
        threshold: threshold(args.threshold)?,
        cross_machine: args.cross_machine.map(|f| factor("--cross-machine", f)).transpose()?,
    };
    let side = |dir: &PathBuf| Side::of(&record::read(dir)?);
    let (base, new) = (side(&args.base)?, side(&args.new)?);
    let comparison = compare(&base, &new, &options);
    let people = args.format == Format::Table;
    compared::table(&comparison, !people && args.format != Format::Md).print(args.format, out)?;
    for line in compared::remarks(&comparison).iter().filter(|_| people) {
        writeln!(out, "{line}")?;
    }
    Ok(compared::exit(outcome(&comparison, false, args.strict)))
}

/// Per cent as a factor minus one.
pub(super) fn threshold(percent: f64) -> Result<f64> {
    if (0.0..=1000.0).contains(&percent) {
        return Ok(percent / 100.0);
    }
    Err(Error::Invalid(format!("--threshold {percent} is out of range; expected 0 to 1000 (per cent)")))
}

/// A factor to tolerate.
pub(super) fn factor(option: &str, factor: f64) -> Result<f64> {
    if (1.0..=100.0).contains(&factor) {
        return Ok(factor);
    }
    Err(Error::Invalid(format!("{option} {factor} is out of range; expected a factor from 1 to 100")))
}
