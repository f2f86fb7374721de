//! The command line: one file per subcommand.
//!
//! Results go to standard output, progress and logs to standard error. Exit codes: 0 clean, 1 the tool
//! failed (bad input, unusable device, I/O), 2 verification failed or counted work changed, 3 something regressed,
//! 4 it cannot be told and `--strict` asked.

mod bounds;
mod cmp;
mod compared;
mod completions;
mod doctor;
mod export;
mod gate;
mod grid;
mod label;
mod list;
mod man;
mod merge;
mod plot;
mod progress;
mod rank;
mod report;
mod results;
mod run;
mod splice;
mod threads;
mod verify;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

pub use grid::Format;

use crate::measure::threads::Choice;
use crate::text::one_line;
use crate::Error;

/// What a subcommand ends with when nothing broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Exit code 0.
    Clean,
    /// Exit code 2: a conformance case, a contender or a formula gave wrong numbers, or a count is another than the
    /// baseline's; says which.
    Wrong(String),
    /// Exit code 3: something became slower than tolerated; says what.
    Regressed(String),
    /// Exit code 4: under `--strict`, something could not be told; says what.
    Inconclusive(String),
}

/// What predictive coding costs next to backpropagation, measured.
#[derive(Debug, Parser)]
#[command(name = "pcnbench", version, max_term_width = 110)]
#[command(after_help = "Without a subcommand: `pcnbench run quick`.\n\n\
    Exit codes: 0 clean; 1 the tool failed (bad input, unusable device, I/O); 2 verification failed, or counted work is \
    not the baseline's; 3 a regression; 4 inconclusive, under --strict.")]
pub struct Cli {
    /// Say more on standard error (-v progress in words, -vv details)
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    verbose: u8,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure a suite, write a record, draw its figures
    Run(run::Args),
    /// Check rules and engines against conformance cases
    Verify(verify::Args),
    /// List suites, or the points of one
    List(list::Args),
    /// Join the shards of a suite into one record
    Merge(merge::Args),
    /// Draw the figures and page of a record again
    Plot(plot::Args),
    /// Print the results of a record, or splice them into a Markdown file
    Report(report::Args),
    /// Print counts, lower bounds and predictions of a suite's work, without measuring it
    Bounds(bounds::Args),
    /// Compare two records: a verdict per point, and why
    Cmp(cmp::Args),
    /// Rank contenders by the geometric mean of their ratios over common points
    Rank(rank::Args),
    /// Measure a small suite and hold it against the committed baseline
    Gate(gate::Args),
    /// Write a record for Bencher, github-action-benchmark or critcmp
    Export(export::Args),
    /// Say what this build and this machine can do
    Doctor(doctor::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
    /// Print the man page
    Man(man::Args),
}

/// Parses the arguments, dispatches, and turns the outcome into an exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            // clap's own code for a usage error is 2, which here means failed verification
            let code = if e.use_stderr() { ExitCode::from(1) } else { ExitCode::SUCCESS };
            let _ = e.print();
            return code;
        }
    };
    log_to_stderr(cli.verbose);
    let mut out = io::stdout().lock();
    let command = cli.command.unwrap_or_else(|| Command::Run(run::Args::default()));
    // before anything that could start a thread
    let outcome = threads::settle(&command);
    let outcome = outcome.and_then(|threads| dispatch(command, threads, &mut out));
    let outcome = outcome.and_then(|verdict| Ok(out.flush().map(|()| verdict)?));
    let (code, sentence) = match outcome {
        Ok(Verdict::Clean) => return ExitCode::SUCCESS,
        Err(e) if closed_pipe(&e) => return ExitCode::SUCCESS,
        Ok(Verdict::Wrong(what)) => (2, what),
        Ok(Verdict::Regressed(what)) => (3, what),
        Ok(Verdict::Inconclusive(what)) => (4, what),
        Err(e) => (1, sentence(&e)),
    };
    let _ = writeln!(io::stderr(), "error: {}", one_line(&sentence));
    ExitCode::from(code)
}

/// The chain of an error up to the first of this crate's own, whose message is complete.
fn sentence(e: &anyhow::Error) -> String {
    let mut parts = Vec::new();
    if e.is::<io::Error>() {
        // every other file operation names its file
        parts.push("cannot write to standard output".to_owned());
    }
    for cause in e.chain() {
        parts.push(cause.to_string());
        if cause.is::<Error>() {
            break;
        }
    }
    parts.join(": ")
}

fn dispatch(command: Command, threads: Option<Choice>, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    match command {
        Command::Run(args) => run::main(&args, out),
        Command::Verify(args) => verify::main(&args, out),
        Command::List(args) => list::main(&args, out),
        Command::Merge(args) => merge::main(&args, out),
        Command::Plot(args) => plot::main(&args, out),
        Command::Report(args) => report::main(&args, out),
        Command::Bounds(args) => bounds::main(&args, out),
        Command::Cmp(args) => cmp::main(&args, out),
        Command::Rank(args) => rank::main(&args, out),
        Command::Gate(args) => gate::main(&args, out),
        Command::Export(args) => export::main(&args, out),
        Command::Doctor(args) => doctor::main(&args, threads, out),
        Command::Completions(args) => completions::main(&args, &mut Cli::command(), out),
        Command::Man(args) => man::main(&args, Cli::command(), out),
    }
}

/// A reader that went away (`pcnbench list | head`) is no failure.
fn closed_pipe(e: &anyhow::Error) -> bool {
    e.chain().filter_map(|c| c.downcast_ref::<io::Error>()).any(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

fn log_to_stderr(verbose: u8) {
    use tracing_subscriber::filter::LevelFilter;
    let level = match verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    // a second subscriber cannot be set; the first one then stays
    let colours = io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(io::stderr).with_ansi(colours);
    let _ = log.without_time().try_init();
}
