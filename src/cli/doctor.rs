//! `pcnbench doctor`: what this build and this machine can do.

use std::io::Write;

use candle_core::Device;
use pcnbench_kernels::device::{setup, switches};

use super::exit::Exit;
use super::grid::{Format, Grid};
use crate::error::plain;
use crate::measure::energy::Meter;
use crate::measure::gpu_state::GpuState;
use crate::measure::run_queue_wait::Scheduler;
use crate::measure::threads::Choice;
use crate::measure::{self, affinity, build, Gpu};
use crate::record::Machine;
use crate::run::open_device;
use crate::suite::DeviceKind;

/// Options of `doctor`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    pub(super) threads: super::threads::Threads,
}

pub(super) fn main(args: &Args, threads: Option<Choice>, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let cuda = open_device(DeviceKind::Cuda);
    let gpu = cuda.as_ref().ok().and_then(|device| Gpu::of(device).ok().flatten());
    let machine = Machine::detect(gpu);
    let mut grid = Grid::new(vec![("what", "what"), ("found", "found")]);
    let mut say = |what: &'static str, found: String| grid.push(vec![what.into(), found.into()]);
    say(
        "program",
        format!(
            "pcnbench {} at revision {}{}",
            build::VERSION,
            build::REV,
            if build::dirty() { " with local changes" } else { "" }
        ),
    );
    say("compiler", build::RUSTC.into());
    say("candle", build::CANDLE.into());
    say(
        "profile",
        if measure::debug_build() { "debug: `run` refuses to measure".into() } else { "release".into() },
    );
    let features = build::features();
    say("features", if features.is_empty() { "none (CPU only)".into() } else { features.join(" ") });
    say("machine class", machine.class);
    say("cpu", machine.cpu);
    say("cores", format!("{} physical, {} logical usable", machine.physical_cores, machine.logical_cpus));
    say("simd", machine.simd);
    say("memory", format!("{:.1} GiB", machine.memory_bytes as f64 / (1u64 << 30) as f64));
    say("system", machine.os);
    let pinned = if affinity::pinned() { ", each on a core of its own" } else { "" };
    let source = threads.map_or("", |t| t.source.describe());
    say("threads", format!("{} ({source}){pinned}", measure::threads()));
    say(
        "cuda",
        match &cuda {
            Ok(gpu) => format!("{}, driver {}; {}", machine.gpu, machine.driver, switches(gpu).join("; ")),
            Err(e) => e.to_string(),
        },
    );
    let told = |told: bool| if told { "told by this system" } else { "not told by this system" };
    say("delay of threads", told(Scheduler::of_this_process().is_some()).into());
    let meter = |device: &Device| Meter::of(device, &GpuState::of(device)).is_some();
    say("energy of the cpu", told(meter(&Device::Cpu)).into());
    if let Ok(device) = &cuda {
        say("energy of the GPU", told(meter(device)).into());
        // what a driver does not tell is said in its place
        for (what, found) in setup(device).unwrap_or_else(|e| vec![("GPU", plain(&e))]) {
            say(what, found);
        }
        for (what, found) in GpuState::of(device).facts() {
            say(what, found);
        }
    }
    let counter = measure::instructions::Counter::of_this_thread();
    say(
        "instructions",
        counter.map_or_else(|e| format!("not counted by this system: {e}"), |_| told(true).into()),
    );
    say("load", measure::load_warning().unwrap_or_else(|| "quiet enough to measure".into()));
    grid.print(args.format, out)?;
    Ok(Exit::Clean)
}
