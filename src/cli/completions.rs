//! `pcnbench completions`: completion scripts.

use std::io::Write;

use clap_complete::Shell;

use super::exit::Exit;

/// Options of `completions`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell to complete in
    shell: Shell,
}

pub(super) fn main(args: &Args, command: &mut clap::Command, out: &mut dyn Write) -> anyhow::Result<Exit> {
    // into memory first: the generator panics when a pipe closes under it
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, "pcnbench", &mut script);
    out.write_all(&script)?;
    Ok(Exit::Clean)
}
