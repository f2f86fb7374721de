//! `pcnbench eval`: what a checkpoint's weights say of the data.

use std::io::{self, Write};
use std::path::PathBuf;

use super::exit::Exit;
use super::resume;
use crate::plot::number::short;
use crate::run::{self, Evaluation};
use crate::suite::{axis, Overrides};

/// Options of `eval`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A checkpoint that `train` has written
    #[arg(value_name = "CHECKPOINT")]
    checkpoint: PathBuf,
    /// Folder of the data [default: that of the training run, if its training.json is beside the checkpoint]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Evaluate on this device instead of that of the training run (cpu, cuda)
    #[arg(long)]
    device: Option<String>,
    #[command(flatten)]
    pub(super) threads: super::threads::Threads,
}

pub(super) fn main(args: &Args, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let beside = || {
        let (_, begun) = run::begun(args.checkpoint.parent()?).ok()?;
        resume::data(&begun.argv)
    };
    let data = args.data.clone().or_else(beside);
    let found = run::evaluate_checkpoint(
        &args.checkpoint,
        data.as_deref(),
        &Overrides::default().with(&axis::DEVICE, args.device.clone()),
    )?;
    if !found.same_data {
        let _ = writeln!(
            io::stderr(),
            "warning: it was trained on other data than `{}` as given here",
            found.data
        );
    }
    let meta = &found.meta;
    writeln!(out, "{} after {} updates, {:.2} s", meta.contender, meta.update, meta.seconds)?;
    if let Some(validation) = &found.validation {
        writeln!(out, "validation: {}", words(validation))?;
    }
    writeln!(out, "test:       {}", words(&found.test))?;
    Ok(Exit::Clean)
}

fn words(e: &Evaluation) -> String {
    let accuracy = e.accuracy.map(|share| format!(", accuracy {:.2} %", 100.0 * share));
    format!("loss {} per sample{}", short(e.loss, 6), accuracy.unwrap_or_default())
}
