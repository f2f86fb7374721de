//! `pcnbench agreement`: whether runs of one program agree within their intervals.

use std::io::Write;
use std::path::PathBuf;

use super::exit::Exit;
use crate::compare::agreement::Agreement;
use crate::compare::Side;
use crate::{record, Result};

/// Options of `agreement`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folders of records of one suite by one program on one machine, at least three
    #[arg(required = true)]
    records: Vec<PathBuf>,
}

pub(super) fn main(args: &Args, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let mut records = args.records.iter().map(|dir| record::read(dir)).collect::<Result<Vec<_>>>()?;
    // RFC 3339 in UTC sorts as text.
    records.sort_by(|a, b| a.run.started.cmp(&b.run.started));
    let sides = records.iter().map(Side::of).collect::<Result<Vec<_>>>()?;
    let a = Agreement::of(&sides)?;
    let per_cent = |share: f64| format!("{:.2} %", 100.0 * share);
    let (low, high) = a.holding_interval();
    writeln!(out, "{} runs, {} pairs, {} rows", a.runs, a.pairs, a.holding.rows)?;
    writeln!(
        out,
        "intervals of change that hold 1: {} of {}, {} [{}, {}] (95 %, clustered by run)",
        a.holding.count,
        a.holding.rows,
        per_cent(a.holding.of()),
        per_cent(low),
        per_cent(high)
    )?;
    writeln!(
        out,
        "called regressed: {} of {}, at most {} (upper 95 % limit, clustered by run)",
        a.regressed.count,
        a.regressed.rows,
        per_cent(a.most_regressed())
    )?;
    writeln!(
        out,
        "called ambiguous: {} of {}, {}",
        a.ambiguous.count,
        a.ambiguous.rows,
        per_cent(a.ambiguous.of())
    )?;
    Ok(Exit::Clean)
}
