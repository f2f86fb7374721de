//! `--threads`, for every subcommand that computes.

use crate::measure::threads::{self, Choice};

/// The option.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Threads {
    /// Worker threads, at most one per processor; else what RAYON_NUM_THREADS says, else one per physical core
    #[arg(long = "threads", value_name = "N")]
    pub(super) threads: Option<usize>,
}

/// Sets the number of threads for this process: as many as are `asked` for.
pub(super) fn settle(asked: Option<usize>) -> anyhow::Result<Choice> {
    let choice = threads::settle(asked)?;
    if let Some(warning) = &choice.warning {
        tracing::warn!("{warning}");
    }
    Ok(choice)
}
