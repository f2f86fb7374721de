//! `--threads`, for every subcommand that computes.

use super::Command;
use crate::measure::threads::{self, Choice};

/// The option.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Threads {
    /// Worker threads, at most one per processor; else what RAYON_NUM_THREADS says, else one per physical core
    #[arg(long = "threads", value_name = "N")]
    pub(super) threads: Option<usize>,
}

/// Sets the number of threads for this process; nothing for a command that does not compute.
pub(super) fn settle(command: &Command) -> anyhow::Result<Option<Choice>> {
    let asked = match command {
        Command::Run(args) => args.threads(),
        Command::Verify(args) => args.threads.threads,
        Command::Doctor(args) => args.threads.threads,
        Command::Gate(_) => None,
        _ => return Ok(None),
    };
    let choice = threads::settle(asked)?;
    if let Some(warning) = &choice.warning {
        tracing::warn!("{warning}");
    }
    Ok(Some(choice))
}
