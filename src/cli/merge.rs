//! `pcnbench merge`: the shards of a suite, measured apart, made into one record.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::exit::Exit;
use super::grid::Format;
use crate::{record, run};

/// Options of `merge`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folders of all shards, as `run --shard I/N` printed them, in any order
    #[arg(value_name = "SHARD", required = true)]
    shards: Vec<PathBuf>,
    /// Folder of all records; the new one goes into DIR/<machine>/<date>-<revision>-<suite>
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
    /// Write the record into exactly this folder, which must be new or empty
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How to print the results
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Do not draw figures
    #[arg(long)]
    no_plots: bool,
}

pub(super) fn main(args: &Args, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let argv = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let dir = run::merge(&args.shards, Path::new(&args.results), args.out.as_deref(), argv)?;
    let record = record::read(&dir)?;
    if !args.no_plots {
        super::plot::draw(&record, &record.dir).context("the record is complete, but its figures are not")?;
    }
    super::run::finish(&record, args.format, out)
}
