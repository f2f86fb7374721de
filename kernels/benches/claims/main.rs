//! The claims about the fused engine on a GPU, each measured and judged in one run, as CSV on standard output.
//!
//! Width 128, batch 64 and f32 unless stated otherwise. The times that a line compares are interleaved (`sampler`), and
//! computed round by round: `value` is the median over `samples` rounds, `low` and `high` are quartiles, `calls` is the
//! fewest calls between one pair of events, `sm_mhz` the median clock of the multiprocessors right after these samples.
//! The cost of a step, an iteration or a pass is a difference of two such times, in which the fixed costs of a call
//! cancel; `parts` has the equations. `holds` judges the median. `refused` is the reason why a value is missing. The
//! exit code says whether everything was measured; the column, and a summary on standard error, say whether the claims
//! hold.

#[path = "../common/mod.rs"]
mod common;
mod measured;
mod parts;
mod plain;

use std::io::Write;

use candle_core::{Device, Result};
use common::{median_mhz, said, OnDevice};
use measured::Outcome;
use pcnbench_kernels::device;
use pcnbench_kernels::sampler::Sampler;

/// Sizes; those of cargo's own test of benches are small.
struct Sizes {
    /// Depths at which a step is timed; none has more layers than `few`.
    steps: &'static [usize],
    /// Numbers of steps whose times are subtracted.
    few: usize,
    many: usize,
    /// Depth, and T, of the comparison with one operation after another.
    reference: usize,
    /// Depths at which an iteration is timed, and the depth whose time is subtracted.
    iterations: &'static [usize],
    shallow: usize,
    /// Width and batch of the comparison with cuBLAS.
    wide: (usize, usize),
}

const FULL: Sizes = Sizes {
    steps: &[8, 32, 64, 128],
    few: 128,
    many: 384,
    reference: 64,
    iterations: &[64, 128],
    shallow: 2,
    wide: (4096, 1024),
};
const QUICK: Sizes =
    Sizes { steps: &[2, 4], few: 4, many: 8, reference: 4, iterations: &[4], shallow: 2, wide: (64, 32) };

enum Bound {
    AtMost(f64),
    AtLeast(f64),
    /// For the reader.
    None,
}

impl Bound {
    fn words(&self) -> String {
        match self {
            Self::AtMost(most) => format!("<= {most}"),
            Self::AtLeast(least) => format!(">= {least}"),
            Self::None => String::new(),
        }
    }

    fn holds(&self, value: f64) -> Option<bool> {
        match self {
            Self::AtMost(most) => Some(value <= *most),
            Self::AtLeast(least) => Some(value >= *least),
            Self::None => None,
        }
    }
}

struct Line {
    what: String,
    outcome: Outcome,
    bound: Bound,
}

fn line(what: impl Into<String>, outcome: Outcome, bound: Bound) -> Line {
    Line { what: what.into(), outcome, bound }
}

/// The instruments of every part.
struct Bench {
    device: Device,
    sampler: Sampler<OnDevice>,
    sizes: &'static Sizes,
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--test");
    let device = match device::open(0) {
        Ok(device) => device,
        Err(error) => {
            eprintln!("error: device `cuda` is not available: {error}");
            std::process::exit(if quick { 0 } else { 1 });
        }
    };
    let sampler = match common::sampler(&device) {
        Ok(sampler) => sampler,
        Err(error) => {
            eprintln!("error: {error}");
            std::process::exit(1);
        }
    };
    let mut bench = Bench { device, sampler, sizes: if quick { &QUICK } else { &FULL } };
    match claims(&mut bench, &mut std::io::stdout().lock()) {
        Ok(true) => {}
        Ok(false) => std::process::exit(1),
        Err(error) => {
            eprintln!("error: standard output: {error}");
            std::process::exit(1);
        }
    }
}

/// Runs all claims; whether everything was measured.
fn claims(bench: &mut Bench, out: &mut dyn Write) -> std::io::Result<bool> {
    type Part = fn(&mut Bench) -> Result<Vec<Line>>;
    let claims: [(&str, Part); 5] = [
        ("depth", parts::depth),
        ("reference", parts::reference),
        ("epc", parts::epc),
        ("wide", parts::wide),
        // last, because recording operations of Candle may change state of Candle and cuBLAS
        ("captured", parts::captured),
    ];
    writeln!(out, "claim,what,value,low,high,bound,holds,samples,calls,sm_mhz,refused")?;
    let (mut held, mut judged, mut all) = (0, 0, true);
    for (claim, part) in claims {
        let lines =
            part(bench).unwrap_or_else(|error| vec![line(String::new(), Err(said(&error)), Bound::None)]);
        for Line { what, outcome, bound } in lines {
            let words = bound.words();
            match outcome {
                Ok(measured) => {
                    let spread = measured.series.spread();
                    let holds = bound.holds(spread.median);
                    judged += usize::from(holds.is_some());
                    held += usize::from(holds == Some(true));
                    let word = holds.map_or("", |holds| if holds { "yes" } else { "no" });
                    let values = [spread.median, spread.low, spread.high].map(|value| format!("{value:.4}"));
                    let (samples, mhz) = (measured.series.rounds().len(), median_mhz(&measured.mhz));
                    let values = values.join(",");
                    writeln!(
                        out,
                        "{claim},{what},{values},{words},{word},{samples},{},{mhz},",
                        measured.calls
                    )?;
                }
                Err(why) => {
                    all = false;
                    writeln!(out, "{claim},{what},,,,{words},,,,,\"{why}\"")?;
                }
            }
        }
        out.flush()?;
    }
    let rest = if all { "" } else { "; not everything was measured" };
    eprintln!("# {held} of {judged} bounds hold{rest}");
    Ok(all)
}
