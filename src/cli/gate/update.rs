//! Making a baseline.

use std::io::Write;

use super::session::sessions;
use super::{Args, Place};
use crate::cli::Verdict;
use crate::compare::baseline::{self, Baseline};
use crate::record::{self, Record};
use crate::suite::Suite;

/// Measures in several sessions, since a baseline is compared with many times, and writes it.
pub(super) fn update(
    args: &Args,
    suite: &Suite,
    place: &Place,
    out: &mut dyn Write,
) -> anyhow::Result<Verdict> {
    let (records, waited) = match &args.record {
        Some(dir) => (vec![record::read(dir)?], None),
        None => sessions(args, suite, "record")?,
    };
    let path = place.path(args);
    let baseline = Baseline::of(&records)?;
    baseline.write(&path)?;
    for warning in warnings(&records) {
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
    let (entries, sessions) = (baseline.entry.len(), records.len());
    writeln!(out, "baseline: {} ({entries} entries from {sessions} sessions)", path.display())?;
    Ok(Verdict::Clean)
}

/// What every session says, once; what only some say, with their numbers.
fn warnings(records: &[Record]) -> Vec<String> {
    let mut all: Vec<String> = vec![];
    for (k, record) in records.iter().enumerate() {
        for warning in &record.run.warnings {
            let common = records.iter().all(|other| other.run.warnings.contains(warning));
            let text = if common { warning.clone() } else { format!("session {}: {warning}", k + 1) };
            if !all.contains(&text) {
                all.push(text);
            }
        }
    }
    all
}
