//! What a gate prints and the files that it writes.

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

use super::args::Args;
use crate::cli::compared;
use crate::cli::grid::Format;
use crate::compare::baseline::Choice;
use crate::compare::export::{default_name, Target as Export};
use crate::compare::gate::{self, GateOutcome};
use crate::compare::{Comparison, Side};
use crate::record::{self, Record};
use crate::Result;

/// What a gate says in the end.
pub(super) struct Report<'a> {
    pub(super) record: &'a Record,
    pub(super) choice: Option<Choice>,
    pub(super) comparison: Option<Comparison>,
    /// Share of the time that the first look was kept waiting.
    pub(super) waited: Option<f64>,
    /// Records of the second look.
    pub(super) again: Vec<String>,
    pub(super) outcome: GateOutcome,
}

impl Report<'_> {
    pub(super) fn write(&self, dir: &Path, side: &Side) -> Result<()> {
        let name = default_name(&self.record.run);
        for target in Export::ALL {
            record::save(&dir.join(target.file()), target.write(self.record, side, &name)?.as_bytes())?;
        }
        // Last: a report beside which something is missing would be read as complete.
        record::save(&dir.join("gate.md"), self.markdown().as_bytes())
    }

    pub(super) fn print(&self, args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
        let people = args.format == Format::Table;
        if let Some(comparison) = &self.comparison {
            compared::table(comparison, !people && args.format != Format::Md).print(args.format, out)?;
        }
        if people {
            for line in self.lines() {
                writeln!(out, "{line}")?;
            }
            writeln!(out, "report: {}", args.out.join("gate.md").display())?;
        }
        Ok(())
    }

    /// Everything but the table, a sentence each.
    fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> =
            self.record.run.warnings.iter().map(|w| format!("warning: {w}")).collect();
        match &self.choice {
            None => lines.push(
                "there is no baseline, so only verification was judged; make one on a quiet machine with \
                 `pcnbench gate --update-baseline`"
                    .into(),
            ),
            Some(choice) => {
                let b = &choice.baseline;
                lines.push(format!(
                    "compared with {} (revision {}, {}, {} threads, {})",
                    choice.path.display(),
                    b.rev,
                    b.cpu,
                    b.threads,
                    b.started
                ));
                lines.extend(choice.why.clone());
            }
        }
        if let Some(share) = self.waited {
            lines.push(format!("other programs had the processors for {:.1} % of the time", 100.0 * share));
        }
        if !self.again.is_empty() {
            lines.push(format!(
                "suspects were measured again, {} times as long: {}",
                gate::LONGER,
                self.again.join(", ")
            ));
        }
        lines.extend(self.comparison.iter().flat_map(compared::remarks));
        lines
    }

    /// For a pull request: the outcome, what matters, and everything folded away below it.
    fn markdown(&self) -> String {
        let outcome = match &self.outcome {
            GateOutcome::Passed if self.choice.is_none() => {
                "has nothing to compare with; verification passed".to_owned()
            }
            GateOutcome::Passed => "passed".to_owned(),
            GateOutcome::Changed(what) => format!("failed: {what}"),
            GateOutcome::Regressed(what) => format!("regressed: {what}"),
            GateOutcome::Inconclusive(what) => format!("inconclusive: {what}"),
        };
        let run = &self.record.run;
        let mut text = format!(
            "## Gate {outcome}\n\nSuite `{}` at revision {}{} on {}, {} threads.\n\n",
            run.suite,
            run.rev,
            if run.dirty { " with local changes" } else { "" },
            self.record.machine.cpu,
            run.threads
        );
        for line in self.lines() {
            // Writing to a string does not fail.
            let _ = writeln!(text, "- {line}");
        }
        if let Some(comparison) = &self.comparison {
            let mut notable = comparison.clone();
            notable.rows.retain(|row| row.verdict != crate::stats::Verdict::Same);
            if !notable.rows.is_empty() {
                let _ = write!(text, "\n{}", compared::table(&notable, false).markdown());
            }
            let _ = write!(
                text,
                "\n<details><summary>All {} rows</summary>\n\n{}\n</details>\n",
                comparison.rows.len(),
                compared::table(comparison, false).markdown()
            );
        }
        text
    }
}
