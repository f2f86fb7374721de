//! `pcnbench man`: the man page.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::exit::Exit;
use crate::{record, Error, Result};

/// Options of `man`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write one page per subcommand into this folder instead of printing the main page
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn main(args: &Args, command: clap::Command, out: &mut dyn Write) -> anyhow::Result<Exit> {
    match &args.out {
        Some(dir) => {
            std::fs::create_dir_all(dir).map_err(|e| Error::io("create the folder", dir, e))?;
            let mut command = command.disable_help_subcommand(true);
            command.build();
            save(&command, dir)?;
        }
        None => clap_mangen::Man::new(command).render(out)?,
    }
    Ok(Exit::Clean)
}

/// The page of a command and those of all below it, each as a whole or not at all.
fn save(command: &clap::Command, dir: &Path) -> Result<()> {
    command.get_subcommands().filter(|below| !below.is_hide_set()).try_for_each(|below| save(below, dir))?;
    let page = clap_mangen::Man::new(command.clone());
    let (path, mut text) = (dir.join(page.get_filename()), Vec::new());
    page.render(&mut text).map_err(|e| Error::io("write", &path, e))?;
    record::save(&path, &text)
}
