//! `pcnbench claims`: what the records say of the literature's claims.

use std::io::Write;
use std::path::PathBuf;

use super::exit::Exit;
use crate::compare::claims;
use crate::files::read_text;
use crate::{record, Error};

/// Bytes of a page at most.
const LARGEST: u64 = 1 << 24;

/// Options of `claims`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of all records
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
    /// Write nothing, fail if CLAIMS.md in that folder is out of date
    #[arg(long)]
    check: bool,
}

pub(super) fn main(args: &Args, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let page = claims::page(&args.results)?;
    let path = args.results.join("CLAIMS.md");
    if args.check {
        if read_text("read", &path, LARGEST)? == page {
            return Ok(Exit::Clean);
        }
        return Err(Error::content(&path, "is out of date; run `pcnbench claims`").into());
    }
    record::save(&path, page.as_bytes())?;
    writeln!(out, "{}", path.display())?;
    Ok(Exit::Clean)
}
