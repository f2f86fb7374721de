//! `pcnbench export`: a record for programs that follow benchmarks over time.

use std::io::Write;
use std::path::PathBuf;

use super::exit::Exit;
use crate::compare::export::{self, Target};
use crate::compare::Side;
use crate::record;
use crate::Error;

/// Options of `export`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of a record, as `run` printed it
    record: PathBuf,
    /// For which program
    #[arg(long, value_enum)]
    format: Target,
    /// What critcmp calls the record, instead of its suite, start and revision
    #[arg(long)]
    name: Option<String>,
    /// Write into FILE instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn main(args: &Args, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let record = record::read(&args.record)?;
    let side = Side::of(&record)?;
    if side.entries.is_empty() {
        // an empty file would look to its reader like benchmarks that have all gone
        let problem = "holds no timed point, so there is nothing to export; give a record of a suite that times weight updates";
        return Err(Error::content(&args.record, problem).into());
    }
    if let Some(first) = side.entries.first().filter(|_| side.entries.iter().all(|e| e.time.is_none())) {
        let problem = format!(
            "holds no result to export: every contender failed, the first at {}: {}: {}",
            first.point, first.contender, first.err
        );
        return Err(Error::content(&args.record, problem).into());
    }
    let name = args.name.clone().unwrap_or_else(|| export::default_name(&record.run));
    let text = args.format.write(&record, &side, &name)?;
    match &args.out {
        Some(file) => record::save(file, text.as_bytes())?,
        None => out.write_all(text.as_bytes())?,
    }
    Ok(Exit::Clean)
}
