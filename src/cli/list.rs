//! `pcnbench list`: suites, the points and contenders of one, the axes that points have, and the networks and
//! data sets that benchmarks can name.

use std::io::Write;

use super::exit::Exit;
use super::grid::{Cell, Format, Grid};
use super::label::labels;
use crate::data;
use crate::net::architecture::KINDS;
use crate::suite::{Overrides, Suite, AXES, BUILT_IN};

/// Options of `list`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A built-in suite or a path to a .toml file; without it, all built-in suites
    suite: Option<String>,
    /// The axes that a benchmark of a suite may list, instead of suites
    #[arg(long, conflicts_with = "suite")]
    axes: bool,
    /// The architectures that a benchmark of a suite may name, instead of suites
    #[arg(long, conflicts_with_all = ["suite", "axes"])]
    architectures: bool,
    /// The data sets that a benchmark of a suite may name, instead of suites
    #[arg(long, conflicts_with_all = ["suite", "axes", "architectures"])]
    data: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn main(args: &Args, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let grid = match &args.suite {
        None if args.axes => axes(),
        None if args.architectures => architectures(),
        None if args.data => data_sets(),
        None => suites()?,
        Some(name) => points(&Suite::load(name, &Overrides::default())?),
    };
    grid.print(args.format, out)?;
    Ok(Exit::Clean)
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

fn architectures() -> Grid {
    let mut grid = Grid::new(vec![("architecture", "architecture"), ("is", "about")]);
    for kind in KINDS {
        grid.push(vec![kind.name.into(), kind.about.into()]);
    }
    grid
}

fn data_sets() -> Grid {
    let mut grid = Grid::new(vec![("data", "data"), ("is", "about")]);
    for kind in data::KINDS {
        grid.push(vec![kind.name.into(), kind.about.into()]);
    }
    grid
}

fn axes() -> Grid {
    let columns = ["axis", "symbol", "unit", "default", "values", "about"];
    let mut grid = Grid::new(columns.map(|column| (column, column)).to_vec());
    for axis in AXES {
        grid.push(vec![
            axis.name.into(),
            axis.symbol.into(),
            axis.unit.into(),
            axis.default.to_string().into(),
            axis.values.to_string().into(),
            axis.about.trim().into(),
        ]);
    }
    grid
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
