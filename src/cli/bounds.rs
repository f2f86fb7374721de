//! `pcnbench bounds`: counts, lower bounds and predictions of a suite, without measuring anything but the machine's
//! ceiling.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use candle_core::DType;
use pcnbench_kernels::persistent::{DeviceModel, H100};

use super::exit::Exit;
use super::grid::{Cell, Format, Grid};
use super::label::labels;
use super::results::{bytes, duration};
use crate::contender::backend::fused::engine as fused;
use crate::measure;
use crate::record::{Ceiling, SummaryRow};
use crate::run::{self, Planned};
use crate::suite::{axis, Overrides, Suite};
use crate::theory::analysis::Analysis;

/// For measuring one ceiling.
const BUDGET: Duration = Duration::from_millis(300);

/// Options of `bounds`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A built-in suite or a path to a .toml file
    #[arg(default_value = "quick")]
    suite: String,
    /// Folder of image files instead of the digits: sets the input and output sizes
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
    /// Below the table: each rule's formulas, why its bound holds, when it equals BP, what it asks of the machine that runs it, and who says so
    #[arg(long)]
    explain: bool,
    /// Measure this machine's ceiling, which takes a second, and give each bound as a time too
    #[arg(long)]
    seconds: bool,
    /// Predict how long a step of sPC by the fused engine takes on a GPU, by a model of it
    #[arg(long, value_enum, value_name = "GPU")]
    device_model: Option<ModelledGpu>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// GPUs that there is a model of.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum ModelledGpu {
    /// NVIDIA H100 SXM
    H100,
}

impl ModelledGpu {
    fn model(self) -> &'static DeviceModel {
        match self {
            Self::H100 => &H100,
        }
    }
}

pub(super) fn main(args: &Args, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let overrides = Overrides { max_depth: args.max_depth, ..Overrides::default() }
        .with(&axis::DEPTH, args.depth)
        .with(&axis::WIDTH, args.width)
        .with(&axis::BATCH, args.batch)
        .with(&axis::STEPS, args.steps);
    let suite = Suite::load(&args.suite, &overrides)?;
    let plan = run::plan(&suite, args.data.as_deref(), args.simulate)?;
    let ceilings = if args.seconds { Some(Ceilings::default()) } else { None };
    let gpu = args.device_model.map(ModelledGpu::model);
    table(&plan, args.simulate.is_some(), ceilings, gpu)?.print(args.format, out)?;
    if let (Some(gpu), Format::Table) = (gpu, args.format) {
        writeln!(
            out,
            "\n`predicted step` is of a model of {}, from counts of instructions and assumed latencies; nothing was measured",
            gpu.name
        )?;
    }
    if args.explain && args.format == Format::Table {
        let mut told = BTreeSet::new();
        // at the deepest network, where the differences are largest
        let deepest = plan.iter().map(|p| p.row.depth).max();
        for p in plan.iter().filter(|p| Some(p.row.depth) == deepest) {
            if let Some((_, analysis)) = p.closed.as_ref().filter(|(_, analysis)| told.insert(analysis.rule))
            {
                writeln!(out, "\nL = {}, T = {}: {analysis}", p.row.depth, p.row.steps)?;
                writeln!(out, "{}", p.spec.rule.properties())?;
            }
        }
    }
    let differ: Vec<String> = plan
        .iter()
        .filter(|p| args.verify && !agrees(p))
        .map(|p| format!("{} at {}", p.row.contender, p.row.point))
        .collect();
    if differ.is_empty() {
        return Ok(Exit::Clean);
    }
    Ok(Exit::Wrong(format!("formula and count differ for {}", differ.join("; "))))
}

/// Whether the closed formulas are what the schedule counts, and no bound is above its count.
fn agrees(p: &Planned) -> bool {
    let Some((formula, analysis)) = &p.closed else { return true };
    let own = p.counted.work;
    let counted = (own.gemms, own.gemm_flops, own.elementwise, p.counted.critical_path);
    let (work, path) = (formula.work, formula.critical_path);
    (work.gemms, work.gemm_flops, work.elementwise, path) == counted
        && (analysis.gemms.value, analysis.gemm_flops.value, analysis.critical_path.value)
            == (own.gemms, own.gemm_flops, p.counted.critical_path)
        && analysis.least.update.gemms <= own.gemms
        && analysis.least.update.gemm_flops <= own.gemm_flops
}

/// Ceilings of this machine, each measured when it is first asked for.
#[derive(Debug, Default)]
struct Ceilings {
    known: Vec<Ceiling>,
}

