//! `pcnbench list`: suites, or the points and contenders of one.

use std::io::Write;

use super::grid::{Cell, Format, Grid};
use super::label::labels;
use super::Verdict;
use crate::suite::{Overrides, Suite, BUILT_IN};

/// Options of `list`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A built-in suite or a path to a .toml file; without it, all built-in suites
    suite: Option<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn main(args: &Args, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    let grid = match &args.suite {
        None => suites()?,
        Some(name) => points(&Suite::load(name, &Overrides::default())?),
    };
    grid.print(args.format, out)?;
    Ok(Verdict::Clean)
}

fn suites() -> anyhow::Result<Grid> {
    let mut grid = Grid::new(vec![("suite", "suite"), ("points", "points"), ("shows", "about")]);
    for (name, _) in BUILT_IN {
        let suite = Suite::load(name, &Overrides::default())?;
        let points: usize = suite.benchmarks.iter().map(|b| b.points.len()).sum();
        grid.push(vec![(*name).into(), points.into(), suite.about.into()]);
    }
    Ok(grid)
}

fn points(suite: &Suite) -> Grid {
    let short = labels(suite.benchmarks.iter().flat_map(|b| &b.points).map(|p| p.id.as_str()), &[]);
    let mut grid = Grid::new(vec![("point", "point"), ("model", "model"), ("contenders", "contenders")]);
    for benchmark in &suite.benchmarks {
        let contenders: Vec<String> = benchmark.contenders.iter().map(|c| c.id.to_string()).collect();
        for point in &benchmark.points {
            grid.push(vec![
                Cell::new(short[point.id.as_str()].as_str(), point.id.as_str()),
                benchmark.model.name().into(),
                contenders.join(" ").into(),
            ]);
        }
    }
    grid
}
