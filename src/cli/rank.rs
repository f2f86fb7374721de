//! `pcnbench rank`: contenders by the geometric mean of their ratios.

use std::io::Write;
use std::path::PathBuf;

use super::exit::Exit;
use super::grid::{Cell, Format, Grid};
use super::label::labels;
use crate::compare::rank::rank;
use crate::compare::Side;
use crate::record;

/// Options of `rank`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folders of records; together they may hold each contender once per point
    #[arg(required = true, value_name = "RECORD")]
    records: Vec<PathBuf>,
    /// Only this contender, and those named likewise: what they share may be more
    #[arg(long, value_name = "ID")]
    contender: Vec<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn main(args: &Args, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let sides =
        args.records.iter().map(|dir| Side::of(&record::read(dir)?)).collect::<crate::Result<Vec<_>>>()?;
    let ranking = rank(&sides, &args.contender)?;
    let mut grid = Grid::new(vec![
        ("contender", "contender"),
        ("time / BP, geometric mean [95 % CI]", "ratio"),
        ("low", "low"),
        ("high", "high"),
        ("points", "points"),
    ]);
    let people = matches!(args.format, Format::Table | Format::Md);
    for row in &ranking.rows {
        let m = row.mean;
        // People read the interval beside the mean.
        let ends = m.interval();
        let end = |x: Option<f64>| match x {
            Some(x) if !people => Cell::new(format!("{x:.3}"), x),
            _ => Cell::empty(),
        };
        let both = ends.map_or(String::new(), |(low, high)| format!(" [{low:.3}, {high:.3}]"));
        grid.push(vec![
            row.contender.as_str().into(),
            Cell::new(format!("{:.3}{both}", m.ratio), m.ratio),
            end(ends.map(|(low, _)| low)),
            end(ends.map(|(_, high)| high)),
            ranking.points.len().into(),
        ]);
    }
    grid.print(args.format, out)?;
    if args.format == Format::Table {
        let ids = ranking.points.iter().chain(ranking.left_out.iter().map(|(point, _)| point));
        let short = labels(ids.map(String::as_str), &[]);
        let points: Vec<&str> = ranking.points.iter().map(|p| short[p.as_str()].as_str()).collect();
        writeln!(out, "over {}", points.join(", "))?;
        for (point, without) in &ranking.left_out {
            writeln!(out, "left out {}: no ratio of {}", short[point.as_str()], without.join(", "))?;
        }
    }
    Ok(Exit::Clean)
}
