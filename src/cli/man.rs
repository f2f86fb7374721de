//! `pcnbench man`: the man page.

use std::io::Write;
use std::path::PathBuf;

use super::Verdict;
use crate::Error;

/// Options of `man`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write one page per subcommand into this folder instead of printing the main page
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn main(args: &Args, command: clap::Command, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    match &args.out {
        Some(dir) => {
            std::fs::create_dir_all(dir).map_err(|e| Error::io("create the folder", dir, e))?;
            clap_mangen::generate_to(command, dir).map_err(|e| Error::io("write man pages into", dir, e))?;
        }
        None => clap_mangen::Man::new(command).render(out)?,
    }
    Ok(Verdict::Clean)
}
