//! `pcnbench bounds`: counted work, critical paths and bounds of a suite, without measuring.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use super::grid::{Cell, Format, Grid};
use super::label::labels;
use super::Verdict;
use crate::run::{self, Planned};
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
    /// Leave out deeper networks
    #[arg(long, value_name = "L")]
    max_depth: Option<usize>,
    /// Networks of this depth instead of the suite's
    #[arg(long, value_name = "L", conflicts_with = "max_depth")]
    depth: Option<usize>,
    /// Networks of this width instead of the suite's
    #[arg(long, value_name = "N")]
    width: Option<usize>,
    /// Batches of this size instead of the suite's
    #[arg(long, value_name = "B")]
    batch: Option<usize>,
    /// This many inference steps instead of the suite's
    #[arg(long, value_name = "T")]
    steps: Option<usize>,
    /// Compare every closed formula with the count of its schedule; exit code 2 if one differs
    #[arg(long)]
    verify: bool,
    /// Place every matrix product of the schedule on P processors and give the time that takes
    #[arg(long, value_name = "P")]
    simulate: Option<usize>,
    /// Below the table: each rule's formulas, bounds, when it equals BP, and who says so
    #[arg(long)]
    explain: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn main(args: &Args, out: &mut dyn Write) -> anyhow::Result<Verdict> {
    let overrides = Overrides {
        max_depth: args.max_depth,
        depth: args.depth,
        width: args.width,
        batch: args.batch,
        steps: args.steps,
        ..Overrides::default()
    };
    let suite = Suite::load(&args.suite, &overrides)?;
    let plan = run::plan(&suite, args.data.as_deref(), args.simulate)?;
    table(&plan, args.simulate.is_some()).print(args.format, out)?;
    if args.explain && args.format == Format::Table {
        let mut told = BTreeSet::new();
        // at the deepest network, where the differences are largest
        let deepest = plan.iter().map(|p| p.row.depth).max();
        for p in plan.iter().filter(|p| Some(p.row.depth) == deepest && told.insert(p.bound.rule)) {
            writeln!(out, "\n{} (L = {}, T = {})", p.bound, p.row.depth, p.row.steps)?;
        }
    }
    let differ: Vec<String> = plan
        .iter()
        .filter(|p| args.verify && !agrees(p))
        .map(|p| format!("{} at {}", p.row.contender, p.row.point))
        .collect();
    if differ.is_empty() {
        return Ok(Verdict::Clean);
    }
    Ok(Verdict::Wrong(format!("formula and count differ for {}", differ.join("; "))))
}

/// Whether the closed formulas, of cost and of bound, are what the schedule counts.
fn agrees(p: &Planned) -> bool {
    let counted = (p.row.gemms, p.row.gemm_flops, p.row.elementwise_flops, p.row.critical_path);
    let (work, path) = (p.formula.work, p.formula.critical_path);
    (work.gemms, work.gemm_flops, work.elementwise, path) == counted
        && (p.bound.gemms.value, p.bound.gemm_flops.value, p.bound.critical_path.value)
            == (p.row.gemms, p.row.gemm_flops, p.row.critical_path)
}

fn table(plan: &[Planned], simulated: bool) -> Grid {
    let mut columns = vec![
        ("benchmark", "point"),
        ("L", "depth"),
        ("T", "steps"),
        ("contender", "contender"),
        ("GEMMs", "gemms"),
        ("/ BP", "gemms_over_bp"),
        ("critical path", "critical_path"),
        ("/ BP", "critical_path_over_bp"),
        ("bound, serial", "bound_serial"),
        ("parallel", "bound_parallel"),
        ("order", "order_serial"),
        ("GEMM FLOPs", "gemm_flops"),
        ("other FLOPs", "elementwise_flops"),
        ("bytes", "bytes"),
    ];
    if simulated {
        columns.extend([("on P", "makespan_flops"), ("/ BP on P", "makespan_over_bp")]);
    }
    let mut grid = Grid::new(columns).optional(&[
        "bytes",
        "elementwise_flops",
        "gemm_flops",
        "order_serial",
        "critical_path",
        "gemms",
        "point",
    ]);
    let short = labels(plan.iter().map(|p| p.row.point.as_str()), &["depth"]);
    let ratio = |x: f64| Cell::new(format!("{x:.2}"), x);
    let share = |a: u64, b: u64| ratio(a as f64 / b.max(1) as f64);
    for p in plan {
        let row = &p.row;
        let mut cells = vec![
            Cell::new(short[row.point.as_str()].as_str(), row.point.as_str()),
            row.depth.into(),
            row.steps.into(),
            row.contender.as_str().into(),
            row.gemms.into(),
            share(row.gemms, p.backpropagation.work.gemms),
            row.critical_path.into(),
            share(row.critical_path, p.backpropagation.critical_path),
            ratio(p.bound.serial.over_bp),
            ratio(p.bound.layer_parallel.over_bp),
            p.bound.serial.order.into(),
            Cell::count(row.gemm_flops),
            Cell::count(row.elementwise_flops),
            Cell::count(row.bytes),
        ];
        if let Some(m) = p.makespan {
            cells.extend([Cell::count(m.flops), share(m.flops, m.backpropagation)]);
        }
        grid.push(cells);
    }
    grid
}
