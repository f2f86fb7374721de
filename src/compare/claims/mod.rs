//! Claims of the literature, and what the committed records say of each.
//!
//! A verdict follows from the newest finished record of a suite by a rule that is written beside the claim; a claim without a record says
//! how to make one, and has no verdict.

mod claim;
mod costs;
mod inference;
mod learning;
mod numbers;
mod table;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::record::{self, Record};
use crate::{Error, Result};
use claim::{Judged, Verdict};
use table::CLAIMS;

/// The page of claims, as Markdown, from the records under `results`; links are relative to that folder.
///
/// # Errors
/// If a record that is looked at is damaged, or the folder cannot be read.
pub fn page(results: &Path) -> Result<String> {
    let records = newest(results)?;
    let mut page = String::from(
        "# Claims of the literature\n\n\
         `pcnbench claims` writes this page from the records beside it; no number is typed in. A verdict is one of: holds, holds only \
         under a condition, does not hold, undetermined. Numbers are medians over draws with ranges in brackets. Claims without a \
         record stand at the end, with what would make one.\n\n\
         | # | claim | source | what was run | what was found | verdict | how much it tells | record |\n\
         | ---: | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    let mut without = String::new();
    for claim in &CLAIMS {
        let record = records.iter().find(|record| record.run.suite == claim.suite);
        match record.and_then(|record| Some((record, (claim.judge)(record)?))) {
            Some((record, Judged { numbers, verdict, power })) => {
                let dir = record.dir.strip_prefix(results).unwrap_or(&record.dir).to_string_lossy();
                let verdict = match verdict {
                    Verdict::Holds => "holds".to_owned(),
                    Verdict::HoldsOnly(when) => format!("holds only {when}"),
                    Verdict::DoesNotHold => "does not hold".to_owned(),
                    Verdict::Undetermined(why) => format!("undetermined: {why}"),
                };
                let _ = writeln!(
                    page,
                    "| {} | {} | {} | {} | {numbers} | {verdict} | {power} | [{}]({dir}) |",
                    claim.number, claim.claim, claim.source, claim.recipe, claim.suite
                );
            }
            None => {
                let _ = writeln!(
                    without,
                    "| {} | {} | {} | {} |",
                    claim.number, claim.claim, claim.source, claim.recipe
                );
            }
        }
    }
    if !without.is_empty() {
        page += "\n## Without a record\n\n| # | claim | source | what would make one |\n| ---: | --- | --- | --- |\n";
        page += &without;
    }
    Ok(page)
}

/// Of every suite that a claim looks at the newest finished record under `results`.
fn newest(results: &Path) -> Result<Vec<Record>> {
    let failed = |e| Error::io("read the folder", results, e);
    let mut newest: Vec<(String, std::path::PathBuf, String)> = Vec::new();
    for class in fs::read_dir(results).map_err(failed)?.flatten() {
        let folders = fs::read_dir(class.path()).into_iter().flatten().flatten();
        let mut folders: Vec<_> = folders.map(|entry| entry.path()).collect();
        folders.sort();
        for dir in folders {
            let Ok(run) = record::read_run(&dir) else { continue };
            if run.finished.is_none() || !CLAIMS.iter().any(|claim| claim.suite == run.suite) {
                continue;
            }
            match newest.iter_mut().find(|(suite, ..)| *suite == run.suite) {
                Some((_, known, started)) if *started < run.started => {
                    (*known, *started) = (dir, run.started)
                }
                Some(_) => {}
                None => newest.push((run.suite, dir, run.started)),
            }
        }
    }
    newest.iter().map(|(_, dir, _)| record::read(dir)).collect()
}
