//! Where the time of an sPC step goes on strategy `persistent`: cycles of every phase of a step, as CSV on standard
//! output.
//!
//! Width 128, batch 64, T = L + 32, depths 8, 32, 64 and 128, with every math mode that has persistent kernels. One
//! block, that of the layer in the middle on the first tile of the batch, records when each phase of its last 32 steps
//! begins, by the clock of its multiprocessor. Thread 0 records, so the times of other warps are not seen. The lines
//! give the median and the range of 31 steps, for each phase and for whole steps. A traced kernel is another program
//! than a timed one; `ladder` measures its total time.

#[path = "common/mod.rs"]
mod common;

use std::io::Write;

use candle_core::{Device, Error, Result};
use common::{said, Call, Net};
use pcnbench_kernels::persistent::trace::{durations, PHASES, STEPS};
use pcnbench_kernels::tune::Strategy;
use pcnbench_kernels::{device, MathMode, Rule, Schedule};

const WIDTH: usize = 128;
const BATCH: usize = 64;

fn main() {
    let quick = std::env::args().any(|argument| argument == "--test");
    let device = match device::open(0) {
        Ok(device) => device,
        Err(error) => {
            eprintln!("error: device `cuda` is not available: {error}");
            std::process::exit(if quick { 0 } else { 1 });
        }
    };
    let depths: &[usize] = if quick { &[8] } else { &[8, 32, 64, 128] };
    if let Err(error) = trace(&device, depths, &mut std::io::stdout().lock()) {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

fn trace(device: &Device, depths: &[usize], out: &mut dyn Write) -> Result<()> {
    writeln!(out, "operands,depth,phase,cycles,low,high,refused").map_err(Error::wrap)?;
    for depth in depths {
        for math in MathMode::RESIDENT {
            match row(device, *depth, math) {
                Ok(steps) => {
                    let whole: Vec<u64> = steps.iter().map(|step| step.iter().sum()).collect();
                    for (index, phase) in PHASES.iter().enumerate() {
                        let of_phase = steps.iter().map(|step| step[index]).collect();
                        line(out, (math, *depth, phase), of_phase)?;
                    }
                    line(out, (math, *depth, "step"), whole)?;
                }
                Err(error) => {
                    writeln!(out, "{math},{depth},,,,,\"{}\"", said(&error)).map_err(Error::wrap)?;
                }
            }
            out.flush().map_err(Error::wrap)?;
        }
    }
    Ok(())
}

fn line(
    out: &mut dyn Write,
    (math, depth, phase): (MathMode, usize, &str),
    mut cycles: Vec<u64>,
) -> Result<()> {
    cycles.sort_unstable();
    let (low, high) = (cycles.first().copied().unwrap_or(0), cycles.last().copied().unwrap_or(0));
    let middle = cycles.get(cycles.len() / 2).copied().unwrap_or(0);
    writeln!(out, "{math},{depth},{phase},{middle},{low},{high},").map_err(Error::wrap)
}

/// Cycles of the phases of each traced step of the second of two calls.
fn row(device: &Device, depth: usize, math: MathMode) -> Result<Vec<[u64; PHASES.len()]>> {
    let rule = Rule::Spc { light_cone: true, deviation: false };
    let schedule = Schedule::new(rule, vec![0.1; depth + STEPS]);
    let net = Net::draw(device, (WIDTH, BATCH, depth), true)?;
    let call = Call::new(&net, (Some(Strategy::Persistent), math), schedule)?;
    for _ in 0..2 {
        call.train()?;
    }
    call.check()?;
    let steps = durations(&call.engine.phase_clocks().map_err(Error::wrap)?);
    if steps.is_empty() {
        return Err(Error::Msg("the kernel has written no clock down".into()));
    }
    Ok(steps)
}
