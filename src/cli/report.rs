//! `pcnbench report`: the results of a record, printed or spliced into a Markdown file.

use std::io::Write;
use std::path::PathBuf;

use super::grid::Format;
use super::{results, splice, Verdict};
use crate::record::{self, Record};
use crate::Error;

/// Options of `report`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of a record, as `run` printed it
    record: PathBuf,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Put the Markdown table between the `pcnbench:begin results` and `pcnbench:end results` markers of FILE
    #[arg(long, value_name = "FILE")]
    splice: Option<PathBuf>,
    /// With --splice: change nothing, fail if the file is out of date
    #[arg(long, requires = "splice")]
    check: bool,
}

pub(super) fn main(args: &Args, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    let record = record::read(&args.record)?;
    record::summarise::check(&record)?;
    let Some(file) = &args.splice else {
        let people = args.format == Format::Table;
        results::table(&record, !people)?.print(args.format, out)?;
        if people || args.format == Format::Md {
            write!(out, "{}", footnotes(&record))?;
        }
        for failure in results::failures(&record).into_iter().filter(|_| people) {
            writeln!(out, "{failure}")?;
        }
        return Ok(Verdict::Clean);
    };
    let table = results::table(&record, false)?.markdown();
    let command = record.run.argv.iter().skip(1).cloned().collect::<Vec<_>>().join(" ");
    let content = format!(
        "`pcnbench {command}` on {} ({} threads, revision {}{}):\n\n{table}{}",
        record.machine.cpu,
        record.run.threads,
        record.run.rev,
        if record.run.dirty { " with local changes" } else { "" },
        footnotes(&record),
    );
    let text = std::fs::read_to_string(file).map_err(|e| Error::io("read", file, e))?;
    let spliced = splice::splice(file, &text, "results", &content)?;
    if spliced == text {
        return Ok(Verdict::Clean);
    }
    if args.check {
        return Err(
            Error::content(file, "its results table is out of date; run the command in its marker").into()
        );
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let unfinished = file.with_file_name(format!(".{name}.part"));
    let written = std::fs::write(&unfinished, spliced).and_then(|()| std::fs::rename(&unfinished, file));
    written.map_err(|e| {
        // half a file is of no use; that it may stay is no news beside the error itself
        let _ = std::fs::remove_file(&unfinished);
        Error::io("write", file, e)
    })?;
    Ok(Verdict::Clean)
}

/// The meaning of the signs in the table, each in a paragraph of its own; empty without a sign.
fn footnotes(record: &Record) -> String {
    results::footnotes(record).into_iter().map(|note| format!("\n{note}\n")).collect()
}
