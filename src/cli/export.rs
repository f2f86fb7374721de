//! `pcnbench export`: a record for programs that follow benchmarks over time.

use std::io::Write;
use std::path::PathBuf;

use super::Verdict;
use crate::compare::export::Target;
use crate::compare::Side;
use crate::record;

/// Options of `export`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of a record, as `run` printed it
    record: PathBuf,
    /// For which program
    #[arg(long, value_enum)]
    format: Target,
    /// Write into FILE instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn main(args: &Args, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    let record = record::read(&args.record)?;
    let text = args.format.write(&record, &Side::of(&record)?);
    match &args.out {
        Some(file) => record::replace(file, text.as_bytes())?,
        None => out.write_all(text.as_bytes())?,
    }
    Ok(Verdict::Clean)
}