impl Ceilings {
    /// Least time of a row's bound, for rows on the CPU.
    fn seconds(&mut self, row: &SummaryRow, threads: usize) -> crate::Result<Option<f64>> {
        if row.device != "cpu" {
            return Ok(None);
        }
        let fits = |c: &&Ceiling| c.dtype == row.dtype && c.threads == threads;
        let known = self.known.iter().find(fits).map(|c| c.per_second);
        let rate = match known {
            Some(rate) => rate,
            None => {
                let dtype = if row.dtype == "f64" { DType::F64 } else { DType::F32 };
                let found = measure::fma_ceiling(dtype, threads, BUDGET)?;
                self.known.push(found.clone());
                found.per_second
            }
        };
        Ok(row.least_gemm_flops.map(|flops| flops as f64 / rate))
    }
}

/// What an update's memory stays below; nothing is said of a GPU.
fn most_memory(p: &Planned) -> crate::Result<Cell> {
    if p.row.device != "cpu" {
        return Ok(Cell::empty());
    }
    Ok(bytes(Some(run::most_memory(&p.spec, p.row.batch, p.threads)? as u64)))
}

fn table(
    plan: &[Planned],
    simulated: bool,
    mut ceilings: Option<Ceilings>,
    gpu: Option<&DeviceModel>,
) -> anyhow::Result<Grid> {
    let mut columns = vec![
        ("benchmark", "point"),
        ("L", "depth"),
        ("T", "steps"),
        ("contender", "contender"),
        ("GEMMs", "gemms"),
        ("/ BP", "gemms_over_bp"),
        ("bound", "least_gemms"),
        ("inference / BP", "inference_over_bp"),
        ("order", "order_inference"),
        ("bound", "least_inference_gemms"),
        ("predicted path", "critical_path"),
        ("/ BP", "critical_path_over_bp"),
        ("predicted parallel / BP", "parallel_over_bp"),
        ("GEMM FLOPs", "gemm_flops"),
        ("bound", "least_gemm_flops"),
        ("other FLOPs", "elementwise_flops"),
        ("bytes", "bytes"),
        ("memory", "most_memory_bytes"),
    ];
    if ceilings.is_some() {
        columns.push(("bound, time", "bound_ns"));
    }
    if simulated {
        columns.extend([("predicted on P", "makespan_flops"), ("/ BP on P", "makespan_over_bp")]);
    }
    if gpu.is_some() {
        columns.push(("predicted step", "predicted_step_ns"));
    }
    let mut grid = Grid::new(columns).optional(&[
        "most_memory_bytes",
        "bytes",
        "elementwise_flops",
        "least_gemm_flops",
        "gemm_flops",
        "order_inference",
        "least_inference_gemms",
        "critical_path",
        "gemms",
        "point",
    ]);
    let short = labels(plan.iter().map(|p| p.row.point.as_str()), &["depth"]);
    fn ratio(x: f64) -> Cell {
        Cell::new(format!("{x:.2}"), x)
    }
    let share = |a: u64, b: u64| ratio(a as f64 / b.max(1) as f64);
    for p in plan {
        let (row, analysis) = (&p.row, p.closed.as_ref().map(|(_, analysis)| analysis));
        let of = |cell: fn(&Analysis) -> Cell| analysis.map_or_else(Cell::empty, cell);
        let mut cells = vec![
            Cell::new(short[row.point.as_str()].as_str(), row.point.as_str()),
            row.depth.into(),
            row.steps.into(),
            row.contender.as_str().into(),
            row.gemms.into(),
            share(row.gemms, p.backpropagation.work.gemms),
            of(|a| a.least.update.gemms.into()),
            of(|a| ratio(a.inference.over_bp)),
            of(|a| a.inference.order.into()),
            of(|a| a.least.inference.gemms.into()),
            row.critical_path.into(),
            share(row.critical_path, p.backpropagation.critical_path),
            of(|a| ratio(a.layer_parallel.over_bp)),
            Cell::count(row.gemm_flops),
            of(|a| Cell::count(a.least.update.gemm_flops)),
            Cell::count(row.elementwise_flops),
            Cell::count(row.bytes),
            most_memory(p)?,
        ];
        if let Some(ceilings) = &mut ceilings {
            cells.push(match ceilings.seconds(row, p.threads)? {
                Some(seconds) => Cell::new(duration(1e9 * seconds), 1e9 * seconds),
                None => Cell::empty(),
            });
        }
        if let Some(m) = p.makespan {
            cells.extend([Cell::count(m.flops), share(m.flops, m.backpropagation)]);
        }
        if let Some(gpu) = gpu {
            cells.push(match fused::predicted_step(&p.spec, row.batch, gpu)? {
                Some(seconds) => Cell::new(duration(1e9 * seconds), 1e9 * seconds),
                None => Cell::empty(),
            });
        }
        grid.push(cells);
    }
    Ok(grid)
}
