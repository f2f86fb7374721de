//! Is a contender right? Conformance cases with other people's numbers, differential tests around tile sizes, and a
//! preflight of every timed point on a reduced problem.

pub mod case;
pub mod differential;
pub mod equilibrium;
pub mod execute;
pub mod host;
pub mod oracle;
pub mod preflight;
mod schedule;

use std::path::{Path, PathBuf};

use candle_core::{DType, Device};
use pcnbench_kernels::MathMode;

use crate::engine::EngineKind;
use crate::rule::Info;
use crate::{Error, Result};
use case::Case;
use execute::Produced;
use host::Host;

/// How to run cases.
#[derive(Debug, Clone)]
pub struct Options {
    /// Only cases of this rule.
    pub rule: Option<String>,
    /// Executor.
    pub engine: EngineKind,
    /// f64 at the cases' tolerance, f32 at [`f32_allowance`].
    pub dtype: DType,
    /// Where tensors live.
    pub device: Device,
}

/// What became of one case.
#[derive(Debug, Clone, PartialEq)]
pub enum CaseOutcome {
    /// Every expected entry within its allowance.
    Passed {
        /// Entries compared.
        compared: usize,
        /// The entry that came closest to its allowance.
        worst: Worst,
    },
    /// Some entry out of its allowance, or the case could not be run.
    Failed(String),
    /// A rule or network that the engine does not run.
    Skipped(String),
}

/// The entry of a case that used most of its allowance.
#[derive(Debug, Clone, PartialEq)]
pub struct Worst {
    /// Entry name.
    pub entry: String,
    /// max|C − E|.
    pub error: f64,
    /// What the tolerance allows.
    pub allowed: f64,
}

/// One case with its outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Case id, or the file name where the id could not be read.
    pub id: String,
    /// What became of it.
    pub outcome: CaseOutcome,
}

/// All case files under the given paths (files, or folders searched for `*.json`), sorted.
pub fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        let facts = std::fs::metadata(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                Error::content(path, "does not exist; name case files or their folder with --cases")
            }
            _ => Error::io("read", path, e),
        })?;
        if facts.is_file() {
            files.push(path.clone());
            continue;
        }
        let before = files.len();
        for entry in std::fs::read_dir(path).map_err(|e| Error::io("list", path, e))? {
            let file = entry.map_err(|e| Error::io("list", path, e))?.path();
            if file.extension().is_some_and(|e| e == "json") && file.is_file() {
                files.push(file);
            }
        }
        if files.len() == before {
            return Err(Error::content(path, "holds no case files; expected at least one `*.json`"));
        }
    }
    files.sort();
    files.dedup();
    Ok(files)
}

/// Runs one case file; `None` if the options leave it out.
pub fn run(path: &Path, options: &Options) -> Option<Report> {
    let name = || path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into());
    let wanted = |rule: &str| options.rule.as_deref().is_none_or(|r| r == rule);
    match case::read(path) {
        Err(e) => Some(Report { id: name(), outcome: CaseOutcome::Failed(e.to_string()) }),
        Ok(case) => {
            wanted(&case.rule).then(|| Report { id: case.id.clone(), outcome: judge(&case, options) })
        }
    }
}

fn judge(case: &Case, options: &Options) -> CaseOutcome {
    if case.rule == case::EQUILIBRIUM {
        // a closed form, not a rule: no engine executes it and f64 is the only precision
        let options = Options { dtype: DType::F64, ..options.clone() };
        return match equilibrium::execute(case) {
            Ok(produced) => compare(case, &produced, &options),
            Err(e) => CaseOutcome::Failed(e.to_string()),
        };
    }
    if !Info::runs(&case.rule, options.engine) {
        return CaseOutcome::Skipped(format!(
            "engine {} does not run rule {}",
            options.engine.name(),
            case.rule
        ));
    }
    if options.engine.is_fused()
        && let Err(why) = case.graph.as_stack()
    {
        return CaseOutcome::Skipped(why.to_string());
    }
    match execute::execute(case, options.engine, options.dtype, &options.device) {
        Ok(produced) => compare(case, &produced, options),
        Err(e) => CaseOutcome::Failed(e.to_string()),
    }
}

fn compare(case: &Case, produced: &Produced, options: &Options) -> CaseOutcome {
    let mut worst: Option<Worst> = None;
    let mut compared = 0;
    for (entry, expected) in &case.expect {
        let Some(got) = produced.get(entry) else {
            let hidden = entry.starts_with("adjoint.") || entry.starts_with("state.");
            if options.engine == EngineKind::Autograd && hidden {
                continue; // autograd does not show what lies between loss and parameters
            }
            return CaseOutcome::Failed(format!(
                "`{entry}` is expected but rule {} produces no such entry",
                case.rule
            ));
        };
        if got.shape != expected.shape {
            return CaseOutcome::Failed(format!(
                "`{entry}` has shape {:?}; expected {:?}",
                got.shape, expected.shape
            ));
        }
        compared += 1;
        let error = got.distance(expected);
        let allowed = match options.dtype {
            DType::F32 => f32_allowance(case, entry, expected, options.engine.operands()),
            _ => case.relative * expected.largest() + case.absolute,
        };
        if worst.as_ref().is_none_or(|w| error * w.allowed > w.error * allowed || error.is_infinite()) {
            worst = Some(Worst { entry: entry.clone(), error, allowed });
        }
    }
    match worst {
        None => CaseOutcome::Failed("lists nothing that could be compared".into()),
        Some(w) if w.error <= w.allowed && w.error.is_finite() => CaseOutcome::Passed { compared, worst: w },
        Some(w) => {
            CaseOutcome::Failed(format!("`{}` is off by {:.3e}; allowed {:.3e}", w.entry, w.error, w.allowed))
        }
    }
}

/// What f32 may differ by: u·(K + 2)·(L + 2T)·(max|E| + S), with u = 2⁻²⁴, K the longest sum and S
/// the largest number of the case's own magnitude (inputs, parameters and expected entries; for gradients
/// times B). Errors are differences of states, so their rounding scales with the states, not with the
/// errors: that is S. The first-order bound of a chain of L + 2T products, each γ_K, in the worst case.
///
/// Operands of less than f32 add what [`MathMode::bound`] has beyond that to each product of the chain, and the
/// directions' own; iPC's T updates and SeqIL's sweeps are products of the chain too. A slope of relu at an argument
/// that rounding carries over zero is not in it: no case has one so near.
pub fn f32_allowance(case: &Case, entry: &str, expected: &Host, operands: MathMode) -> f64 {
    let unit = f64::from(f32::EPSILON) / 2.0;
    let longest = case.graph.longest_sum() as f64;
    let chain = (case.graph.len() + 2 * case.steps.count) as f64;
    let values = case.expect.iter().filter(|(k, _)| !k.starts_with("grad")).map(|(_, v)| v);
    let magnitude = values.chain(&case.data).chain(&case.params).fold(1.0, |m: f64, h| m.max(h.largest()));
    let batch = if entry.starts_with("grad") || entry == "energy" || entry == "loss" {
        case.data.first().map_or(1, |x| x.shape[0])
    } else {
        1
    };
    let each = match operands {
        MathMode::F32 => unit * (longest + 2.0),
        rounded => unit * (longest + 2.0) + rounded.bound(longest as usize),
    };
    let last = if operands == MathMode::F32 { 0.0 } else { 1.0 };
    each * (chain + last) * (expected.largest() + magnitude * magnitude * batch as f64)
}
