//! The command line: one file per subcommand.
//!
//! Results go to standard output, progress and logs to standard error. Exit codes: 0 clean, 1 the tool
//! failed (bad input, unusable device, I/O, a point without any result), 2 verification failed or counted work changed,
//! 3 something regressed, 4 it cannot be told and `--strict` asked. The work is finished and decides the code whatever
//! becomes of standard output; one that cannot be written for another reason than a reader that went away makes 0 a 1.

mod agreement;
mod bounds;
mod claims;
mod cmp;
mod compared;
mod completions;
mod doctor;
mod draw;
mod eval;
mod exit;
mod explain;
mod export;
mod gate;
mod grid;
mod headline;
mod label;
mod list;
mod man;
mod markdown;
mod merge;
mod output;
mod plot;
mod progress;
mod rank;
mod report;
mod results;
mod resume;
mod run;
mod splice;
mod studied;
mod threads;
mod train;
mod trained;
mod tune;
mod verify;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

pub use exit::Exit;
pub use grid::Format;
use output::Output;

use crate::measure::threads::Choice;
use crate::text::one_line;
use crate::Error;

/// What predictive coding costs next to backpropagation, measured.
#[derive(Debug, Parser)]
#[command(name = "pcnbench", version, max_term_width = 110)]
#[command(after_help = "Without a subcommand: `pcnbench run quick`.\n\n\
    Exit codes: 0 clean; 1 the tool failed (bad input, unusable device, I/O, a point without any result); 2 verification failed, or counted work is \
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
    /// Train one contender, with a curve and checkpoints
    Train(train::Args),
    /// Evaluate a checkpoint
    Eval(eval::Args),
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
    /// Say in words what inference will do on a network: curvature, stable steps, which layers learn, cost
    Explain(explain::Args),
    /// Draw a network and one schedule on it as SVG
    Draw(draw::Args),
    /// Compare two records: a verdict per point, and why
    Cmp(cmp::Args),
    /// Write results/CLAIMS.md: what the records say of the literature's claims
    Claims(claims::Args),
    /// Rank contenders by the geometric mean of their ratios over common points
    Rank(rank::Args),
    /// Measure a small suite and hold it against the committed baseline
    Gate(gate::Args),
    /// Time the launch strategies of the fused engine on a GPU, by which `run` then chooses
    Tune(tune::Args),
    /// Say whether runs of one program agree within their intervals
    Agreement(agreement::Args),
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
    pcnbench_kernels::signals::let_large_writes_fail();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            let printed = e.print().and_then(|()| io::stdout().flush());
            // clap's own code for a usage error is 2, which here means failed verification
            let unwritten = printed.err().filter(|e| e.kind() != io::ErrorKind::BrokenPipe);
            return if e.use_stderr() { ExitCode::from(1) } else { end(0, None, unwritten) };
        }
    };
    log_to_stderr(cli.verbose);
    let mut out = Output::new(io::stdout().lock());
    let command = cli.command.unwrap_or_else(|| Command::Run(run::Args::default()));
    // before anything that could start a thread
    let outcome = asked(&command).map_or(Ok(None), |asked| threads::settle(asked).map(Some));
    let outcome = outcome.and_then(|threads| dispatch(command, threads, &mut out));
    let (code, said) = match outcome {
        Ok(Exit::Clean) => (0, None),
        Ok(Exit::Wrong(what)) => (2, Some(what)),
        Ok(Exit::Regressed(what)) => (3, Some(what)),
        Ok(Exit::Inconclusive(what)) => (4, Some(what)),
        Err(e) => (1, Some(sentence(&e))),
    };
    end(code, said, out.finish())
}

/// The exit code, and the one sentence that goes with it. Standard error that cannot be written costs the sentence only.
fn end(code: u8, said: Option<String>, unwritten: Option<io::Error>) -> ExitCode {
    let code = if unwritten.is_some() { code.max(1) } else { code };
    let unwritten = unwritten.map(|e| format!("cannot write to standard output: {e}"));
    let sentence = said.into_iter().chain(unwritten).collect::<Vec<_>>().join("; ");
    if !sentence.is_empty() {
        let _ = writeln!(io::stderr(), "error: {}", one_line(&sentence));
    }
    ExitCode::from(code)
}

/// The chain of an error up to the first of this crate's own, whose message is complete.
fn sentence(e: &anyhow::Error) -> String {
    let mut parts = Vec::new();
    for cause in e.chain() {
        parts.push(cause.to_string());
        if cause.is::<Error>() {
            break;
        }
    }
    parts.join(": ")
}

fn dispatch(command: Command, threads: Option<Choice>, out: &mut dyn Write) -> anyhow::Result<Exit> {
    match command {
        Command::Run(args) => run::main(&args, out),
        Command::Train(args) => train::main(&args, out),
        Command::Eval(args) => eval::main(&args, out),
        Command::Verify(args) => verify::main(&args, out),
        Command::List(args) => list::main(&args, out),
        Command::Merge(args) => merge::main(&args, out),
        Command::Plot(args) => plot::main(&args, out),
        Command::Report(args) => report::main(&args, out),
        Command::Bounds(args) => bounds::main(&args, out),
        Command::Explain(args) => explain::main(&args, out),
        Command::Draw(args) => draw::main(&args, out),
        Command::Cmp(args) => cmp::main(&args, out),
        Command::Claims(args) => claims::main(&args, out),
        Command::Rank(args) => rank::main(&args, out),
        Command::Agreement(args) => agreement::main(&args, out),
        Command::Gate(args) => gate::main(&args, out),
        Command::Tune(args) => tune::main(&args, out),
        Command::Export(args) => export::main(&args, out),
        Command::Doctor(args) => doctor::main(&args, threads, out),
        Command::Completions(args) => completions::main(&args, &mut Cli::command(), out),
        Command::Man(args) => man::main(&args, Cli::command(), out),
    }
}

/// The number of threads that a command asks for; none for a command that does not compute.
fn asked(command: &Command) -> Option<Option<usize>> {
    match command {
        Command::Run(args) => Some(args.threads()),
        Command::Train(args) => Some(args.threads()),
        Command::Eval(args) => Some(args.threads.threads),
        Command::Verify(args) => Some(args.threads.threads),
        Command::Doctor(args) => Some(args.threads.threads),
        Command::Gate(_) => Some(None),
        _ => None,
    }
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
    // a message that cannot be written is lost; the subscriber's own complaint about that would panic
    let _ = log.log_internal_errors(false).without_time().try_init();
}
