//! Making a baseline.

use std::io::Write;

use super::args::{Args, Place};
use super::session::{measure, Session};
use crate::cli::exit::Exit;
use crate::compare::baseline::{self, Baseline};
use crate::compare::gate;
use crate::record;
use crate::suite::Suite;

/// Measures for longer than a gate does, since a baseline is compared with many times, and writes it.
pub(super) fn update(args: &Args, suite: &Suite, place: &Place, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let Session { record, waited } = match &args.record {
        Some(dir) => Session { record: record::read(dir)?, waited: None },
        None => measure(args, &suite.longer(gate::LONGER)?, "record")?,
    };
    let path = place.path(args);
    let baseline = Baseline::of(&record)?;
    baseline.write(&path)?;
    for warning in &record.run.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    if let Some(share) = args.too_much(waited) {
        writeln!(
            out,
            "warning: other programs had the processors for {:.0} % of the time; make the baseline again when the machine is \
             quiet",
            100.0 * share
        )?;
    }
    if let (vague @ 1.., all) = baseline.vague() {
        writeln!(
            out,
            "warning: {vague} of {all} ratios are known to no better than {} %; make the baseline again when the machine is \
             quiet",
            100.0 * baseline::VAGUE
        )?;
    }
    writeln!(out, "baseline: {} ({} entries)", path.display(), baseline.entry.len())?;
    Ok(Exit::Clean)
}
