//! `pcnbench tune`: time every launch strategy of the fused engine on a GPU, so that `run` chooses by it.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::exit::Exit;
use super::grid::{Cell, Format, Grid};
use super::progress::Bar;
use crate::measure::gpu_state::GpuState;
use crate::measure::{build, debug_build, utc_now, Gpu};
use crate::run::{open_device, Observer};
use crate::suite::DeviceKind;
use crate::tune::file::{self, Strategies};
use crate::tune::{describe, grid, measure, Call, OnDevice};
use crate::Error;

use pcnbench_kernels::device::capability;
use pcnbench_kernels::tune::StrategyTable;

/// Options of `tune`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The device to measure on; only a GPU has launch strategies
    #[arg(long, default_value = "cuda")]
    device: String,
    /// Folder of all records; the file goes to DIR/<machine class>/strategies.toml, where `run` looks for it
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
    /// Time each call for so long, all its strategies together; those of a call take five turns each at least
    #[arg(long, value_name = "SECONDS", default_value_t = 0.1, allow_negative_numbers = true)]
    seconds: f64,
    /// Leave out networks deeper than L
    #[arg(long, value_name = "L")]
    max_depth: Option<usize>,
    /// Write to this file instead
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Measure nothing: check FILE as `run` does, and print its times
    #[arg(long, value_name = "FILE", conflicts_with_all = ["device", "results", "seconds", "max_depth", "out"])]
    show: Option<PathBuf>,
    /// How to print the times of --show
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Measure in a debug build too
    #[arg(long, hide = true)]
    allow_debug_build: bool,
}

pub(super) fn main(args: &Args, out: &mut dyn Write) -> anyhow::Result<Exit> {
    if let Some(path) = &args.show {
        return show(&Strategies::read(path)?, args.format, out);
    }
    let calls = args.calls()?;
    let device = open_device(DeviceKind::Cuda)?;
    if debug_build() && !args.allow_debug_build {
        let problem = "this is a debug build and its timings would mean nothing; build with --release";
        return Err(Error::Invalid(problem.into()).into());
    }
    let (Some(gpu), Some(capability)) = (Gpu::of(&device)?, capability(&device)?) else {
        return Err(Error::Invalid("the device does not say what it is".into()).into());
    };
    let warnings = GpuState::of(&device).warnings();
    let started = utc_now();
    let mut bar = Bar::new();
    bar.planned(calls.len(), 0);
    let mut progress = |done: usize, call: &Call| {
        if done > 0 {
            bar.finished("");
        }
        bar.at(&call.to_string(), "timed");
    };
    let measured = measure(&calls, &mut OnDevice::new(device), args.seconds, &mut progress);
    bar.clear();
    let measured = measured?;
    for warning in warnings.iter().chain(&measured.without) {
        writeln!(out, "warning: {warning}")?;
    }
    if measured.entries.is_empty() {
        let problem = "no strategy has a time for any call, so that no file was written";
        return Err(Error::Invalid(problem.into()).into());
    }
    let entries = measured.entries.len();
    let table = StrategyTable { device: gpu.name, capability, entries: measured.entries };
    let strategies = Strategies {
        driver: gpu.driver,
        rev: build::REV.to_owned(),
        dirty: build::dirty(),
        started,
        seconds: args.seconds,
        table: table.into(),
    };
    let path = args.path(&strategies.machine_class());
    strategies.write(&path)?;
    writeln!(out, "strategies: {} ({entries} entries of {} calls)", path.display(), calls.len())?;
    Ok(Exit::Clean)
}

impl Args {
    /// The calls to be timed, if the options make sense.
    fn calls(&self) -> crate::Result<Vec<Call>> {
        if self.device.parse::<DeviceKind>()? != DeviceKind::Cuda {
            let device = &self.device;
            return Err(Error::Invalid(format!(
                "device `{device}` has no launch strategies to choose from; use `--device cuda`"
            )));
        }
        if !(self.seconds.is_finite() && self.seconds > 0.0) {
            return Err(Error::Invalid(format!(
                "--seconds is {}; expected a positive number of seconds",
                self.seconds
            )));
        }
        let calls = grid(self.max_depth.unwrap_or(usize::MAX));
        if calls.is_empty() {
            return Err(Error::Invalid(
                "--max-depth leaves no call to be timed; the shallowest networks have 2 layers".into(),
            ));
        }
        Ok(calls)
    }

    fn path(&self, class: &str) -> PathBuf {
        let usual = || Path::new(&self.results).join(class).join(file::FILE);
        self.out.clone().unwrap_or_else(usual)
    }
}

/// One row per strategy and call.
fn show(strategies: &Strategies, format: Format, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let mut grid = Grid::new(vec![
        ("call", "call"),
        ("n", "width"),
        ("B", "batch"),
        ("L", "depth"),
        ("T", "steps"),
        ("strategy", "strategy"),
        ("median", "median_ns"),
        ("Q1", "q1_ns"),
        ("Q3", "q3_ns"),
        ("", "note"),
    ]);
    for entry in &strategies.table.entries {
        let sizes = entry.sizes;
        let head = || -> Vec<Cell> {
            let call = describe(entry.rule, entry.precision, entry.math);
            let [n, b, l, t] = [sizes.width, sizes.batch, sizes.depth, sizes.steps].map(Cell::from);
            vec![call.into(), n, b, l, t]
        };
        let us = |ns: f64| Cell::new(format!("{:.1} µs", ns * 1e-3), ns);
        for (place, timed) in entry.ranked().into_iter().enumerate() {
            let mut row = head();
            row.push(timed.strategy.name().into());
            row.extend([timed.median_ns, timed.q1_ns, timed.q3_ns].map(us));
            row.push(if place == 0 { "fastest" } else { "" }.into());
            grid.push(row);
        }
        for failed in &entry.failed {
            let mut row = head();
            row.push(failed.strategy.name().into());
            row.extend([
                Cell::empty(),
                Cell::empty(),
                Cell::empty(),
                format!("failed: {}", failed.why).into(),
            ]);
            grid.push(row);
        }
    }
    if format == Format::Table {
        let Strategies { driver, rev, dirty, started, .. } = strategies;
        let dirty = if *dirty { "+dirty" } else { "" };
        writeln!(
            out,
            "{}, driver {driver}, measured {started} by revision {rev}{dirty}",
            strategies.table.device
        )?;
    }
    grid.print(format, out)?;
    Ok(Exit::Clean)
}
