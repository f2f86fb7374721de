//! `pcnbench report`: the results of a record, printed or spliced into a Markdown file.

use std::io::Write;
use std::path::PathBuf;

use super::grid::Format;
use super::{headline, results, splice, studied, trained, Exit};
use crate::files::read_text;
use crate::record::{self, Record};
use crate::Error;

/// A Markdown file beyond this is another file by mistake.
const LARGEST: u64 = 64 << 20;

/// Options of `report`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of a record, as `run` printed it
    record: PathBuf,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Put the headline, ratios to backpropagation at three depths, between the `pcnbench:begin results` and
    /// `pcnbench:end results` markers of a Markdown file
    #[arg(long, value_name = "FILE")]
    splice: Option<PathBuf>,
    /// With --splice: change nothing, fail if the file is out of date
    #[arg(long, requires = "splice")]
    check: bool,
}

pub(super) fn main(args: &Args, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let record = record::read(&args.record)?;
    let Some(file) = &args.splice else {
        let people = args.format == Format::Table;
        // one table where a program reads it: the first that has rows, of a record without any that of times
        let all = if people || args.format == Format::Md { usize::MAX } else { 1 };
        let mut tables =
            vec![results::table(&record, !people)?, trained::table(&record), studied::table(&record)];
        if tables.iter().any(|table| !table.is_empty()) {
            tables.retain(|table| !table.is_empty());
        } else {
            tables.truncate(1);
        }
        for (i, table) in tables.iter().take(all).enumerate() {
            if i > 0 {
                writeln!(out)?;
            }
            table.print(args.format, out)?;
        }
        if people || args.format == Format::Md {
            write!(out, "{}", footnotes(&record))?;
        }
        for failure in results::failures(&record).into_iter().filter(|_| people) {
            writeln!(out, "{failure}")?;
        }
        return Ok(Exit::Clean);
    };
    let text = read_text("read", file, LARGEST)?;
    let spliced = splice::splice(file, &text, "results", &headline::of(&record)?)?;
    if spliced == text {
        return Ok(Exit::Clean);
    }
    if args.check {
        return Err(
            Error::content(file, "its results table is out of date; run the command in its marker").into()
        );
    }
    record::save(file, spliced.as_bytes())?;
    Ok(Exit::Clean)
}

/// The meaning of the signs in the table, each in a paragraph of its own; empty without a sign.
fn footnotes(record: &Record) -> String {
    results::footnotes(record).into_iter().map(|note| format!("\n{note}\n")).collect()
}
