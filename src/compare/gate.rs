//! What a gate decides and says; the measuring is done by its caller.

use std::collections::BTreeSet;

use super::row::{Comparison, Measure, Row};
use super::side::{Entry, Side};
use crate::stats::Verdict;

/// How many times as long as usual, in instances, rounds and time, a suspect is measured again and a baseline is
/// measured: the one decides alone, the other is compared with many times.
pub const LONGER: usize = 4;

/// Points that must be measured again before their verdicts stand, in order.
pub fn suspects(comparison: &Comparison) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let suspect = comparison.rows.iter().filter(|row| row.verdict.is_suspect());
    suspect.filter(|row| seen.insert(row.point.as_str())).map(|row| row.point.clone()).collect()
}

/// The new side, with what was suspect in `comparison` taken from measurements of the same points again.
///
/// Only from those, not pooled with the first ones: a point is measured again *because* its first numbers looked bad,
/// and these would keep pulling towards that. What was not suspect keeps its first numbers for the same reason. Where
/// a baseline itself is suspect, all that is stated against it is taken again.
pub fn with_second_look(new: &Side, again: &[Side], comparison: &Comparison) -> Side {
    let suspect = |e: &&mut Entry| {
        comparison.rows.iter().any(|row| {
            let named = row.contender == e.contender;
            let against = row.measure == Measure::Ratio && row.contender == e.baseline;
            row.verdict.is_suspect() && row.point == e.point && (named || against)
        })
    };
    let mut side = new.clone();
    for e in side.entries.iter_mut().filter(suspect) {
        if let Some(second) = again.iter().find_map(|s| s.get(&e.point, &e.contender)) {
            *e = second.clone();
        }
    }
    side
}

/// How a gate ends; the worst of what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GateOutcome {
    /// Nothing to object.
    Passed,
    /// Exact facts changed: a contender is wrong or failed, or its counted work is another; says which.
    Changed(String),
    /// Something regressed; says what.
    Regressed(String),
    /// Something could not be told, and it was asked to be; says what.
    Inconclusive(String),
}

/// The outcome of a comparison; `strict` makes what cannot be told an outcome of its own.
///
/// `exact` is for a gate, where base and new should be the same but for the code: then changed work counts, and so does
/// what does not compare at all, for it would leave the gate open until the baseline is made again. Between two records
/// both may be on purpose. If nothing at all compares, the outcome is inconclusive rather than passed, whichever side
/// lacks what the other has.
pub fn outcome(comparison: &Comparison, exact: bool, strict: bool) -> GateOutcome {
    let list = |all: &[String]| format!("{} (of {})", all[0], all.len());
    let name = |row: &Row| format!("{} at {}", row.contender, row.point);
    let row = |row: &Row| match &row.reason[..] {
        "" => format!("{}: {}", name(row), row.verdict),
        reason => format!("{}: {} ({reason})", name(row), row.verdict),
    };
    // Between two records that share nothing, what failed in one of them is no news; a gate blocks it all the same.
    let nothing = comparison.rows.iter().all(|row| row.verdict == Verdict::Invalid);
    let nothing_compares = || {
        let all: Vec<String> = comparison.rows.iter().map(row).collect();
        let what = if all.is_empty() { "neither side holds a timed point".to_owned() } else { list(&all) };
        GateOutcome::Inconclusive(format!("nothing compares: {what}"))
    };
    if nothing && !exact {
        return nothing_compares();
    }
    let changed: Vec<String> = comparison
        .broken
        .iter()
        .map(|s| format!("failed: {s}"))
        .chain(comparison.work.iter().filter(|_| exact).map(|s| format!("counted work changed: {s}")))
        .collect();
    if !changed.is_empty() {
        return GateOutcome::Changed(list(&changed));
    }
    let regressed: Vec<String> = comparison
        .with(Verdict::Regressed)
        .map(|row| format!("{}: {} {}", name(row), row.measure.name(), interval(row)))
        .collect();
    if !regressed.is_empty() {
        return GateOutcome::Regressed(list(&regressed));
    }
    if nothing {
        return nothing_compares();
    }
    let unclear: Vec<String> = comparison
        .inconclusive()
        .filter(|row| strict || (exact && row.verdict == Verdict::Invalid))
        .map(row)
        .collect();
    if !unclear.is_empty() {
        return GateOutcome::Inconclusive(list(&unclear));
    }
    GateOutcome::Passed
}

/// `1.05 [1.03, 1.07]`, new over base; empty where the two do not compare.
pub fn interval(row: &Row) -> String {
    row.change.map_or_else(String::new, |c| format!("{:.3} [{:.3}, {:.3}]", c.ratio, c.low, c.high))
}

/// One line of counts: `3 regressed, 17 same`.
pub fn counts(comparison: &Comparison) -> String {
    let all = [Verdict::Regressed, Verdict::Improved, Verdict::Ambiguous, Verdict::Invalid, Verdict::Same]
        .into_iter();
    let counted = all.map(|v| (v, comparison.with(v).count())).filter(|(_, n)| *n > 0);
    let text = counted.map(|(v, n)| format!("{n} {v}")).collect::<Vec<_>>().join(", ");
    if text.is_empty() {
        "nothing to compare".into()
    } else {
        text
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
