//! `pcnbench plot`: the figures and page of a record, from what is on disk.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::exit::Exit;
use crate::plot::{self, Drawing, Slope};
use crate::record::{self, Record};
use crate::stats;

/// Options of `plot`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of a record, as `run` printed it
    record: PathBuf,
    /// Folder for figures/ and index.html instead of the record itself
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn main(args: &Args, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let record = record::read(&args.record)?;
    let into = args.out.as_deref().unwrap_or(&args.record);
    let drawing = draw(&record, into)?;
    for figure in &drawing.drawn {
        writeln!(out, "{}", figure.files.png.display())?;
    }
    for skipped in &drawing.skipped {
        writeln!(out, "skipped {}: {}", skipped.figure, skipped.reason)?;
    }
    writeln!(out, "{}", into.join("index.html").display())?;
    Ok(Exit::Clean)
}

/// Draws figures and page of `record` into `folder`.
pub(super) fn draw(record: &Record, folder: &Path) -> crate::Result<Drawing> {
    let mut drawing =
        plot::draw_all(record, &folder.join("figures"), &|series| slope(record.run.seed, series))?;
    super::draw::networks(record, &mut drawing);
    plot::report::write(record, &drawing, &folder.join("index.html"))?;
    Ok(drawing)
}

/// Exponent of t = a + b·L^p over the samples of each depth.
fn slope(seed: u64, series: &[(f64, Vec<f64>)]) -> Option<Slope> {
    let fit = stats::power_fit(series, 400, seed)?;
    Some(Slope { p: fit.p, low: fit.p_low, high: fit.p_high })
}
