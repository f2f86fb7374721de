//! The calls that are timed: weight updates of square layers over a grid of sizes.

use std::fmt;

use pcnbench_kernels::launch::Precision;
use pcnbench_kernels::tune::Sizes;
use pcnbench_kernels::{MathMode, Rule, Schedule};

/// L. Twice, or half, of each is still decided by it.
const DEPTHS: [usize; 7] = [2, 4, 8, 16, 32, 64, 128];
/// n, of every layer: with a factor of two on both sides from 16 to 4096 units.
const WIDTHS: [usize; 4] = [32, 128, 512, 2048];
/// B: with a factor of two on both sides from 8 to 512 samples.
const BATCHES: [usize; 3] = [16, 64, 256];

/// FLOPs of one product per layer and step, 2·n²·B·L·max(T, 1), up to which a call is timed: more takes every strategy a good part
/// of a second, and is time of matrix products, not of launches.
const MOST_FLOPS: f64 = 274_877_906_944.0;
/// Weights, n²·L, up to which a call is timed: every strategy has a copy.
const MOST_WEIGHTS: usize = 1 << 26;

/// g_t: small, so that states stay finite over any number of steps.
const STEP_SIZE: f64 = 0.1;
/// α of rules that move the parameters themselves, and of the optimiser of the others: small, so that parameters stay finite over
/// thousands of updates on one batch.
pub(super) const RATE: f64 = 1e-6;

/// A call that is timed: one weight update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Call {
    /// By which rule.
    pub rule: Rule,
    /// In which type.
    pub precision: Precision,
    /// What products read.
    pub operands: MathMode,
    /// Its sizes.
    pub sizes: Sizes,
}

impl Call {
    /// The rule with its steps.
    pub fn schedule(&self) -> Schedule {
        Schedule::new(self.rule, vec![STEP_SIZE; self.sizes.steps])
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", describe(self.rule.name(), self.precision, self.operands))?;
        write!(f, " at {}", self.sizes)
    }
}

/// `spc in f32`, `spc in f32 with tf32 operands`.
pub(crate) fn describe(rule: &str, precision: Precision, operands: MathMode) -> String {
    match operands {
        MathMode::F32 => format!("{rule} in {}", precision.name()),
        rounded => format!("{rule} in {} with {rounded} operands", precision.name()),
    }
}

/// Rules with their types: every rule in f32; sPC, ePC and BP also with rounded operands and in f64.
fn kinds() -> Vec<(Rule, Precision, MathMode)> {
    let ratios = [Rule::Spc { light_cone: true, deviation: false }, Rule::Epc, Rule::Bp];
    let others = [
        Rule::Zil,
        Rule::Fpa { light_cone: true },
        Rule::Ar { top_down: false },
        Rule::Ar { top_down: true },
        Rule::SeqIl { mixing: 1.0 },
        Rule::Ipc { light_cone: true, weight_step: RATE, evaluate: false },
    ];
    let f32 = ratios.iter().chain(&others).map(|rule| (*rule, Precision::F32, MathMode::F32));
    let rounded = MathMode::ALL.into_iter().filter(|operands| *operands != MathMode::F32);
    let rounded =
        rounded.flat_map(|operands| ratios.map(|rule| (rule, Precision::F32, operands)).into_iter());
    let f64 = ratios.iter().map(|rule| (*rule, Precision::F64, MathMode::F32));
    f32.chain(rounded).chain(f64).collect()
}

/// All calls, T = L, none deeper than `max_depth`; those of equal layers after one another.
pub fn grid(max_depth: usize) -> Vec<Call> {
    let mut calls = Vec::new();
    for depth in DEPTHS.into_iter().filter(|depth| *depth <= max_depth) {
        for width in WIDTHS.into_iter().filter(|width| width * width * depth <= MOST_WEIGHTS) {
            for batch in BATCHES {
                for (rule, precision, operands) in kinds() {
                    let steps = if matches!(rule, Rule::Bp | Rule::Zil) { 0 } else { depth };
                    let products = (width * width * batch * depth * steps.max(1)) as f64;
                    if 2.0 * products <= MOST_FLOPS {
                        let sizes = Sizes { width, batch, depth, steps };
                        calls.push(Call { rule, precision, operands, sizes });
                    }
                }
            }
        }
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;
    use pcnbench_kernels::tune::{Entry, StrategyTable};

    #[test]
    fn every_rule_and_every_operand_is_timed_once_at_each_size() {
        let all = grid(usize::MAX);
        let at = |depth: usize| {
            let here =
                |call: &&Call| (call.sizes.width, call.sizes.batch, call.sizes.depth) == (128, 64, depth);
            all.iter().filter(here).map(ToString::to_string).collect::<Vec<_>>()
        };
        let found = at(8);
        for rule in Rule::NAMES {
            assert!(found.iter().any(|call| call.starts_with(&format!("{rule} in f32 at "))), "{rule}");
        }
        for rule in ["spc", "epc", "bp"] {
            for kind in
                ["f32 with 3xtf32 operands", "f32 with tf32 operands", "f32 with bf16 operands", "f64"]
            {
                let name = format!("{rule} in {kind} at ");
                assert_eq!(found.iter().filter(|call| call.starts_with(&name)).count(), 1, "{name}");
            }
        }
        let mut once = found.clone();
        once.dedup();
        assert_eq!((found.len(), once.len()), (9 + 3 * 4, 21));
        assert!(found[0].contains("spc in f32 at width 128, batch 64, depth 8, steps 8"), "{}", found[0]);
        assert_eq!(at(128).len(), 21, "the headline's depths are all there");
    }

    #[test]
    fn sizes_have_limits() {
        assert!(grid(1).is_empty());
        assert!(grid(8).iter().all(|call| call.sizes.depth <= 8));
        for call in grid(usize::MAX) {
            let Sizes { width, batch, depth, steps } = call.sizes;
            assert!(width * width * depth <= 64 << 20, "{call}");
            // 2³⁸ FLOPs
            assert!(2 * width * width * batch * depth * steps.max(1) <= 1 << 38, "{call}");
        }
    }

    /// No gap: what lies between two sizes of the grid is within a factor of two of one of them.
    #[test]
    fn sizes_in_between_are_decided_too() {
        let entry = |call: Call| Entry {
            rule: call.rule.name(),
            precision: call.precision,
            math: call.operands,
            sizes: call.sizes,
            timed: vec![],
            failed: vec![],
        };
        let entries = grid(usize::MAX).into_iter().map(entry).collect();
        let table = StrategyTable { device: "x".into(), capability: (9, 0), entries };
        for depth in 1..=64 {
            for (width, batch) in [(16, 8), (64, 32), (91, 45), (256, 128), (128, 64), (90, 100)] {
                for (rule, steps) in [("spc", depth), ("epc", depth), ("bp", 0)] {
                    let sizes = Sizes { width, batch, depth, steps };
                    let kind = (Precision::F32, MathMode::F32);
                    assert!(table.nearest(rule, kind, &sizes).is_some(), "{rule} {sizes}");
                }
            }
        }
    }
}
