//! `pcnbench bounds`: counted work and critical paths of a suite, without measuring.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::grid::{Cell, Format, Grid};
use super::label::labels;
use super::Verdict;
use crate::run;
use crate::suite::{Overrides, Suite};

/// Options of `bounds`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A built-in suite or a path to a .toml file
    #[arg(default_value = "quick")]
    suite: String,
    /// Folder of IDX files instead of the digits: sets the input and output sizes
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Compare every closed formula with the count of its schedule; exit code 2 if one differs
    #[arg(long)]
    verify: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn main(args: &Args, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    let suite = Suite::load(&args.suite, &Overrides::default())?;
    let data: Option<&Path> = args.data.as_deref();
    let mut grid = Grid::new(vec![
        ("benchmark", "point"),
        ("L", "depth"),
        ("T", "steps"),
        ("contender", "contender"),
        ("GEMMs", "gemms"),
        ("/ BP", "gemms_over_bp"),
        ("critical path", "critical_path"),
        ("/ BP", "critical_path_over_bp"),
        ("GEMM FLOPs", "gemm_flops"),
        ("other FLOPs", "elementwise_flops"),
        ("bytes", "bytes"),
    ])
    .optional(&["bytes", "elementwise_flops", "gemm_flops"]);
    let plan = run::plan(&suite, data)?;
    let short = labels(plan.iter().flat_map(|p| &p.rows).map(|(row, _)| row.point.as_str()), &["depth"]);
    let mut differ = Vec::new();
    for planned in &plan {
        let bp = &planned.backpropagation;
        for (row, formula) in &planned.rows {
            if args.verify && *formula != (row.gemms, row.gemm_flops, row.critical_path) {
                differ.push(format!("{} at {}", row.contender, row.point));
            }
            let share = |a: u64, b: u64| {
                let share = a as f64 / b.max(1) as f64;
                Cell::new(format!("{share:.2}"), share)
            };
            grid.push(vec![
                Cell::new(short[row.point.as_str()].as_str(), row.point.as_str()),
                row.depth.into(),
                row.steps.into(),
                row.contender.as_str().into(),
                row.gemms.into(),
                share(row.gemms, bp.work.gemms),
                row.critical_path.into(),
                share(row.critical_path, bp.critical_path),
                Cell::count(row.gemm_flops),
                Cell::count(row.elementwise_flops),
                Cell::count(row.bytes),
            ]);
        }
    }
    grid.print(args.format, out)?;
    if differ.is_empty() {
        return Ok(Verdict::Clean);
    }
    Ok(Verdict::Wrong(format!("formula and count differ for {}", differ.join("; "))))
}
