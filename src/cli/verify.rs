//! `pcnbench verify`: conformance cases, one line each; then differential tests of a fused engine, one line per rule.

use std::io::Write;
use std::path::PathBuf;

use candle_core::DType;

use super::exit::Exit;
use crate::engine::EngineKind;
use crate::run::open_device;
use crate::suite::DeviceKind;
use crate::verify::{self, CaseOutcome, Options, Report};
use crate::Error;

/// Options of `verify`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Case files, or folders of them (formats: tests/cases/CASES.md and GRAPHS.md)
    #[arg(long, value_name = "PATH", num_args = 1.., default_values = ["tests/cases", "tests/cases/graphs"])]
    cases: Vec<PathBuf>,
    /// Only cases of this rule
    #[arg(long)]
    rule: Option<String>,
    /// Engine that runs them (reference, autograd, fused, fused-deviation; fused-3xtf32, fused-tf32 and fused-bf16 with
    /// --dtype f32)
    #[arg(long, default_value = "reference")]
    engine: String,
    /// Device they run on (cpu, cuda)
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Precision: f64 at the cases' tolerance, f32 at its own stated bound
    #[arg(long, default_value = "f64")]
    dtype: String,
    #[command(flatten)]
    pub(super) threads: super::threads::Threads,
}

pub(super) fn main(args: &Args, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let engine: EngineKind = args.engine.parse()?;
    let dtype = match args.dtype.as_str() {
        "f32" => DType::F32,
        "f64" => DType::F64,
        other => return Err(Error::unknown("dtype", other, ["f32", "f64"]).into()),
    };
    engine.check(dtype, false)?;
    if let Some(rule) = args.rule.as_deref().filter(|r| !verify::case::is_rule(r)) {
        return Err(Error::unknown("rule", rule, verify::case::rules()).into());
    }
    let device = open_device(args.device.parse::<DeviceKind>()?)?;
    let options = Options { rule: args.rule.clone(), engine, dtype, device };
    let mut cases = 0;
    let mut counts = Counts::default();
    for path in verify::find(&args.cases)? {
        let Some(report) = verify::run(&path, &options) else { continue };
        cases += 1;
        counts.line(report, out)?;
    }
    if cases == 0 {
        let rule = args.rule.as_deref().unwrap_or_default();
        return Err(Error::Invalid(format!(
            "no case of rule `{rule}` is among the files of --cases; leave --rule out, or name other files"
        ))
        .into());
    }
    for report in verify::differential::run(&options) {
        counts.line(report, out)?;
    }
    let Counts { passed, failed, skipped } = counts;
    writeln!(out, "{passed} passed, {failed} failed, {skipped} skipped")?;
    let all = passed + failed + skipped;
    Ok(match failed {
        0 => Exit::Clean,
        _ => Exit::Wrong(format!("{failed} of {all} cases failed; see the lines that begin with FAIL")),
    })
}

/// What the last line says.
#[derive(Default)]
struct Counts {
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Counts {
    /// Counts a report and writes its line.
    fn line(&mut self, Report { id, outcome }: Report, out: &mut dyn Write) -> std::io::Result<()> {
        match outcome {
            CaseOutcome::Passed { compared, worst } => {
                self.passed += 1;
                writeln!(
                    out,
                    "pass  {id}: largest error {:.1e} of {:.1e} allowed, in {} ({compared} entries)",
                    worst.error, worst.allowed, worst.entry
                )
            }
            CaseOutcome::Failed(why) => {
                self.failed += 1;
                writeln!(out, "FAIL  {id}: {why}")
            }
            CaseOutcome::Skipped(why) => {
                self.skipped += 1;
                writeln!(out, "skip  {id}: {why}")
            }
        }
    }
}
